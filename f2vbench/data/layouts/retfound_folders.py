"""RETFound's folders: photographs by part and class, as its authors release data sets and read them.

    train/anodr/a.png  train/bmilddr/b.png  …  val/anodr/…  test/anodr/…

Classes are the folders' names; their alphabetical order is the classes' order. A file named ``<patient>_right`` or
``<patient>_left`` tells its patient and eye; any other counts as a patient of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import (
    Row,
    find_root,
    folders_in,
    images_in,
    index_from_rows,
    read_options,
    safe_id,
    subfolder,
)

EXPECTED = "train/, val/ and test/, each with a folder of photographs for every class"
# The first name is RETFound's; the others are seen in copies and in owners' archives.
_SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_EYE = re.compile(r"(.+)_(right|left)")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of such folders below ``folder``.

    Args:
        options: ``folder``: name of the folder inside ``folder`` to read, where there are several.
    """
    name = read_options(options, {"folder": ("", str)})["folder"]
    return read_root(find_root(subfolder(folder, name) or folder, is_retfound, EXPECTED))


def is_retfound(folder: Path) -> bool:
    """Whether the folder holds parts with a folder of images for each class."""
    parts = (subfolder(folder, *names) for names in _SPLITS.values())
    return any(images_in(place) for part in parts if part is not None for place in folders_in(part))


def eye_of_name(stem: str) -> tuple[str, str] | None:
    """(patient, eye) of a file named ``<patient>_right`` or ``<patient>_left``, else None."""
    found = _EYE.fullmatch(stem)
    return (found[1], found[2]) if found else None


def read_root(root: Path, who: Callable[[str], tuple[str, str] | None] = eye_of_name) -> DataFrame:
    """The raw index of the folder that holds the parts.

    Args:
        who: (patient, eye) told by a file's name without suffix, or None where it tells nothing.
    """
    rows: list[Row] = []
    notes: list[str] = []
    for split, names in _SPLITS.items():
        part = subfolder(root, *names)
        if part is None:
            notes.append(f"{root} has no {split}/")
            continue
        for place in folders_in(part):
            rows += [_row(stem, path, split, place.name, who(stem)) for stem, path in images_in(place).items()]
    if any(not row.eye for row in rows):
        notes.append("file names tell no patients: every photograph counts as a patient of its own")
    return index_from_rows(rows, notes, variant="retfound")


def _row(stem: str, path: Path, split: str, label: str, known: tuple[str, str] | None) -> Row:
    image = safe_id(f"{split}_{label}_{stem}")
    patient, eye = known or (image, "")
    return Row(image, path, patient=patient, eye=eye, split=split, label=label)
