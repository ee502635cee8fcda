"""Masks with several values, of other sizes, turned, empty or inverted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hostile.inputs import Hostile, check_folder, eye, eyes, save

LEVELS = [(1, 2), (1, 2, 3), (1, 255), (128, 255), (1, 2, 255), (50, 100, 150, 200), (254, 255, 100), (3, 7)]
FORMATS = ["png", "tif", "bmp", "gif"]


def _levels(levels: tuple[int, ...], suffix: str, folder: str, at: Path) -> int:
    eyes(at)
    for seed, name in enumerate("abcd"):
        mask = eye(seed)[1] if folder == "masks" else eye(seed)[0].max(axis=2) > 0
        columns = np.arange(mask.shape[1]) * len(levels) // mask.shape[1]
        (at / "masks" / f"{name}.png").unlink() if folder == "masks" else None
        save(at / folder / f"{name}.{suffix}", (mask * np.array(levels)[columns]).astype(np.uint8))
    return check_folder()


def _colours(first: tuple[int, ...], second: tuple[int, ...], at: Path) -> int:
    eyes(at)
    for seed, name in enumerate("abcd"):
        half = (np.arange(96) < 48)[None, :, None]
        save(at / "masks" / f"{name}.png", (eye(seed)[1][..., None] * np.where(half, first, second)).astype(np.uint8))
    return check_folder()


def _changed(change: Callable[[np.ndarray], np.ndarray], folder: str, at: Path) -> int:
    eyes(at)
    source = eye(0)[1] if folder == "masks" else eye(0)[0].max(axis=2) > 0
    save(at / folder / "a.png", change(source))
    return check_folder()


def _turned(orientation: int, which: str, at: Path) -> int:
    eyes(at)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = at / which / "a.png"
    Image.open(path).save(path, exif=exif)
    return check_folder()


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for levels in LEVELS:
        for suffix in FORMATS:
            name = f"vessel masks of the values {levels}, {suffix}"
            yield Hostile(name, partial(_levels, levels, suffix, "masks"), rf"{len(levels) + 1} values")
        yield Hostile(f"fields of view of the values {levels}", partial(_levels, levels, "png", "fov"), "fov_values")
    for first, second in [((255, 255, 0), (255, 0, 0)), ((255, 0, 255), (0, 255, 255)), ((128, 0, 0), (0, 255, 0))]:
        yield Hostile(f"colours {first} and {second}", partial(_colours, first, second), r"2 colours|3 values")
    changes: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
        "empty": (lambda mask: mask & False, "no vessel pixel|no pixel set"),
        "of another size": (lambda mask: mask[:-2], "replace it by the matching file"),
        "doubled in size": (lambda mask: mask.repeat(2, 0).repeat(2, 1), "replace it by the matching file"),
    }
    for what, (change, expected) in changes.items():
        for folder in ("masks", "fov"):
            yield Hostile(f"{folder}: {what}", partial(_changed, change, folder), expected)
    yield Hostile("masks: inverted", partial(_changed, np.logical_not, "masks"), "is it inverted")
    for orientation in range(2, 9):
        for which in ("images", "masks"):
            yield Hostile(
                f"{which} with the EXIF orientation {orientation}", partial(_turned, orientation, which), "EXIF", (0, 2)
            )
