"""Find near-duplicates: the same photograph re-encoded, retouched, resized, cropped, mirrored or turned.

A photograph is described by 126 complex numbers, its *appearance*:

1. The green channel (in which vessels are darkest) of the square around the field of view is reduced to 96 × 96 pixels.
   Only the field of view is used, without its rim.
2. Slow changes of brightness are subtracted, and the result is divided by the local contrast, so that a camera reflex
   is no stronger than a vessel.
3. It is averaged over nine rings around the centre; the angular Fourier coefficients c(r, m) of the rings are kept.

A turn by the angle θ multiplies c(r, m) by exp(imθ), and a mirror image has the conjugate coefficients (Sheng and
Arsenault, J. Opt. Soc. Am. A 3, 1986). Two photographs are near-duplicates if the largest correlation of their
appearances over all turns and both mirror images exceeds `MIN_CORRELATION`. The correlation of the absolute values is
an upper bound of it (triangle inequality), which excludes nearly all pairs exactly and at low cost.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView

MIN_CORRELATION = 0.90
"""Default threshold, chosen on simulated eyes (`python -m benchmarks.near_duplicates`)."""

APPEARANCE_VERSION = 3
"""Version of `appearance`. Increase it when the result changes, so that cached values are computed again."""

_MAX_EDGE = 512  # the field of view is searched in a copy of at most this size
_SQUARE = 96
_RADIUS, _MARGIN = 38, 6  # of the rings and around them, in pixels of the square
_RING = 4  # distance of two rings
_WAVELENGTH = 8.5  # of the finest detail
_BRIGHTNESS_SIGMA, _CONTRAST_SIGMA = 8.0, 6.0  # Gaussian blurs, in pixels of the square
_NOISE = 2.0  # grey levels of contrast that are not amplified
_MIN_CONTRAST = 0.25  # standard deviation in grey levels; black and blank frames have less
_SAMPLES = 128  # angles at which a ring is sampled
_TURNS = 256  # angles at which two appearances are compared
_BLOCK = 2048
_CANDIDATES = 16_384  # pairs that are compared at all angles at a time
_MAX_PARTNERS = 100

_CENTRE = (_SQUARE - 1) / 2
_DISC = (np.hypot(*(np.mgrid[:_SQUARE, :_SQUARE] - _CENTRE)) <= _RADIUS + _MARGIN).astype(np.uint8)
_RINGS = np.arange(_RING, _RADIUS + 1, _RING)
_ORDERS = [np.arange(1, int(2 * np.pi * ring / _WAVELENGTH) + 1) for ring in _RINGS]
_RING_OF = np.repeat(np.arange(len(_RINGS)), [len(orders) for orders in _ORDERS])
_ORDER_OF = np.concatenate(_ORDERS)


def _ring_weights() -> np.ndarray:
    """Weights of the radii (half a pixel apart) in each ring, float64 (radii, rings); triangular, by area."""
    radii = np.arange(2 * _RADIUS) / 2
    weights = np.clip(1 - np.abs(radii[:, None] - _RINGS) / _RING, 0, None) * radii[:, None]
    scale: np.ndarray = weights / np.sqrt((weights**2 / np.maximum(radii, 0.5)[:, None]).sum(axis=0))
    return scale


_WEIGHTS = _ring_weights()
# Fine detail is weak, but distinguishes photographs; the outer rings are most sensitive to another crop.
_GAINS = np.sqrt(_ORDER_OF / _RINGS[_RING_OF]) * np.cos(np.pi / 2 * _RINGS[_RING_OF] / (_RADIUS + _RING))


class NearDuplicate(NamedTuple):
    """A pair of near-duplicates.

    Attributes:
        first: Position of one photograph.
        second: Position of the other.
        correlation: Largest correlation of the appearances, up to 1.
        mirrored: Whether the second is a mirror image (left and right exchanged) of the first, before the turn.
        turn: Angle in degrees, counter-clockwise, by which the second is turned; in (-180, 180], in steps of 1.4.
    """

    first: int
    second: int
    correlation: float
    mirrored: bool
    turn: float

    def relation(self) -> str:
        """The second photograph in words: ``mirrored horizontally``, ``turned by 7°``; "" if it is upright.

        >>> NearDuplicate(0, 1, 0.97, True, 179.0).relation()
        'mirrored vertically'
        """
        angle = round(self.turn)
        if self.mirrored and abs(angle) <= _UPRIGHT:
            return "mirrored horizontally"
        if self.mirrored and abs(angle) >= 180 - _UPRIGHT:
            return "mirrored vertically"
        turned = f"turned by {angle}°" if abs(angle) > _UPRIGHT else ""
        return f"mirrored and {turned}" if self.mirrored else turned


_UPRIGHT = 2  # degrees of turn that are not mentioned


def appearance(rgb: np.ndarray) -> str:
    """Compute the appearance of a photograph.

    Args:
        rgb: uint8 (height, width, 3).

    Returns:
        252 int8 values (real and imaginary parts in turn) as base64 text, or "" if the photograph shows no detail.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, _MAX_EDGE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    fov = field_of_view(rgb)
    view = SquareView.around(fov)
    green = view.crop(np.ascontiguousarray(rgb[..., 1]), _SQUARE).astype(np.float32)
    inside = cv2.erode(view.crop(fov, _SQUARE).astype(np.uint8), np.ones((5, 5), np.uint8)) * _DISC
    weights = inside.astype(np.float32)
    if not inside.any():
        return ""
    detail = (green - _local_mean(green, weights, _BRIGHTNESS_SIGMA)) * weights
    if detail[inside > 0].std() < _MIN_CONTRAST:
        return ""
    contrast = np.sqrt(_local_mean(detail * detail, weights, _CONTRAST_SIGMA))
    polar = cv2.warpPolar(
        detail / (contrast + _NOISE),
        (2 * _RADIUS, _SAMPLES),
        (_CENTRE, _CENTRE),
        _RADIUS,
        cv2.WARP_POLAR_LINEAR + cv2.INTER_LINEAR,
    )
    spectrum = np.fft.rfft(polar, axis=0) @ _WEIGHTS
    kept = spectrum[_ORDER_OF, _RING_OF] * _GAINS
    values = np.stack([kept.real, kept.imag], axis=1).ravel()
    largest = np.abs(values).max()
    if largest == 0:
        return ""
    return base64.b64encode(np.rint(127 * values / largest).astype(np.int8).tobytes()).decode()


def _local_mean(image: np.ndarray, weights: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of the pixels with weight, float32 (height, width); 0 far from them."""
    total = cv2.GaussianBlur(image * weights, (0, 0), sigma)
    mean: np.ndarray = total / np.maximum(cv2.GaussianBlur(weights, (0, 0), sigma), 1e-3)
    return mean


def is_appearance(text: object) -> bool:
    """Whether this is a result of `appearance`."""
    if not isinstance(text, str):
        return False
    try:
        return len(base64.b64decode(text, validate=True)) in (0, 2 * len(_ORDER_OF))
    except (ValueError, binascii.Error):
        return False


def near_duplicate_pairs(
    appearances: Sequence[str], threshold: float = MIN_CORRELATION, others: Sequence[str] | None = None
) -> Iterator[NearDuplicate]:
    """Find the pairs of near-duplicates.

    All pairs are compared. Memory is linear in the number of photographs; see `benchmarks.near_duplicates` for times.

    Args:
        appearances: Results of `appearance`; "" has no near-duplicates.
        threshold: Correlation above which two photographs are near-duplicates.
        others: Appearances to compare with, instead of the pairs among ``appearances``.

    Yields:
        Every pair, sorted by position; of a photograph with more than 100 later near-duplicates, the first 100. Without
        ``others``, first < second; otherwise the second is a position in ``others``.
    """
    first_positions, first = _decode(appearances)
    second_positions, second = (first_positions, first) if others is None else _decode(others)
    first_size, second_size = np.abs(first), np.abs(second)
    for top in range(0, len(first), _BLOCK):
        found: list[NearDuplicate] = []
        open_rows = np.full(len(first[top : top + _BLOCK]), _MAX_PARTNERS)
        for left in range(top if others is None else 0, len(second), _BLOCK):
            bound = first_size[top : top + _BLOCK] @ second_size[left : left + _BLOCK].T
            rows, columns = np.nonzero((bound > threshold) & (open_rows > 0)[:, None])
            if others is None:
                rows, columns = rows[top + rows < left + columns], columns[top + rows < left + columns]
            for start in range(0, len(rows), _CANDIDATES):
                part = slice(start, start + _CANDIDATES)
                one, other = rows[part] + top, columns[part] + left
                for at, correlation, mirrored, turn in _compare(first[one], second[other], threshold):
                    if open_rows[rows[start + at]] > 0:
                        open_rows[rows[start + at]] -= 1
                        positions = first_positions[one[at]], second_positions[other[at]]
                        found.append(NearDuplicate(*positions, correlation, mirrored, turn))
        yield from sorted(found)


def _decode(appearances: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """Positions of the photographs with an appearance, and their coefficients with norm 1, complex64 (n, 126)."""
    positions = [position for position, text in enumerate(appearances) if text]
    parts = np.zeros((len(positions), 2 * len(_ORDER_OF)), np.float32)
    for row, position in enumerate(positions):
        parts[row] = np.frombuffer(base64.b64decode(appearances[position]), np.int8)
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    return positions, parts.view(np.complex64)


# Coefficients by order, so that the products of one order are adjacent, and the cosine and sine of every turn.
_BY_ORDER = np.argsort(_ORDER_OF, kind="stable")
_STARTS = np.searchsorted(_ORDER_OF[_BY_ORDER], np.arange(1, _ORDER_OF.max() + 1))
_PHASES = 2 * np.pi / _TURNS * np.arange(1, _ORDER_OF.max() + 1)[:, None] * np.arange(_TURNS)
_COSINES, _SINES = np.cos(_PHASES).astype(np.float32), np.sin(_PHASES).astype(np.float32)


def _compare(first: np.ndarray, second: np.ndarray, threshold: float) -> Iterator[tuple[int, float, bool, float]]:
    """Row, correlation, mirror image and turn of the pairs (complex64 (n, 126) each) above the threshold, by row."""
    first, second = first[:, _BY_ORDER], second[:, _BY_ORDER]
    best = np.full(len(first), -2.0, np.float32)
    angle, mirror = np.zeros(len(first), np.int64), np.zeros(len(first), bool)
    for mirrored in (False, True):
        products = np.add.reduceat(first * (second if mirrored else second.conj()), _STARTS, axis=1)
        alike = np.abs(products).sum(axis=1) > threshold  # a closer bound
        correlation = products[alike].real @ _COSINES - products[alike].imag @ _SINES
        rows = np.flatnonzero(alike)
        highest = correlation.argmax(axis=1)
        value = correlation[np.arange(len(rows)), highest]
        better = value > best[rows]
        rows = rows[better]
        best[rows], angle[rows], mirror[rows] = value[better], highest[better], mirrored
    for row in np.flatnonzero(best > threshold).tolist():
        degrees = 360 / _TURNS * int(angle[row])
        degrees = 180 - degrees if mirror[row] else degrees  # the conjugate is mirrored top to bottom
        yield row, min(1.0, float(best[row])), bool(mirror[row]), 180 - (180 - degrees) % 360
