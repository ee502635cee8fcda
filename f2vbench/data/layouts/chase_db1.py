"""CHASE_DB1: 28 photographs of both eyes of 14 children, in one folder.

    Image_01L.jpg  Image_01L_1stHO.png  Image_01L_2ndHO.png  Image_01R.jpg  …

Files ``fov/Image_01L.png``, which are not part of the download, are read as masks of the field of view.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, unused_masks
from f2vbench.data.layouts.options import other_observer_message, read_options
from f2vbench.data.patient_names import eye_of
from f2vbench.errors import DataError

_EXPECTED = "Image_01L.jpg, Image_01L_1stHO.png, Image_01L_2ndHO.png, Image_01R.jpg and so on"
_PHOTOGRAPH = re.compile(r"Image_(\d+)([LR])", re.IGNORECASE)
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
    masks = {stem: path for stem, path in files.items() if stem.endswith(f"_{_OBSERVERS[observer]}")}
    if not masks and (other := _other_observer(files, observer)):
        raise DataError(other_observer_message(root, observer, other))
    rows = []
    for stem, path in files.items():
        match = _PHOTOGRAPH.fullmatch(stem)
        if match:
            mask = masks.get(f"{stem}_{_OBSERVERS[observer]}")
            rows.append(Row(stem, path, mask, fov_masks.get(stem), patient=match[1], eye=eye_of(match[2]) or ""))
    return index_from_rows(rows, warnings=unused_masks(masks, fov_masks, rows))


def _other_observer(files: Iterable[str], observer: int) -> int | None:
    """The observer other than ``observer`` whose labels are among the files (by stem), or None."""
    return next(
        (number for number, name in _OBSERVERS.items() if number != observer and any(name in stem for stem in files)),
        None,
    )


def _is_root(folder: Path) -> bool:
    return any(_PHOTOGRAPH.fullmatch(stem) for stem in images_in(folder))
