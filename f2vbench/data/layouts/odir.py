"""ODIR-5K: both eyes of 3,500 patients, with diagnostic keywords for each eye.

    ODIR-5K_Training_Annotations(Updated)_V2.xlsx  ODIR-5K_Training_Images/0_left.jpg …      (challenge)
    full_df.csv  preprocessed_images/0_left.jpg … , or "Training Images"/                     (copies on Kaggle)

The eight published labels belong to a patient. Labels of an eye are read from its keywords, which are separated by
full-width commas, so that a healthy eye beside a diseased one counts as healthy. Some headings end in spaces. The
copies have one row per image, the challenge has one row per patient. Age and sex are kept for subgroups. RETFound's
folders are read as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_file, image_folder, images_in
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.layouts.label_tables import LabelledImage, match_images, read_owner_or_retfound, stem_of
from f2vbench.data.layouts.options import read_options
from f2vbench.data.tables import limit_problems, read_table
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
# Class letter and pattern, tried in this order; a finding that no pattern matches is "O", other.
_FINDINGS = (
    ("A", r"age-related macular degeneration"),
    ("C", r"cataract"),
    ("D", r"diabetic retinopathy|proliferative retinopathy"),
    ("G", r"glaucoma"),
    ("H", r"hypertensive retinopathy"),
    ("M", r"pathological myopia|myopi\w* (retinopathy|maculopathy)"),
)
# Keywords that describe the photograph, not the eye.
_NO_FINDING = re.compile(
    r"lens dust|low image quality|image offset|no fundus image|anterior segment image|"
    r"optic disk photographically invisible"
)
_HEALTHY = "normal fundus"
_GRADES = (  # the order matters: "nonproliferative" contains "proliferative"
    ("1", r"mild non ?proliferative"),
    ("2", r"moderate non ?proliferative"),
    ("3", r"severe non ?proliferative"),
    ("4", r"proliferative (diabetic )?retinopathy"),
)


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; patients are the column ID.

    Args:
        folder: The data set, or a folder around it.
        options: ``label``: diseases (default; such as "D;H": any of N D G C A H M O, of the eye), dr-grade ("0" to
            "4") or dr ("0": no retinopathy, "1": moderate or worse, "" for mild). Unclear labels are "".
    """
    label = read_options(options, {"label": ("diseases", "dr-grade", "dr")})["label"]
    return read_owner_or_retfound(folder, _is_root, _EXPECTED, lambda root: _read_owner(root, label))


def findings(keywords: str) -> list[str]:
    """Class letters of an eye, sorted: ["N"] if it is healthy, [] if the keywords name no finding."""
    letters = {letter for keyword in _split_keywords(keywords) for letter in _letters(keyword)}
    return sorted(letters - {"N"} or letters)


def grade(keywords: str) -> str:
    """Grade of diabetic retinopathy: "0" for a healthy eye, "1" to "4" for the worst keyword, else ""."""
    if findings(keywords) == ["N"]:
        return "0"
    found = [
        next((number for number, pattern in _GRADES if re.search(pattern, keyword)), "")
        for keyword in _split_keywords(keywords)
    ]
    return max(found, default="")


def table_in(folder: Path) -> Path | None:
    """The owner's table in a folder; of several, the most complete."""
    return next((file for name in TABLES if (file := find_file(folder, name)) is not None), None)


def read_rows(table: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of one of ODIR's tables (CSV or Excel).

    Raises:
        DataError: The table is unreadable, or lacks one of the columns.
    """
    records = read_table(table, columns).to_dict("records")
    return [{str(key): str(value) for key, value in row.items()} for row in records]


def _split_keywords(text: str) -> list[str]:
    return [keyword for keyword in (part.strip().lower() for part in re.split("[，,]", text)) if keyword]


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


def _read_owner(root: Path, kind: str) -> DataFrame:
    table = table_in(root) or root
    place = image_folder(root, *IMAGES)
    images = images_in(place)
    matched = match_images(_labelled_eyes(table, kind, images), images.values(), str(place or root / IMAGES[0]))
    rows = [
        Row(safe_id(path.stem), path, patient=eye.patient, eye=eye.eye, label=eye.label, columns=eye.columns)
        for eye, path in matched.pairs
    ]
    return index_from_rows(rows, missing=matched.missing, extra=matched.extra)


def _labelled_eyes(table: Path, kind: str, images: Mapping[str, Path]) -> list[LabelledImage]:
    """Both eyes of every patient, once; from a table with one row per image, the eyes that have a row.

    Some tables with one row per image name the row's eye in a column ``filename``. Without that column, the only row of
    a patient belongs to the eye whose photograph exists.
    """
    found: dict[tuple[str, str], LabelledImage] = {}
    problems = []
    rows = read_rows(table, _COLUMNS)
    rows_per_patient = Counter(row["id"] for row in rows)
    row_per_image = max(rows_per_patient.values(), default=0) > 1
    for position, row in enumerate(rows):
        only_row = row_per_image and rows_per_patient[row["id"]] == 1
        existing = [eye for eye in ("left", "right") if stem_of(row[f"{eye}-fundus"]) in images]
        where = f"{table}, row {position + 2}"
        columns = {name: row[f"patient {name}"] for name in ("age", "sex") if f"patient {name}" in row}
        for eye in ("left", "right"):
            name, keywords = row[f"{eye}-fundus"], row[f"{eye}-diagnostic keywords"]
            of_other_eye = row.get("filename") not in (None, "", name) or (
                only_row and existing and eye not in existing
            )
            if not name or of_other_eye:
                continue
            labelled = LabelledImage(where, name, _label(keywords, kind), row["id"], eye, columns)
            first = found.setdefault((row["id"], name), labelled)
            if first.label != labelled.label:
                problems.append(f"{where}: the keywords of image '{name}' differ from those in {first.where}")
    if problems:
        raise DataError(limit_problems(problems))
    return list(found.values())
