"""RETFound's folders: photographs by split and class, as its authors publish and read data sets.

    train/anodr/a.png  train/bmilddr/b.png  …  val/anodr/…  test/anodr/…

Classes are the folder names, in alphabetical order. The name ``<patient>_right`` or ``<patient>_left`` contains patient
and eye; a file with any other name counts as its own patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, folders_in, images_in, subfolder
from f2vbench.data.index_rows import UNKNOWN_PATIENTS, Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import read_options

PatientAndEye = Callable[[str], "tuple[str, str] | None"]
"""Patient and eye from a file name without suffix; None if the name does not contain them."""

EXPECTED = "train/, val/ and test/, each with a folder of photographs for every class"

# RETFound's name first; the others occur in copies and in owners' archives.
_SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_EYE = re.compile(r"(.+)_(right|left)")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are the folder names.

    Args:
        folder: The data set, or a folder around it.
        options: ``folder``: name of the folder inside ``folder`` to read, if there are several.
    """
    name = read_options(options, {"folder": ("", str)})["folder"]
    return read_split_folders(find_root(subfolder(folder, name) or folder, has_split_folders, EXPECTED))


def has_split_folders(folder: Path) -> bool:
    """Whether the folder contains a split with a folder of images for each class."""
    splits = (subfolder(folder, *names) for names in _SPLITS.values())
    return any(images_in(place) for split in splits if split is not None for place in folders_in(split))


def patient_and_eye(stem: str) -> tuple[str, str] | None:
    """Patient and eye of a file named ``<patient>_right`` or ``<patient>_left``, else None."""
    match = _EYE.fullmatch(stem)
    return (match[1], match[2]) if match else None


def read_split_folders(root: Path, from_name: PatientAndEye = patient_and_eye) -> DataFrame:
    """The raw index of the folder that contains the splits.

    Args:
        root: The folder with train/, val/ and test/.
        from_name: Patient and eye from a file name.
    """
    rows: list[Row] = []
    notes: list[str] = []
    for split, names in _SPLITS.items():
        place = subfolder(root, *names)
        if place is None:
            notes.append(f"{root} has no {split}/")
            continue
        for class_folder in folders_in(place):
            rows += [
                _row(stem, path, split, class_folder.name, from_name(stem))
                for stem, path in images_in(class_folder).items()
            ]
    if any(not row.eye for row in rows):
        notes.append(UNKNOWN_PATIENTS)
    return index_from_rows(rows, notes, variant="retfound")


def _row(stem: str, path: Path, split: str, label: str, known: tuple[str, str] | None) -> Row:
    image = safe_id(f"{split}_{label}_{stem}")
    patient, eye = known or (image, "")
    return Row(image, path, patient=patient, eye=eye, split=split, label=label)
