"""IDRiD, part B (disease grading): grades of diabetic retinopathy from 0 to 4, with the owners' split.

    1. Original Images/a. Training Set/IDRiD_001.jpg   1. Original Images/b. Testing Set/IDRiD_001.jpg
    2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv   2. Groundtruths/b. …Testing Labels.csv
    idrid_labels.csv (id_code, diagnosis)  Imagenes/IDRiD_001.jpg …   (an undivided copy on Kaggle; grades alone)

Both splits start at IDRiD_001. The training table has nine empty columns, and the headings end in spaces. Patients are
not published: every photograph counts as its own patient, unless a table patients.csv names them.
RETFound's folders are read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_file, images_in, subfolder
from f2vbench.data.index_rows import UNKNOWN_PATIENTS, Row, index_from_rows, safe_id
from f2vbench.data.layouts import table as table_layout
from f2vbench.data.layouts.label_tables import match_images, read_label_table, read_owner_or_retfound
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import find_patients
from f2vbench.errors import DataError

_EXPECTED = '"1. Original Images" and "2. Groundtruths"'
_IMAGES, _TABLES = ("1. Original Images", "Original Images"), ("2. Groundtruths", "Groundtruths")
_SPLITS = {
    "train": (("a. Training Set", "Training Set"), "a. IDRiD_Disease Grading_Training Labels.csv"),
    "test": (("b. Testing Set", "Testing Set"), "b. IDRiD_Disease Grading_Testing Labels.csv"),
}
_COPY = "idrid_labels.csv"
_LABELS = {"dr": ("retinopathy grade",), "macular-edema": ("risk of macular edema",)}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; image ids are ``train_IDRiD_001`` and so on.

    Args:
        folder: The data set, or a folder around it.
        options: ``label``: dr (default; grade of retinopathy) or macular-edema (risk from 0 to 2).
    """
    columns = _LABELS[read_options(options, {"label": ("dr", "macular-edema")})["label"]]
    return read_owner_or_retfound(folder, _is_root, _EXPECTED, lambda root: _read_owner(root, columns))


def _is_root(folder: Path) -> bool:
    tables = subfolder(folder, *_TABLES)
    has_tables = tables is not None and any((tables / name).is_file() for _, name in _SPLITS.values())
    return has_tables or find_file(folder, _COPY) is not None


def _read_owner(root: Path, columns: tuple[str, ...]) -> DataFrame:
    if subfolder(root, *_TABLES) is None:
        if columns != _LABELS["dr"]:
            raise DataError(f"{root}: {_COPY} has grades of retinopathy alone: get the tables of the owners")
        return table_layout.read(root, {"table": _COPY, "image": "id_code", "label": "diagnosis"})
    notes: list[str] = []
    found: list[tuple[str, str, Path]] = []
    missing: list[str] = []
    extra: list[str] = []
    for split, (folders, table_name) in _SPLITS.items():
        table = root / (subfolder(root, *_TABLES) or Path()).name / table_name
        if not table.is_file():
            notes.append(f"{table.parent} has no table of the {split} split")
            continue
        place = subfolder(subfolder(root, *_IMAGES), *folders)
        labelled = read_label_table(table, ("image name",), columns)
        matched = match_images(labelled, images_in(place).values(), str(place or root / _IMAGES[0] / folders[0]))
        missing += matched.missing
        extra += matched.extra
        found += [(split, labelled_image.label, path) for labelled_image, path in matched.pairs]
    patients = find_patients(root, [path for *_, path in found], unknown=UNKNOWN_PATIENTS)
    rows = []
    for split, label, path in found:
        image = safe_id(f"{split}_{path.stem}")
        patient, eye = patients.of.get(path, (image, ""))
        kept = patients.columns.get(path, {})
        rows.append(Row(image, path, patient=patient, eye=eye, split=split, label=label, columns=kept))
    notes = [*patients.notes, *notes]
    return index_from_rows(rows, notes, warnings=patients.warnings, missing=missing, extra=extra)
