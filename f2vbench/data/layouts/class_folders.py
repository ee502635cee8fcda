"""Photographs in one folder a class, as JSIEC, Retina and Glaucoma Fundus are downloaded; or RETFound's folders.

    0.0.Normal/a.JPG  0.3.DR1/b.JPG  …          (JSIEC)
    1_normal/NL_001.png  2_cataract/…           (Retina)

Nothing tells patients: every photograph counts as one of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, folders_in, images_in, index_from_rows, read_options, safe_id
from f2vbench.data.layouts.label_tables import read_either

_FEWEST = 2
_NOTE = "nothing tells patients: every photograph counts as a patient of its own"


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are the folders' names."""
    read_options(options, {})
    return read_either(folder, _is_root, "a folder of photographs for every class", _read_owner)


def _is_root(folder: Path) -> bool:
    return sum(bool(images_in(place)) for place in folders_in(folder)) >= _FEWEST


def _read_owner(root: Path) -> DataFrame:
    rows: list[Row] = []
    for place in folders_in(root):
        for stem, path in images_in(place).items():
            image = safe_id(f"{place.name}_{stem}")
            rows.append(Row(image, path, patient=image, label=place.name))
    return index_from_rows(rows, [_NOTE])
