"""MESSIDOR-2 with the adjudicated grades of diabetic retinopathy from 0 to 4.

    IMAGES/20051020_43808_0100_PP.png  IMAGES/IM004831.JPG …     (owner)
    messidor_data.csv    grades, by others: image_id or id_code; adjudicated_dr_grade or diagnosis
    messidor-2.csv       the owner's pairs of one examination: left;right

Two photographs of one examination are one patient; without messidor-2.csv every photograph counts as one of its own.
Photographs that the graders called ungradable have no grade. RETFound's folders are read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_file, index_from_rows, read_csv, read_options, safe_id, subfolder
from f2vbench.data.layouts.label_tables import all_images, match, read_either, stem_of, table_rows
from f2vbench.errors import DataError

_GRADES = ("messidor_data.csv", "messidor-2-grades.csv")
_PAIRS = ("messidor-2.csv", "messidor2_pairs.csv")
_EXPECTED = "messidor_data.csv with the photographs in IMAGES/"
_UNPAIRED = "messidor-2.csv, which pairs the eyes of a patient, is not here: every photograph counts as a patient"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0" to "4", "" for what could not be graded."""
    read_options(options, {})
    return read_either(folder, _is_root, _EXPECTED, _read_owner)


def _is_root(folder: Path) -> bool:
    return any(find_file(folder, name) for name in _GRADES)


def _read_owner(root: Path) -> DataFrame:
    table = next(file for name in _GRADES if (file := find_file(root, name)) is not None)
    place = subfolder(root, "IMAGES", "images")
    label = ("adjudicated_dr_grade", "diagnosis")
    listed = [one for one, _ in table_rows(table, ("image_id", "id_code", "image"), label)]
    pairs, missing, extra = match(listed, all_images([place or root]), str(place or root))
    eyes = _eyes(root)
    rows = []
    for one, path in pairs:
        image = safe_id(path.stem)
        patient, eye = eyes.get(stem_of(path.name), (image, ""))
        rows.append(Row(image, path, patient=patient, eye=eye, label=one.label))
    return index_from_rows(rows, [] if eyes else [_UNPAIRED], missing=missing, extra=extra)


def _eyes(root: Path) -> dict[str, tuple[str, str]]:
    """(patient, eye) by stem; a patient is called by the name of the left photograph."""
    table = next((file for name in _PAIRS if (file := find_file(root, name)) is not None), None)
    if table is None:
        return {}
    found: dict[str, tuple[str, str]] = {}
    problems = []
    for position, row in enumerate(read_csv(table, ("left", "right")).to_dict("records")):
        patient = safe_id(stem_of(row["left"] or row["right"]))
        for eye in ("left", "right"):
            stem = stem_of(row[eye])
            if stem in found:
                problems.append(f"{table}, row {position + 2}: image '{row[eye]}' is paired twice")
            if stem:
                found[stem] = (patient, eye)
    if problems:
        raise DataError(problems)
    return found
