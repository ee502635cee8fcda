"""RETFound's folders: photographs by part and class, as its authors release data sets and read them.

    train/anodr/a.png  train/bmilddr/b.png  …  val/anodr/…  test/anodr/…

Classes are the folders' names; their alphabetical order is the classes' order. A file named ``<patient>_right`` or
``<patient>_left`` tells its patient and eye; any other counts as a patient of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.layouts.listing import (
    Row,
    find_root,
    folders_in,
    images_in,
    index_of,
    read_options,
    safe_id,
    subfolder,
)

_EXPECTED = "train/, val/ and test/, each with a folder of photographs for every class"
_SPLITS = ("train", "val", "test")
_EYE = re.compile(r"(.+)_(right|left)")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of such folders below ``folder``.

    Args:
        options: ``folder``: name of the folder inside ``folder`` to read, where there are several.
    """
    name = read_options(options, {"folder": ("", str)})["folder"]
    root = find_root(subfolder(folder, name) or folder, _is_root, _EXPECTED)
    rows: list[Row] = []
    notes: list[str] = []
    for split in _SPLITS:
        part = subfolder(root, split)
        if part is None:
            notes.append(f"{root} has no {split}/")
            continue
        for place in folders_in(part):
            rows += [_row(stem, path, split, place.name) for stem, path in images_in(place).items()]
    if any(not row.eye for row in rows):
        notes.append("file names tell no patients: every photograph counts as a patient of its own")
    return index_of(rows, notes)


def _is_root(folder: Path) -> bool:
    parts = (subfolder(folder, split) for split in _SPLITS)
    return any(images_in(place) for part in parts if part is not None for place in folders_in(part))


def _row(stem: str, path: Path, split: str, label: str) -> Row:
    image = safe_id(f"{split}_{label}_{stem}")
    found = _EYE.fullmatch(stem)
    patient, eye = (found[1], found[2]) if found else (image, "")
    return Row(image, path, patient=patient, eye=eye, split=split, label=label)
