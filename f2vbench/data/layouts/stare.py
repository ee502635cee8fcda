"""STARE: the 20 photographs with vessel masks of two observers.

    im0001.ppm  im0001.ah.ppm (A. Hoover)  im0001.vk.ppm (V. Kouznetsova)

Each file may be gzipped, as in the archives, and be in the folder itself or in folders inside it (the archives are
``stare-images``, ``labels-ah`` and ``labels-vk``). Photographs without a mask, most of STARE, are ignored.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import folders_in, images_in, layout_error
from f2vbench.data.index_rows import UNKNOWN_PATIENTS, Row, index_from_rows, unused_masks
from f2vbench.data.layouts.options import other_observer_message, read_options
from f2vbench.errors import DataError

_OBSERVERS = ("ah", "vk")
_FILE = re.compile(r"im\d{4}(\.(ah|vk))?")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of STARE; every photograph counts as its own patient.

    Args:
        folder: The folder of the files, or of the unpacked archives.
        options: ``observer``: ah (default) or vk.
    """
    observer = read_options(options, {"observer": _OBSERVERS})["observer"]
    files = _files_below(folder)
    by_observer = {
        name: {stem.split(".")[0]: path for stem, path in files.items() if stem.endswith(f".{name}")}
        for name in _OBSERVERS
    }
    masks = by_observer[observer]
    other = next(name for name in _OBSERVERS if name != observer)
    if not masks and by_observer[other]:
        raise DataError(other_observer_message(folder, observer, other))
    rows = [Row(stem, files[stem], mask, None, patient=stem) for stem, mask in masks.items() if stem in files]
    if not rows:
        raise layout_error(folder, f"im0001.ppm[.gz], im0001.{observer}.ppm[.gz] and so on, here or in folders inside")
    return index_from_rows(rows, [UNKNOWN_PATIENTS], warnings=unused_masks(masks, {}, rows))


def _files_below(folder: Path) -> dict[str, Path]:
    """STARE's files in the folder and in folders inside it, by stem (``im0001``, ``im0001.ah``)."""
    found: dict[str, Path] = {}
    for place in (folder, *folders_in(folder)):
        for stem, path in images_in(place).items():
            if not _FILE.fullmatch(stem):
                continue
            if stem in found:
                raise DataError(f"{found[stem]} and {path} are both {stem}: keep one of them")
            found[stem] = path
    return found
