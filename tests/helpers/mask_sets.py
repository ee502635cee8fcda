"""Small data sets with masks of several classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.helpers.eyes import eye

SIDE = 64


def structures(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A photograph with a bright disc, which contains a brighter cup, and in every second image a dark spot."""
    rgb, _, fov = eye(seed, SIDE)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centre = 24 + 3 * (seed % 4), 28 + 2 * (seed % 5)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    spot = np.hypot(rows - 46, columns - 20 - seed % 3) < 3
    masks = {"disc": distance < 9, "cup": distance < 4, "spot": spot & (seed % 2 == 0)}
    image = rgb.astype(float)
    for name, change in (("disc", 60), ("cup", 50), ("spot", -70)):
        image[masks[name]] += change
    return np.clip(image, 0, 255).astype(np.uint8) * fov[..., None], masks


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_class_folders(folder: Path, images: int) -> Path:
    """One mask file for each class that an image has: ``masks/<class>/<image>.png``."""
    for number in range(images):
        image, masks = structures(number)
        save(folder / "images" / f"p{number:02}.png", image)
        for name, mask in masks.items():
            if mask.any():
                save(folder / "masks" / name / f"p{number:02}.png", mask.astype(np.uint8) * 255)
    return folder


def write_card(folder: Path, name: str = "mine", **values) -> Path:
    """A task card in ``tasks`` below a folder."""
    card = {
        "name": name,
        "title": "Mine",
        "family": "segmentation",
        "layout": "masks",
        "labels": "Mine.",
        "source": "my clinic",
        "terms": "internal",
        "citation": "none",
        "obtain": "ask me",
    }
    path = folder / "tasks" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(card | values), encoding="utf-8")
    return path
