"""STARE: the 20 photographs with vessels drawn by two observers.

    im0001.ppm  im0001.ah.ppm (A. Hoover)  im0001.vk.ppm (V. Kouznetsova)

Each may be gzipped, as in the archives, and lie in the folder itself or in folders inside it (the archives are
``stare-images``, ``labels-ah`` and ``labels-vk``). Photographs without a label, most of STARE, are not listed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, folders_in, images_in, index_from_rows, layout_error, read_options
from f2vbench.errors import DataError

_FILE = re.compile(r"im\d{4}(\.(ah|vk))?")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of STARE below ``folder``; every photograph counts as a patient of its own.

    Args:
        options: ``observer``: ah (default) or vk.
    """
    observer = read_options(options, {"observer": ("ah", "vk")})["observer"]
    files = _files_below(folder)
    labels = {stem.split(".")[0]: path for stem, path in files.items() if stem.endswith(f".{observer}")}
    rows = [Row(stem, files[stem], label, None, patient=stem) for stem, label in labels.items() if stem in files]
    if not rows:
        raise layout_error(folder, f"im0001.ppm[.gz], im0001.{observer}.ppm[.gz] and so on, here or in folders inside")
    notes = ["STARE tells no patients: every photograph counts as a patient of its own"]
    stray = [path.name for stem, path in labels.items() if stem not in files]
    if stray:
        notes.append(f"label files without a photograph, not used: {', '.join(stray)}")
    return index_from_rows(rows, notes)


def _files_below(folder: Path) -> dict[str, Path]:
    """STARE's files in the folder and in those inside it, by stem (``im0001``, ``im0001.ah``)."""
    found: dict[str, Path] = {}
    for place in (folder, *folders_in(folder)):
        for stem, path in images_in(place).items():
            if not _FILE.fullmatch(stem):
                continue
            if stem in found:
                raise DataError(f"{found[stem]} and {path} are both {stem}: keep one of them")
            found[stem] = path
    return found
