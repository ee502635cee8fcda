"""The masked autoencoder of He et al. 2022, with which RETFound was trained: network, masking and loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from f2vbench.encoders.mae import PATCH, LayerNorm, TransformerShape, position_embeddings, vision_transformer

_DECODER_HEAD_WIDTH = 32


class MaskedAutoencoder(nn.Module):
    """Encodes the visible patches of photographs, and predicts all patches.

    State-dict keys are those of the published checkpoints: the encoder's of `f2vbench.encoders.mae`, and
    ``mask_token``, ``decoder_embed.*``, ``decoder_pos_embed``, ``decoder_blocks.{i}.*``, ``decoder_norm.*``,
    ``decoder_pred.*``.

    Args:
        shape: Of the encoder.
        decoder_width: Channels of the decoder, a multiple of 32.
        decoder_depth: Blocks of the decoder.
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
                decoder_width // _DECODER_HEAD_WIDTH,
                qkv_bias=True,
                norm_layer=LayerNorm,  # type: ignore[arg-type]  # timm calls it, so any factory works
            )
            for _ in range(decoder_depth)
        )
        self.decoder_norm = LayerNorm(decoder_width)
        self.decoder_pred = nn.Linear(decoder_width, 3 * PATCH**2)

    def forward(self, images: Tensor, visible: Tensor, checkpointing: bool = False) -> Tensor:
        """Predict all patches from the visible ones.

        Args:
            images: (n, 3, side, side), normalised.
            visible: int64 (n, k), indices of the patches that the encoder receives.
            checkpointing: Recompute the blocks in the backward pass, which saves the memory of their maps.

        Returns:
            (n, patches, 768), pixels of the patches in the order of `to_patches`.
        """
        tokens = self.patch_embed(images).flatten(1, 2) + self.pos_embed[:, 1:]
        encoded = tokens.gather(1, visible[..., None].expand(-1, -1, tokens.shape[2]))
        cls_token = (self.cls_token + self.pos_embed[:, :1]).expand(len(images), -1, -1)
        encoded = self.norm(_apply_blocks(self.blocks, torch.cat([cls_token, encoded], 1), checkpointing))
        encoded = self.decoder_embed(encoded)
        # The dtype of the scattered tokens: under autocast the linear layer returns bfloat16.
        mask_tokens = self.mask_token.to(encoded.dtype).expand(len(images), tokens.shape[1], -1)
        decoded = mask_tokens.scatter(1, visible[..., None].expand(-1, -1, encoded.shape[2]), encoded[:, 1:])
        decoded = torch.cat([encoded[:, :1], decoded], 1) + self.decoder_pos_embed
        decoded = self.decoder_norm(_apply_blocks(self.decoder_blocks, decoded, checkpointing))
        predicted: Tensor = self.decoder_pred(decoded)[:, 1:]
        return predicted


def _apply_blocks(blocks: nn.Module, x: Tensor, checkpointing: bool) -> Tensor:
    for block in blocks.children():
        x = checkpoint(block, x, use_reentrant=False) if checkpointing else block(x)
    return x


def to_patches(images: Tensor) -> Tensor:
    """Split images into patches of 16 × 16 pixels.

    Args:
        images: (n, 3, h, w).

    Returns:
        (n, h / 16 × w / 16, 768), patches row by row; within a patch the order is row, column, channel.
    """
    n, channels, height, width = images.shape
    grid = images.reshape(n, channels, height // PATCH, PATCH, width // PATCH, PATCH)
    return grid.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def to_images(patches: Tensor) -> Tensor:
    """Join patches to square images; the inverse of `to_patches`.

    Args:
        patches: (n, side², 768).

    Returns:
        (n, 3, 16 side, 16 side).
    """
    n, count, _ = patches.shape
    side = round(count**0.5)
    pixels = patches.reshape(n, side, side, PATCH, PATCH, 3).permute(0, 5, 1, 3, 2, 4)
    return pixels.reshape(n, 3, side * PATCH, side * PATCH)


def draw_visible_patches(seeds: Sequence[Sequence[int]], patches: int, mask_ratio: float) -> Tensor:
    """Draw the patches that the encoder receives.

    Args:
        seeds: One for each photograph; equal seeds draw the same patches.
        patches: Number of patches of a photograph.
        mask_ratio: Share of the patches that are masked.

    Returns:
        int64 (n, k), where k is the rounded share 1 − ``mask_ratio`` of the patches.
    """
    count = round(patches * (1 - mask_ratio))
    drawn = [np.random.default_rng(list(seed)).permutation(patches)[:count] for seed in seeds]
    return torch.from_numpy(np.stack(drawn))


def patch_moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch over its pixels and channels.

    Args:
        patches: (n, patches, 768).

    Returns:
        Both (n, patches, 1). The deviation is never 0, because 10⁻⁶ is added to the variance.
    """
    variance, mean = torch.var_mean(patches, dim=2, keepdim=True)
    return mean, (variance + 1e-6).sqrt()


def reconstruction_errors(predicted: Tensor, images: Tensor, visible: Tensor) -> Tensor:
    """Mean squared error of the masked patches, whose pixels are normalised by patch (He et al. 2022, section 3).

    Args:
        predicted: (n, patches, 768), as `MaskedAutoencoder` returns them.
        images: (n, 3, side, side), normalised.
        visible: int64 (n, k), indices of the visible patches.

    Returns:
        (n,).
    """
    patches = to_patches(images)
    mean, deviation = patch_moments(patches)
    errors = (predicted.float() - (patches - mean) / deviation).square().mean(2)
    masked = torch.ones_like(errors).scatter(1, visible, 0.0)
    return (errors * masked).sum(1) / masked.sum(1)
