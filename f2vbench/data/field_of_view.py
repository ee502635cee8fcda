"""The field of view: the illuminated part of a fundus photograph or angiogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

FIELD_OF_VIEW_VERSION = 2
"""Version of `field_of_view`. Increase it when the result changes, so that features are computed again."""

# Edge in pixels of the reduced copy in which the field of view is searched: half a pixel is 0.4 % of the disc's radius.
_WORKING_EDGE = 256

# Thresholds between the darkest and the bright part of a photograph; rims are dark, so low ones first.
_THRESHOLDS = (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28)
_HIGH_THRESHOLDS = (*_THRESHOLDS, 0.36, 0.45)

# A border is accepted if its inner side is brighter than its outer side by this factor. Measured: 3 to 30 for real
# borders, at most 1.1 for borders found in crops without one.
_MIN_CONTRAST = 1.2

# Share of the border that lies on one circle: 0.6 and more for fields that are cut at two sides, below 0.4 for
# rectangles such as the frame of a slide.
_MIN_ROUND = 0.5
_CIRCLE_TOLERANCE = 0.02  # of the radius
_CIRCLE_TRIALS = 200
_CIRCLE_POINTS = 256  # of the border, which are compared with each trial
_MIN_ROUND_AREA = 0.2  # of the image; an optic disc is round, too

_PIXEL = np.ones((3, 3), np.uint8)

WHOLE, REGION = "whole", "region"
"""Kinds of fields that are not round; "" is the round field of a fundus camera."""

_NAMES = {WHOLE: "whole", REGION: f"region-{FIELD_OF_VIEW_VERSION}"}


def kind_of_field(row: Any) -> str:
    """The kind of field in the column ``field`` of a row of an index (a Series or a named tuple); "" without it."""
    kind = getattr(row, "field", "")
    return str(kind) if kind in _NAMES else ""


def field_name(kind: str) -> str:
    """How a kind of field is computed, for the identity of features: computed-2, whole or region-2."""
    return _NAMES.get(kind, f"computed-{FIELD_OF_VIEW_VERSION}")


def field_of_kind(rgb: np.ndarray, kind: str) -> np.ndarray:
    """The field of an image: a round one, the whole image (OCT), or a region of any shape (ultra-widefield).

    The region is the largest one with the sharpest border in the brightest channel, because the field of
    ultra-widefield images is an oval or a rounded rectangle, with lids and lashes in it; without a border it is the
    whole image.

    Args:
        rgb: uint8 (height, width, 3).
        kind: "" for the round field of `field_of_view`, `WHOLE` or `REGION`.

    Returns:
        bool (height, width).
    """
    if kind == WHOLE:
        return np.ones(rgb.shape[:2], bool)
    return _field(rgb, prefers_round=kind != REGION)


def field_of_view(rgb: np.ndarray) -> np.ndarray:
    """Segment the illuminated part of a photograph.

    Several thresholds are tried on the brightest channel, on red and on the difference to the colour of the image's
    corners. Each gives its largest connected region, with holes filled and with thin frames and text removed by
    morphological opening. Of the regions whose border lies on a circle (as far as the image does not cut it off), the
    one whose border is sharpest along nearly all of its length is returned, so that neither a dark rim shrinks it nor
    the film around the field in the scan of a slide counts as retina. Without a round region, the region of the
    brightest channel with the sharpest border is returned. If no region has a border, the photograph is a crop that is
    illuminated everywhere (or nowhere), and the whole image is returned.

    Args:
        rgb: uint8 (height, width, 3).

    Returns:
        bool (height, width).
    """
    return _field(rgb, prefers_round=True)


def _field(rgb: np.ndarray, prefers_round: bool) -> np.ndarray:
    height, width = rgb.shape[:2]
    best = _sharpest_region(small_copy(rgb), prefers_round)
    if best is None:
        return np.ones((height, width), bool)
    return cv2.resize(best.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def roundness(mask: np.ndarray) -> float:
    """Share of a field's border that lies on one circle; 1 if the image cuts off the whole border.

    Args:
        mask: bool (height, width), the field of view.
    """
    height, width = mask.shape
    scale = min(1.0, _WORKING_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _share_on_circle(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT))


def small_copy(rgb: np.ndarray) -> np.ndarray:
    """Median-filtered copy whose longer edge has at most 256 pixels, uint8 (height, width, 3)."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.medianBlur(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), 5)


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


def _sharpest_region(rgb: np.ndarray, prefers_round: bool) -> np.ndarray | None:
    """The region of the field, uint8 0/1, or None if no region has a border.

    Args:
        rgb: uint8 (height, width, 3).
        prefers_round: Whether a round region of any channel comes before others of the brightest channel.
    """
    brightness = _largest_channel(rgb)
    candidates = _regions_with_border(brightness, _THRESHOLDS)
    if not prefers_round:
        return candidates[0][1] if candidates else None
    others = [(np.ascontiguousarray(rgb[..., 0]), _HIGH_THRESHOLDS), (_unlike_corners(rgb), _HIGH_THRESHOLDS)]
    of_any_channel = candidates + [each for channel in others for each in _regions_with_border(*channel)]
    for _, region in sorted(of_any_channel, key=_negative_contrast):
        if _is_round(region):
            return region
    return candidates[0][1] if candidates else None


def _regions_with_border(channel: np.ndarray, thresholds: Sequence[float]) -> list[tuple[float, np.ndarray]]:
    """Border contrast and region of each threshold whose region has a border, the sharpest first.

    Args:
        channel: uint8 (height, width).
        thresholds: Between the darkest and the bright part of the channel.
    """
    radius = max(1, round(0.02 * max(channel.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # Of grey levels once instead of each mask: a morphological opening commutes with a threshold.
    opened = cv2.morphologyEx(channel, cv2.MORPH_OPEN, disc)
    dark, bright = grey_level_percentiles(_histogram(channel), (1, 90))
    found = []
    for threshold in thresholds:
        region = _region_above(opened, dark + threshold * (bright - dark))
        contrast = 0.0 if region is None else _border_contrast(channel, region)
        if region is not None and contrast > _MIN_CONTRAST:
            found.append((contrast, region))
    return sorted(found, key=_negative_contrast)


def _negative_contrast(candidate: tuple[float, np.ndarray]) -> float:
    return -candidate[0]


def _largest_channel(rgb: np.ndarray) -> np.ndarray:
    """The largest value of each pixel, uint8 (height, width)."""
    red, green, blue = cv2.split(rgb)
    return cv2.max(cv2.max(red, green), blue)


def _unlike_corners(rgb: np.ndarray) -> np.ndarray:
    """Largest difference of a channel to the colour of the image's corners, uint8 (height, width)."""
    side = max(1, round(0.04 * max(rgb.shape)))
    corners = [
        rgb[rows, columns].reshape(-1, 3)
        for rows in (slice(None, side), slice(-side, None))
        for columns in (slice(None, side), slice(-side, None))
    ]
    colour = np.median(np.concatenate(corners), axis=0)
    difference = np.abs(np.arange(256)[:, None] - colour).astype(np.uint8)  # of each value and channel
    return _largest_channel(cv2.LUT(rgb, difference[None]))


def _is_round(region: np.ndarray) -> bool:
    return cv2.countNonZero(region) / region.size >= _MIN_ROUND_AREA and _share_on_circle(region) >= _MIN_ROUND


def _share_on_circle(region: np.ndarray) -> float:
    """Share of the border, without the part that the image cuts off, on the circle through most of its points."""
    contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0.0
    points = max(contours, key=len)[:, 0].astype(np.float64)
    free = (points > 1).all(axis=1) & (points < np.array(region.shape[::-1]) - 2).all(axis=1)
    points = points[free]
    if len(points) < 3:
        return 1.0
    points = points[:: 1 + len(points) // _CIRCLE_POINTS]
    trials = np.random.default_rng(0).integers(0, len(points), (_CIRCLE_TRIALS, 3))
    centres, radii = _circles(*points[trials].transpose(1, 0, 2))
    plausible = (radii > 0.2 * max(region.shape)) & (radii < max(region.shape))
    if not plausible.any():
        return 0.0
    centres, radii = centres[plausible], radii[plausible]
    distances = np.hypot(*(points[None] - centres[:, None]).transpose(2, 0, 1))
    on_circle = np.abs(distances - radii[:, None]) < _CIRCLE_TOLERANCE * radii[:, None]
    return float(on_circle.mean(axis=1).max())


def _circles(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and radii (n,) of the circles through three points (n, 2) each; infinite for points on a line."""
    a, b = second - first, third - first
    with np.errstate(divide="ignore", invalid="ignore"):
        denominator = 2 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
        a2, b2 = (a**2).sum(axis=1), (b**2).sum(axis=1)
        x = (b[:, 1] * a2 - a[:, 1] * b2) / denominator
        y = (a[:, 0] * b2 - b[:, 0] * a2) / denominator
        radii = np.hypot(x, y)
    return first + np.stack([x, y], axis=1), np.where(np.isfinite(radii), radii, np.inf)


def _region_above(opened: np.ndarray, threshold: float) -> np.ndarray | None:
    """The largest region brighter than the threshold, holes filled, as uint8 0/1; None if no pixel is brighter.

    Args:
        opened: uint8 (height, width), after an opening that removes thin frames and text.
        threshold: Grey level.
    """
    contours, _ = cv2.findContours((opened > threshold).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
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
    inside = _histogram(brightness, inner - cv2.erode(inner, _PIXEL, iterations=2))
    outside = _histogram(brightness, cv2.dilate(outer, _PIXEL, iterations=2) - outer)
    if not inside.any() or not outside.any():
        return 0.0
    (low,), (high,) = grey_level_percentiles(inside, (10,)), grey_level_percentiles(outside, (90,))
    # The 4 grey levels prevent sensor noise in a black surround from counting as contrast.
    return (low + 4) / (high + 4)


def _histogram(channel: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Number of pixels of each grey level, float32 (256,), where the mask is not 0."""
    return cv2.calcHist([channel], [0], mask, [256], [0, 256]).ravel()


def grey_level_percentiles(histogram: np.ndarray, percentages: Sequence[float]) -> list[float]:
    """Percentiles of grey levels, equal to those of `numpy.percentile`, from their histogram.

    Args:
        histogram: (256,), the number of pixels of each level; at least one is not 0.
        percentages: From 0 to 100.

    Examples:
        >>> histogram = np.zeros(256)
        >>> histogram[[10, 20, 30, 40]] = 1
        >>> grey_level_percentiles(histogram, (50, 90))
        [25.0, 37.0]
    """
    ends = np.cumsum(histogram.astype(np.int64))
    found = []
    for percentage in percentages:
        position = float((ends[-1] - 1) * (percentage / 100))
        share = position - int(position)
        low, high = (float(level) for level in np.searchsorted(ends, (int(position), math.ceil(position)), "right"))
        # In the two forms of NumPy's interpolation, for the same bits.
        found.append(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
    return found
