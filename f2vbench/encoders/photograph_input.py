"""Photographs as networks receive them that are trained on photographs in [−1, 1], plain or without their shading."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.shading_correction import normalised_picture

_CACHE_BYTES = 1 << 27  # of corrected photographs: 170 of 512 × 512


def scaled_photographs(x: Tensor, without_shading: bool) -> Tensor:
    """Photographs in [0, 1] → [−1, 1].

    Args:
        x: (n, 3, h, w).
        without_shading: Normalise by local mean and contrast (`f2vbench.data.shading_correction`), inside the detected
            field of view; not differentiable. The last corrected photographs are kept in memory, because several models
            receive the same ones.
    """
    if not without_shading:
        return 2 * x - 1
    pictures = (255 * x.detach().float()).round_().clamp_(0, 255).to("cpu", torch.uint8).permute(0, 2, 3, 1)
    corrected = np.stack([_corrected(picture) for picture in pictures.contiguous().numpy()])
    return torch.from_numpy(corrected).permute(0, 3, 1, 2).to(x) / 127.5 - 1


class _RecentPictures:
    """Corrected photographs by the hash of the photograph; those that were not used for longest are dropped.

    Args:
        limit: Bytes of the pictures that are kept.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._bytes = 0
        self._pictures: OrderedDict[bytes, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> NDArray[np.uint8] | None:
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def put(self, key: bytes, picture: NDArray[np.uint8]) -> None:
        with self._lock:
            if key not in self._pictures:
                self._pictures[key] = picture
                self._bytes += picture.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._pictures.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._pictures.clear()
            self._bytes = 0


_recent = _RecentPictures(_CACHE_BYTES)


def forget_photographs() -> None:
    """Drop the corrected photographs that are kept in memory."""
    _recent.clear()


def _corrected(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A contiguous (h, w, 3) photograph without its shading."""
    key = hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).digest()
    corrected = _recent.get(key)
    if corrected is None:
        corrected = normalised_picture(picture, field_of_view(picture))
        _recent.put(key, corrected)
    return corrected
