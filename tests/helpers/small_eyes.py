"""Tiny photographs with labels and fields of view, and the published folder structures made of them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 56


def photograph(seed: int) -> np.ndarray:
    """An orange disc with noise of its own on black, uint8 (48, 56, 3)."""
    noise = np.random.default_rng(seed).integers(0, 40, (HEIGHT, WIDTH, 1))
    return (np.array([180, 90, 40]) + noise).astype(np.uint8) * field_of_view()[..., None]


def field_of_view() -> np.ndarray:
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    return (y - 23.5) ** 2 + (x - 27.5) ** 2 < 22**2


def label(seed: int) -> np.ndarray:
    """Two vessels, one of them at a place that depends on the seed, bool (48, 56)."""
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


def write_rite(folder: Path, halves: tuple[str, ...] = ("training", "test"), label_folder: str = "vessel") -> None:
    for half in halves:
        for number in range(1, 21) if half == "test" else range(21, 41):
            base, stem = folder / "AV_groundTruth" / half, f"{number:02}_{half}"
            save(base / "images" / f"{stem}.tif", photograph(number))
            save(base / label_folder / f"{stem}.png", label(number))


def write_drive(folder: Path, test_labels: bool = True) -> None:
    for half, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in numbers:
            stem = f"{number:02}"
            save(folder / half / "images" / f"{stem}_{half}.tif", photograph(number))
            save(folder / half / "mask" / f"{stem}_{half}_mask.gif", field_of_view())
            if half == "training" or test_labels:
                save(folder / half / "1st_manual" / f"{stem}_manual1.gif", label(number))
            if half == "test" and test_labels:
                save(folder / half / "2nd_manual" / f"{stem}_manual2.gif", label(number + 1))


def write_hrf(folder: Path, without: tuple[str, ...] = ()) -> None:
    for kind_number, kind in enumerate(("dr", "g", "h")):
        for number in range(1, 16):
            stem, seed = f"{number:02}_{kind}", 100 * kind_number + number
            save(folder / "images" / f"{stem}.{'JPG' if kind == 'h' else 'jpg'}", photograph(seed))
            save(folder / "mask" / f"{stem}_mask.tif", field_of_view())
            if stem not in without:
                save(folder / "manual1" / f"{stem}.tif", label(seed))


def write_folder(folder: Path, names: tuple[str, ...] = ("a", "b", "c", "d"), first_seed: int = 0) -> None:
    for seed, name in enumerate(names, start=first_seed):
        save(folder / "images" / f"{name}.png", photograph(seed))
        save(folder / "masks" / f"{name}.png", label(seed))
