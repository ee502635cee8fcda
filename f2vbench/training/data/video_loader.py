"""Batches of videos: their order in an epoch, and the tensors of a training step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from f2vbench.errors import DataError
from f2vbench.training.data.angiogram_dataset import Sample
from f2vbench.training.knowledge_mask import knowledge_mask

MaskKind = Literal["knowledge", "lesions"]


@dataclass(frozen=True)
class VideoBatch:
    """A batch of photographs with their videos.

    Attributes:
        indices: Of the videos in their data set.
        cases: Names of the cases.
        photograph: float32 (n, 3, h, w) in [−1, 1].
        frames: float32 (n, t, h, w) in [−1, 1]; t is 0 for photographs without frames.
        fov_mask: float32 (n, 1, h, w), 1 in the field of view and 0 outside.
        mask: float32 (n, 1, h, w), 1 where the mask-guided losses apply and 0 elsewhere.
        truth: float32 (n, classes, h, w), 1 where a pixel belongs to a class of `TRUTH_CLASSES`, or None where a case
            is not simulated.
    """

    indices: tuple[int, ...]
    cases: tuple[str, ...]
    photograph: Tensor
    frames: Tensor
    fov_mask: Tensor
    mask: Tensor
    truth: Tensor | None = None

    def to(self, device: torch.device) -> VideoBatch:
        """The batch on a device."""
        tensors = (self.photograph, self.frames, self.fov_mask, self.mask)
        photograph, frames, fov_mask, mask = (tensor.to(device, non_blocking=True) for tensor in tensors)
        truth = None if self.truth is None else self.truth.to(device, non_blocking=True)
        return VideoBatch(self.indices, self.cases, photograph, frames, fov_mask, mask, truth)


def epoch_batches(videos: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Indices of the batches of an epoch: each video once, in a random order; an incomplete last batch is dropped.

    Args:
        videos: Number of training videos.
        batch_size: Videos in a batch.
        seed: Of the order, together with ``epoch``.
        epoch: Counted from 0.

    Raises:
        DataError: There are fewer videos than one batch needs.
    """
    if videos < batch_size:
        raise DataError(
            f"{videos} training videos don't fill one batch of batch_size={batch_size}: lower it, or add videos"
        )
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(videos).tolist()
    return [order[start : start + batch_size] for start in range(0, videos - batch_size + 1, batch_size)]


class VideoLoader:
    """Loads batches of videos by their indices; its worker processes persist between passes.

    Args:
        dataset: Its items are `Sample` objects.
        mask: Mask of the mask-guided losses: ``knowledge`` computes it from the frames, ``lesions`` uses the lesion
            masks of the samples.
        workers: Number of worker processes; 0 to load in this process.
    """

    def __init__(self, dataset: Dataset[Sample], mask: MaskKind = "knowledge", workers: int = 0):
        self._batches: list[list[int]] = []
        self._mask = mask
        # DataLoader iterates over this list object in every pass, so new content changes the order.
        self._samples: DataLoader[Sample] = DataLoader(
            dataset, batch_sampler=self._batches, collate_fn=list, num_workers=workers, persistent_workers=workers > 0
        )

    def load(self, batches: Sequence[Sequence[int]]) -> Iterator[VideoBatch]:
        """Yield a batch for each list of indices.

        Raises:
            DataError: A sample has no lesion mask although ``mask`` is ``lesions``, or images are not finite.
        """
        self._batches[:] = [list(batch) for batch in batches]
        for indices, samples in zip(batches, self._samples, strict=True):
            yield _collate(tuple(indices), samples, self._mask)


def _collate(indices: tuple[int, ...], samples: Sequence[Sample], mask: MaskKind) -> VideoBatch:
    cases = tuple(sample.case for sample in samples)
    photograph = torch.stack([sample.photograph for sample in samples])
    frames = torch.stack([sample.frames[:, 0] for sample in samples])
    if not (photograph.sum() + frames.sum()).isfinite():  # a sum is much faster than a check of each pixel
        for case, *images in zip(cases, photograph, frames, strict=True):
            if not all(image.isfinite().all() for image in images):
                raise DataError(
                    f"{case}: its photograph or frames contain NaN or infinity; correct or remove this case"
                )
    fov_mask = torch.stack([sample.fov_mask for sample in samples]).float()
    if mask == "lesions":
        lesion_masks = [sample.lesion_mask for sample in samples if sample.lesion_mask is not None]
        if len(lesion_masks) < len(samples):
            unlabelled = next(sample.case for sample in samples if sample.lesion_mask is None)
            raise DataError(f"{unlabelled}: has no lesion mask, which mask=lesions needs; use mask=knowledge")
        guidance = (torch.stack(lesion_masks) > 0.5).float()
    else:
        guidance = knowledge_mask(frames) if frames.shape[1] else torch.ones_like(fov_mask)
    truth_maps = [sample.truth for sample in samples if sample.truth is not None]
    truth = torch.stack(truth_maps).float() if len(truth_maps) == len(samples) else None
    return VideoBatch(indices, cases, photograph, frames, fov_mask, guidance * fov_mask, truth)
