"""Segmentation decoder: a small U-Net decoder for the feature maps of any encoder.

A 1 × 1 convolution first projects each map to a width that depends on its stride only, so that encoders of 64 and of
2,048 channels get decoders of nearly the same size. Maps that share a stride, as all maps of a plain ViT do, are
assigned to finer strides, the shallowest map to the finest, as in ViTDet's simple feature pyramid (Li et al., ECCV
2022). The input of the decoder is the encoder's maps, not the photograph.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder  # noqa: E402

WIDTHS = {1: 16, 2: 24, 4: 32, 8: 48, 16: 64, 32: 96, 64: 96}
"""Stride of a map → its number of channels after the projection."""

# Dropout of whole channels: with one support image, a decoder without it memorises that image.
CHANNEL_DROPOUT = 0.2


class UNetDecoder(nn.Module):
    """Decoder from a pyramid of feature maps to one logit per class and pixel; classes may overlap.

    Args:
        channels: Number of channels of each map.
        strides: Stride of each map, ascending, powers of two up to 64; repeats are allowed.
        classes: Number of classes.

    Raises:
        ValueError: As for `spread_strides`.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], classes: int = 1):
        super().__init__()
        self.targets = spread_strides(strides)
        self.levels = [stride for stride in WIDTHS if stride <= max(self.targets)]
        self.project = nn.ModuleList(
            nn.Sequential(
                nn.Dropout2d(CHANNEL_DROPOUT),
                nn.Conv2d(count, WIDTHS[stride], 1, bias=False),
                nn.BatchNorm2d(WIDTHS[stride]),
            )
            for count, stride in zip(channels, self.targets, strict=True)
        )
        # smp's U-Net ignores the first entry (a map of the input's size); a level without a map has 0 channels.
        widths = [WIDTHS[stride] if stride in self.targets else 0 for stride in self.levels]
        self.unet = UnetDecoder([0, *widths], [WIDTHS[s] for s in self.levels[-2::-1]], n_blocks=len(self.levels) - 1)
        self.head = nn.Conv2d(WIDTHS[1], classes, 3, padding=1)

    def forward(self, pyramid: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Compute logits.

        Args:
            pyramid: Maps of (n, channelsᵢ, ⌈height/strideᵢ⌉, ⌈width/strideᵢ⌉).
            size: Height and width of the output.

        Returns:
            (n, classes, *size).
        """
        by_stride: dict[int, Tensor] = {}
        for project, stride, features in zip(self.project, self.targets, pyramid, strict=True):
            by_stride[stride] = _resize(project(features), _size_at(size, stride))
        batch = pyramid[0].shape[0]
        maps = [
            by_stride[stride] if stride in by_stride else pyramid[0].new_zeros((batch, 0, *_size_at(size, stride)))
            for stride in self.levels
        ]
        logits: Tensor = self.head(self.unet([maps[0], *maps]))
        return logits


def spread_strides(strides: Sequence[int]) -> list[int]:
    """Assign distinct strides to all maps: the deepest map keeps its stride, shallower ones get the next finer stride.

    >>> spread_strides([1, 2, 4, 8, 16]), spread_strides([16, 16, 16, 16])
    ([1, 2, 4, 8, 16], [2, 4, 8, 16])

    Args:
        strides: Stride of each map, ascending.

    Raises:
        ValueError: A stride is not a power of two up to 64, or there are more maps than strides.
    """
    spread: list[int] = []
    for stride in reversed(strides):
        if stride not in WIDTHS:
            raise ValueError(f"stride {stride}: the strides of feature maps must be among {sorted(WIDTHS)}")
        assigned = stride if not spread else min(stride, spread[-1] // 2)
        if assigned < 1:
            raise ValueError(f"{len(strides)} maps of strides {list(strides)} cannot have distinct strides")
        spread.append(assigned)
    return spread[::-1]


def segmentation_loss(
    logits: Tensor, target: Tensor, valid: Tensor, positive_weight: float = 1.0, dice_weight: float = 1.0
) -> Tensor:
    """Compute the sum of cross-entropy and soft Dice loss (Milletari et al., 3DV 2016), mean over classes.

    Args:
        logits: (n, classes, h, w).
        target: (n, classes, h, w), the fraction of each pixel that is of each class, in [0, 1].
        valid: (n, 1, h, w), 1 for pixels that count, 0 for all others.
        positive_weight: Weight of positive pixels in the cross-entropy.
        dice_weight: Weight of the Dice loss.

    Returns:
        A scalar.
    """
    weight = None if positive_weight == 1 else logits.new_tensor(positive_weight)
    entropy = functional.binary_cross_entropy_with_logits(
        logits, target, weight=valid, reduction="sum", pos_weight=weight
    )
    dice = soft_dice(torch.sigmoid(logits) * valid, target, valid)
    return entropy / (valid.sum().clamp(min=1) * logits.shape[1]) + dice_weight * (1 - dice)


def soft_dice(probabilities: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean over classes of the Dice coefficient of probabilities, smoothed by one pixel.

    Args:
        probabilities: (n, classes, h, w), 0 for pixels that do not count.
        target: (n, classes, h, w).
        valid: (n, 1, h, w).

    Returns:
        A scalar.
    """
    counted = target * valid
    of_classes = [
        (2 * (p * t).sum() + 1) / (p.sum() + c.sum() + 1)
        for p, t, c in zip(probabilities.unbind(1), target.unbind(1), counted.unbind(1), strict=True)
    ]
    return torch.stack(of_classes).mean()


def _size_at(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-size[0] // stride), -(-size[1] // stride)


def _resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    if features.shape[-2:] == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
