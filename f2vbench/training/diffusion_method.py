"""The training method of ``model=med-ddpm``: the network learns to remove the noise that was added to a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2vbench.encoders.diffusion import DiffusionShape, denoising_network, noise_schedule, sample_videos
from f2vbench.encoders.samplers import parse_sampler
from f2vbench.training.data.video_loader import VideoBatch
from f2vbench.training.distributed import average
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import TrainedNetworks
from f2vbench.training.validation import GeneratedVideo, compare_videos
from f2vbench.utils.device import bf16_autocast

_NOISE_STREAM = 2  # last element of the seeds, because the augmentation uses (seed, epoch, index)


class DiffusionMethod:
    """Training of `med-ddpm`; see `f2vbench.training.methods.TrainingMethod`.

    Noise and noise step of a video depend on (seed, epoch, index). In validation they depend on the index alone, so
    that all trainings are evaluated on the same noise.

    Args:
        settings: Of the training.
        device: Of the networks.
        bf16: Autocast to bfloat16.

    Raises:
        SettingsError: diffusers is not installed.
    """

    prefix = ""

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        values = settings.diffusion
        self._shape = DiffusionShape(
            values.network, tuple(values.channels), values.layers, values.noise_steps, values.prediction
        )
        network = denoising_network(self._shape, settings.seed)
        if settings.checkpointing:
            network.unet.enable_gradient_checkpointing()  # type: ignore[operator]  # of diffusers' ModelMixin
        self.networks = TrainedNetworks({"generator": network}, settings, device)
        self._schedule = noise_schedule(values.noise_steps)
        self._sampler = parse_sampler(values.sampler, values.noise_steps, "diffusion.sampler")
        self._settings = settings
        self._device = device
        self._bf16 = bf16
        self._forward: Callable[..., Tensor] = torch.compile(network) if settings.compile else network

    def architecture(self) -> Mapping[str, Any]:
        """Library, class and shape of the network, and the default sampler."""
        shape = {**asdict(self._shape), "channels": list(self._shape.channels)}
        sampler = self._settings.diffusion.sampler
        return {"name": "med-ddpm", **shape, "image_size": self._settings.image_size, "sampler": sampler}

    def train_step(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Take one optimiser step.

        Args:
            batch: Photographs and frames.
            epoch: Part of the seed of the noise.
            videos: Not used.
            place: Not used.

        Returns:
            The loss ``noise`` or ``frames``, the mean absolute error of what the network predicts, and ``contrast``,
            the standard deviation of the prediction.
        """
        noise, steps = self._draw_noise(batch, epoch)
        batch = batch.to(self._device)
        noisy = self._schedule.add_noise(batch.frames, noise, steps)
        with bf16_autocast(self._device, self._bf16):
            predicted = self._forward(noisy, batch.photograph, steps)
        target = noise if self._shape.prediction == "noise" else batch.frames
        loss = (predicted.float() - target).abs().mean()
        self.networks.minimise(loss)
        values = torch.stack([loss.detach(), predicted.detach().float().std()])
        average([values])
        return dict(zip((self._shape.prediction, "contrast"), values.tolist(), strict=True))

    @torch.no_grad()
    def validate(self, batch: VideoBatch) -> Iterator[GeneratedVideo]:
        """Generate the video of each photograph of a batch."""
        batch = batch.to(self._device)

        def predict(noisy: Tensor, photograph: Tensor, steps: Tensor) -> Tensor:
            with bf16_autocast(self._device, self._bf16):
                predicted: Tensor = self.networks.best(noisy, photograph, steps)
            return predicted

        fake = sample_videos(predict, batch.photograph, batch.indices, self._sampler, self._shape)
        yield from compare_videos(batch, fake, batch.frames)

    def _draw_noise(self, batch: VideoBatch, epoch: int) -> tuple[Tensor, Tensor]:
        """Normal noise of the frames' shape, and a noise step for each video."""
        noise, steps = [], []
        for index in batch.indices:
            stream = np.random.default_rng([self._settings.seed, epoch, index, _NOISE_STREAM])
            steps.append(int(stream.integers(self._shape.noise_steps)))
            noise.append(stream.standard_normal(tuple(batch.frames.shape[1:]), dtype=np.float32))
        drawn = torch.from_numpy(np.stack(noise)).to(self._device)
        return drawn, torch.tensor(steps, device=self._device)
