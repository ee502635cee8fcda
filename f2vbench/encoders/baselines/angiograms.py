"""Angiograms that no network of ours makes: baselines that learn nothing, and folders of precomputed frames.

Each has ``video(name, rgb, inside)``, uint8 (t, h, w) on the photograph's own pixels. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.square_crop import SquareView
from f2vbench.data.video_folders import read_grey, read_video_folder
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError

FRAMES = 12
_MEAN_SIDE = 256  # px: eyes lie differently, so nothing finer is left of their mean

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class StillVideo:
    """The photograph's green channel, as it is or inverted, as each of the 12 frames."""

    def __init__(self, inverted: bool):
        self._inverted = inverted

    def video(self, name: str, rgb: Bytes, inside: Mask) -> Bytes:
        """uint8 (12, h, w), black outside the field of view."""
        green = 255 - rgb[..., 1] if self._inverted else rgb[..., 1]
        return np.repeat((green * inside)[None], FRAMES, axis=0)


class MeanVideo:
    """The mean angiogram of other eyes, brought to the field of view of the photograph."""

    def __init__(self) -> None:
        self._mean: NDArray[np.float32] | None = None

    def fit(self, angiograms: Iterable[tuple[NDArray[np.float32], Mask]]) -> None:
        """Average frames (12, h, w) in [0, 1] over the squares around their fields of view.

        Raises:
            DataError: there are none.
        """
        total = np.zeros((FRAMES, _MEAN_SIDE, _MEAN_SIDE))
        count = 0
        for frames, inside in angiograms:
            view = SquareView.around(inside)
            total += [view.crop(frame * inside, _MEAN_SIDE) for frame in frames]
            count += 1
        if not count:
            raise DataError("mean-video: there is no angiogram outside the test part to average")
        self._mean = np.clip(total / count, 0, 1).astype(np.float32)

    def video(self, name: str, rgb: Bytes, inside: Mask) -> Bytes:
        """uint8 (12, h, w), black outside the field of view."""
        if self._mean is None:
            raise RuntimeError("mean-video has to be fitted first")
        view = SquareView.around(inside)
        return np.stack([np.rint(255 * view.restore(frame) * inside).astype(np.uint8) for frame in self._mean])


class PrecomputedVideos:
    """Frames that any generator has made, ``<folder>/<case>/<frame>.png``, on the photographs' own pixels."""

    def __init__(self, folder: str | Path):
        self._folder = read_video_folder(folder)

    def video(self, name: str, rgb: Bytes, inside: Mask) -> Bytes:
        """uint8 (t, h, w) of the case called ``name``.

        Raises:
            DataError: the folder has no such case, or frames that can't be read or have not the photograph's size.
        """
        if name not in self._folder.cases:
            raise DataError(f"{self._folder.path}: has no case {name}")
        files = self._folder.frames[self._folder.cases.index(name)]
        frames = []
        for file in files:
            frame = read_grey(file)
            if frame.shape != inside.shape:
                raise DataError(
                    f"{file}: {frame.shape[1]} × {frame.shape[0]} pixels, but the photograph has {inside.shape[1]} × "
                    f"{inside.shape[0]}: frames must lie on its own pixels (f2vbench generate … restore=yes)"
                )
            frames.append(np.rint(255 * frame).astype(np.uint8))
        return np.stack(frames)


_BASELINES: dict[str, Callable[[], StillVideo | MeanVideo]] = {
    "still": lambda: StillVideo(inverted=False),
    "still-inverted": lambda: StillVideo(inverted=True),
    "mean-video": MeanVideo,
}


def load_videos(spec: ModelSpec) -> StillVideo | MeanVideo | PrecomputedVideos:
    """The frames of a folder, or the baseline of a family.

    Raises:
        DataError: the folder holds no frames.
    """
    return _BASELINES[spec.family]() if spec.folder is None else PrecomputedVideos(spec.folder)
