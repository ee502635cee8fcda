"""CHASE_DB1: 28 photographs of both eyes of 14 children, in one folder.

    Image_01L.jpg  Image_01L_1stHO.png  Image_01L_2ndHO.png  Image_01R.jpg  …

Files ``fov/Image_01L.png``, which are not part of the download, are read as masks of the field of view.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, subfolder
from f2vbench.data.index_rows import Row, index_from_rows
from f2vbench.data.layouts.options import read_options

_EXPECTED = "Image_01L.jpg, Image_01L_1stHO.png, Image_01L_2ndHO.png, Image_01R.jpg and so on"
_PHOTOGRAPH = re.compile(r"Image_(\d+)([LR])")
_OBSERVERS = {1: "1stHO", 2: "2ndHO"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; patients are the children's numbers.

    Args:
        folder: The data set, or a folder around it.
        options: ``observer``: 1 (default) or 2; both annotated all images.
    """
    observer = read_options(options, {"observer": (1, 2)})["observer"]
    root = find_root(folder, _is_root, _EXPECTED)
    files, fov_masks = images_in(root), images_in(subfolder(root, "fov"))
    rows = []
    for stem, path in files.items():
        match = _PHOTOGRAPH.fullmatch(stem)
        if match:
            mask = files.get(f"{stem}_{_OBSERVERS[observer]}")
            eye = "left" if match[2] == "L" else "right"
            rows.append(Row(stem, path, mask, fov_masks.get(stem), patient=match[1], eye=eye))
    return index_from_rows(rows)


def _is_root(folder: Path) -> bool:
    return any(_PHOTOGRAPH.fullmatch(stem) for stem in images_in(folder))
