"""CHASE_DB1: 28 photographs of both eyes of 14 children, in one folder.

    Image_01L.jpg  Image_01L_1stHO.png  Image_01L_2ndHO.png  Image_01R.jpg  …

``fov/Image_01L.png``, if someone has added it, is the field of view.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_root, images_in, index_from_rows, read_options, subfolder

_EXPECTED = "Image_01L.jpg, Image_01L_1stHO.png, Image_01L_2ndHO.png, Image_01R.jpg and so on"
_PHOTOGRAPH = re.compile(r"Image_(\d+)([LR])")
_OBSERVERS = {1: "1stHO", 2: "2ndHO"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of CHASE_DB1 below ``folder``; a patient is a child's number.

    Args:
        options: ``observer``: 1 (default) or 2, who have both drawn all images.
    """
    observer = read_options(options, {"observer": (1, 2)})["observer"]
    root = find_root(folder, _is_root, _EXPECTED)
    files, views = images_in(root), images_in(subfolder(root, "fov"))
    rows = []
    for stem, path in files.items():
        found = _PHOTOGRAPH.fullmatch(stem)
        if found:
            label = files.get(f"{stem}_{_OBSERVERS[observer]}")
            eye = "left" if found[2] == "L" else "right"
            rows.append(Row(stem, path, label, views.get(stem), patient=found[1], eye=eye))
    return index_from_rows(rows)


def _is_root(folder: Path) -> bool:
    return any(_PHOTOGRAPH.fullmatch(stem) for stem in images_in(folder))
