"""Shared parts of the layouts of classification data sets: label tables, and the owner's or RETFound's structure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, split_suffix
from f2vbench.data.layouts.retfound_folders import EXPECTED, has_split_folders, read_split_folders
from f2vbench.data.patient_names import PatientAndEye, patient_and_eye
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError


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
    """

    where: str
    name: str
    label: str
    patient: str = ""
    eye: str = ""


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


def match_images(labelled: Iterable[LabelledImage], images: Mapping[str, Path], place: str) -> MatchedImages:
    """Match the images of a table with files, by name without suffix and ignoring case.

    Suffixes are ignored because some tables write .png for .JPG files.

    Args:
        labelled: Images of the table.
        images: Files by stem, see `f2vbench.data.folder_scan.images_in`.
        place: The folder of the files, for messages.

    Raises:
        DataError: Images are listed twice; all are named.
    """
    files = {stem.lower(): path for stem, path in images.items()}
    first: dict[str, LabelledImage] = {}
    pairs: list[tuple[LabelledImage, Path]] = []
    missing: list[str] = []
    problems: list[str] = []
    for image in labelled:
        stem = stem_of(image.name)
        if stem in first:
            problems.append(
                f"{image.where}: image '{image.name}' is listed before, in {first[stem].where}: remove one row"
            )
            continue
        first[stem] = image
        if stem in files:
            pairs.append((image, files[stem]))
        else:
            missing.append(f"{image.where}: image '{image.name}' not found in {place}")
    if problems:
        raise DataError(limit_problems(problems))
    return MatchedImages(pairs, missing, sorted(str(path) for stem, path in files.items() if stem not in first))


def stem_of(name: str) -> str:
    """An image name of a table without folder and image suffix, in lower case."""
    return split_suffix(PurePosixPath(name.replace("\\", "/")).name)[0].lower()


def all_images(folders: Iterable[Path | None]) -> dict[str, Path]:
    """Image files of several folders by stem.

    Raises:
        DataError: Two folders contain the same name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for stem, path in images_in(folder).items():
            if stem in found:
                raise DataError(f"{path} and {found[stem]} have the same name: remove one of them")
            found[stem] = path
    return found


def _first_column(frame: DataFrame, columns: Sequence[str], table: Path) -> str:
    """The first of several possible columns that a table has."""
    found = next((column for column in columns if column in frame), None)
    if found is None:
        raise DataError(
            f"{table}: column {' or '.join(columns)} not found; columns are {', '.join(map(str, frame.columns))}"
        )
    return found
