"""Embeddings that learn nothing: what an encoder's have to beat. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from f2vbench.encoders.baselines.colour_texture import colour_and_texture
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError

_THUMBNAIL_SIDE = 32

Image = NDArray[np.uint8]
Vector = NDArray[np.float32]


class VectorBaseline:
    """A training-free embedding.

    Args:
        name: ``thumbnail`` or ``colour``.

    Raises:
        SettingsError: there is no such baseline.
    """

    def __init__(self, name: str):
        if name not in _VECTORS:
            raise SettingsError(f"no vector baseline named {name!r}: there are {', '.join(_VECTORS)}")
        self.name = name
        self._vector = _VECTORS[name]

    def embed(self, images: Sequence[Image]) -> Vector:
        """One vector a photograph, as `f2vbench.encoders.base.Encoder.embed`: float32 (n, width).

        Args:
            images: uint8 (h, w, 3) RGB arrays, sizes may differ.

        Raises:
            DataError: there is none, or one has another shape or type.
        """
        if not len(images):
            raise DataError("a baseline needs at least one photograph to embed")
        for position, image in enumerate(images):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise DataError(f"image {position}: embed needs uint8 (h, w, 3) RGB, got {image.dtype} {image.shape}")
        return np.stack([self._vector(image) for image in images])


def load_vector_baseline(spec: ModelSpec) -> VectorBaseline:
    """The embeddings of a baseline family."""
    return VectorBaseline(spec.family)


def _thumbnail(image: Image) -> Vector:
    """RGB pixels in [0, 1] of a copy of 32 × 32 (averaged over areas where it shrinks), 3,072 numbers."""
    small = cv2.resize(image, (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32).ravel() / np.float32(255)


_VECTORS: dict[str, Callable[[Image], Vector]] = {"thumbnail": _thumbnail, "colour": colour_and_texture}
