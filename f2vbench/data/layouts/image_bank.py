"""Retina Image Bank: images that a user has exported from it, with a table.

export.csv: columns image (path below the table's folder), case, modality, diagnosis, year and, if known, patient (else
each case is one), eye and view
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import is_plain_name, not_plain, unknown_options
from f2vbench.data.patient_names import read_eye
from f2vbench.data.tables import find_listed_image, limit_problems, read_csv
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.text import plural

_OPTIONS = ("table", "years", "diagnoses")
# Short names of the bank's modalities; the first entry that occurs in a modality counts.
_MODALITIES = (
    ("indocyanine", "ICG"),
    ("icg", "ICG"),
    ("fluorescein", "FFA"),
    ("autofluorescence", "AF"),
    ("red free", "RF"),
    ("red-free", "RF"),
    ("tomography", "OCT"),
    ("oct", "OCT"),
    ("color", "CF"),
    ("colour", "CF"),
    ("fundus photo", "CF"),
)


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of the images of some years and diagnoses; a note counts the images that are left out.

    Args:
        folder: The folder of the table, or a folder around it.
        options: ``table``: file name of the table (default export.csv); ``years``: first and last year, such as
            [2019, 2023]; ``diagnoses``: terms of which a diagnosis must contain one, ignoring case.
    """
    name, years, terms = _read_options(options)
    table_file = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}") / name
    required = ("image", "case", "modality", *(("diagnosis",) if terms else ()), *(("year",) if years else ()))
    rows: list[Row] = []
    problems: list[str] = []
    left_out = {"years": 0, "diagnoses": 0}
    for position, row in enumerate(read_csv(table_file, required).to_dict("records")):
        where = f"{table_file}, row {position + 2}"
        if years and not re.fullmatch(r"\d{4}", row["year"]):
            problems.append(f"{where}: year '{row['year']}' must have four digits")
        elif years and not years[0] <= int(row["year"]) <= years[1]:
            left_out["years"] += 1
        elif terms and not contains_term(row["diagnosis"], terms):
            left_out["diagnoses"] += 1
        else:
            patient = row.get("patient", "") or row["case"]
            problems += [f"{where}: no {column}" for column in ("case", "modality") if not row[column]]
            path = find_listed_image(table_file, position, row["image"], problems)
            if path is not None:
                image = safe_id(Path(row["image"]).with_suffix("").as_posix())
                eye, view = read_eye(row, where, problems), row.get("view", "").lower()
                rows.append(
                    Row(image, path, patient=patient, modality=short_modality(row["modality"]), eye=eye, view=view)
                )
    if problems:
        raise DataError(limit_problems(problems))
    notes = [f"{plural(count, 'image')} of other {what} left out" for what, count in left_out.items() if count]
    return index_from_rows(rows, notes)


def contains_term(diagnosis: str, terms: list[str]) -> bool:
    """Whether a diagnosis contains one of the terms as a whole word, ignoring case."""
    return any(re.search(rf"(?<![a-z]){re.escape(term.lower())}(?![a-z])", diagnosis.lower()) for term in terms)


def short_modality(name: str) -> str:
    """The short name of a modality ("CF", "FFA", …); of an unknown modality the name with safe letters only."""
    known = (short for term, short in _MODALITIES if re.search(rf"\b{term}", name.lower()))
    return next(known, safe_id(name))


def _read_options(options: dict[str, Any]) -> tuple[str, list[int], list[str]]:
    problems = unknown_options(options, _OPTIONS)
    name, years, terms = str(options.get("table", "export.csv")), options.get("years", []), options.get("diagnoses", [])
    if not is_plain_name(name):
        problems.append(not_plain("table", name))
    if years and not (isinstance(years, list) and len(years) == 2 and all(isinstance(year, int) for year in years)):
        problems.append(f"options.years: {years!r} must be the first and the last year, as in [2019, 2023]")
    if not isinstance(terms, list) or not all(isinstance(term, str) and term.strip() for term in terms):
        problems.append("options.diagnoses: must be a list of words")
    if problems:
        raise SettingsError(problems)
    return name, years, terms
