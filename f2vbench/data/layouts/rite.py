"""RITE: DRIVE's 40 photographs with artery/vein labels.

    AV_groundTruth/{training,test}/images/21_training.tif
                                   vessel/21_training.png   the label
                                   av/21_training.png       red artery, blue vein, green both, white uncertain

Where ``vessel`` is absent the ``av`` file is the label: each of its colours, white included, is vessel, which
gives the same mask. The field-of-view masks are DRIVE's and no part of RITE's download; they are used where they
lie in ``drive_fov/{training,test}`` or, as in DRIVE itself, in ``{training,test}/mask`` beside the above.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_root, images_in, index_from_rows, read_options, subfolder

_EXPECTED = "AV_groundTruth/training and/or AV_groundTruth/test, each with images/ and vessel/ (or av/)"
_HALVES = {"training": "train", "test": "test"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of RITE below ``folder``; patients are the photographs' numbers in DRIVE."""
    read_options(options, {})
    root = find_root(folder, _is_root, _EXPECTED, depth=2)
    rows: list[Row] = []
    notes: list[str] = []
    for half, split in _HALVES.items():
        half_folder = subfolder(root, half)
        if half_folder is None or not _is_half(half_folder):
            notes.append(f"RITE's {half} half is not in {root}")
            continue
        rows += _half_rows(root, half_folder, split)
    from_colours = [row.image for row in rows if row.mask_path and row.mask_path.parent.name.lower() == "av"]
    if from_colours:
        notes.append(f"labels from the artery/vein colours (no vessel file): {', '.join(from_colours)}")
    return index_from_rows(rows, notes)


def _is_root(folder: Path) -> bool:
    return any(_is_half(half) for half in (subfolder(folder, name) for name in _HALVES) if half is not None)


def _is_half(folder: Path) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, "vessel", "av") is not None


def _half_rows(root: Path, half: Path, split: str) -> list[Row]:
    vessels, colours = images_in(subfolder(half, "vessel")), images_in(subfolder(half, "av"))
    views = _fov_files(root, half.name)
    return [
        Row(
            image=stem,
            path=path,
            mask_path=vessels.get(stem) or colours.get(stem),
            fov_path=views.get(f"{stem}_mask"),
            patient=stem.split("_")[0],
            split=split,
        )
        for stem, path in images_in(subfolder(half, "images")).items()
    ]


def _fov_files(root: Path, half: str) -> dict[str, Path]:
    """DRIVE's masks of one half, by stem; what lies nearer to the labels goes first."""
    found: dict[str, Path] = {}
    for base in (root.parent, root):
        for place in (subfolder(subfolder(base, "drive_fov"), half), subfolder(subfolder(base, half), "mask")):
            found |= images_in(place)
    return found
