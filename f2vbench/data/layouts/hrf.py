"""HRF: 45 photographs of healthy (``_h``), diabetic (``_dr``) and glaucomatous (``_g``) eyes.

    images/01_h.jpg (some .JPG)  manual1/01_h.tif  mask/01_h_mask.tif

In classification, the suffix is the label. According to the owners, every photograph is of another patient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, unused_masks
from f2vbench.data.layouts.options import read_options

_EXPECTED = "images/01_h.jpg, manual1/01_h.tif, mask/01_h_mask.tif and so on"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of HRF."""
    read_options(options, {})
    root = find_root(folder, _is_root, _EXPECTED)
    masks, fov_masks = images_in(subfolder(root, "manual1")), images_in(subfolder(root, "mask"))
    rows = [
        Row(stem, path, masks.get(stem), fov_masks.get(f"{stem}_mask"), patient=stem, label=stem.rpartition("_")[2])
        for stem, path in images_in(subfolder(root, "images")).items()
    ]
    return index_from_rows(rows, warnings=unused_masks(masks, fov_masks, rows))


def _is_root(folder: Path) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, "manual1") is not None
