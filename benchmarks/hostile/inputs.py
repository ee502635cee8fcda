"""The type of a hostile input, and small photographs and masks to make inputs of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIDE = 96


@dataclass(frozen=True)
class Hostile:
    """One hostile input.

    Attributes:
        name: What is hostile, unique within its category.
        act: Makes the files in an empty folder, which is also the working directory, and uses them; returns the exit
            code. It runs in a process of its own.
        expected: Regular expression that the output must contain if the input is handled, ignoring case.
        codes: Exit codes of which one is right if the input is handled.
    """

    name: str
    act: Callable[[Path], int]
    expected: str
    codes: tuple[int, ...] = (2,)


def command(*arguments: str) -> int:
    """Run `f2vbench` in this process, and return its exit code."""
    from f2vbench.cli.main import main

    return main(list(arguments))


def eye(seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """A simple photograph, uint8 (side, side, 3), and its vessels, bool (side, side)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    vessels = np.zeros((side, side), np.uint8)
    for angle in random.uniform(0, 2 * np.pi, 6):
        end = (int(side / 2 + 0.4 * side * np.cos(angle)), int(side / 2 + 0.4 * side * np.sin(angle)))
        cv2.line(vessels, (side // 2, side // 2), end, 255, 2)
    colour = np.array([160, 90, 45]) * (1 - 0.3 * (np.hypot(x, y) / side)[..., None]) + random.normal(
        0, 4, (side, side, 1)
    )
    rgb = np.where((np.hypot(x, y) < 0.47 * side)[..., None], colour * np.where(vessels, 0.6, 1.0)[..., None], 0)
    return np.clip(rgb, 0, 255).astype(np.uint8), vessels > 0


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    """Write pixels in the format of the suffix; bool as 0 and 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels).save(path, **options)
    return path


def eyes(folder: Path, names: str = "abcd") -> Path:
    """Write a data set of the task `folder` with one image for each letter."""
    for seed, name in enumerate(names):
        rgb, vessels = eye(seed)
        save(folder / "images" / f"{name}.png", rgb)
        save(folder / "masks" / f"{name}.png", vessels)
    return folder


def check_folder() -> int:
    """`f2vbench data check` of the own images in the working directory."""
    return command("data", "check", "task=folder", "data=.")
