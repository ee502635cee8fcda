"""Floors that give a vector: colour and texture without learning, and networks that were never trained."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern
from torch import Tensor

from f2vbench.data.images import field_of_view
from f2vbench.data.view import SquareView
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.registry import ModelSpec
from f2vbench.errors import SettingsError

_SIDE = 256
_BINS = 16
# What CIELAB values of fundus photographs span; what lies beyond counts in the last bin of its side.
_LAB_RANGES = ((0.0, 100.0), (-20.0, 60.0), (-20.0, 80.0))
_SCALES = (1, 2, 4)
_NEIGHBOURS, _PATTERNS = 8, 10
_QUANTILES = (0.5, 0.9, 0.99)


class ColourFloor(Encoder):
    """Colour histograms and simple texture inside the field of view; nothing is learnt.

    The square around the field of view at 256 × 256, inside the field:
    for L*, a* and b* (CIELAB, D65) a histogram of 16 bins (L* 0 to 100, a* −20 to 60, b* −20 to 80; the end bins take
    what lies beyond), the mean and the standard deviation, both divided by 100: 54 numbers;
    for the green channel at 256, 128 and 64 px the shares of the 10 uniform rotation-invariant local binary patterns
    (Ojala et al. 2002, 8 neighbours, radius 1) and the median, 90th and 99th percentile of the gradient's magnitude
    (central differences, full scale 1 per px): 39 numbers.
    """

    width = 3 * (_BINS + 2) + len(_SCALES) * (_PATTERNS + len(_QUANTILES))
    channels = ()
    strides = ()
    multiple = 1
    embed_size = (_SIDE, _SIDE)

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.spec = spec

    def framed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return SquareView.around(field_of_view(image)).crop(image, _SIDE)

    def prepare(self, images: Tensor) -> Tensor:
        squares = [cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for image in _arrays(images)]
        return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)

    def pooled(self, prepared: Tensor) -> Tensor:
        return torch.from_numpy(np.stack([colour_and_texture(square) for square in _arrays(prepared)]))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        raise SettingsError(f"model={self.spec.name}: this floor gives one vector a photograph, it can't segment")


def colour_and_texture(square: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The 93 numbers of `ColourFloor` for a (256, 256, 3) uint8 square around a field of view."""
    fov = field_of_view(square)
    lab = cv2.cvtColor(square.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[fov]
    parts = [_histogram(lab[:, channel], *limits) for channel, limits in enumerate(_LAB_RANGES)]
    parts += [lab.mean(0, dtype=np.float64) / 100, lab.std(0, dtype=np.float64) / 100]
    for scale in _SCALES:
        size = (_SIDE // scale, _SIDE // scale)
        green = cv2.resize(square[..., 1], size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        parts.append(_texture(green, fov[scale // 2 :: scale, scale // 2 :: scale]))
    return np.concatenate(parts).astype(np.float32)


def _histogram(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float64]:
    """Share of the values in each bin; the end bins take what lies beyond."""
    place = np.floor((values.astype(np.float64) - low) / (high - low) * _BINS)
    return np.bincount(np.clip(place, 0, _BINS - 1).astype(np.int64), minlength=_BINS) / len(values)


def _texture(green: NDArray[np.uint8], fov: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shares of local binary patterns, and quantiles of the gradient, away from the border of the field of view."""
    inside = cv2.erode(fov.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if not inside.any():  # a field of a few pixels has no inside
        inside = fov
    codes = local_binary_pattern(green, _NEIGHBOURS, 1, method="uniform")[inside].astype(np.int64)
    rows, columns = np.gradient(green.astype(np.float64) / 255)
    shares = np.bincount(codes, minlength=_PATTERNS) / len(codes)
    return np.concatenate([shares, np.quantile(np.hypot(rows, columns)[inside], _QUANTILES)])


def _arrays(images: Tensor) -> NDArray[np.uint8]:
    """(n, h, w, 3) uint8, contiguous."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())


def load_vector_floor(spec: ModelSpec) -> Encoder:
    """``colour``, or ``random``: an untrained ResNet-18 or pix2pixHD generator, drawn from the fixed seed."""
    if spec.family == "colour":
        return ColourFloor(spec)
    if spec.architecture == "pix2pixhd":
        from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder

        encoder: Encoder = Pix2PixHDEncoder(replace(spec, family="pix2pixhd"))
    else:
        from f2vbench.encoders.timm_models import load_timm

        # timm starts the last normalisation of every residual branch at zero, which would shut all of them off.
        encoder = load_timm(replace(spec, family="timm"), zero_init_last=False)
    encoder.spec = spec
    return encoder
