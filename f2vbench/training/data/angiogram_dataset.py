"""The torch data set of photographs with angiograms: selected frames, augmented, in [−1, 1]."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from f2vbench.data.shading_correction import normalised_picture
from f2vbench.training.data.augmentation import AUGMENTATIONS, Augmentation, change_colours, draw_geometry, warp
from f2vbench.training.data.image_sources import ImageSource, Selection
from f2vbench.training.data.registered_eye import RegisteredEye
from f2vbench.training.data.truth_maps import unpack_truth

_GREY = np.float32(128 / 255)


@dataclass(frozen=True)
class Sample:
    """One view of an eye. Photograph and frames are −1 where they are black, and outside the field of view.

    Attributes:
        photograph: float32 (3, s, s), RGB in [−1, 1].
        frames: float32 (frames, 1, s, s) in [−1, 1], ordered by phase and time, equally many of each phase.
        fov_mask: bool (1, s, s), the field of view.
        lesion_mask: float32 (1, s, s), 1 in a lesion, or None where lesions are not labelled.
        truth: uint8 (classes, s, s), 1 where a pixel belongs to a class of `TRUTH_CLASSES`, or None for eyes that are
            not simulated.
        case: Name of the case.
    """

    photograph: Tensor
    frames: Tensor
    fov_mask: Tensor
    lesion_mask: Tensor | None
    truth: Tensor | None
    case: str


@dataclass(frozen=True)
class LateCrop:
    """The crop size of the last epochs.

    Attributes:
        epoch: First epoch with this size, counted from 0.
        side: Side of the crops in pixels.
    """

    epoch: int
    side: int


@dataclass(frozen=True)
class View:
    """How a registered eye becomes a sample.

    Attributes:
        side: Side of the samples in pixels.
        augmentation: Ranges of the random changes.
        late_crop: Side of the samples in the last epochs, or None for ``side`` in all epochs.
        shading_correction: Normalise photographs by their local mean and contrast. They are grey, not black, outside
            the field of view.
    """

    side: int
    augmentation: Augmentation = AUGMENTATIONS["none"]
    late_crop: LateCrop | None = None
    shading_correction: bool = False

    def side_in(self, epoch: int) -> int:
        """Side of the samples in an epoch, in pixels."""
        late = self.late_crop
        return late.side if late is not None and epoch >= late.epoch else self.side


class AngiogramDataset(Dataset[Sample]):
    """The samples of one split. An item depends on seed, epoch and index alone.

    Args:
        source: The eyes.
        view: Size and augmentation of the samples.
        seed: Of frame selection and augmentation.
        epoch: int64 scalar. In shared memory, it also reaches loader processes that persist between epochs.
        cache_size: Number of eyes kept in memory before augmentation.
    """

    def __init__(self, source: ImageSource, view: View, *, seed: int, epoch: Tensor, cache_size: int = 0):
        self.source = source
        self.view = view
        self._seed = seed
        self._epoch = epoch
        self._cache_size = cache_size
        self._cache: OrderedDict[Selection, RegisteredEye] = OrderedDict()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Load and augment one sample.

        Raises:
            IndexError: There is no sample of this index.
            DataError: A file was damaged or removed after the data set was opened.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        epoch = int(self._epoch)
        rng = np.random.default_rng((self._seed, epoch, index))
        selection = self.source.select(index, epoch, rng)
        eye = self._load(selection)
        size = eye.fov_mask.shape[0]
        side, augmentation = self.view.side_in(epoch), self.view.augmentation
        eye = warp(eye, draw_geometry(augmentation, eye.fov_mask, side, rng, eye.lesion_mask), side)
        photograph = np.asarray(eye.photograph, np.float32) / 255
        photograph = change_colours(photograph, eye.fov_mask, size, augmentation, rng)
        if self.view.shading_correction:
            photograph = np.where(eye.fov_mask[..., None], photograph, _GREY)
        frames = eye.frames.astype(np.float32)
        frames *= np.float32(2 / 255)
        frames -= 1
        lesions = eye.lesion_mask
        return Sample(
            torch.from_numpy(np.ascontiguousarray(photograph.transpose(2, 0, 1)) * 2 - 1),
            torch.from_numpy(frames[:, None]),
            torch.from_numpy(eye.fov_mask[None].copy()),
            None if lesions is None else torch.from_numpy(lesions[None].astype(np.float32)),
            None if eye.truth is None else torch.from_numpy(unpack_truth(eye.truth)),
            selection.name,
        )

    def _load(self, selection: Selection) -> RegisteredEye:
        if selection in self._cache:
            self._cache.move_to_end(selection)
            return self._cache[selection]
        eye = selection.load()
        if self.view.shading_correction:
            eye = replace(eye, photograph=normalised_picture(eye.photograph, eye.fov_mask))
        if self._cache_size:
            self._cache[selection] = eye
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return eye
