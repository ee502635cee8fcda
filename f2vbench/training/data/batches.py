"""Videos in batches: order, sharing out between processes, and what a step needs of each video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from f2vbench.errors import DataError
from f2vbench.training.frame_windows import knowledge_mask


@dataclass(frozen=True)
class VideoBatch:
    """Some videos.

    Attributes:
        indices: of the videos in their data set.
        photograph: (n, 3, h, w) in [−1, 1].
        frames: (n, t, h, w) in [−1, 1]; t is 0 for photographs alone.
        inside: (n, 1, h, w) of 0 and 1: the field of view.
        mask: (n, 1, h, w) of 0 and 1: where the mask-guided losses look.
    """

    indices: tuple[int, ...]
    cases: tuple[str, ...]
    photograph: Tensor
    frames: Tensor
    inside: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> VideoBatch:
        moved = (part.to(device, non_blocking=True) for part in (self.photograph, self.frames, self.inside, self.mask))
        return VideoBatch(self.indices, self.cases, *moved)


def epoch_order(videos: int, batch: int, seed: int, epoch: int) -> list[list[int]]:
    """Batches of an epoch: every video once in an order of that epoch's own, an incomplete last batch left out.

    Raises:
        DataError: fewer videos than one batch.
    """
    if videos < batch:
        raise DataError(f"{videos} training videos don't fill one batch of batch_size={batch}: lower it, or add videos")
    order = np.random.default_rng([seed, epoch]).permutation(videos).tolist()
    return [order[start : start + batch] for start in range(0, videos - batch + 1, batch)]


class VideoLoader:
    """Gives the videos of lists of indices, as often as asked; its workers live on between passes.

    Args:
        mask: ``knowledge``, or ``lesions`` for the labels that the videos bring.
        workers: processes that prepare videos; 0 for none but this one.
    """

    def __init__(self, dataset: Dataset[Any], mask: str = "knowledge", workers: int = 0):
        self._order: list[list[int]] = []
        self._mask = mask
        # The loader iterates over this very list anew in every pass, so changing its content changes the order.
        self._samples = DataLoader(
            dataset, batch_sampler=self._order, collate_fn=list, num_workers=workers, persistent_workers=workers > 0
        )

    def load(self, order: Sequence[Sequence[int]]) -> Iterator[VideoBatch]:
        """A batch for each list of indices.

        Raises:
            DataError: lesion labels are wanted, and a video has none; or photographs or frames hold NaN.
        """
        self._order[:] = [list(batch) for batch in order]
        for indices, samples in zip(order, self._samples, strict=True):
            yield _batch(tuple(indices), samples, self._mask)


def _batch(indices: tuple[int, ...], samples: Sequence[Any], mask: str) -> VideoBatch:
    cases = tuple(sample.case for sample in samples)
    photograph = torch.stack([sample.photograph for sample in samples])
    frames = torch.stack([sample.frames[:, 0] for sample in samples])
    for case, *images in zip(cases, photograph, frames, strict=True):
        if not all(image.isfinite().all() for image in images):
            raise DataError(f"{case}: its photograph or frames hold NaN or infinity; mend or remove this case")
    inside = torch.stack([sample.inside for sample in samples]).float()
    if mask == "lesions":
        without = [sample.case for sample in samples if sample.lesions is None]
        if without:
            raise DataError(f"{without[0]}: no lesion labels, which mask=lesions needs; use mask=knowledge")
        where = (torch.stack([sample.lesions for sample in samples]) > 0.5).float()
    else:
        where = knowledge_mask(frames) if frames.shape[1] else torch.ones_like(inside)
    return VideoBatch(indices, cases, photograph, frames, inside, where * inside)
