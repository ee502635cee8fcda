"""A masked autoencoder of photographs (He et al. 2022), as RETFound was trained: network, loss, step and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from f2vbench.encoders.mae import (
    MEAN,
    PATCH,
    STD,
    LayerNorm,
    TransformerShape,
    initialise,
    position_embeddings,
    vision_transformer,
)
from f2vbench.encoders.timm_models import timm
from f2vbench.training.data.batches import VideoBatch
from f2vbench.training.distributed import average, average_gradients
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import TrainedNetworks

_MASKS = 1  # last word of the masks' random seeds: (seed, epoch, index) alone is the augmentation's
_HEAD = 32
_GREY = 0.5


class MaskedAutoencoder(nn.Module):
    """Encodes the patches that are shown, and predicts the others.

    Keys as in the published checkpoints: the encoder's of `f2vbench.encoders.mae`, and ``mask_token``,
    ``decoder_embed.*``, ``decoder_pos_embed``, ``decoder_blocks.{i}.*``, ``decoder_norm.*``, ``decoder_pred.*``.
    """

    def __init__(self, shape: TransformerShape, decoder_width: int, decoder_depth: int):
        super().__init__()
        encoder = vision_transformer(shape)
        self.cls_token, self.pos_embed = encoder.cls_token, encoder.pos_embed
        self.patch_embed, self.blocks, self.norm = encoder.patch_embed, encoder.blocks, encoder.norm
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.decoder_embed = nn.Linear(shape.width, decoder_width)
        positions = position_embeddings(decoder_width, shape.side // PATCH)
        self.decoder_pos_embed = nn.Parameter(positions, requires_grad=False)
        self.decoder_blocks = nn.ModuleList(
            timm.models.vision_transformer.Block(
                decoder_width,
                decoder_width // _HEAD,
                qkv_bias=True,
                norm_layer=LayerNorm,  # type: ignore[arg-type]  # timm calls it, and so takes any factory
            )
            for _ in range(decoder_depth)
        )
        self.decoder_norm = LayerNorm(decoder_width)
        self.decoder_pred = nn.Linear(decoder_width, 3 * PATCH**2)

    def forward(self, images: Tensor, shown: Tensor, checkpointing: bool = False) -> Tensor:
        """Predict all patches from a few.

        Args:
            images: (n, 3, side, side), normalised.
            shown: int64 (n, k), numbers of the patches that the encoder sees.
            checkpointing: compute blocks twice instead of keeping their maps.

        Returns:
            (n, patches, 768), pixels of patches in the order of `patches_of`.
        """
        tokens = self.patch_embed(images).flatten(1, 2) + self.pos_embed[:, 1:]
        seen = tokens.gather(1, shown[..., None].expand(-1, -1, tokens.shape[2]))
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(images), -1, -1)
        seen = self.norm(_through(self.blocks, torch.cat([first, seen], 1), checkpointing))
        seen = self.decoder_embed(seen)
        # Of one type with what is scattered into it: under autocast the linear layer gives bfloat16.
        hidden = self.mask_token.to(seen.dtype).expand(len(images), tokens.shape[1], -1)
        every = hidden.scatter(1, shown[..., None].expand(-1, -1, seen.shape[2]), seen[:, 1:])
        every = torch.cat([seen[:, :1], every], 1) + self.decoder_pos_embed
        every = self.decoder_norm(_through(self.decoder_blocks, every, checkpointing))
        predicted: Tensor = self.decoder_pred(every)[:, 1:]
        return predicted


def _through(blocks: nn.Module, x: Tensor, checkpointing: bool) -> Tensor:
    for block in blocks.children():
        x = checkpoint(block, x, use_reentrant=False) if checkpointing else block(x)
    return x


def patches_of(images: Tensor) -> Tensor:
    """(n, 3, h, w) → (n, h / 16 × w / 16, 768): by rows of patches, rows and columns of pixels, colours."""
    n, channels, height, width = images.shape
    cells = images.reshape(n, channels, height // PATCH, PATCH, width // PATCH, PATCH)
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def images_of(patches: Tensor) -> Tensor:
    """The inverse of `patches_of`, for square images."""
    n, count, _ = patches.shape
    cells = round(count**0.5)
    pixels = patches.reshape(n, cells, cells, PATCH, PATCH, 3).permute(0, 5, 1, 3, 2, 4)
    return pixels.reshape(n, 3, cells * PATCH, cells * PATCH)


def shown_patches(keys: Sequence[Sequence[int]], patches: int, mask: float) -> Tensor:
    """Which patches the encoder sees, at random: int64 (n, k), with k the rounded share of 1 − ``mask``.

    Args:
        keys: one a photograph; the same key gives the same patches.
    """
    count = round(patches * (1 - mask))
    drawn = [np.random.default_rng(list(key)).permutation(patches)[:count] for key in keys]
    return torch.from_numpy(np.stack(drawn))


def patch_moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch over its pixels and colours, (n, patches, 1); the deviation is never
    0 (10⁻⁶ is added to the variance)."""
    variance, mean = torch.var_mean(patches, dim=2, keepdim=True)
    return mean, (variance + 1e-6).sqrt()


def masked_errors(predicted: Tensor, images: Tensor, shown: Tensor) -> Tensor:
    """Mean squared error of the hidden patches, (n,): predictions are compared with pixels that are normalised within
    their patch (He et al. 2022, section 3)."""
    patches = patches_of(images)
    mean, deviation = patch_moments(patches)
    errors = (predicted.float() - (patches - mean) / deviation).square().mean(2)
    hidden = torch.ones_like(errors).scatter(1, shown, 0.0)
    return (errors * hidden).sum(1) / hidden.sum(1)


def normalised(photograph: Tensor) -> Tensor:
    """Photographs in [−1, 1] as the encoder sees them."""
    mean, deviation = (photograph.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((photograph + 1) / 2 - mean) / deviation


@dataclass(frozen=True)
class Reconstruction:
    """A photograph, the same with hidden patches in grey, and with predictions in their place: float32 (h, w, 3) in
    [0, 1]; and the mean squared error of the normalised hidden patches."""

    photograph: np.ndarray
    masked: np.ndarray
    restored: np.ndarray
    error: float

    def scores(self) -> dict[str, float]:
        return {"reconstruction": self.error}

    def film(self) -> None:
        """There is no video."""

    def strip(self) -> np.ndarray:
        """uint8 (h, 3 w, 3)."""
        return np.rint(255 * np.concatenate([self.photograph, self.masked, self.restored], 1)).astype(np.uint8)


class MaskedAutoencoding:
    """`model=mae` for the trainer; see `f2vbench.training.learners.Learner`.

    Which patches are hidden comes from (seed, epoch, index of the photograph) in training, and from the index alone
    in validation, so that all runs are measured on the same patches.
    """

    prefix = ""

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        chosen = settings.mae
        self._shape = TransformerShape(chosen.width, chosen.depth, settings.image_size)
        with torch.random.fork_rng(devices=[]):  # timm and torch fill tensors that are overwritten below
            network = MaskedAutoencoder(self._shape, chosen.decoder_width, chosen.decoder_depth)
        initialise(network, settings.seed)
        self.networks = TrainedNetworks({"generator": network}, settings, device)
        self._settings = settings
        self._device = device
        self._bf16 = bf16
        self._forward: Callable[..., Tensor] = torch.compile(network) if settings.compile else network

    def architecture(self) -> Mapping[str, Any]:
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

    def step(self, batch: VideoBatch, epoch: int, videos: int) -> dict[str, float]:
        """One optimiser step; returns the loss, and ``contrast``, the predictions' standard deviation."""
        keys = [(self._settings.seed, epoch, index, _MASKS) for index in batch.indices]
        images, shown = self._seen(batch, keys)
        with self._arithmetic():
            predicted = self._forward(images, shown, self._settings.checkpointing)
        loss = masked_errors(predicted, images, shown).mean()
        for optimiser in self.networks.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.networks.parameters())
        for optimiser in self.networks.optimisers.values():
            optimiser.step()
        self.networks.update_average()
        told = torch.stack([loss.detach(), predicted.detach().float().std()])
        average([told])
        return dict(zip(("reconstruction", "contrast"), told.tolist(), strict=True))

    @torch.no_grad()
    def show(self, batch: VideoBatch) -> Iterator[Reconstruction]:
        """Photographs with three quarters (or as much as ``mae.mask`` says) hidden, and restored.

        A prediction is of normalised pixels; to be seen it gets the mean and contrast of the true patch.
        """
        images, shown = self._seen(batch, [(index,) for index in batch.indices])
        with self._arithmetic():
            predicted = self.networks.best(images, shown)
        errors = masked_errors(predicted, images, shown).tolist()
        mean, deviation = patch_moments(patches_of(images))
        visible = shown[..., None].expand(-1, -1, 3 * PATCH**2)
        photograph = (batch.photograph.to(self._device) + 1) / 2
        true = patches_of(photograph)
        restored = _unnormalised(images_of(predicted.float() * deviation + mean))
        masked, filled = torch.full_like(true, _GREY), patches_of(restored)
        pictures = [images_of(base.scatter(1, visible, true.gather(1, visible))) for base in (masked, filled)]
        views = [_as_arrays(each) for each in (photograph, *pictures)]
        for whole, hidden, again, error in zip(*views, errors, strict=True):
            yield Reconstruction(whole, hidden, again, error)

    def _seen(self, batch: VideoBatch, keys: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Normalised photographs, and which of their patches are shown."""
        photograph = batch.photograph.to(self._device, non_blocking=True)
        patches = (photograph.shape[2] // PATCH) * (photograph.shape[3] // PATCH)
        return normalised(photograph), shown_patches(keys, patches, self._settings.mae.mask).to(self._device)

    def _arithmetic(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)


def _unnormalised(images: Tensor) -> Tensor:
    mean, deviation = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return images * deviation + mean


def _as_arrays(images: Tensor) -> list[np.ndarray]:
    return list(images.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())
