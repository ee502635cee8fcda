"""APTOS-2019: grades of diabetic retinopathy from 0 to 4.

    train.csv (id_code, diagnosis)  train_images/000c1434d8d7.png …      (Kaggle; its test images have no grades)
    train_1.csv, valid.csv, test.csv  train_images/…  val_images/…  test_images/…  (a divided copy on Kaggle)
    APTOS_train.txt, APTOS_crossval.txt ("APTOS/nodr/002c21358ce6.png 0")  APTOS/nodr/…  (a domain-shift benchmark)
    train/anodr/…  val/anodr/…  test/anodr/…                             (RETFound)

Patients are not published: every photograph counts as its own patient, unless names end in an eye (``12_left``) or a
table patients.csv names them (`f2vbench.data.patient_names`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_file, folders_in, image_folder, images_in, subfolder
from f2vbench.data.index_rows import UNKNOWN_PATIENTS, Row, index_from_rows, safe_id
from f2vbench.data.layouts import table as table_layout
from f2vbench.data.layouts.label_tables import (
    LabelledImage,
    match_images,
    read_label_table,
    read_owner_or_retfound,
)
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import find_patients
from f2vbench.data.tables import limit_problems
from f2vbench.errors import DataError

_LISTS = ("APTOS_train.txt", "APTOS_crossval.txt")
_EXPECTED = "train.csv with train_images/, or APTOS_train.txt with APTOS/nodr/ and so on"
_DIVIDED_TABLES = {"train": "train_1.csv", "val": "valid.csv", "test": "test.csv"}
_DIVIDED_IMAGES = {"train": "train_images", "val": "val_images", "test": "test_images"}
_LISTS_NOTE = "APTOS_train.txt and APTOS_crossval.txt have no test split: their division is not used"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0" to "4", or the folder names in RETFound's structure."""
    read_options(options, {})
    return read_owner_or_retfound(folder, _is_root, _EXPECTED, _read_owner)


def _is_root(folder: Path) -> bool:
    names = ("train.csv", _DIVIDED_TABLES["train"], *_LISTS)
    return any(find_file(folder, name) is not None for name in names)


def _read_owner(root: Path) -> DataFrame:
    if find_file(root, _DIVIDED_TABLES["train"]) is not None:
        columns = {"image": "id_code", "label": "diagnosis"}
        return table_layout.read(root, {"table": _DIVIDED_TABLES, "images": _DIVIDED_IMAGES, **columns})
    table = find_file(root, "train.csv")
    if table is not None:
        place = image_folder(root, "train_images", "train")
        labelled = read_label_table(table, ("id_code",), ("diagnosis",))
        return _index(labelled, list(images_in(place).values()), str(place or root / "train_images"), root)
    lists = [file for name in _LISTS if (file := find_file(root, name)) is not None]
    place = subfolder(root, "APTOS") or subfolder(subfolder(root, "images"), "APTOS")
    images = [path for inner in (folders_in(place) if place else ()) for path in images_in(inner).values()]
    labelled = [image for file in lists for image in _read_list(file)]
    return _index(labelled, images, str(place or root / "APTOS"), root, [_LISTS_NOTE])


def _index(
    labelled: list[LabelledImage], images: list[Path], place: str, root: Path, notes: Sequence[str] = ()
) -> DataFrame:
    matched = match_images(labelled, images, place)
    patients = find_patients(root, [path for _, path in matched.pairs], unknown=UNKNOWN_PATIENTS)
    rows = []
    for labelled_image, path in matched.pairs:
        image = safe_id(path.stem)
        patient, eye = patients.of.get(path, (image, ""))
        columns = patients.columns.get(path, {})
        rows.append(Row(image, path, patient=patient, eye=eye, label=labelled_image.label, columns=columns))
    notes = [*patients.notes, *notes]
    return index_from_rows(rows, notes, warnings=patients.warnings, missing=matched.missing, extra=matched.extra)


def _read_list(file: Path) -> Iterator[LabelledImage]:
    """Lines ``APTOS/<class>/<image> <grade>``."""
    problems = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        name, _, grade = line.strip().rpartition(" ")
        if name:
            yield LabelledImage(f"{file}, line {number}", name.strip(), grade)
        elif line.strip():
            problems.append(f"{file}, line {number}: '{line.strip()}' must be a path and a grade")
    if problems:
        raise DataError(limit_problems(problems))
