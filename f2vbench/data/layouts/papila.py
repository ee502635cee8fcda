"""PAPILA: both eyes of 244 patients, healthy (0), glaucoma (1) or suspect (2).

    FundusImages/RET002OD.jpg  FundusImages/RET002OS.jpg …
    ClinicalData/patient_data_od.xlsx  ClinicalData/patient_data_os.xlsx   (or .csv, saved from these)

The tables have three rows of headings (the second divides some columns, the third contains "ID" only); patients are
written "#002". OD is the right eye, OS the left. RETFound's folders are read as well; their file names contain patient
and eye.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_file, image_folder, images_in, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.label_tables import LabelledImage, match_images, read_owner_or_retfound
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import EYE_WORDS, SEPARATORS, eye_of
from f2vbench.data.tables import read_cells
from f2vbench.errors import DataError

_EXPECTED = "FundusImages/ and ClinicalData/ with patient_data_od.xlsx and patient_data_os.xlsx"
_SIDES = ("od", "os")
_NAME = re.compile(rf".*?(RET\d+){SEPARATORS}*({EYE_WORDS})(?![A-Za-z]).*", re.IGNORECASE)
_PATIENT = re.compile(r"#?\s*(\d+)")
_HEADING_ROWS = 4
_GROUPS = {"age": "age", "gender": "sex"}
"""Headings of columns that describe subgroups, and their names in the index."""


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0", "1" and "2", or the folder names in RETFound's structure."""
    read_options(options, {})
    return read_owner_or_retfound(folder, _is_root, _EXPECTED, _read_owner, _patient_and_eye)


def _is_root(folder: Path) -> bool:
    return subfolder(folder, "FundusImages") is not None and subfolder(folder, "ClinicalData") is not None


def _patient_and_eye(stem: str) -> tuple[str, str] | None:
    match = _NAME.fullmatch(stem)
    return (match[1].upper(), eye_of(match[2]) or "") if match else None


def _read_owner(root: Path) -> DataFrame:
    tables, place = subfolder(root, "ClinicalData"), image_folder(root, "FundusImages")
    labelled: list[LabelledImage] = []
    for side in _SIDES:
        file = _table(tables, side) if tables is not None else None
        if file is None:
            raise DataError(f"{root}: ClinicalData/patient_data_{side}.xlsx not found: download PAPILA again")
        labelled += _labelled_eyes(file, side)
    matched = match_images(labelled, images_in(place).values(), str(place))
    rows = [
        Row(safe_id(path.stem), path, patient=eye.patient, eye=eye.eye, label=eye.label, columns=eye.columns)
        for eye, path in matched.pairs
    ]
    return index_from_rows(rows, missing=matched.missing, extra=matched.extra)


def _table(folder: Path, side: str) -> Path | None:
    names = (f"patient_data_{side}.xlsx", f"patient_data_{side}.csv")
    return next((file for name in names if (file := find_file(folder, name)) is not None), None)


def _labelled_eyes(file: Path, side: str) -> list[LabelledImage]:
    """The eyes of a table; the heading Diagnosis is in one of the first rows, patients are in the first column."""
    cells = read_cells(file)
    headings = [[cell.lower() for cell in row] for row in cells.rows[:_HEADING_ROWS]]
    places = {name: row.index(name) for row in headings for name in ("diagnosis", *_GROUPS) if name in row}
    if "diagnosis" not in places:
        raise DataError(f"{cells.source}: no column Diagnosis in the first rows: download PAPILA again")
    found = []
    for number, row in enumerate(cells.rows, start=1):
        patient = _PATIENT.fullmatch(row[0])
        if patient:
            name = f"RET{int(patient[1]):03}{side.upper()}"
            columns = {_GROUPS[heading]: row[at] for heading, at in places.items() if heading in _GROUPS}
            where, eye = f"{file}, patient {row[0]}", eye_of(side) or ""
            found.append(LabelledImage(where, name, row[places["diagnosis"]], name[:-2], eye, columns))
        elif number > _HEADING_ROWS:
            raise DataError(f"{cells.source}, row {number}: '{row[0]}' is not a patient (expected #002)")
    return found
