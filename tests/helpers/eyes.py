"""Small photographs with visible vessels, for tests of whole runs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def eye(seed: int, side: int = 96) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photograph (side, side, 3) uint8, vessels and field of view (side, side) bool: dark curves on a bright disc."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    fov = np.hypot(rows - side / 2 + 0.5, columns - side / 2 + 0.5) < 0.47 * side
    drawn = np.zeros((side, side), np.uint8)
    along = np.linspace(0, side, 40)
    for _ in range(5):
        swing = draw.uniform(0.05, 0.2) * side * np.sin(along / side * draw.uniform(2, 6) + draw.uniform(0, 6))
        curve = np.stack([along, draw.uniform(0.1, 0.9) * side + swing], axis=1)
        if draw.random() < 0.5:
            curve = curve[:, ::-1]
        cv2.polylines(drawn, [np.rint(curve).astype(np.int32)], False, 1, int(draw.integers(1, 4)))
    vessels = (drawn > 0) & fov
    light = 1 - 0.3 * np.hypot(rows - draw.uniform(0, side), columns - draw.uniform(0, side)) / side
    shade = light * (1 - 0.35 * cv2.GaussianBlur(vessels.astype(np.float64), (0, 0), 0.7))
    pixels = np.array([190, 110, 50]) * shade[..., None] + draw.normal(scale=4, size=(side, side, 3))
    return np.clip(pixels * fov[..., None], 0, 255).astype(np.uint8), vessels, fov


def write_eyes(folder: Path, count: int, side: int = 96) -> Path:
    """Write a data set of the task `folder`: images/, masks/ and fov/."""
    for number in range(count):
        for name, pixels in zip(("images", "masks", "fov"), eye(number, side), strict=True):
            path = folder / name / f"eye{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255).save(path)
    return folder
