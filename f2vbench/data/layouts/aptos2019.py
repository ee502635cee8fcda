"""APTOS-2019, grades of diabetic retinopathy from 0 to 4.

    train.csv (id_code, diagnosis)  train_images/000c1434d8d7.png …      (Kaggle; its test images have no grades)
    APTOS_train.txt, APTOS_crossval.txt ("APTOS/nodr/002c21358ce6.png 0")  APTOS/nodr/…  (a domain-shift benchmark)
    train/anodr/…  val/anodr/…  test/anodr/…                             (RETFound)

Nothing tells patients: every photograph counts as one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_file, folders_in, index_from_rows, read_options, safe_id, subfolder
from f2vbench.data.layouts.label_tables import Listed, all_images, match, read_either, table_rows
from f2vbench.errors import DataError

_LISTS = ("APTOS_train.txt", "APTOS_crossval.txt")
_EXPECTED = "train.csv with train_images/, or APTOS_train.txt with APTOS/nodr/ and so on"
_NOTE = "the owners tell no patients: every photograph counts as a patient of its own"
_LISTS_NOTE = "APTOS_train.txt and APTOS_crossval.txt have no test part: their division is not used"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0" to "4", in RETFound's folders the folders' names."""
    read_options(options, {})
    return read_either(folder, _is_root, _EXPECTED, _read_owner)


def _is_root(folder: Path) -> bool:
    return find_file(folder, "train.csv") is not None or any(find_file(folder, name) for name in _LISTS)


def _read_owner(root: Path) -> DataFrame:
    table = find_file(root, "train.csv")
    if table is not None:
        place = subfolder(root, "train_images", "train")
        listed = [one for one, _ in table_rows(table, ("id_code",), ("diagnosis",))]
        return _index(listed, all_images([place]), str(place or root / "train_images"), [_NOTE])
    lists = [file for name in _LISTS if (file := find_file(root, name)) is not None]
    place = subfolder(root, "APTOS") or subfolder(subfolder(root, "images"), "APTOS")
    images = all_images(folders_in(place)) if place is not None else {}
    listed = [one for file in lists for one in _listed(file)]
    return _index(listed, images, str(place or root / "APTOS"), [_NOTE, _LISTS_NOTE])


def _index(listed: list[Listed], images: dict[str, Path], place: str, notes: list[str]) -> DataFrame:
    pairs, missing, extra = match(listed, images, place)
    rows = []
    for one, path in pairs:
        image = safe_id(path.stem)
        rows.append(Row(image, path, patient=image, label=one.label))
    return index_from_rows(rows, notes, missing=missing, extra=extra)


def _listed(file: Path) -> Iterator[Listed]:
    """Lines ``APTOS/<class>/<image> <grade>``."""
    problems = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        name, _, grade = line.strip().rpartition(" ")
        if name:
            yield Listed(f"{file}, line {number}", name.strip(), grade)
        elif line.strip():
            problems.append(f"{file}, line {number}: '{line.strip()}' is no path followed by a grade")
    if problems:
        raise DataError(problems)
