"""One working resolution for what has sizes in pixels: filters, and networks trained on full-resolution crops."""

from __future__ import annotations

import cv2
import numpy as np

from f2vbench.errors import DataError

REFERENCE_DIAMETER = 540
"""Width in pixels of DRIVE's and RITE's field of view."""

_REDUCE_FROM = 1.25


def working_size(fov: np.ndarray) -> tuple[int, int]:
    """(height, width) to work at: reduced to a field of 540 px where it is more than a quarter wider, else as it is.

    Args:
        fov: (height, width) bool; the longer side of its bounding box is the field's width.

    Raises:
        DataError: the field of view is empty.
    """
    sides = []
    for axis in (0, 1):
        occupied = np.flatnonzero(fov.any(axis=axis))
        if not occupied.size:
            raise DataError("the field-of-view mask is empty: no pixel of this photograph would be scored")
        sides.append(int(occupied[-1] - occupied[0]) + 1)
    scale = max(sides) / REFERENCE_DIAMETER
    height, width = fov.shape
    return (height, width) if scale <= _REDUCE_FROM else (round(height / scale), round(width / scale))


def reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image averaged over areas down to (height, width) = ``size``; itself where it has that size."""
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def reduced_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A bool mask at a smaller size: what is covered by half or more."""
    return mask if mask.shape == size else reduced(mask.astype(np.float32), size) >= 0.5


def enlarged(score: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A float32 map brought back bilinearly to (height, width) = ``size``; itself where it has that size."""
    if score.shape == size:
        return score
    return cv2.resize(score, size[::-1], interpolation=cv2.INTER_LINEAR)
