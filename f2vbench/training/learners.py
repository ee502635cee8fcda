"""What a model brings to the trainer; all else – data, order, checkpoints, logs, export – is the same for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch

from f2vbench.training.data.batches import VideoBatch
from f2vbench.training.generator_step import VideoStep
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import Networks, TrainedNetworks, generator_shape
from f2vbench.training.validation import generate


class Shown(Protocol):
    """What a model makes of one validation case."""

    def scores(self) -> dict[str, float]: ...

    def strip(self) -> np.ndarray:
        """uint8 (h, w, 3), of one size for all cases."""

    def film(self) -> np.ndarray | None:
        """Frames (t, h, w) for a GIF, or None where there is no video."""


class Learner(Protocol):
    """Networks, and how they learn and are looked at.

    Attributes:
        networks: what is trained, averaged, kept in checkpoints and (``networks.best``) exported.
        prefix: of the exported tensors' names.
    """

    @property
    def networks(self) -> TrainedNetworks: ...

    @property
    def prefix(self) -> str: ...

    def architecture(self) -> Mapping[str, Any]:
        """What is exported, for its card."""

    def step(self, batch: VideoBatch, epoch: int, videos: int) -> dict[str, float]:
        """Train on a batch.

        Args:
            epoch: part of the random numbers' seed.
            videos: how many training videos went before.

        Returns:
            the losses, and ``contrast``, the spread of what was generated, which says whether training has collapsed.
            A value that is not finite means that training diverged.
        """

    def show(self, batch: VideoBatch) -> Iterator[Shown]:
        """What ``networks.best`` makes of each case of a batch."""


class AngiogramGeneration:
    """Generators of angiogram frames: `fundus2video`, `fundus2fa`, `pix2pixhd`."""

    prefix = "model."

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        self.networks = Networks(settings, device)
        self.step = VideoStep(settings, self.networks, device, bf16)
        self._settings = settings
        self._device = device
        self._bf16 = bf16

    def architecture(self) -> Mapping[str, Any]:
        return {"name": "pix2pixhd-global", **asdict(generator_shape(self._settings))}

    def show(self, batch: VideoBatch) -> Iterator[Shown]:
        yield from generate(self.networks.best, batch.to(self._device), self._settings.phase, self._bf16)


def learner_of(settings: TrainSettings, device: torch.device, bf16: bool) -> Learner:
    """The learner of ``settings.model``."""
    if settings.model == "mae":
        from f2vbench.training.mae import MaskedAutoencoding  # with timm, which the others need not load

        return MaskedAutoencoding(settings, device, bf16)
    return AngiogramGeneration(settings, device, bf16)
