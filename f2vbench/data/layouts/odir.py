"""ODIR-5K: both eyes of 3,500 patients, with diagnostic keywords for each eye.

    ODIR-5K_Training_Annotations(Updated)_V2.xlsx  ODIR-5K_Training_Images/0_left.jpg …      (challenge)
    full_df.csv  preprocessed_images/0_left.jpg … , or "Training Images"/                     (copies on Kaggle)

The eight published labels belong to a patient. Labels of an eye are read from its keywords, which full-width commas
separate, so that a healthy eye beside a diseased one counts as healthy. Headings end in spaces in part, and the
copies have one row an image where the challenge has one a patient. RETFound's folders are read as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from f2vbench.data.folder_scan import (
    Row,
    find_file,
    images_in,
    index_from_rows,
    read_csv,
    read_options,
    safe_id,
    subfolder,
)
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.layouts.label_tables import Listed, match, read_either, stem_of
from f2vbench.data.xlsx import read_sheet
from f2vbench.errors import DataError

_EXPECTED = "full_df.csv or ODIR's annotations (.xlsx), with the photographs in a folder beside it"
TABLES = (
    "full_df.csv",
    "ODIR-5K_Training_Annotations(Updated)_V2.xlsx",
    "ODIR-5K_Training_Annotations(Updated)_V2.csv",
    "ODIR-5K_Training_Annotations.xlsx",
    "ODIR-5K_Training_Annotations.csv",
    "data.xlsx",
)
IMAGES = (
    "preprocessed_images",
    "ODIR-5K_Training_Images",
    "ODIR-5K_Training_Dataset",
    "Training Images",
    "Training_Images",
)
_COLUMNS = ("id", "left-fundus", "right-fundus", "left-diagnostic keywords", "right-diagnostic keywords")
# What a keyword says, tried in this order; any finding that none of these names is "O", other.
_FINDINGS = (
    ("A", r"age-related macular degeneration"),
    ("C", r"cataract"),
    ("D", r"diabetic retinopathy|proliferative retinopathy"),
    ("G", r"glaucoma"),
    ("H", r"hypertensive retinopathy"),
    ("M", r"pathological myopia|myopi\w* (retinopathy|maculopathy)"),
)
# What a keyword says of the photograph, not of the eye.
_NO_FINDING = re.compile(
    r"lens dust|low image quality|image offset|no fundus image|anterior segment image|"
    r"optic disk photographically invisible"
)
_HEALTHY = "normal fundus"
_GRADES = (  # "nonproliferative" has "proliferative" in it: the order counts
    ("1", r"mild non ?proliferative"),
    ("2", r"moderate non ?proliferative"),
    ("3", r"severe non ?proliferative"),
    ("4", r"proliferative (diabetic )?retinopathy"),
)


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; patients are the column ID.

    Args:
        options: ``label``: diseases ("D;H": any of N D G C A H M O, of the eye), dr-grade ("0" to "4") or dr ("0":
            none, "1": moderate or worse, nothing for mild). Where a label can't be told, it is "".
    """
    label = read_options(options, {"label": ("diseases", "dr-grade", "dr")})["label"]
    return read_either(folder, _is_root, _EXPECTED, lambda root: _read_owner(root, label))


def findings(keywords: str) -> list[str]:
    """Letters of what an eye has, sorted: "N" alone where it is healthy, none where the keywords tell nothing."""
    letters = {letter for keyword in _keywords(keywords) for letter in _letters(keyword)}
    return sorted(letters - {"N"} or letters)


def grade(keywords: str) -> str:
    """Grade of diabetic retinopathy: "0" for an eye with nothing, "1" to "4" of the worst keyword, else ""."""
    if findings(keywords) == ["N"]:
        return "0"
    found = [
        next((number for number, pattern in _GRADES if re.search(pattern, keyword)), "")
        for keyword in _keywords(keywords)
    ]
    return max(found, default="")


def _keywords(text: str) -> list[str]:
    return [part for part in (part.strip().lower() for part in re.split("[，,]", text)) if part]


def _letters(keyword: str) -> list[str]:
    if keyword == _HEALTHY:
        return ["N"]
    if _NO_FINDING.fullmatch(keyword):
        return []
    return [letter for letter, pattern in _FINDINGS if re.search(pattern, keyword)] or ["O"]


def _label(keywords: str, kind: str) -> str:
    if kind == "diseases":
        return SEPARATOR.join(findings(keywords))
    number = grade(keywords)
    return number if kind == "dr-grade" else {"0": "0", "2": "1", "3": "1", "4": "1"}.get(number, "")


def _is_root(folder: Path) -> bool:
    return table_in(folder) is not None


def table_in(folder: Path) -> Path | None:
    """The owner's table in a folder, of several the most complete."""
    return next((file for name in TABLES if (file := find_file(folder, name)) is not None), None)


def _read_owner(root: Path, kind: str) -> DataFrame:
    table = table_in(root) or root
    place = subfolder(root, *IMAGES)
    images = images_in(place)
    pairs, missing, extra = match(_listed(table, kind, images), images, str(place or root / IMAGES[0]))
    rows = [Row(safe_id(path.stem), path, patient=one.patient, eye=one.eye, label=one.label) for one, path in pairs]
    return index_from_rows(rows, missing=missing, extra=extra)


def _listed(table: Path, kind: str, images: Mapping[str, Path]) -> list[Listed]:
    """Both eyes of every patient, once; in tables of one row an image the eyes that have one.

    Of these tables some tell the row's eye in a column ``filename``; where they don't, and a patient has one row, it is
    for the eye whose photograph is there.
    """
    found: dict[tuple[str, str], Listed] = {}
    problems = []
    rows = rows_of(table, _COLUMNS)
    times = Counter(row["id"] for row in rows)
    row_an_image = max(times.values(), default=0) > 1
    for position, row in enumerate(rows):
        alone = row_an_image and times[row["id"]] == 1
        there = [eye for eye in ("left", "right") if stem_of(row[f"{eye}-fundus"]) in images]
        where = f"{table}, row {position + 2}"
        for eye in ("left", "right"):
            name, keywords = row[f"{eye}-fundus"], row[f"{eye}-diagnostic keywords"]
            if not name or row.get("filename") not in (None, "", name) or (alone and there and eye not in there):
                continue
            one = Listed(where, name, _label(keywords, kind), row["id"], eye)
            before = found.setdefault((row["id"], name), one)
            if before.label != one.label:
                problems.append(f"{where}: image '{name}' has other keywords than in {before.where}")
    if problems:
        raise DataError(problems)
    return list(found.values())


def rows_of(table: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of one of ODIR's tables, CSV or Excel.

    Raises:
        DataError: it can't be read, or lacks one of the columns.
    """
    if table.suffix.lower() == ".csv":
        frame = read_csv(table, columns)
    else:
        head, *body = read_sheet(table) or [[]]
        frame = pd.DataFrame(body, columns=[name.lower() for name in head])
        missing = [name for name in columns if name not in frame]
        if missing:
            raise DataError(f"{table}: no column {' and '.join(missing)}; it has {', '.join(head)}")
    return [{str(key): str(value) for key, value in row.items()} for row in frame.to_dict("records")]
