"""IDRiD, part B (disease grading): grades of diabetic retinopathy from 0 to 4 on the owners' two parts.

    1. Original Images/a. Training Set/IDRiD_001.jpg   1. Original Images/b. Testing Set/IDRiD_001.jpg
    2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv   2. Groundtruths/b. …Testing Labels.csv

Both parts count from IDRiD_001. The training table ends in nine empty columns and the headings in spaces. Nothing
tells patients: every photograph counts as one of its own. RETFound's folders are read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, images_in, index_from_rows, read_options, safe_id, subfolder
from f2vbench.data.layouts.label_tables import match, read_either, table_rows

_EXPECTED = '"1. Original Images" and "2. Groundtruths"'
_IMAGES, _TABLES = ("1. Original Images", "Original Images"), ("2. Groundtruths", "Groundtruths")
_PARTS = {
    "train": (("a. Training Set", "Training Set"), "a. IDRiD_Disease Grading_Training Labels.csv"),
    "test": (("b. Testing Set", "Testing Set"), "b. IDRiD_Disease Grading_Testing Labels.csv"),
}
_LABELS = {"dr": ("retinopathy grade",), "macular-edema": ("risk of macular edema",)}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; image ids are ``train_IDRiD_001`` and so on.

    Args:
        options: ``label``: dr (grade of retinopathy) or macular-edema (risk 0 to 2).
    """
    column = _LABELS[read_options(options, {"label": ("dr", "macular-edema")})["label"]]
    return read_either(folder, _is_root, _EXPECTED, lambda root: _read_owner(root, column))


def _is_root(folder: Path) -> bool:
    tables = subfolder(folder, *_TABLES)
    return tables is not None and any((tables / name).is_file() for _, name in _PARTS.values())


def _read_owner(root: Path, column: tuple[str, ...]) -> DataFrame:
    notes = ["the owners tell no patients: every photograph counts as a patient of its own"]
    rows: list[Row] = []
    missing: list[str] = []
    extra: list[str] = []
    for split, (folders, table_name) in _PARTS.items():
        table = root / (subfolder(root, *_TABLES) or Path()).name / table_name
        if not table.is_file():
            notes.append(f"{table.parent} has no table of the {split} part")
            continue
        place = subfolder(subfolder(root, *_IMAGES), *folders)
        listed = [one for one, _ in table_rows(table, ("image name",), column)]
        pairs, absent, unlisted = match(listed, images_in(place), str(place or root / _IMAGES[0] / folders[0]))
        missing, extra = missing + absent, extra + unlisted
        for one, path in pairs:
            image = safe_id(f"{split}_{path.stem}")
            rows.append(Row(image, path, patient=image, split=split, label=one.label))
    return index_from_rows(rows, notes, missing=missing, extra=extra)
