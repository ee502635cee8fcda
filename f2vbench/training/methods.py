"""Training methods: the networks, training step and validation that differ between the models.

Data, order, checkpoints, log and export are the same for all models (`f2vbench.training.trainer`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch

from f2vbench.training.data.video_loader import VideoBatch
from f2vbench.training.flow_method import FlowMethod
from f2vbench.training.generator_step import GeneratorStep
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import GeneratorNetworks, TrainedNetworks, generator_shape
from f2vbench.training.truth_method import TruthMethod
from f2vbench.training.validation import generate_videos


class ValidationResult(Protocol):
    """The output of a model for one validation case."""

    def scores(self) -> dict[str, float]:
        """Metrics by name."""

    def strip(self) -> np.ndarray:
        """A picture of the output, uint8 (h, w, 3), of the same size for all cases."""

    def animation(self) -> np.ndarray | None:
        """Frames (t, h, w) of a GIF, or None where there is no video."""


class TrainingMethod(Protocol):
    """Networks with their training step and validation."""

    @property
    def networks(self) -> TrainedNetworks:
        """The networks that are trained and stored in checkpoints; ``networks.best`` is exported."""

    @property
    def prefix(self) -> str:
        """Prefix of the exported tensors' names."""

    def architecture(self) -> Mapping[str, Any]:
        """The exported network, for the card."""

    def train_step(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Train on a batch.

        Args:
            batch: Photographs and frames.
            epoch: Part of the seed of all random numbers.
            videos: Number of videos trained on so far.
            place: In the schedule, in epochs (`f2vbench.training.schedule.Schedule.place`).

        Returns:
            The losses, and ``contrast``, the standard deviation of the output, which is near 0 for a collapsed
            network. A value that is not finite means divergence.
        """

    def validate(self, batch: VideoBatch) -> Iterator[ValidationResult]:
        """Apply ``networks.best`` to each case of a batch."""


class GeneratorMethod:
    """Training of angiogram generators: `fundus2video`, `fundus2fa`, `pix2pixhd`.

    Args:
        settings: Of the training.
        device: Of the networks.
        bf16: Autocast to bfloat16.
    """

    prefix = "model."

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        self.networks = GeneratorNetworks(settings, device)
        self._step = GeneratorStep(settings, self.networks, device, bf16)
        self._settings = settings
        self._device = device
        self._bf16 = bf16

    def architecture(self) -> Mapping[str, Any]:
        """Name and shape of the generator."""
        return {"name": "pix2pixhd-global", **asdict(generator_shape(self._settings))}

    def train_step(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Train on a batch; see `GeneratorStep`."""
        return self._step(batch, epoch, videos, place)

    def validate(self, batch: VideoBatch) -> Iterator[ValidationResult]:
        """Generate the videos of a batch."""
        shape = self.networks.generator.shape
        yield from generate_videos(self.networks.best, shape, batch.to(self._device), self._settings.phase, self._bf16)


def build_method(settings: TrainSettings, device: torch.device, bf16: bool) -> TrainingMethod:
    """The training method of ``settings.model``.

    Args:
        settings: Of the training.
        device: Of the networks.
        bf16: Autocast to bfloat16.
    """
    if settings.model == "seg2vid":
        return FlowMethod(settings, device, bf16)
    if settings.model == "med-ddpm":
        from f2vbench.training.diffusion_method import DiffusionMethod  # imports diffusers, which is an extra

        return DiffusionMethod(settings, device, bf16)
    if settings.model == "mae":
        from f2vbench.training.mae_method import MaskedAutoencoderMethod  # imports timm, which the others don't need

        return MaskedAutoencoderMethod(settings, device, bf16)
    method = TruthMethod if settings.model == "truth" else GeneratorMethod
    return method(settings, device, bf16)
