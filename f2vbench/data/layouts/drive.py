"""DRIVE: 40 photographs in two halves.

    {training,test}/images/21_training.tif
                    1st_manual/21_manual1.gif
                    2nd_manual/01_manual2.gif       (test half only)
                    mask/21_training_mask.gif

The download at grand-challenge.org keeps the test half's labels back; a half without any label folder is left
out, and a note says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import (
    Row,
    find_root,
    images_in,
    index_from_rows,
    layout_error,
    note_unused_labels,
    read_options,
    subfolder,
)

_EXPECTED = "training/ and/or test/, each with images/, 1st_manual/ and mask/"
_HALVES = {"training": "train", "test": "test"}
_MANUALS = {1: "1st_manual", 2: "2nd_manual"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of DRIVE below ``folder``; patients are the photographs' numbers.

    Args:
        options: ``observer``: 1 (default) or 2; the second has drawn the test half only.
    """
    observer = read_options(options, {"observer": (1, 2)})["observer"]
    root = find_root(folder, _is_root, _EXPECTED)
    rows: list[Row] = []
    notes: list[str] = []
    for half, split in _HALVES.items():
        half_folder = subfolder(root, half)
        manual = subfolder(half_folder, _MANUALS[observer])
        if half_folder is None or manual is None:
            notes.append(f"DRIVE's {half} half is left out: {root} has no {half}/{_MANUALS[observer]}")
            continue
        half_rows = _half_rows(half_folder, manual, observer, split)
        rows += half_rows
        notes += note_unused_labels(images_in(manual), half_rows)
    if not rows:
        raise layout_error(root, f"labels in training/{_MANUALS[observer]} or test/{_MANUALS[observer]}")
    return index_from_rows(rows, notes)


def _is_root(folder: Path) -> bool:
    halves = (subfolder(folder, name) for name in _HALVES)
    return any(subfolder(half, "images") and subfolder(half, "mask", *_MANUALS.values()) for half in halves)


def _half_rows(half: Path, manual: Path, observer: int, split: str) -> list[Row]:
    labels, views = images_in(manual), images_in(subfolder(half, "mask"))
    rows = []
    for stem, path in images_in(subfolder(half, "images")).items():
        number = stem.split("_")[0]
        label = labels.get(f"{number}_manual{observer}")
        rows.append(Row(stem, path, label, views.get(f"{stem}_mask"), patient=number, split=split))
    return rows
