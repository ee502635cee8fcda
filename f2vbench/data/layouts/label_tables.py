"""Shared parts of the layouts of classification data sets: label tables, and the owner's or RETFound's structure."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, split_suffix
from f2vbench.data.layouts.retfound_folders import EXPECTED, has_split_folders, read_split_folders
from f2vbench.data.patient_names import PatientAndEye, patient_and_eye
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError
from f2vbench.utils.text import shortened


def read_owner_or_retfound(
    folder: Path,
    accept: Callable[[Path], bool],
    expected: str,
    read_owner: Callable[[Path], DataFrame],
    from_name: PatientAndEye = patient_and_eye,
) -> DataFrame:
    """The raw index of the owner's structure or of RETFound's folders, whichever exists.

    Args:
        folder: The data set, or a folder at most two levels above it.
        accept: Whether a folder is the root of the owner's structure.
        expected: The owner's structure, for the error message.
        read_owner: Reads the owner's structure.
        from_name: Patient and eye from the name of a file in RETFound's folders.

    Raises:
        DataError: Neither structure exists, or both do.
    """
    root = find_root(
        folder, lambda place: accept(place) or has_split_folders(place), f"{expected}, or {EXPECTED}", depth=2
    )
    return read_owner(root) if accept(root) else read_split_folders(root, from_name)


@dataclass(frozen=True)
class LabelledImage:
    """One image of a label table.

    Attributes:
        where: Table and row, for messages.
        name: Name in the table, with or without folder and suffix.
        label: Label in the table.
        patient: Id of the patient, or "" if unknown.
        eye: "left", "right", or "" if unknown.
        columns: What is known of the patient, such as age and sex; see `f2vbench.data.index_rows.Row`.
    """

    where: str
    name: str
    label: str
    patient: str = ""
    eye: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchedImages:
    """A label table matched with the files of a folder.

    Attributes:
        pairs: Images of the table with their files.
        missing: One sentence for each image of the table without a file.
        extra: Paths of files that the table does not list, sorted.
    """

    pairs: list[tuple[LabelledImage, Path]]
    missing: list[str]
    extra: list[str]


def read_label_table(table: Path, name_columns: Sequence[str], label_columns: Sequence[str]) -> list[LabelledImage]:
    """The images of a label table (CSV); rows without an image name are ignored.

    Args:
        table: The file.
        name_columns: Possible headings of the column with image names; the first that exists is used.
        label_columns: Possible headings of the column with labels.

    Raises:
        DataError: A column is missing.
    """
    frame = read_csv(table)
    name, label = (_first_column(frame, columns, table) for columns in (name_columns, label_columns))
    return [
        LabelledImage(f"{table}, row {position + 2}", row[name], row[label])
        for position, row in enumerate(frame.to_dict("records"))
        if row[name]
    ]


class ImageFiles:
    """Image files that are found by the names in a table: with or without folders and suffix, ignoring case.

    Suffixes decide only between several files of a name, because some tables write .png for .JPG files. Folders decide
    between files of one name in several folders: those of the table end in those of the file, or the reverse, so that a
    table may contain the paths of another computer. The folders of a file whose name occurs once are ignored.

    Args:
        files: The files.
    """

    def __init__(self, files: Iterable[Path]):
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        paths = list(files)
        self._root = os.path.commonpath([path.parent for path in paths]) if paths else ""
        for path in paths:
            self._by_stem[stem_of(path.name)].append(path)

    def find(self, name: str) -> list[Path]:
        """All files that a name can stand for: none, one, or several."""
        found = self._by_stem.get(stem_of(name), [])
        if len(found) < 2:
            return found
        wanted = _parts(name)[:-1]
        if wanted:
            found = [path for path in found if self._ends_alike(path, wanted)]
        same_suffix = [path for path in found if path.name.lower() == _parts(name)[-1]]
        return same_suffix if len(same_suffix) == 1 else found

    def _ends_alike(self, path: Path, wanted: list[str]) -> bool:
        """Whether the folders in a table end in those of a file below the common folder, or the reverse."""
        folders = _parts(path.parent.relative_to(self._root).as_posix())
        shared = min(len(folders), len(wanted))
        all_folders = _parts(path.parent.as_posix())
        return (shared > 0 and folders[-shared:] == wanted[-shared:]) or all_folders[-len(wanted) :] == wanted


def match_images(labelled: Iterable[LabelledImage], files: Iterable[Path], place: str) -> MatchedImages:
    """Match the images of a table with files, see `ImageFiles`.

    Args:
        labelled: Images of the table.
        files: The image files.
        place: The folder of the files, for messages.

    Raises:
        DataError: Images are listed twice, or a name is that of several files; all are named.
    """
    paths = list(files)
    images = ImageFiles(paths)
    first: dict[str, LabelledImage] = {}
    pairs: list[tuple[LabelledImage, Path]] = []
    missing: list[str] = []
    problems: list[str] = []
    for image in labelled:
        found = images.find(image.name)
        key = str(found[0]) if found else "/".join(_parts(split_suffix(image.name)[0]))
        if len(found) > 1:
            problems.append(
                f"{image.where}: image '{image.name}' is the name of {len(found)} files "
                f"({shortened([str(path) for path in found])}): write its folder, too, or remove all but one"
            )
        elif key in first:
            problems.append(_listed_twice(image, first[key]))
        elif found:
            pairs.append((image, found[0]))
        else:
            missing.append(f"{image.where}: image '{image.name}' not found in {place}")
        first.setdefault(key, image)
    if problems:
        raise DataError(limit_problems(problems))
    used = {path for _, path in pairs}
    return MatchedImages(pairs, missing, sorted(str(path) for path in paths if path not in used))


def _listed_twice(image: LabelledImage, earlier: LabelledImage) -> str:
    problem = f"{image.where}: image '{image.name}' is listed before, in {earlier.where}"
    if image.label == earlier.label:
        return f"{problem}: remove one row"
    return f"{problem}, with the label '{earlier.label}' and here '{image.label}': keep the row that is right"


def _parts(name: str) -> list[str]:
    """Folders and file name of a path in a table, in lower case."""
    return [part for part in name.lower().replace("\\", "/").split("/") if part not in ("", ".")]


def stem_of(name: str) -> str:
    """An image name of a table without folder and image suffix, in lower case."""
    return split_suffix(PurePosixPath(name.replace("\\", "/")).name)[0].lower()


def _first_column(frame: DataFrame, columns: Sequence[str], table: Path) -> str:
    """The first of several possible columns that a table has."""
    found = next((column for column in columns if column in frame), None)
    if found is None:
        raise DataError(
            f"{table}: column {' or '.join(columns)} not found; columns are {', '.join(map(str, frame.columns))}"
        )
    return found
