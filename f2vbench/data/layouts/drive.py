"""DRIVE: 40 photographs, 20 for training and 20 for testing.

    {training,test}/images/21_training.tif
                    1st_manual/21_manual1.gif
                    2nd_manual/01_manual2.gif       (test images only)
                    mask/21_training_mask.gif

The download at grand-challenge.org has no labels of the test images. A split without labels is left out, with a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, layout_error, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, unused_masks
from f2vbench.data.layouts.options import other_observer_message, read_options
from f2vbench.errors import DataError

_EXPECTED = "training/ and/or test/, each with images/, 1st_manual/ and mask/"
_SPLITS = {"training": "train", "test": "test"}
_MANUALS = {1: "1st_manual", 2: "2nd_manual"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; patients are the photographs' numbers.

    Args:
        folder: The data set, or a folder around it.
        options: ``observer``: 1 (default) or 2; the second annotated the test images only.
    """
    observer = read_options(options, {"observer": (1, 2)})["observer"]
    root = find_root(folder, _is_root, _EXPECTED)
    rows: list[Row] = []
    notes: list[str] = []
    warnings: list[str] = []
    for name, split in _SPLITS.items():
        place = subfolder(root, name)
        manual = subfolder(place, _MANUALS[observer])
        if place is None or manual is None:
            notes.append(f"DRIVE's {name} images are left out: {root} has no folder {name}/{_MANUALS[observer]}")
            continue
        masks, fov_masks = images_in(manual), images_in(subfolder(place, "mask"))
        split_rows = _read_split(place, masks, fov_masks, observer, split)
        rows += split_rows
        warnings += unused_masks(masks, fov_masks, split_rows)
    if not rows:
        other = next(number for number in _MANUALS if number != observer)
        if any(subfolder(subfolder(root, name), _MANUALS[other]) for name in _SPLITS):
            raise DataError(other_observer_message(root, observer, other))
        raise layout_error(root, f"labels in training/{_MANUALS[observer]} or test/{_MANUALS[observer]}")
    return index_from_rows(rows, notes, warnings=warnings)


def _is_root(folder: Path) -> bool:
    places = (subfolder(folder, name) for name in _SPLITS)
    return any(subfolder(place, "images") and subfolder(place, "mask", *_MANUALS.values()) for place in places)


def _read_split(
    folder: Path, masks: Mapping[str, Path], fov_masks: Mapping[str, Path], observer: int, split: str
) -> list[Row]:
    rows = []
    for stem, path in images_in(subfolder(folder, "images")).items():
        number = stem.split("_")[0]
        mask = masks.get(f"{number}_manual{observer}")
        rows.append(Row(stem, path, mask, fov_masks.get(f"{stem}_mask"), patient=number, split=split))
    return rows
