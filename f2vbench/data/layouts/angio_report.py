"""AngioReport: angiograms of 1,691 patients, fluorescein and indocyanine green side by side in one frame.

Frames (JPEG) lie in any folders below the root. In those twice as wide as high the left half is FFA and the right half
ICG; the last 50 rows of a frame hold the camera's text. Other frames show one modality that only a table can name.

angioreport.csv, if it is there: columns image (path below it), patient, and, if known, eye and modality. Without it
the patient is read from the nearest folder's or the file's name, as 123 and the right eye of 123_R, 123-OD_05.jpg, …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame
from PIL import Image

from f2vbench.data.folder_scan import (
    Row,
    find_listed_image,
    images_in,
    index_from_rows,
    layout_error,
    read_csv,
    read_options,
    safe_id,
)
from f2vbench.errors import DataError
from f2vbench.utils.files import sha256

PAPER_IMAGES = 387
"""How many images the foundation-model paper used, of a random subset of patients that it doesn't name."""

_TABLE = "angioreport.csv"
_TEXT_ROWS = 50
_NAME = re.compile(r"(?P<patient>[A-Za-z]*\d+)[_ -]*(?P<eye>OD|OS|left|right|L|R)?(?![A-Za-z])", re.IGNORECASE)
_EYES = {"od": "right", "r": "right", "right": "right", "os": "left", "l": "left", "left": "left"}
# Frames of two modalities are twice as wide as high, those of one about as wide as high.
_WIDE = 1.5


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index, two images of each frame that shows both modalities.

    Args:
        options: ``subset``: paper (whole patients in a seeded random order, of at most 387 images in all) or all.
    """
    subset = read_options(options, {"subset": ("paper", "all")})["subset"]
    frames, notes = _of_table(folder / _TABLE) if (folder / _TABLE).is_file() else (_of_names(folder), [])
    rows, single = _split(frames)
    if single:
        notes.append(f"{single} frames of one modality that no table names are left out")
    if not rows:
        raise layout_error(folder, f"frames with FFA and ICG side by side, or {_TABLE} that names modalities")
    if subset == "paper":
        chosen = draw_patients([row.patient for row in rows], PAPER_IMAGES)
        rows = [row for row in rows if row.patient in chosen]
        notes.append(
            f"the paper's {PAPER_IMAGES} images are not published: {len(rows)} of {len(chosen)} patients drawn"
        )
    return index_from_rows(rows, notes)


def draw_patients(patients: Sequence[str], images: int) -> set[str]:
    """Whole patients in a random order that their names alone decide, each taken if its images still fit.

    Args:
        patients: whose each image is.
    """
    names = sorted(set(patients), key=lambda name: sha256(f"AngioReport subset {name}".encode()))
    chosen: set[str] = set()
    for name in names:
        count = sum(patient == name for patient in patients)
        if count <= images:
            chosen.add(name)
            images -= count
    return chosen


def patient_and_eye(path: Path) -> tuple[str, str]:
    """(patient, eye) as the nearest folder's or the file's name tells them; "" where it doesn't."""
    for name in (path.parent.name, path.stem):
        found = _NAME.match(name)
        if found is not None:
            return found["patient"], _EYES.get((found["eye"] or "").lower(), "")
    return "", ""


def _of_names(folder: Path) -> list[Row]:
    rows, nameless = [], []
    for place in (folder, *sorted(inner for inner in folder.rglob("*") if inner.is_dir())):
        for path in images_in(place).values():
            patient, eye = patient_and_eye(path.relative_to(folder))
            if not patient:
                nameless.append(str(path.relative_to(folder)))
            rows.append(Row(_id(path, folder), path, patient=patient, eye=eye, modality=""))
    if nameless:
        raise DataError(
            f"{folder}: the names of {', '.join(nameless[:5])}{' …' if len(nameless) > 5 else ''} tell no patient "
            f"(123_R, 123-OD_05.jpg): write {_TABLE} with the columns image, patient, eye, modality"
        )
    return rows


def _of_table(table: Path) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    problems: list[str] = []
    for position, row in enumerate(read_csv(table, ("image", "patient")).to_dict("records")):
        path = find_listed_image(table, position, row["image"], problems)
        if not row["patient"]:
            problems.append(f"{table}, row {position + 2}: image '{row['image']}' has no patient")
        if path is not None:
            told = {"eye": row.get("eye", "").lower(), "modality": row.get("modality", "").upper()}
            rows.append(Row(_id(path, table.parent), path, patient=row["patient"], **told))
    if problems:
        raise DataError(problems)
    return rows, []


def _split(frames: Iterable[Row]) -> tuple[list[Row], int]:
    """One row an image, and how many frames show one unknown modality."""
    rows, single = [], 0
    for frame in frames:
        if _is_wide(frame.path):
            for half, modality in (("left", "FFA"), ("right", "ICG")):
                part = f"{half}-{_TEXT_ROWS}"
                rows.append(replace(frame, image=f"{frame.image}-{modality}", modality=modality, part=part))
        elif frame.modality:
            rows.append(frame)
        else:
            single += 1
    return rows, single


def _is_wide(path: Path) -> bool:
    """From the file's header; what can't be opened counts as wide, so that the checks tell of it."""
    try:
        with Image.open(path) as image:
            return image.width > _WIDE * image.height
    except (OSError, Image.DecompressionBombError):
        return True


def _id(path: Path, folder: Path) -> str:
    return safe_id(path.relative_to(folder).with_suffix("").as_posix())
