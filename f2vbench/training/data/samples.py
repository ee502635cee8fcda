"""Photographs and angiograms as the trainer takes them: chosen frames, augmented, in [−1, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from f2vbench.data.shading_correction import normalised_picture
from f2vbench.training.data.augmentation import Augmentation, change_colours, draw_geometry, warp
from f2vbench.training.data.case_images import RegisteredEye
from f2vbench.training.data.sources import Source


@dataclass(frozen=True)
class Sample:
    """One eye, seen in one view; −1 in photograph and frames is black, and so is all outside the field of view.

    Attributes:
        photograph: float32 (3, s, s), RGB in [−1, 1].
        frames: float32 (frames, 1, s, s) in [−1, 1]: equally many of each phase, by phase and time.
        inside: bool (1, s, s), the field of view.
        lesions: float32 (1, s, s), 1 in a lesion, or None where they are not known.
        case: its name.
    """

    photograph: Tensor
    frames: Tensor
    inside: Tensor
    lesions: Tensor | None
    case: str


@dataclass(frozen=True)
class SampleBatch:
    """Samples of one size, stacked: (n, 3, s, s), (n, frames, 1, s, s), (n, 1, s, s), and n names.

    ``lesions`` is None unless they are known for every sample.
    """

    photograph: Tensor
    frames: Tensor
    inside: Tensor
    lesions: Tensor | None
    case: tuple[str, ...]


def collate(samples: Sequence[Sample]) -> SampleBatch:
    """Stack samples of one size; for `DataLoader(collate_fn=collate)`."""
    lesions = [sample.lesions for sample in samples if sample.lesions is not None]
    return SampleBatch(
        torch.stack([sample.photograph for sample in samples]),
        torch.stack([sample.frames for sample in samples]),
        torch.stack([sample.inside for sample in samples]),
        torch.stack(lesions) if len(lesions) == len(samples) else None,
        tuple(sample.case for sample in samples),
    )


class AngiogramDataset(Dataset[Sample]):
    """Samples of one part of a data set; an item depends on seed, epoch and index alone.

    Args:
        source: where eyes come from.
        side: of the samples, px: the source's size, or less for crops.
        seed: of frame choice and augmentation.
        epoch: int64 scalar in shared memory, so that workers that outlive an epoch learn of the next.
        keep: how many eyes to keep in memory as they are before augmentation.
        late: an epoch, and the side of the samples from then on.
        normalised: photographs without their shading, 0 outside the field of view.
    """

    def __init__(
        self,
        source: Source,
        *,
        side: int,
        augmentation: Augmentation,
        seed: int,
        epoch: Tensor,
        keep: int = 0,
        late: tuple[int, int] | None = None,
        normalised: bool = False,
    ):
        self.source = source
        self.side = side
        self.augmentation = augmentation
        self._seed = seed
        self._epoch = epoch
        self._keep = keep
        self._late = late
        self._normalised = normalised
        self._kept: OrderedDict[object, RegisteredEye] = OrderedDict()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Raises DataError where a file has been damaged or removed since the data set was opened."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        epoch = int(self._epoch)
        draw = np.random.default_rng((self._seed, epoch, index))
        choice = self.source.choose(index, epoch, draw)
        eye = self._eye(choice)
        size = eye.inside.shape[0]
        side = self._late[1] if self._late is not None and epoch >= self._late[0] else self.side
        eye = warp(eye, draw_geometry(self.augmentation, eye.inside, side, draw), side)
        photograph = np.asarray(eye.photograph, np.float32) / 255
        photograph = change_colours(photograph, eye.inside, size, self.augmentation, draw)
        if self._normalised:
            photograph = np.where(eye.inside[..., None], photograph, np.float32(128 / 255))
        return Sample(
            torch.from_numpy(np.ascontiguousarray(photograph.transpose(2, 0, 1)) * 2 - 1),
            torch.from_numpy(np.asarray(eye.frames, np.float32)[:, None] * np.float32(2 / 255) - 1),
            torch.from_numpy(eye.inside[None].copy()),
            None if eye.lesions is None else torch.from_numpy(eye.lesions[None].astype(np.float32)),
            self.source.name(choice),
        )

    def _eye(self, choice: object) -> RegisteredEye:
        if choice in self._kept:
            self._kept.move_to_end(choice)
            return self._kept[choice]
        eye = self.source.read(choice)
        if self._normalised:
            eye = replace(eye, photograph=normalised_picture(eye.photograph, eye.inside))
        if self._keep:
            self._kept[choice] = eye
            if len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return eye
