"""Retina Image Bank: what a user has exported from it, with a table.

export.csv: columns image (path below the table's folder), case, modality, diagnosis, year, and, if they are known,
patient (else each case is one), eye and view
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_listed_image, find_root, index_from_rows, read_csv, safe_id
from f2vbench.errors import DataError, SettingsError, did_you_mean

_OPTIONS = ("table", "years", "diagnoses")
# What the bank calls its modalities, by the first of these that its name holds.
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
    """The raw index of the exported images of some years and diagnoses; how many were left out is noted.

    Args:
        options: ``table``: its file name (export.csv); ``years``: first and last, such as [2019, 2023];
            ``diagnoses``: words of which a diagnosis must hold one, in any case of letters.
    """
    name, years, words = _read_options(options)
    table_file = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}") / name
    needed = ("image", "case", "modality", *(("diagnosis",) if words else ()), *(("year",) if years else ()))
    rows: list[Row] = []
    problems: list[str] = []
    left_out = {"years": 0, "diagnoses": 0}
    for position, row in enumerate(read_csv(table_file, needed).to_dict("records")):
        where = f"{table_file}, row {position + 2}"
        if years and not re.fullmatch(r"\d{4}", row["year"]):
            problems.append(f"{where}: year '{row['year']}' is no year of four digits")
        elif years and not years[0] <= int(row["year"]) <= years[1]:
            left_out["years"] += 1
        elif words and not is_of(row["diagnosis"], words):
            left_out["diagnoses"] += 1
        else:
            patient = row.get("patient", "") or row["case"]
            problems += [f"{where}: no {what}" for what in ("case", "modality") if not row[what]]
            path = find_listed_image(table_file, position, row["image"], problems)
            if path is not None:
                image = safe_id(Path(row["image"]).with_suffix("").as_posix())
                told = {"eye": row.get("eye", "").lower(), "view": row.get("view", "").lower()}
                rows.append(Row(image, path, patient=patient, modality=modality(row["modality"]), **told))
    if problems:
        raise DataError(problems)
    notes = [f"{count} images of other {what} are left out" for what, count in left_out.items() if count]
    return index_from_rows(rows, notes)


def is_of(diagnosis: str, words: list[str]) -> bool:
    """Whether a diagnosis holds one of the words, as a whole word, in any case of letters."""
    return any(re.search(rf"(?<![a-z]){re.escape(word.lower())}(?![a-z])", diagnosis.lower()) for word in words)


def modality(name: str) -> str:
    """The short name of a modality; the bank's own, in safe letters, where there is none."""
    known = (short for part, short in _MODALITIES if re.search(rf"\b{part}", name.lower()))
    return next(known, safe_id(name))


def _read_options(options: dict[str, Any]) -> tuple[str, list[int], list[str]]:
    problems = [
        f"options: unknown option '{key}'{did_you_mean(str(key), _OPTIONS)}; this layout's options: "
        f"{', '.join(_OPTIONS)}"
        for key in options
        if key not in _OPTIONS
    ]
    name, years, words = str(options.get("table", "export.csv")), options.get("years", []), options.get("diagnoses", [])
    if not re.fullmatch(r"\w[\w.-]*", name):
        problems.append(f"options.table: {name!r} is no plain name: leave out slashes")
    if years and not (isinstance(years, list) and len(years) == 2 and all(isinstance(year, int) for year in years)):
        problems.append(f"options.years: {years!r} must be the first and the last year, as in [2019, 2023]")
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        problems.append("options.diagnoses: must be a list of words")
    if problems:
        raise SettingsError(problems)
    return name, years, words
