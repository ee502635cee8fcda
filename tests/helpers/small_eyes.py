"""Tiny photographs with labels and fields of view, and the published folder structures made of them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 56


def photograph(seed: int) -> np.ndarray:
    """An orange disc on black with seeded noise, uint8 (48, 56, 3)."""
    noise = np.random.default_rng(seed).integers(0, 40, (HEIGHT, WIDTH, 1))
    return (np.array([180, 90, 40]) + noise).astype(np.uint8) * field_of_view()[..., None]


def field_of_view() -> np.ndarray:
    """The disc of `photograph`, bool (48, 56)."""
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    return (y - 23.5) ** 2 + (x - 27.5) ** 2 < 22**2


def label(seed: int) -> np.ndarray:
    """A mask of two vessels, one at a position that depends on the seed, bool (48, 56)."""
    vessels = np.zeros((HEIGHT, WIDTH), bool)
    vessels[10:40, 20 + seed % 15] = True
    vessels[22:24, 10:46] = True
    return vessels


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write pixels (masks as 0/255) in the format of the suffix; ``.ppm.gz`` is gzipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels)
    if path.suffix == ".gz":
        content = io.BytesIO()
        image.save(content, "PPM")
        path.write_bytes(gzip.compress(content.getvalue()))
    else:
        image.save(path)
    return path


def write_rite(folder: Path, splits: tuple[str, ...] = ("training", "test"), label_folder: str = "vessel") -> None:
    """Write RITE's folders, without masks of the field of view."""
    for split in splits:
        for number in range(1, 21) if split == "test" else range(21, 41):
            base, stem = folder / "AV_groundTruth" / split, f"{number:02}_{split}"
            save(base / "images" / f"{stem}.tif", photograph(number))
            save(base / label_folder / f"{stem}.png", label(number))


def write_drive(folder: Path, test_labels: bool = True) -> None:
    """Write DRIVE's folders."""
    for split, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in numbers:
            stem = f"{number:02}"
            save(folder / split / "images" / f"{stem}_{split}.tif", photograph(number))
            save(folder / split / "mask" / f"{stem}_{split}_mask.gif", field_of_view())
            if split == "training" or test_labels:
                save(folder / split / "1st_manual" / f"{stem}_manual1.gif", label(number))
            if split == "test" and test_labels:
                save(folder / split / "2nd_manual" / f"{stem}_manual2.gif", label(number + 1))


def write_hrf(folder: Path) -> None:
    """Write HRF's folders."""
    for kind_number, kind in enumerate(("dr", "g", "h")):
        for number in range(1, 16):
            stem, seed = f"{number:02}_{kind}", 100 * kind_number + number
            save(folder / "images" / f"{stem}.{'JPG' if kind == 'h' else 'jpg'}", photograph(seed))
            save(folder / "mask" / f"{stem}_mask.tif", field_of_view())
            save(folder / "manual1" / f"{stem}.tif", label(seed))


def write_folder(folder: Path, names: tuple[str, ...] = ("a", "b", "c", "d"), first_seed: int = 0) -> None:
    """Write a data set of the task `folder`: images/ and masks/."""
    for seed, name in enumerate(names, start=first_seed):
        save(folder / "images" / f"{name}.png", photograph(seed))
        save(folder / "masks" / f"{name}.png", label(seed))
