"""HRF: 45 photographs of healthy (``_h``), diabetic (``_dr``) and glaucomatous (``_g``) eyes.

    images/01_h.jpg (in part .JPG)  manual1/01_h.tif  mask/01_h_mask.tif

In classification the suffix is the label. Every photograph counts as a patient of its own, as its owners describe the
set.
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

_EXPECTED = "images/01_h.jpg, manual1/01_h.tif, mask/01_h_mask.tif and so on"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of HRF below ``folder``."""
    read_options(options, {})
    root = find_root(folder, _is_root, _EXPECTED)
    labels, views = images_in(subfolder(root, "manual1")), images_in(subfolder(root, "mask"))
    rows = [
        Row(stem, path, labels.get(stem), views.get(f"{stem}_mask"), patient=stem, label=stem.rpartition("_")[2])
        for stem, path in images_in(subfolder(root, "images")).items()
    ]
    return index_from_rows(rows, note_unused_labels(labels, rows))


def _is_root(folder: Path) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, "manual1") is not None
