"""PAPILA: both eyes of 244 patients, healthy (0), glaucoma (1) or suspect (2).

    FundusImages/RET002OD.jpg  FundusImages/RET002OS.jpg …
    ClinicalData/patient_data_od.xlsx  ClinicalData/patient_data_os.xlsx   (or .csv, saved from these)

The tables have three heading rows (the second splits some columns, the third holds "ID" alone), patients are written
"#002". OD is the right eye, OS the left. RETFound's folders are read as well, with patient and eye from the names.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_file, images_in, index_from_rows, read_options, safe_id, subfolder
from f2vbench.data.layouts.label_tables import Listed, match, read_either
from f2vbench.data.xlsx import read_sheet
from f2vbench.errors import DataError

_EXPECTED = "FundusImages/ and ClinicalData/ with patient_data_od.xlsx and patient_data_os.xlsx"
_EYES = {"od": "right", "os": "left"}
_NAME = re.compile(r".*?(RET\d+)[_-]?(OD|OS).*", re.IGNORECASE)
_PATIENT = re.compile(r"#?\s*(\d+)")
_HEADING_ROWS = 4


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0", "1" and "2", in RETFound's folders the folders' names."""
    read_options(options, {})
    return read_either(folder, _is_root, _EXPECTED, _read_owner, _who)


def _is_root(folder: Path) -> bool:
    return subfolder(folder, "FundusImages") is not None and subfolder(folder, "ClinicalData") is not None


def _who(stem: str) -> tuple[str, str] | None:
    found = _NAME.fullmatch(stem)
    return (found[1].upper(), _EYES[found[2].lower()]) if found else None


def _read_owner(root: Path) -> DataFrame:
    tables, place = subfolder(root, "ClinicalData"), subfolder(root, "FundusImages")
    listed: list[Listed] = []
    for short in _EYES:
        file = _table(tables, short) if tables is not None else None
        if file is None:
            raise DataError(f"{root}: there is no ClinicalData/patient_data_{short}.xlsx: download PAPILA again")
        listed += _listed(file, short)
    pairs, missing, extra = match(listed, images_in(place), str(place))
    rows = [Row(safe_id(path.stem), path, patient=one.patient, eye=one.eye, label=one.label) for one, path in pairs]
    return index_from_rows(rows, missing=missing, extra=extra)


def _table(folder: Path, short: str) -> Path | None:
    names = (f"patient_data_{short}.xlsx", f"patient_data_{short}.csv")
    return next((file for name in names if (file := find_file(folder, name)) is not None), None)


def _listed(file: Path, short: str) -> list[Listed]:
    """The eyes of a table; the column Diagnosis is looked for in the heading rows, patients are in the first column."""
    rows = read_sheet(file) if file.suffix.lower() == ".xlsx" else _read_csv(file)
    head = [[cell.lower() for cell in row] for row in rows[:_HEADING_ROWS]]
    column = next((row.index("diagnosis") for row in head if "diagnosis" in row), None)
    if column is None:
        raise DataError(f"{file}: no column Diagnosis in its first rows; download PAPILA again")
    found = []
    for number, row in enumerate(rows, start=1):
        patient = _PATIENT.fullmatch(row[0])
        if patient:
            name = f"RET{int(patient[1]):03}{short.upper()}"
            found.append(Listed(f"{file}, patient {row[0]}", name, row[column], name[:-2], _EYES[short]))
        elif number > _HEADING_ROWS and any(row):
            raise DataError(f"{file}, row {number}: '{row[0]}' is no patient (they are written #002)")
    return found


def _read_csv(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
