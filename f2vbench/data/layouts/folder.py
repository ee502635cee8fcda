"""Anyone's own photographs and vessel masks.

    images/a.jpg  masks/a.png  (or a_mask, a_manual1, a_label)  fov/a.png  (optional)
    patients.csv  (optional): columns image, patient and, if the set is divided, split (train or test)

A ``train`` and a ``test`` folder, each with the above, are read as the official split. Without patients.csv
every image counts as a patient of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import (
    Row,
    find_root,
    images_in,
    index_from_rows,
    note_unused_labels,
    read_csv,
    read_options,
    safe_id,
    subfolder,
)
from f2vbench.errors import DataError

_EXPECTED = "images/ and masks/ (a mask has its image's name), or train/ and test/ with these inside"
_LABEL_SUFFIXES = ("", "_mask", "_manual1", "_label")
_FOV_SUFFIXES = ("", "_fov", "_mask")
_TABLE = "patients.csv"
_SPLITS = ("train", "test")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of ``folder``; image ids are the files' names, in a divided folder after ``train_``, ``test_``."""
    read_options(options, {})
    root = find_root(folder, lambda place: _is_part(place) or bool(_halves(place)), _EXPECTED)
    if _is_part(root):
        rows, notes = _read_part(root, split="")
        return index_from_rows(rows, notes)
    if (root / _TABLE).exists():
        raise DataError(f"{root / _TABLE}: with train/ and test/, put one {_TABLE} into each of them")
    rows, notes = [], []
    for half in _halves(root):
        half_rows, half_notes = _read_part(half, split=half.name.lower())
        rows += half_rows
        notes += half_notes
    return index_from_rows(rows, notes)


def _is_part(folder: Path | None) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, "masks") is not None


def _halves(folder: Path) -> list[Path]:
    halves = (subfolder(folder, name) for name in _SPLITS)
    return [half for half in halves if half is not None and _is_part(half)]


def _read_part(folder: Path, split: str) -> tuple[list[Row], list[str]]:
    images = images_in(subfolder(folder, "images"))
    labels, views = images_in(subfolder(folder, "masks")), images_in(subfolder(folder, "fov"))
    table = _read_table(folder / _TABLE, images, split)
    prefix = f"{split}_" if split else ""
    rows = []
    for stem, path in images.items():
        name = prefix + safe_id(stem)
        patient, table_split = table.get(stem, (name, ""))
        label, view = _partner(stem, labels, _LABEL_SUFFIXES), _partner(stem, views, _FOV_SUFFIXES)
        rows.append(Row(name, path, label, view, patient, split=split or table_split))
    notes = note_unused_labels(labels, rows)
    if not table:
        notes.append(f"{folder} has no {_TABLE}: every image counts as a patient of its own")
    return rows, notes


def _partner(stem: str, files: Mapping[str, Path], suffixes: tuple[str, ...]) -> Path | None:
    found = [files[stem + suffix] for suffix in suffixes if stem + suffix in files]
    if len(found) > 1:
        raise DataError(f"{found[0].parent}: {found[0].name} and {found[1].name} both fit image {stem}: remove one")
    return found[0] if found else None


def _read_table(path: Path, images: Mapping[str, Path], split: str) -> dict[str, tuple[str, str]]:
    """(patient, split) of every image by stem, from patients.csv; empty without the file.

    Raises:
        DataError: columns missing, images unknown, missing or listed twice, patients missing, splits misspelt.
    """
    if not path.exists():
        return {}
    table = read_csv(path, ("image", "patient"))
    if "split" in table and split:
        raise DataError(f"{path}: inside {path.parent.name}/ the column split has no place: remove it")
    stems = {file.name: stem for stem, file in images.items()} | {stem: stem for stem in images}
    found: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    for position, row in enumerate(table.to_dict("records")):
        stem, where = stems.get(row["image"]), f"{path}, row {position + 2}"
        if stem is None:
            problems.append(f"{where}: there is no image '{row['image']}' in images/")
        elif stem in found:
            problems.append(f"{where}: image '{row['image']}' is listed twice")
        elif not row["patient"]:
            problems.append(f"{where}: image '{row['image']}' has no patient")
        elif row.get("split", "") not in ("", *_SPLITS):
            problems.append(f"{where}: split '{row['split']}' must be train, test or empty")
        if stem is not None:
            found[stem] = (row["patient"], row.get("split", ""))
    missing = [file.name for stem, file in images.items() if stem not in found]
    if missing:
        problems.append(f"{path}: images without a row: {', '.join(missing)}")
    if problems:
        raise DataError(problems)
    return found
