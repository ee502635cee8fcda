"""Find near-duplicates: the same photograph re-encoded, resized, or cropped to its field of view.

A photograph is described by 210 numbers, its *appearance*:

1. The green channel (in which vessels are darkest) of the square around the field of view is reduced to 96 × 96 pixels,
   and its central 68 × 68 pixels, which exclude the rim, are used.
2. Slow changes of brightness are subtracted, and the result is divided by the local contrast, so that a camera reflex
   is no stronger than a vessel.
3. The image is multiplied by a Hann window, and the low frequencies of its cosine transform are kept.

Two photographs are near-duplicates if the correlation of their appearances exceeds `MIN_CORRELATION`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from scipy.fft import dctn

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView

MIN_CORRELATION = 0.95
"""Default threshold, measured on 1,389 photographs of five data sets; see docs/reference/data-sets.md."""

APPEARANCE_VERSION = 2
"""Version of `appearance`. Increase it when the result changes, so that cached values are computed again."""

_MAX_EDGE = 512  # the field of view is searched in a copy of at most this size
_SQUARE, _MIDDLE = 96, slice(14, 82)
_BRIGHTNESS_SIGMA, _CONTRAST_SIGMA = 8.0, 6.0  # Gaussian blurs, in pixels of the square
_NOISE = 2.0  # grey levels of contrast that are not amplified
_MIN_FREQUENCY, _MAX_FREQUENCY = 2, 16  # radius in the cosine transform
_MIN_CONTRAST = 0.25  # standard deviation in grey levels; black and blank frames have less
_BLOCK = 2048

_RADIUS = np.hypot(*np.mgrid[:_MAX_FREQUENCY, :_MAX_FREQUENCY])
_KEPT = (_RADIUS >= _MIN_FREQUENCY) & (_RADIUS < _MAX_FREQUENCY)


def appearance(rgb: np.ndarray) -> str:
    """Compute the appearance of a photograph.

    Args:
        rgb: uint8 (height, width, 3).

    Returns:
        210 int8 values as base64 text, or "" if the photograph shows no detail.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, _MAX_EDGE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    square = SquareView.around(field_of_view(rgb)).crop(np.ascontiguousarray(rgb[..., 1]), _SQUARE)
    middle = square[_MIDDLE, _MIDDLE].astype(np.float32)
    detail = middle - cv2.GaussianBlur(middle, (0, 0), _BRIGHTNESS_SIGMA)
    if detail.std() < _MIN_CONTRAST:
        return ""
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _CONTRAST_SIGMA))
    window = np.hanning(middle.shape[0] + 2)[1:-1].astype(np.float32)
    spectrum = dctn(detail / (contrast + _NOISE) * window[:, None] * window, norm="ortho")
    low = spectrum[:_MAX_FREQUENCY, :_MAX_FREQUENCY]
    weighted = (low * np.sqrt(_RADIUS))[_KEPT]  # fine detail is weak, but distinguishes photographs
    return base64.b64encode(np.rint(127 * weighted / np.abs(weighted).max()).astype(np.int8).tobytes()).decode()


def is_appearance(text: object) -> bool:
    """Whether this is a result of `appearance`."""
    if not isinstance(text, str):
        return False
    try:
        return len(base64.b64decode(text, validate=True)) in (0, int(_KEPT.sum()))
    except (ValueError, binascii.Error):
        return False


def near_duplicate_pairs(
    appearances: Sequence[str], threshold: float = MIN_CORRELATION
) -> Iterator[tuple[int, int, float]]:
    """Find the pairs of near-duplicates.

    All pairs are compared: 100,000 photographs take about a minute on one core and 100 MB.

    Args:
        appearances: Results of `appearance`; "" has no near-duplicates.
        threshold: Correlation above which two photographs are near-duplicates.

    Yields:
        Positions (i < j) and correlation of every pair, sorted.
    """
    positions = [position for position, text in enumerate(appearances) if text]
    if not positions:
        return
    codes = np.stack([np.frombuffer(base64.b64decode(appearances[position]), np.int8) for position in positions])
    units = codes.astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    for top in range(0, len(units), _BLOCK):
        found: list[tuple[int, int, float]] = []
        for left in range(top, len(units), _BLOCK):
            correlation = units[top : top + _BLOCK] @ units[left : left + _BLOCK].T
            for row, column in np.argwhere(correlation > threshold).tolist():
                if top + row < left + column:
                    found.append((positions[top + row], positions[left + column], float(correlation[row, column])))
        yield from sorted(found)
