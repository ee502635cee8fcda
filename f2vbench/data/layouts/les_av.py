"""LES-AV: 22 photographs centred on the optic disc.

    images/111.png  vessel-segmentations/111.png  masks/111_mask.gif

Copies name the folders ``1st_manual`` and ``mask``, and some masks as the photographs; those are read as well.
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
    note_unused_labels,
    read_options,
    subfolder,
)

_EXPECTED = "images/, vessel-segmentations/ (or 1st_manual/) and masks/ (or mask/)"
_LABELS = ("vessel-segmentations", "1st_manual")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of LES-AV below ``folder``; every photograph counts as a patient of its own."""
    read_options(options, {})
    root = find_root(folder, _is_root, _EXPECTED)
    labels, views = images_in(subfolder(root, *_LABELS)), images_in(subfolder(root, "masks", "mask"))
    rows = [
        Row(stem, path, labels.get(stem), views.get(f"{stem}_mask") or views.get(stem), patient=stem)
        for stem, path in images_in(subfolder(root, "images")).items()
    ]
    assumed = "the folder has no patient table that is read: every photograph counts as a patient of its own"
    return index_from_rows(rows, [assumed, *note_unused_labels(labels, rows)])


def _is_root(folder: Path) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, *_LABELS) is not None
