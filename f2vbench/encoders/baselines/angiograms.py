"""Angiograms from no network: baselines without learning, and folders of precomputed frames. Imports no torch.

Each class has `video(name, rgb, fov)`, which returns uint8 (t, h, w) on the photograph's own pixels.
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
_MEAN_SIDE = 256  # px; eyes are not registered to each other, so their mean has no finer detail

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class StillVideo:
    """The photograph's green channel as each of the 12 frames.

    Args:
        inverted: Whether its grey levels are inverted.
    """

    def __init__(self, inverted: bool):
        self._inverted = inverted

    def video(self, name: str, rgb: Bytes, fov: Mask) -> Bytes:
        """Frames of a photograph.

        Args:
            name: The case, unused.
            rgb: uint8 (h, w, 3).
            fov: bool (h, w), True inside the field of view.

        Returns:
            uint8 (12, h, w), black outside the field of view.
        """
        green = 255 - rgb[..., 1] if self._inverted else rgb[..., 1]
        return np.repeat((green * fov)[None], FRAMES, axis=0)


class MeanVideo:
    """The mean angiogram of other eyes, resized to the field of view of the photograph."""

    def __init__(self) -> None:
        self._mean: NDArray[np.float32] | None = None

    def fit(self, angiograms: Iterable[tuple[NDArray[np.float32], Mask]]) -> None:
        """Average angiograms over the squares around their fields of view.

        Args:
            angiograms: Frames (12, h, w) in [0, 1] and field of view, bool (h, w), of each.

        Raises:
            DataError: There are none.
        """
        total = np.zeros((FRAMES, _MEAN_SIDE, _MEAN_SIDE))
        count = 0
        for frames, fov in angiograms:
            view = SquareView.around(fov)
            total += [view.crop(frame * fov, _MEAN_SIDE) for frame in frames]
            count += 1
        if not count:
            raise DataError("mean-video: there is no angiogram outside the test set to average")
        self._mean = np.clip(total / count, 0, 1).astype(np.float32)

    def video(self, name: str, rgb: Bytes, fov: Mask) -> Bytes:
        """The mean angiogram in the field of view of a photograph.

        Args:
            name: The case, unused.
            rgb: uint8 (h, w, 3), unused.
            fov: bool (h, w), True inside the field of view.

        Returns:
            uint8 (12, h, w), black outside the field of view.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if self._mean is None:
            raise RuntimeError("mean-video: call fit first")
        view = SquareView.around(fov)
        return np.stack([np.rint(255 * view.restore(frame) * fov).astype(np.uint8) for frame in self._mean])


class PrecomputedVideos:
    """Frames of any generator, `<folder>/<case>/<frame>.png`, on the photographs' own pixels.

    Args:
        folder: Folder with one folder for each case.

    Raises:
        DataError: The folder contains no frames.
    """

    def __init__(self, folder: str | Path):
        self._folder = read_video_folder(folder)

    def has(self, name: str) -> bool:
        """Whether the folder has frames of a case."""
        return name in self._folder.cases

    def video(self, name: str, rgb: Bytes, fov: Mask) -> Bytes:
        """Frames of a case.

        Args:
            name: The case.
            rgb: uint8 (h, w, 3), unused.
            fov: bool (h, w), for the size of the photograph.

        Returns:
            uint8 (t, h, w).

        Raises:
            DataError: The folder has no such case, or its frames are unreadable or not of the photograph's size.
        """
        if not self.has(name):
            raise DataError(f"{self._folder.path}: has no case {name}")
        files = self._folder.frames[self._folder.cases.index(name)]
        frames = []
        for file in files:
            frame = read_grey(file)
            if frame.shape != fov.shape:
                raise DataError(
                    f"{file}: {frame.shape[1]} × {frame.shape[0]} pixels, but the photograph has {fov.shape[1]} × "
                    f"{fov.shape[0]}: frames must have its own pixels (f2vbench generate … restore=yes)"
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

    Args:
        spec: Of kind `video`.

    Raises:
        DataError: The folder contains no frames.
    """
    return _BASELINES[spec.family]() if spec.folder is None else PrecomputedVideos(spec.folder)
