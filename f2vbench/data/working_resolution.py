"""Common working resolution of methods with sizes in pixels: filters, and networks trained on full-resolution crops."""

from __future__ import annotations

import cv2
import numpy as np

from f2vbench.errors import DataError

REFERENCE_DIAMETER = 540
"""Width in pixels of the field of view in DRIVE and RITE."""

_MAX_RATIO = 1.25  # larger fields of view are reduced


def working_size(fov: np.ndarray) -> tuple[int, int]:
    """The working size of a photograph.

    Photographs whose field of view is more than 25 % wider than 540 px are reduced to that width; others keep their
    size.

    Args:
        fov: bool (height, width), the field of view. Its width is the longer side of its bounding box.

    Returns:
        Height and width in pixels.

    Raises:
        DataError: The field of view is empty.
    """
    sides = []
    for axis in (0, 1):
        occupied = np.flatnonzero(fov.any(axis=axis))
        if not occupied.size:
            raise DataError("the mask of the field of view is empty: no pixel of this photograph can be scored")
        sides.append(int(occupied[-1] - occupied[0]) + 1)
    scale = max(sides) / REFERENCE_DIAMETER
    height, width = fov.shape
    return (height, width) if scale <= _MAX_RATIO else (round(height / scale), round(width / scale))


def reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image reduced to ``size`` (height, width) by area averaging; unchanged if it has that size."""
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def reduced_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A bool mask reduced to ``size`` (height, width): True where at least half of the area is True."""
    return mask if mask.shape == size else reduced(mask.astype(np.float32), size) >= 0.5


def enlarged(score: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A float32 map enlarged to ``size`` (height, width) by bilinear interpolation; unchanged if it has that size."""
    if score.shape == size:
        return score
    return cv2.resize(score, size[::-1], interpolation=cv2.INTER_LINEAR)
