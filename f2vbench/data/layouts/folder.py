"""A user's own photographs and vessel masks.

    images/a.jpg  masks/a.png  (or a_mask, a_manual1, a_label)  fov/a.png  (optional)
    patients.csv  (optional): columns image, patient and, for an official split, split (train or test)

Folders ``train`` and ``test`` with the above in each are read as the official split. Without patients.csv, patients are
read from file names, see `f2vbench.data.patient_names`; an image whose name tells none counts as its own patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, safe_id, unused_masks
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import TABLE, find_patients
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError
from f2vbench.utils.text import shortened

_EXPECTED = "images/ and masks/ (a mask has the name of its image), or train/ and test/ with both in each"
_MASK_SUFFIXES = ("", "_mask", "_manual1", "_label")
_FOV_SUFFIXES = ("", "_fov", "_mask")
_SPLITS = ("train", "test")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; image ids are file names, with the prefix ``train_`` or ``test_`` in a divided folder."""
    read_options(options, {})
    root = find_root(folder, lambda place: _has_images(place) or bool(_split_folders(place)), _EXPECTED)
    if _has_images(root):
        rows, warnings = _read_images(root, split="")
        return index_from_rows(rows, warnings=warnings)
    if (root / TABLE).exists():
        raise DataError(f"{root / TABLE}: move it: with train/ and test/, each of them needs its own {TABLE}")
    rows, warnings = [], []
    for place in _split_folders(root):
        split_rows, split_warnings = _read_images(place, split=place.name.lower())
        rows += split_rows
        warnings += split_warnings
    return index_from_rows(rows, warnings=warnings)


def _has_images(folder: Path | None) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, "masks") is not None


def _split_folders(folder: Path) -> list[Path]:
    places = (subfolder(folder, name) for name in _SPLITS)
    return [place for place in places if place is not None and _has_images(place)]


def _read_images(folder: Path, split: str) -> tuple[list[Row], list[str]]:
    images = images_in(subfolder(folder, "images"))
    masks, fov_masks = images_in(subfolder(folder, "masks")), images_in(subfolder(folder, "fov"))
    table = _read_patients(folder / TABLE, images, split)
    names = None if table else find_patients(folder, images.values())
    prefix = f"{split}_" if split else ""
    rows = []
    for stem, path in images.items():
        name = prefix + safe_id(stem)
        patient, table_split = table.get(stem, (name, ""))
        patient, eye = names.of.get(path, (name, "")) if names else (patient, "")
        mask, fov = _file_of(stem, masks, _MASK_SUFFIXES), _file_of(stem, fov_masks, _FOV_SUFFIXES)
        rows.append(Row(name, path, mask, fov, patient, eye, split=split or table_split))
    return rows, [*(names.warnings if names else []), *unused_masks(masks, fov_masks, rows)]


def _file_of(stem: str, files: Mapping[str, Path], suffixes: tuple[str, ...]) -> Path | None:
    found = [files[stem + suffix] for suffix in suffixes if stem + suffix in files]
    if len(found) > 1:
        raise DataError(f"{found[0].parent}: {found[0].name} and {found[1].name} both fit image {stem}: remove one")
    return found[0] if found else None


def _read_patients(path: Path, images: Mapping[str, Path], split: str) -> dict[str, tuple[str, str]]:
    """Patient and split of every image by stem, from patients.csv; empty without the file.

    Raises:
        DataError: Missing columns; unknown, missing or repeated images; missing patients; unknown splits.
    """
    if not path.exists():
        return {}
    table = read_csv(path, ("image", "patient"))
    if "split" in table and split:
        raise DataError(f"{path}: remove the column split: images in {path.parent.name}/ belong to that split")
    stems = {file.name: stem for stem, file in images.items()} | {stem: stem for stem in images}
    found: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    for position, row in enumerate(table.to_dict("records")):
        stem, where = stems.get(row["image"]), f"{path}, row {position + 2}"
        if stem is None:
            problems.append(f"{where}: image '{row['image']}' not found in images/")
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
        problems.append(f"{path}: images without a row: {shortened(missing)}")
    if problems:
        raise DataError(limit_problems(problems))
    return found
