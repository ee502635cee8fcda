"""Finding the same photograph in other clothes: re-encoded, resized, or cropped to its field of view.

A photograph's *appearance* is 210 numbers: the middle of the square around the field of view, so large that the rim of
the disc stays outside, at 68 × 68 pixels of the green channel (where vessels are darkest), without its slow changes
of brightness, at an even contrast (so that a reflex of the camera is no more than a vessel), faded out at the edges, as
the lower frequencies of its cosine transform. Two photographs are alike when the correlation of these numbers is above
`MIN_CORRELATION`.
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
"""Measured on 1,274 photographs of ODIR-5K and 115 of RITE, CHASE_DB1, HRF and LES-AV; docs/data.md has the numbers."""

# Raise it when appearances change: what was remembered is then made again.
APPEARANCE_VERSION = 1

_LARGEST = 512  # the field of view is searched in so small a copy
_SQUARE, _MIDDLE = 96, slice(14, 82)
_SLOW, _NEAR = 8.0, 6.0  # blurs that tell brightness and contrast around a place, pixels of the square
_NOISE = 2.0  # grey levels of contrast that are not amplified
_LOWEST, _HIGHEST = 2, 16  # radius in the cosine transform
_LEAST_CONTRAST = 0.25  # grey levels, over the whole middle: black and blank frames have less
_BLOCK = 2048

_RADIUS = np.hypot(*np.mgrid[:_HIGHEST, :_HIGHEST])
_KEPT = (_RADIUS >= _LOWEST) & (_RADIUS < _HIGHEST)


def appearance(rgb: np.ndarray) -> str:
    """The appearance of a photograph (uint8, height × width × 3) as text; "" where it shows no detail at all."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _LARGEST / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    square = SquareView.around(field_of_view(rgb)).crop(np.ascontiguousarray(rgb[..., 1]), _SQUARE)
    middle = square[_MIDDLE, _MIDDLE].astype(np.float32)
    detail = middle - cv2.GaussianBlur(middle, (0, 0), _SLOW)
    if detail.std() < _LEAST_CONTRAST:
        return ""
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _NEAR))
    window = np.hanning(middle.shape[0] + 2)[1:-1].astype(np.float32)
    spectrum = dctn(detail / (contrast + _NOISE) * window[:, None] * window, norm="ortho")[:_HIGHEST, :_HIGHEST]
    weighted = (spectrum * np.sqrt(_RADIUS))[_KEPT]  # what is fine tells photographs apart, but is weak
    return base64.b64encode(np.rint(127 * weighted / np.abs(weighted).max()).astype(np.int8).tobytes()).decode()


def is_appearance(text: object) -> bool:
    """Whether this is what `appearance` gives."""
    if not isinstance(text, str):
        return False
    try:
        return len(base64.b64decode(text, validate=True)) in (0, int(_KEPT.sum()))
    except (ValueError, binascii.Error):
        return False


def near_duplicate_pairs(
    appearances: Sequence[str], threshold: float = MIN_CORRELATION
) -> Iterator[tuple[int, int, float]]:
    """Positions (i < j) and correlation of every pair above the threshold, in order; "" is like nothing.

    All pairs are compared, 100,000 photographs in about a minute of a core and 100 MB.
    """
    there = [position for position, text in enumerate(appearances) if text]
    if not there:
        return
    codes = np.stack([np.frombuffer(base64.b64decode(appearances[position]), np.int8) for position in there])
    units = codes.astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    for top in range(0, len(units), _BLOCK):
        found: list[tuple[int, int, float]] = []
        for left in range(top, len(units), _BLOCK):
            likeness = units[top : top + _BLOCK] @ units[left : left + _BLOCK].T
            for row, column in np.argwhere(likeness > threshold).tolist():
                if top + row < left + column:
                    found.append((there[top + row], there[left + column], float(likeness[row, column])))
        yield from sorted(found)
