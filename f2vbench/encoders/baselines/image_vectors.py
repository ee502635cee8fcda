"""Embeddings without training: pixels of a thumbnail, or colour and simple texture. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import Photo, rgb_images
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError

_THUMBNAIL_SIDE = 32
_SIDE = 256
_BINS = 16
_LAB_RANGES = ((0.0, 100.0), (-20.0, 60.0), (-20.0, 80.0))  # CIELAB values of fundus photographs
_SCALES = (1, 2, 4)
_NEIGHBOURS, _PATTERNS = 8, 10
_QUANTILES = (0.5, 0.9, 0.99)

Image = NDArray[np.uint8]
Vector = NDArray[np.float32]


class VectorBaseline:
    """A training-free embedding.

    Args:
        name: `thumbnail` or `colour`.

    Raises:
        SettingsError: No baseline has this name.
    """

    def __init__(self, name: str):
        if name not in _VECTORS:
            raise SettingsError(f"no vector baseline named {name!r}: there are {', '.join(_VECTORS)}")
        self.name = name
        self._vector = _VECTORS[name]

    def embed(self, images: Sequence[Photo], crops: Sequence[bool] | None = None) -> Vector:
        """One embedding for each photograph, like `f2vbench.encoders.base.Encoder.embed`.

        Args:
            images: uint8 (h, w, 3) RGB arrays, Pillow images or paths, sizes may differ.
            crops: Whether the field of view of each image is looked for; None for all.

        Returns:
            float32 (n, width).

        Raises:
            DataError: There is no image, or an image has another shape or type.
        """
        arrays = rgb_images(images)
        if not arrays:
            raise DataError("a baseline needs at least one photograph to embed")
        kept = crops if crops is not None else [True] * len(arrays)
        return np.stack([self._vector(array, has_field) for array, has_field in zip(arrays, kept, strict=True)])


def load_vector_baseline(spec: ModelSpec) -> VectorBaseline:
    """The embedding of a baseline family."""
    return VectorBaseline(spec.family)


def thumbnail(image: Image, has_field: bool = True) -> Vector:
    """RGB pixels of a 32 × 32 copy of a photograph (area averages where it shrinks).

    Args:
        image: uint8 (h, w, 3) RGB.
        has_field: Not used.

    Returns:
        (3072,) in [0, 1].
    """
    small = cv2.resize(image, (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    pixels: Vector = small.astype(np.float32).ravel() / np.float32(255)
    return pixels


def colour_and_texture(image: Image, has_field: bool = True) -> Vector:
    """Colour histograms and simple texture inside the field of view, on a square of 256 px.

    54 numbers on colour: for L*, a* and b* (CIELAB, D65) the shares of 16 bins each (L* 0 to 100, a* −20 to 60, b* −20
    to 80; the first and last bin include values beyond), then the three means and the three standard deviations,
    divided by 100. 39 numbers on texture: for the green channel at 256, 128 and 64 px the shares of the 10 uniform
    rotation-invariant local binary patterns (Ojala et al. 2002; 8 neighbours, radius 1), and the median, 90th and 99th
    percentile of the gradient magnitude (central differences, full scale 1), both away from the border of the field.

    Args:
        image: uint8 (h, w, 3) RGB.
        has_field: Whether it has a round field of view; if not, the whole image counts.

    Returns:
        (93,).
    """
    from skimage.color import rgb2lab

    whole = np.ones(image.shape[:2], bool)
    square = SquareView.around(field_of_view(image) if has_field else whole).crop(image, _SIDE)
    fov = field_of_view(square) if has_field else np.ones((_SIDE, _SIDE), bool)
    lab = rgb2lab(square)[fov]
    parts = [_histogram(lab[:, channel], *limits) for channel, limits in enumerate(_LAB_RANGES)]
    parts += [lab.mean(0) / 100, lab.std(0) / 100]
    for scale in _SCALES:
        size = (_SIDE // scale, _SIDE // scale)
        green = cv2.resize(square[..., 1], size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        parts.append(_texture(green, fov[scale // 2 :: scale, scale // 2 :: scale]))
    return np.concatenate(parts).astype(np.float32)


def _histogram(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Share of the values in each bin; the first and last bin include values beyond."""
    bins = np.floor((values - low) / (high - low) * _BINS)
    return np.bincount(np.clip(bins, 0, _BINS - 1).astype(np.int64), minlength=_BINS) / len(values)


def _texture(green: NDArray[np.uint8], fov: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shares of local binary patterns, and quantiles of the gradient, away from the border of the field of view."""
    inside = cv2.erode(fov.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if not inside.any():  # a field of a few pixels has no inside
        inside = fov
    from skimage.feature import local_binary_pattern

    codes = local_binary_pattern(green, _NEIGHBOURS, 1, method="uniform")[inside].astype(np.int64)
    rows, columns = np.gradient(green.astype(np.float64) / 255)
    shares = np.bincount(codes, minlength=_PATTERNS) / len(codes)
    return np.concatenate([shares, np.quantile(np.hypot(rows, columns)[inside], _QUANTILES)])


_VECTORS: dict[str, Callable[[Image, bool], Vector]] = {"thumbnail": thumbnail, "colour": colour_and_texture}
