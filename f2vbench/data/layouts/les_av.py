"""LES-AV: 22 photographs centred on the optic disc.

    images/111.png  vessel-segmentations/111.png  masks/111_mask.gif

Folders ``1st_manual`` and ``mask``, and masks named like their photographs, occur in copies and are read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, subfolder
from f2vbench.data.index_rows import UNKNOWN_PATIENTS, Row, index_from_rows, unused_masks
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import find_patients

_EXPECTED = "images/, vessel-segmentations/ (or 1st_manual/) and masks/ (or mask/)"
_LABELS = ("vessel-segmentations", "1st_manual")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of LES-AV; every photograph counts as its own patient, unless names or patients.csv tell."""
    read_options(options, {})
    root = find_root(folder, _is_root, _EXPECTED)
    masks, fov_masks = images_in(subfolder(root, *_LABELS)), images_in(subfolder(root, "masks", "mask"))
    images = images_in(subfolder(root, "images"))
    patients = find_patients(root, images.values(), unknown=UNKNOWN_PATIENTS)
    rows = []
    for stem, path in images.items():
        patient, eye = patients.of.get(path, (stem, ""))
        fov_mask = fov_masks.get(f"{stem}_mask") or fov_masks.get(stem)
        rows.append(Row(stem, path, masks.get(stem), fov_mask, patient=patient, eye=eye))
    warnings = [*patients.warnings, *unused_masks(masks, fov_masks, rows)]
    return index_from_rows(rows, patients.notes, warnings=warnings)


def _is_root(folder: Path) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, *_LABELS) is not None
