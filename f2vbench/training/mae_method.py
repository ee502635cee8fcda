"""The training method of ``model=mae``: step, validation and pictures of the masked autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2vbench.encoders.mae import MEAN, PATCH, STD, TransformerShape, initialise
from f2vbench.training.data.video_loader import VideoBatch
from f2vbench.training.distributed import average
from f2vbench.training.masked_autoencoder import (
    MaskedAutoencoder,
    draw_visible_patches,
    patch_moments,
    reconstruction_errors,
    to_images,
    to_patches,
)
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import TrainedNetworks
from f2vbench.utils.device import bf16_autocast

_MASK_STREAM = 1  # last element of the masks' seeds, because the augmentation uses (seed, epoch, index)
_GREY = 0.5


@dataclass(frozen=True)
class Reconstruction:
    """A photograph with its reconstruction.

    Attributes:
        photograph: float32 (h, w, 3), RGB in [0, 1].
        masked: The photograph with masked patches in grey.
        restored: The photograph with predictions in place of the masked patches.
        error: Mean squared error of the masked patches, normalised by patch.
    """

    photograph: np.ndarray
    masked: np.ndarray
    restored: np.ndarray
    error: float

    def scores(self) -> dict[str, float]:
        """The error, as ``reconstruction``."""
        return {"reconstruction": self.error}

    def animation(self) -> None:
        """None: there is no video."""

    def strip(self) -> np.ndarray:
        """The three pictures side by side, uint8 (h, 3 w, 3)."""
        pictures = np.concatenate([self.photograph, self.masked, self.restored], 1)
        return np.asarray(np.rint(255 * pictures), np.uint8)


class MaskedAutoencoderMethod:
    """Training of masked autoencoders; see `f2vbench.training.methods.TrainingMethod`.

    In training, the masked patches depend on (seed, epoch, index of the photograph). In validation they depend on the
    index alone, so that all trainings are evaluated on the same patches.

    Args:
        settings: Of the training.
        device: Of the networks.
        bf16: Autocast to bfloat16.
    """

    prefix = ""

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        self._shape = TransformerShape(settings.mae.width, settings.mae.depth, settings.image_size)
        with torch.random.fork_rng(devices=[]):  # timm and torch draw weights that are replaced below
            network = MaskedAutoencoder(self._shape, settings.mae.decoder_width, settings.mae.decoder_depth)
        initialise(network, settings.seed)
        self.networks = TrainedNetworks({"generator": network}, settings, device)
        self._settings = settings
        self._device = device
        self._bf16 = bf16
        self._forward: Callable[..., Tensor] = torch.compile(network) if settings.compile else network

    def architecture(self) -> Mapping[str, Any]:
        """Shapes of encoder and decoder, and the normalisation of photographs."""
        return {
            "name": "mae-vit",
            "patch": PATCH,
            "width": self._shape.width,
            "depth": self._shape.depth,
            "heads": self._shape.heads,
            "image_size": self._shape.side,
            "mean": list(MEAN),
            "std": list(STD),
            "decoder_width": self._settings.mae.decoder_width,
            "decoder_depth": self._settings.mae.decoder_depth,
        }

    def train_step(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Take one optimiser step.

        Args:
            batch: Photographs.
            epoch: Part of the seed of the masks.
            videos: Not used.
            place: Not used.

        Returns:
            The loss ``reconstruction``, and ``contrast``, the standard deviation of the predictions.
        """
        seeds = [(self._settings.seed, epoch, index, _MASK_STREAM) for index in batch.indices]
        images, visible = self._inputs(batch, seeds)
        with bf16_autocast(self._device, self._bf16):
            predicted = self._forward(images, visible, self._settings.checkpointing)
        loss = reconstruction_errors(predicted, images, visible).mean()
        self.networks.minimise(loss)
        values = torch.stack([loss.detach(), predicted.detach().float().std()])
        average([values])
        return dict(zip(("reconstruction", "contrast"), values.tolist(), strict=True))

    @torch.no_grad()
    def validate(self, batch: VideoBatch) -> Iterator[Reconstruction]:
        """Mask and restore the photographs of a batch.

        Predictions are of normalised pixels; for the picture they get the mean and deviation of the true patch.
        """
        images, visible = self._inputs(batch, [(index,) for index in batch.indices])
        with bf16_autocast(self._device, self._bf16):
            predicted = self.networks.best(images, visible)
        errors = reconstruction_errors(predicted, images, visible).tolist()
        mean, deviation = patch_moments(to_patches(images))
        visible_pixels = visible[..., None].expand(-1, -1, 3 * PATCH**2)
        photograph = (batch.photograph.to(self._device) + 1) / 2
        true_patches = to_patches(photograph)
        restored = _denormalise(to_images(predicted.float() * deviation + mean))
        backgrounds = torch.full_like(true_patches, _GREY), to_patches(restored)
        pictures = [
            to_images(background.scatter(1, visible_pixels, true_patches.gather(1, visible_pixels)))
            for background in backgrounds
        ]
        arrays = [_to_arrays(picture) for picture in (photograph, *pictures)]
        for whole, masked, filled, error in zip(*arrays, errors, strict=True):
            yield Reconstruction(whole, masked, filled, error)

    def _inputs(self, batch: VideoBatch, seeds: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Normalised photographs, and the indices of their visible patches."""
        photograph = batch.photograph.to(self._device, non_blocking=True)
        patches = (photograph.shape[2] // PATCH) * (photograph.shape[3] // PATCH)
        visible = draw_visible_patches(seeds, patches, self._settings.mae.mask)
        return _normalise(photograph), visible.to(self._device)


def _normalise(photograph: Tensor) -> Tensor:
    """[−1, 1] → the encoder's input, normalised with ImageNet's mean and deviation."""
    mean, deviation = (photograph.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((photograph + 1) / 2 - mean) / deviation


def _denormalise(images: Tensor) -> Tensor:
    """The encoder's input → [0, 1]."""
    mean, deviation = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return images * deviation + mean


def _to_arrays(images: Tensor) -> list[np.ndarray]:
    return list(images.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())
