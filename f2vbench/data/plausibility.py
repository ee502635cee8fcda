"""Measures that show whether a photograph, its field of view and its vessel mask can be what they claim to be."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from f2vbench.data.field_of_view import field_of_view, roundness, small_copy
from f2vbench.data.images import turned

_MIN_RANGE = 6  # grey levels between the darkest and the brightest percent of a photograph that shows something
_MIN_RANGE_INSIDE = 3  # the same inside the field of view
_INSIDE = 9  # px of the reduced copy, kernel of the erosion that keeps the rim of the field out
_MIN_FIELD = 0.2  # share of the image; 0.5 and more in 1,389 photographs of five data sets
_WHOLE = 0.999
_MIN_ROUND = 0.4  # share of the border on one circle; 0.5 and more in 99 % of the same photographs
# Differences of the vessel contrast (`_vessel_contrast`) that decide between two orientations of a mask: right ones
# have a contrast of 0.5 to 2, turned ones -0.1 to 0.2.
_CLEAR = 0.25


def is_blank(rgb: np.ndarray) -> bool:
    """Whether a photograph is black, of one colour, or of one colour inside its field of view.

    Args:
        rgb: uint8 (height, width, 3).
    """
    small = small_copy(rgb)
    if _range(small.reshape(-1, 3)) < _MIN_RANGE:
        return True
    inside = cv2.erode(field_of_view(small).astype(np.uint8), np.ones((_INSIDE, _INSIDE), np.uint8), borderValue=1)
    return bool(inside.any()) and _range(small[inside > 0]) < _MIN_RANGE_INSIDE


def field_measures(field: np.ndarray) -> list[float]:
    """Share of the image that a field of view covers, and share of its border that lies on one circle.

    Args:
        field: bool (height, width).
    """
    return [round(float(field.mean()), 4), round(roundness(field), 4)]


def field_remark(share: float, on_circle: float) -> str:
    """Why a computed field of view is implausible, or "".

    Args:
        share: Share of the image that it covers.
        on_circle: Share of its border that lies on one circle.
    """
    if share >= _WHOLE or (share >= _MIN_FIELD and on_circle >= _MIN_ROUND):
        return ""
    return (
        f"the computed field of view covers {share:.0%} of the image, and {on_circle:.0%} of its border lie on a "
        "circle: look at it (f2vbench data check … fields=folder), and give a mask of the field if it is wrong"
    )


def orientation_problem(
    rgb: np.ndarray, mask: np.ndarray, photograph_orientation: int, mask_orientation: int
) -> tuple[str, bool]:
    """Whether a mask is turned against its photograph because only one of the two files has an EXIF orientation.

    Args:
        rgb: uint8 (height, width, 3), the upright photograph.
        mask: bool (height, width), the upright vessel mask.
        photograph_orientation: EXIF orientation of the photograph's file; 1 for none.
        mask_orientation: EXIF orientation of the mask's file.

    Returns:
        A sentence, "" if the orientations are equal; and whether the mask fits clearly better when it is turned.
    """
    if photograph_orientation == mask_orientation:
        return "", False
    turns = (
        f"the photograph has the EXIF orientation {photograph_orientation} and the mask {mask_orientation}; both are "
        "read upright"
    )
    if mask_orientation == 1:
        other = turned(mask, photograph_orientation)
    elif photograph_orientation == 1:
        other = turned(mask, inverse(mask_orientation))
    else:
        return f"{turns}: check that they fit", False
    if other.shape != mask.shape:
        return f"{turns}: check that they fit", False
    if _vessel_contrast(rgb, other) > _vessel_contrast(rgb, mask) + _CLEAR:
        return f"{turns}, but the vessels fit the pixels as stored: save both files upright, without EXIF", True
    return f"{turns}: check that the mask was not drawn on the pixels as stored", False


def inverse(orientation: int) -> int:
    """The EXIF orientation that undoes another one."""
    return {6: 8, 8: 6}.get(orientation, orientation)


def photograph_measures(rgb: np.ndarray, field: np.ndarray | None) -> dict[str, Any]:
    """JSON-compatible measures of a photograph for the cache: whether it is blank, and of its computed field.

    Args:
        rgb: uint8 (height, width, 3).
        field: The computed field of view, bool (height, width); None if a file gives it.
    """
    return {"blank": is_blank(rgb), "field": None if field is None else field_measures(field)}


def _range(colours: np.ndarray) -> float:
    """Largest difference of a channel between the 1st and the 99th percentile of colours (n, 3)."""
    low, high = np.percentile(colours, (1, 99), axis=0)
    return float((high - low).max())


def _vessel_contrast(rgb: np.ndarray, mask: np.ndarray) -> float:
    """How much darker the masked pixels are than their surroundings in green, in standard deviations."""
    green = rgb[..., 1].astype(np.float32)
    detail = green - cv2.GaussianBlur(green, (0, 0), max(rgb.shape[:2]) / 40)
    inside = cv2.erode(field_of_view(rgb).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    vessel, other = detail[inside & mask], detail[inside & ~mask]
    spread = float(detail[inside].std()) if inside.any() else 0.0
    return 0.0 if not vessel.size or not other.size or not spread else float(other.mean() - vessel.mean()) / spread
