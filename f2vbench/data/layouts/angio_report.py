"""AngioReport: angiograms of 1,691 patients, fluorescein and indocyanine green side by side in one frame.

Frames (JPEG) are in any folders below the root. In frames twice as wide as high, the left half is FFA and the right
half ICG; the last 50 rows contain the camera's text. Other frames show one modality, which only a table can name.

angioreport.csv (optional): columns image (path below the table's folder), patient and, if known, eye and modality.
Without it, the patient is read from the name of the file's folder or of the file: patient 123 and the right eye from
123_R or 123-OD_05.jpg.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame
from PIL import Image

from f2vbench.data.folder_scan import images_in, layout_error
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import EYE_WORDS, SEPARATORS, eye_of, read_eye
from f2vbench.data.tables import find_listed_image, limit_problems, read_csv
from f2vbench.errors import DataError
from f2vbench.utils.files import sha256
from f2vbench.utils.text import plural, shortened

PAPER_IMAGES = 387
"""Number of images in the foundation-model paper, from a random subset of patients that it does not name."""

_TABLE = "angioreport.csv"
_TEXT_ROWS = 50
_NAME = re.compile(rf"(?P<patient>[A-Za-z]*\d+){SEPARATORS}*(?P<eye>{EYE_WORDS})?(?![A-Za-z])", re.IGNORECASE)
# Frames with two modalities are twice as wide as high, frames with one are about square.
_MIN_ASPECT_RATIO = 1.5


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index, with two images for each frame that shows both modalities.

    Args:
        folder: The root of the frames.
        options: ``subset``: paper (default; whole patients in a seeded random order, at most 387 images) or all.
    """
    subset = read_options(options, {"subset": ("paper", "all")})["subset"]
    frames = _frames_from_table(folder / _TABLE) if (folder / _TABLE).is_file() else _frames_from_names(folder)
    rows, unnamed = _split_frames(frames)
    notes = []
    if unnamed:
        notes.append(f"{plural(unnamed, 'frame')} with one modality that no table names, left out")
    if not rows:
        raise layout_error(folder, f"frames with FFA and ICG side by side, or {_TABLE} with a column modality")
    if subset == "paper":
        chosen = draw_patients([row.patient for row in rows], PAPER_IMAGES)
        rows = [row for row in rows if row.patient in chosen]
        notes.append(
            f"the paper's {PAPER_IMAGES} images are not published: {plural(len(rows), 'image')} of "
            f"{plural(len(chosen), 'patient')} drawn instead"
        )
    return index_from_rows(rows, notes)


def draw_patients(patients: Sequence[str], images: int) -> set[str]:
    """Draw whole patients in a random order that depends on their names only, while their images fit.

    Args:
        patients: The patient of each image.
        images: Maximum number of images.
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
    """Patient and eye from the name of the file's folder or of the file; "" where neither contains them."""
    for name in (path.parent.name, path.stem):
        match = _NAME.match(name)
        if match is not None:
            return match["patient"], eye_of(match["eye"] or "") or ""
    return "", ""


def _frames_from_names(folder: Path) -> list[Row]:
    rows, unnamed = [], []
    for place in (folder, *sorted(inner for inner in folder.rglob("*") if inner.is_dir())):
        for path in images_in(place).values():
            patient, eye = patient_and_eye(path.relative_to(folder))
            if not patient:
                unnamed.append(str(path.relative_to(folder)))
            rows.append(Row(_id(path, folder), path, patient=patient, eye=eye, modality=""))
    if unnamed:
        raise DataError(
            f"{folder}: no patient in the names of {shortened(unnamed)} (expected 123_R or 123-OD_05.jpg): write "
            f"{_TABLE} with the columns image, patient, eye, modality"
        )
    return rows


def _frames_from_table(table: Path) -> list[Row]:
    rows: list[Row] = []
    problems: list[str] = []
    for position, row in enumerate(read_csv(table, ("image", "patient")).to_dict("records")):
        where = f"{table}, row {position + 2}"
        path = find_listed_image(table, position, row["image"], problems)
        if not row["patient"]:
            problems.append(f"{where}: image '{row['image']}' has no patient")
        if path is not None:
            eye, modality = read_eye(row, where, problems), row.get("modality", "").upper()
            rows.append(Row(_id(path, table.parent), path, patient=row["patient"], eye=eye, modality=modality))
    if problems:
        raise DataError(limit_problems(problems))
    return rows


def _split_frames(frames: Iterable[Row]) -> tuple[list[Row], int]:
    """One row per image, and the number of frames with one unknown modality."""
    rows, unnamed = [], 0
    for frame in frames:
        if _is_wide(frame.path):
            for half, modality in (("left", "FFA"), ("right", "ICG")):
                part = f"{half}-{_TEXT_ROWS}"
                rows.append(replace(frame, image=f"{frame.image}-{modality}", modality=modality, part=part))
        elif frame.modality:
            rows.append(frame)
        else:
            unnamed += 1
    return rows, unnamed


def _is_wide(path: Path) -> bool:
    """Whether the frame shows two modalities; unreadable files count as wide, so that the checks report them."""
    try:
        with Image.open(path) as image:
            return bool(image.width > _MIN_ASPECT_RATIO * image.height)
    except (OSError, Image.DecompressionBombError):
        return True


def _id(path: Path, folder: Path) -> str:
    return safe_id(path.relative_to(folder).with_suffix("").as_posix())
