"""The field of view: the illuminated part of a fundus photograph or angiogram."""

from __future__ import annotations

import cv2
import numpy as np

# Raise it when `field_of_view` changes: features of photographs without a given mask are then made again.
FIELD_OF_VIEW_VERSION = 1


# The field of view is searched in a small copy: half a pixel of it is 0.4 % of the disc's radius.
_WORKING_EDGE = 256


# Where to cut between the darkest and the bright part of a photograph; rims are dark, so low cuts first.
_CUTS = (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28)


# The inner side of the border must be brighter than its outer side by this factor, or there is no border.
# The real borders tried had 3 to 30, borders found in crops without any at most 1.1.
_LEAST_CONTRAST = 1.2


_PIXEL = np.ones((3, 3), np.uint8)


def field_of_view(rgb: np.ndarray) -> np.ndarray:
    """The illuminated part of a photograph: bool (height, width) for uint8 (height, width, 3).

    Several brightness cuts are tried; each gives its largest connected region with holes filled, thin frames
    and text opened away. The region wins whose border is the sharpest nearly all along, so a dark rim does not
    shrink it. Where no region has a border, the photograph is a crop that is illuminated everywhere (or has
    no light at all), and all of it is True.
    """
    height, width = rgb.shape[:2]
    brightness = _small_brightness(rgb)
    dark, bright = np.percentile(brightness, (1, 90))
    best, best_contrast = None, _LEAST_CONTRAST
    for cut in _CUTS:
        region = _region_above(brightness, dark + cut * (bright - dark))
        contrast = 0.0 if region is None else _border_contrast(brightness, region)
        if contrast > best_contrast:
            best, best_contrast = region, contrast
    if best is None:
        return np.ones((height, width), bool)
    return cv2.resize(best.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def angiogram_field(frames: np.ndarray) -> np.ndarray:
    """The part of the picture that an angiogram shows, bool (h, w) for uint8 frames (t, h, w).

    `field_of_view` of the brightest value that each pixel takes, so that frames before the dye comes don't count.
    """
    return field_of_view(np.repeat(frames.max(axis=0)[..., None], 3, axis=2))


def _small_brightness(rgb: np.ndarray) -> np.ndarray:
    """Brightest channel of a copy with edges of at most `_WORKING_EDGE`, strokes and noise smoothed away."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    red, green, blue = cv2.split(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    return cv2.medianBlur(cv2.max(cv2.max(red, green), blue), 5)


def _region_above(brightness: np.ndarray, cut: float) -> np.ndarray | None:
    """The largest region brighter than ``cut``, holes filled, as uint8 0/1; None if nothing is brighter."""
    radius = max(1, round(0.02 * max(brightness.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx((brightness > cut).astype(np.uint8), cv2.MORPH_OPEN, disc)
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(opened), [largest], -1, 1, cv2.FILLED)


def _border_contrast(brightness: np.ndarray, region: np.ndarray) -> float:
    """How much brighter the inner side of the region's border is than its outer side, nearly all along.

    The tenth percentile of the inner side over the ninetieth of the outer side; the pixels on the border
    itself count on neither side, nor do borders that the image's edge cuts off. 0 without an outer side.
    """
    inner, outer = cv2.erode(region, _PIXEL), cv2.dilate(region, _PIXEL)
    inside = brightness[(inner > cv2.erode(inner, _PIXEL, iterations=2))]
    outside = brightness[(outer < cv2.dilate(outer, _PIXEL, iterations=2))]
    if not inside.size or not outside.size:
        return 0.0
    # The 4 grey levels keep sensor noise in a black surround from looking like contrast.
    return float((np.percentile(inside, 10) + 4) / (np.percentile(outside, 90) + 4))
