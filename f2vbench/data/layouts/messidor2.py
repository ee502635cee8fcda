"""MESSIDOR-2 with the adjudicated grades of diabetic retinopathy from 0 to 4.

    IMAGES/20051020_43808_0100_PP.png  IMAGES/IM004831.JPG …     (owner)
    messidor-2/messidor-2/preprocess/20051020_43808_0100_PP.png  (a copy on Kaggle, without black borders)
    messidor_data.csv    grades, by others: image_id or id_code; adjudicated_dr_grade or diagnosis
    messidor-2.csv       the owner's pairs of one examination: left;right

Two photographs of one examination are one patient; without messidor-2.csv every photograph counts as its own patient.
Ungradable photographs have no grade. RETFound's folders are read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_file, image_folder, images_in, inner_folders
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.label_tables import (
    match_images,
    read_label_table,
    read_owner_or_retfound,
    stem_of,
)
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import find_patients
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError
from f2vbench.utils.text import shortened

_GRADES = ("messidor_data.csv", "messidor-2-grades.csv")
_PAIRS = ("messidor-2.csv", "messidor2_pairs.csv")
_EXPECTED = "messidor_data.csv with the photographs in IMAGES/"
_UNPAIRED = "messidor-2.csv, which pairs the eyes of a patient, is missing: every photograph counts as its own patient"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0" to "4", or "" for ungradable photographs."""
    read_options(options, {})
    return read_owner_or_retfound(folder, _is_root, _EXPECTED, _read_owner)


def _is_root(folder: Path) -> bool:
    return any(find_file(folder, name) for name in _GRADES)


def _read_owner(root: Path) -> DataFrame:
    table = next(file for name in _GRADES if (file := find_file(root, name)) is not None)
    place = image_folder(root, "IMAGES", "images") or _only_image_folder(root)
    labelled = read_label_table(table, ("image_id", "id_code", "image"), ("adjudicated_dr_grade", "diagnosis"))
    matched = match_images(labelled, images_in(place).values(), str(place))
    pairs_of_eyes = _read_pairs(root)
    paths = [path for _, path in matched.pairs]
    patients = find_patients(root, paths, unknown="" if pairs_of_eyes else _UNPAIRED)
    rows = []
    for labelled_image, path in matched.pairs:
        image = safe_id(path.stem)
        patient, eye = pairs_of_eyes.get(stem_of(path.name)) or patients.of.get(path, (image, ""))
        columns = patients.columns.get(path, {})
        rows.append(Row(image, path, patient=patient, eye=eye, label=labelled_image.label, columns=columns))
    return index_from_rows(
        rows, patients.notes, warnings=patients.warnings, missing=matched.missing, extra=matched.extra
    )


def _only_image_folder(root: Path) -> Path:
    """The folder with the photographs of a copy: the root, or the only folder below it with images; else the root."""
    if images_in(root):
        return root
    found = [place for place in inner_folders(root) if images_in(place)]
    if len(found) > 1:
        raise DataError(
            f"{root}: photographs in several folders ({shortened([str(place) for place in found])}): remove all but "
            "one, or name it IMAGES"
        )
    return found[0] if found else root


def _read_pairs(root: Path) -> dict[str, tuple[str, str]]:
    """Patient and eye by file stem; the id of a patient is the name of the left photograph."""
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
        raise DataError(limit_problems(problems))
    return found
