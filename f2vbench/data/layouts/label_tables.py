"""What the layouts of classification data sets share: two structures told apart, label tables matched with images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, read_csv, split_suffix
from f2vbench.data.layouts.retfound_folders import EXPECTED, eye_of_name, is_retfound, read_root
from f2vbench.errors import DataError


def read_either(
    folder: Path,
    accept: Callable[[Path], bool],
    expected: str,
    read_owner: Callable[[Path], DataFrame],
    who: Callable[[str], tuple[str, str] | None] = eye_of_name,
) -> DataFrame:
    """The raw index of the owner's structure, or of RETFound's folders, whichever is there.

    Args:
        accept: whether a folder is the root of the owner's structure, searched two levels deep.
        expected: the owner's structure in words.
        who: (patient, eye) told by the name of a file in RETFound's folders, or None.

    Raises:
        DataError: neither is there, or both are.
    """
    root = find_root(folder, lambda place: accept(place) or is_retfound(place), f"{expected}, or {EXPECTED}", depth=2)
    return read_owner(root) if accept(root) else read_root(root, who)


@dataclass(frozen=True)
class Listed:
    """One image of a label table.

    Attributes:
        where: table and row, for messages.
        name: as the table writes it, with or without a folder and a suffix.
        label: as the table writes it.
    """

    where: str
    name: str
    label: str
    patient: str = ""
    eye: str = ""
    split: str = ""


def table_rows(table: Path, name: Sequence[str], label: Sequence[str]) -> Iterator[tuple[Listed, dict[str, str]]]:
    """The images of a label table, each with all of its row.

    Args:
        name: possible headings of the column with image names; the first that is there counts. ``label`` likewise.

    Raises:
        DataError: a column is missing.
    """
    frame = read_csv(table, ())
    columns = []
    for choices in (name, label):
        found = next((choice for choice in choices if choice in frame), None)
        if found is None:
            raise DataError(f"{table}: no column {' or '.join(choices)}; it has {', '.join(map(str, frame.columns))}")
        columns.append(found)
    for position, row in enumerate(frame.to_dict("records")):
        if row[columns[0]]:
            yield Listed(f"{table}, row {position + 2}", row[columns[0]], row[columns[1]]), row


def match(
    listed: Iterable[Listed], images: Mapping[str, Path], place: str
) -> tuple[list[tuple[Listed, Path]], list[str], list[str]]:
    """Images of a table with their files; what is listed and not there; what is there and not listed.

    Names are compared without suffix and in any case of letters: some owners' tables say .png of .JPG files.

    Args:
        images: files by stem, as `images_in` gives them.
        place: the folder they were looked for in.

    Raises:
        DataError: images that are listed twice, all of them.
    """
    files = {stem.lower(): path for stem, path in images.items()}
    first: dict[str, Listed] = {}
    pairs: list[tuple[Listed, Path]] = []
    missing: list[str] = []
    problems: list[str] = []
    for one in listed:
        stem = stem_of(one.name)
        if stem in first:
            before = first[stem]
            problems.append(f"{one.where}: image '{one.name}' is listed before, in {before.where}: remove one row")
            continue
        first[stem] = one
        if stem in files:
            pairs.append((one, files[stem]))
        else:
            missing.append(f"{one.where}: there is no image '{one.name}' in {place}")
    if problems:
        raise DataError(problems)
    return pairs, missing, sorted(str(path) for stem, path in files.items() if stem not in first)


def stem_of(name: str) -> str:
    """A table's name of an image, without folder and known suffix, in lower case."""
    return split_suffix(PurePosixPath(name.replace("\\", "/")).name)[0].lower()


def all_images(folders: Iterable[Path | None]) -> dict[str, Path]:
    """Files by stem of several folders together.

    Raises:
        DataError: one name in two of them.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for stem, path in images_in(folder).items():
            if stem in found:
                raise DataError(f"{path} and {found[stem]} have the same name: remove one of them")
            found[stem] = path
    return found
