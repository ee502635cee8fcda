"""The training method of ``model=seg2vid``: one optimiser step of the autoencoder for each batch of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2vbench.encoders.flow_vae import FlowShape, draw_codes, flow_autoencoder
from f2vbench.training.data.video_loader import VideoBatch
from f2vbench.training.distributed import average
from f2vbench.training.flow_losses import (
    consistency_loss,
    kl_divergence,
    occlusion_loss,
    similarity_loss,
    smoothness_loss,
)
from f2vbench.training.losses import pixel_loss
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import TrainedNetworks
from f2vbench.training.validation import GeneratedVideo, compare_videos
from f2vbench.utils.device import bf16_autocast

_CODE_STREAM = 3  # last element of the seeds, because the augmentation uses (seed, epoch, index)


class FlowMethod:
    """Training of `seg2vid`; see `f2vbench.training.methods.TrainingMethod`.

    The random part of a latent vector depends on (seed, epoch, index of the video). In validation, latent vectors are
    drawn without the true video, and depend on the index alone.

    Args:
        settings: Of the training.
        device: Of the networks.
        bf16: Autocast to bfloat16.
    """

    prefix = ""

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        self._shape = FlowShape(settings.seg2vid.width, settings.seg2vid.latent)
        network = flow_autoencoder(self._shape, settings.seed)
        self.networks = TrainedNetworks({"generator": network}, settings, device)
        self._settings = settings
        self._device = device
        self._bf16 = bf16
        self._forward: Callable[..., Any] = torch.compile(network) if settings.compile else network

    def architecture(self) -> Mapping[str, Any]:
        """Shape of the network."""
        return {"name": "seg2vid", **asdict(self._shape), "image_size": self._settings.image_size}

    def train_step(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Take one optimiser step.

        Args:
            batch: Photographs and frames.
            epoch: Part of the seed of the latent vectors.
            videos: Not used.
            place: Not used.

        Returns:
            The losses without their weights, and ``contrast``, the mean standard deviation of the frames over space.
        """
        noise = self._draw_noise(batch, epoch)
        batch = batch.to(self._device)
        with bf16_autocast(self._device, self._bf16):
            motion, mean, log_variance = self._forward(batch.photograph, batch.frames, noise)
        terms = {
            "reconstruction": pixel_loss(motion.frames, batch.frames, batch.fov_mask),
            "similarity": similarity_loss(motion.frames, batch.frames),
            "kl": kl_divergence(mean, log_variance),
            "smoothness": smoothness_loss(motion.forward) + smoothness_loss(motion.backward),
            "consistency": consistency_loss(motion),
            "occlusion": occlusion_loss(motion),
        }
        weights = self._settings.seg2vid
        total = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
        self.networks.minimise(total)
        terms["contrast"] = motion.frames.detach().std((2, 3)).mean()
        values = torch.stack([value.detach() for value in terms.values()])
        average([values])
        return dict(zip(terms, values.tolist(), strict=True))

    @torch.no_grad()
    def validate(self, batch: VideoBatch) -> Iterator[GeneratedVideo]:
        """Generate the video of each photograph of a batch."""
        batch = batch.to(self._device)
        codes = draw_codes(batch.indices, self._shape.latent, self._device)
        with bf16_autocast(self._device, self._bf16):
            fake = self.networks.best.decode(batch.photograph, codes).frames  # type: ignore[operator]  # a method
        yield from compare_videos(batch, fake, batch.frames)

    def _draw_noise(self, batch: VideoBatch, epoch: int) -> Tensor:
        """Standard normal (n, latent)."""
        seeds = ([self._settings.seed, epoch, index, _CODE_STREAM] for index in batch.indices)
        drawn = [np.random.default_rng(seed).standard_normal(self._shape.latent, np.float32) for seed in seeds]
        return torch.from_numpy(np.stack(drawn)).to(self._device)
