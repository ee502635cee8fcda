"""Draw the field of view of photographs, to check it by eye."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from pandas import DataFrame

from f2vbench.data.field_of_view import field_of_kind, kind_of_field
from f2vbench.data.images import read_mask, read_part
from f2vbench.errors import StoreError
from f2vbench.utils.files import write_atomically
from f2vbench.utils.png import encode_png

_EDGE = 512  # px of the longer side of a drawing
_COMPUTED, _GIVEN = (255, 255, 0), (0, 255, 255)


def draw_fields(index: DataFrame, folder: Path) -> None:
    """Write one PNG for each readable photograph, colour or ultra-widefield, with the outline of its field of view.

    Computed fields are yellow, those of a mask file cyan.

    Args:
        index: One row per image, with the columns of `f2vbench.data.file_facts.add_file_facts`.
        folder: A folder that is new, empty, or contains earlier drawings only.

    Raises:
        StoreError: The folder contains other files, or is not writable.
    """
    names = {f"{image}.field.png" for image in index["image"]}
    if folder.exists() and (not folder.is_dir() or {entry.name for entry in folder.iterdir()} - names):
        raise StoreError(f"fields={folder}: contains other files: choose a new or empty folder")
    for _, row in index[index["modality"].isin(["CF", "UWF"]) & (index["problem"] == "")].iterrows():
        rgb = read_part(Path(row["path"]), str(row.get("part", "")))
        given = str(row["fov_path"])
        values = str(row.get("fov_values", ""))
        field = read_mask(given, values) if given else field_of_kind(rgb, kind_of_field(row))
        write_atomically(folder / f"{row['image']}.field.png", encode_png(_outlined(rgb, field, bool(given))))


def _outlined(rgb: np.ndarray, field: np.ndarray, is_given: bool) -> np.ndarray:
    """A reduced copy of a photograph with the outline of its field, uint8 (height, width, 3)."""
    scale = min(1.0, _EDGE / max(field.shape))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(field.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn: np.ndarray = cv2.drawContours(small, contours, -1, _GIVEN if is_given else _COMPUTED, 2)
    return drawn
