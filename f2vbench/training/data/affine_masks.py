"""Masks under the affine transform of a view."""

from __future__ import annotations

import math

import cv2
import numpy as np

_MARGIN = 2  # px around the corners of a view, for the interpolation and the rounding of its coordinates


def seen_region(matrix: np.ndarray, side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of an image that a view of it depends on.

    Args:
        matrix: (2, 3), from pixels (column, row) of the view to pixels of the image.
        side: Side of the view in pixels.
        shape: (h, w) of the image.

    Returns:
        Slices of the rows and the columns; empty where the view lies outside.
    """
    last = side - 1
    corners = matrix @ np.array([[0, last, 0, last], [0, 0, last, last], [1, 1, 1, 1]])
    columns, rows = (
        slice(
            min(max(math.floor(values.min()) - _MARGIN, 0), size),
            min(max(math.ceil(values.max()) + _MARGIN + 1, 0), size),
        )
        for values, size in zip(corners, shape[::-1], strict=True)
    )
    return rows, columns


def warp_mask(mask: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """A view of a mask: it is interpolated, and kept where it covers half of a pixel.

    Args:
        mask: bool (h, w).
        matrix: (2, 3), from pixels (column, row) of the view to pixels of the mask.
        side: Side of the view in pixels.

    Returns:
        bool (side, side).
    """
    # Only the seen region is converted. The image keeps its size, because other coordinates would be rounded otherwise.
    region = seen_region(matrix, side, mask.shape)
    source = np.zeros(mask.shape, np.float32)
    source[region] = mask[region]
    return covers_half(source, matrix, side)


def covers_half(coverage: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Where the bilinear view of ``coverage``, float32 (h, w) in [0, 1], is at least one half; bool (side, side)."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(coverage, matrix, (side, side), flags=flags)) >= 0.5
