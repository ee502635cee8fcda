"""The field of view: the illuminated part of a fundus photograph or angiogram."""

from __future__ import annotations

import cv2
import numpy as np

FIELD_OF_VIEW_VERSION = 1
"""Version of `field_of_view`. Increase it when the result changes, so that features are computed again."""

# Edge in pixels of the reduced copy in which the field of view is searched: half a pixel is 0.4 % of the disc's radius.
_WORKING_EDGE = 256

# Brightness thresholds between the darkest and the bright part of a photograph; rims are dark, so low ones first.
_THRESHOLDS = (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28)

# A border is accepted if its inner side is brighter than its outer side by this factor. Measured: 3 to 30 for real
# borders, at most 1.1 for borders found in crops without one.
_MIN_CONTRAST = 1.2

_PIXEL = np.ones((3, 3), np.uint8)


def field_of_view(rgb: np.ndarray) -> np.ndarray:
    """Segment the illuminated part of a photograph.

    Several brightness thresholds are tried. Each gives its largest connected region, with holes filled and with thin
    frames and text removed by morphological opening. The region whose border is sharpest along nearly all of its length
    is returned, so that a dark rim does not shrink it. If no region has a border, the photograph is a crop that is
    illuminated everywhere (or nowhere), and the whole image is returned.

    Args:
        rgb: uint8 (height, width, 3).

    Returns:
        bool (height, width).
    """
    height, width = rgb.shape[:2]
    brightness = _small_brightness(rgb)
    dark, bright = np.percentile(brightness, (1, 90))
    best, best_contrast = None, _MIN_CONTRAST
    for threshold in _THRESHOLDS:
        region = _region_above(brightness, dark + threshold * (bright - dark))
        contrast = 0.0 if region is None else _border_contrast(brightness, region)
        if contrast > best_contrast:
            best, best_contrast = region, contrast
    if best is None:
        return np.ones((height, width), bool)
    return cv2.resize(best.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def angiogram_field(frames: np.ndarray) -> np.ndarray:
    """Segment the field of view of an angiogram.

    Applies `field_of_view` to the maximum of each pixel over time, so that dark frames before the dye arrives have no
    effect.

    Args:
        frames: uint8 (t, height, width).

    Returns:
        bool (height, width).
    """
    return field_of_view(np.repeat(frames.max(axis=0)[..., None], 3, axis=2))


def _small_brightness(rgb: np.ndarray) -> np.ndarray:
    """Brightest channel of a reduced copy (longer edge at most `_WORKING_EDGE`), median-filtered."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    red, green, blue = cv2.split(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    return cv2.medianBlur(cv2.max(cv2.max(red, green), blue), 5)


def _region_above(brightness: np.ndarray, threshold: float) -> np.ndarray | None:
    """The largest region brighter than the threshold, holes filled, as uint8 0/1; None if no pixel is brighter."""
    radius = max(1, round(0.02 * max(brightness.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx((brightness > threshold).astype(np.uint8), cv2.MORPH_OPEN, disc)
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(opened), [largest], -1, 1, cv2.FILLED)


def _border_contrast(brightness: np.ndarray, region: np.ndarray) -> float:
    """Ratio of brightness between the inner and the outer side of the region's border.

    Tenth percentile of the inner side over the ninetieth percentile of the outer side. Pixels on the border itself and
    where the image edge cuts the region off are excluded. 0 without an outer side.
    """
    inner, outer = cv2.erode(region, _PIXEL), cv2.dilate(region, _PIXEL)
    inside = brightness[(inner > cv2.erode(inner, _PIXEL, iterations=2))]
    outside = brightness[(outer < cv2.dilate(outer, _PIXEL, iterations=2))]
    if not inside.size or not outside.size:
        return 0.0
    # The 4 grey levels prevent sensor noise in a black surround from counting as contrast.
    return float((np.percentile(inside, 10) + 4) / (np.percentile(outside, 90) + 4))
