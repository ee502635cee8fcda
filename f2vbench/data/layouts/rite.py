"""RITE: DRIVE's 40 photographs with artery/vein labels.

    AV_groundTruth/{training,test}/images/21_training.tif
                                   vessel/21_training.png   the vessel mask
                                   av/21_training.png       red artery, blue vein, green both, white uncertain

Without ``vessel``, the ``av`` file is the label: each of its colours, white included, is vessel, which gives the same
mask. With the option ``labels: av`` it is the label in any case, for a card that says what each colour is. The masks of
the field of view are DRIVE's and not part of RITE's download; they are read from ``drive_fov/{training,test}`` or, as
in DRIVE itself, from ``{training,test}/mask`` beside the above.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, images_in, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, unused_masks
from f2vbench.data.layouts.options import read_options
from f2vbench.utils.text import shortened

_EXPECTED = "AV_groundTruth/training and/or AV_groundTruth/test, each with images/ and vessel/ (or av/)"
_SPLITS = {"training": "train", "test": "test"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of RITE; patients are the photographs' numbers in DRIVE.

    Args:
        folder: The data set, or a folder around it.
        options: ``labels``: vessel (default) or av.
    """
    labels = read_options(options, {"labels": ("vessel", "av")})["labels"]
    root = find_root(folder, _is_root, _EXPECTED, depth=2)
    rows: list[Row] = []
    notes: list[str] = []
    warnings: list[str] = []
    for name, split in _SPLITS.items():
        place = subfolder(root, name)
        if place is None or not _has_labels(place):
            notes.append(f"RITE's {name} images are not in {root}")
            continue
        split_rows, split_warnings = _read_split(root, place, split, labels)
        rows += split_rows
        warnings += split_warnings
    from_colours = [row.image for row in rows if row.mask_path and row.mask_path.parent.name.lower() == "av"]
    if from_colours and labels == "vessel":
        notes.append(f"vessel masks read from artery/vein colours (no vessel file): {shortened(from_colours)}")
    return index_from_rows(rows, notes, warnings=warnings)


def _is_root(folder: Path) -> bool:
    return any(_has_labels(place) for place in (subfolder(folder, name) for name in _SPLITS) if place is not None)


def _has_labels(folder: Path) -> bool:
    return subfolder(folder, "images") is not None and subfolder(folder, "vessel", "av") is not None


def _read_split(root: Path, folder: Path, split: str, labels: str) -> tuple[list[Row], list[str]]:
    """The images of a split, and warnings about masks without a photograph."""
    colours = images_in(subfolder(folder, "av"))
    vessels = images_in(subfolder(folder, "vessel")) if labels == "vessel" else {}
    fov_masks = _fov_files(root, folder.name)
    rows = [
        Row(
            image=stem,
            path=path,
            mask_path=vessels.get(stem) or colours.get(stem),
            fov_path=fov_masks.get(f"{stem}_mask"),
            patient=stem.split("_")[0],
            split=split,
        )
        for stem, path in images_in(subfolder(folder, "images")).items()
    ]
    return rows, unused_masks(vessels or colours, fov_masks, rows)


def _fov_files(root: Path, name: str) -> dict[str, Path]:
    """DRIVE's masks for the images in folder ``name``, by stem; masks nearer to the labels take precedence."""
    found: dict[str, Path] = {}
    for base in (root.parent, root):
        for place in (subfolder(subfolder(base, "drive_fov"), name), subfolder(subfolder(base, name), "mask")):
            found |= images_in(place)
    return found
