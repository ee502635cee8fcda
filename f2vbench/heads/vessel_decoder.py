"""The vessel decoder: one small U-Net decoder for the feature maps of any encoder.

Each map is first projected (1 × 1) to a width that depends on its stride alone, so that encoders of 64 and
of 2,048 channels get decoders of nearly the same size. Maps that share a stride, as all of a plain ViT's do,
are spread over finer strides, shallow maps to the finest, as in ViTDet's simple feature pyramid (Li et al.,
2022). The decoder sees the encoder's maps only, never the photograph.
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
# Whole channels are dropped in training: with one support image, a decoder else learns that image by heart.
CHANNEL_DROPOUT = 0.2


class VesselDecoder(nn.Module):
    """Decoder from a pyramid to one logit a pixel.

    Args:
        channels: of the maps, in the order the encoder gives them.
        strides: of the maps, ascending, powers of two up to 64; repeats allowed.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]):
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
        # smp's U-Net drops the first entry (an input-sized map); a level without a map joins with no channels.
        widths = [WIDTHS[stride] if stride in self.targets else 0 for stride in self.levels]
        self.unet = UnetDecoder([0, *widths], [WIDTHS[s] for s in self.levels[-2::-1]], n_blocks=len(self.levels) - 1)
        self.head = nn.Conv2d(WIDTHS[1], 1, 3, padding=1)

    def forward(self, pyramid: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """(n, 1, *size) logits from maps of (n, cᵢ, ⌈height/strideᵢ⌉, ⌈width/strideᵢ⌉)."""
        given: dict[int, Tensor] = {}
        for project, stride, features in zip(self.project, self.targets, pyramid, strict=True):
            given[stride] = _resize(project(features), _size_at(size, stride))
        batch = pyramid[0].shape[0]
        maps = [
            given[stride] if stride in given else pyramid[0].new_zeros((batch, 0, *_size_at(size, stride)))
            for stride in self.levels
        ]
        return self.head(self.unet([maps[0], *maps]))


def spread_strides(strides: Sequence[int]) -> list[int]:
    """A stride of its own for every map: the deepest keeps its own, shallower ones get the next finer.

    >>> spread_strides([1, 2, 4, 8, 16]), spread_strides([16, 16, 16, 16])
    ([1, 2, 4, 8, 16], [2, 4, 8, 16])

    Raises:
        ValueError: a stride is no power of two up to 64, or there are more maps than strides.
    """
    spread: list[int] = []
    for stride in reversed(strides):
        if stride not in WIDTHS:
            raise ValueError(f"stride {stride}: feature maps need strides among {sorted(WIDTHS)}")
        free = stride if not spread else min(stride, spread[-1] // 2)
        if free < 1:
            raise ValueError(f"{len(strides)} maps of strides {list(strides)} do not fit on separate strides")
        spread.append(free)
    return spread[::-1]


def segmentation_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice (Milletari et al., 2016), inside the field of view.

    Args:
        logits: (n, 1, h, w).
        target: (n, 1, h, w), the part of each pixel that is vessel, in [0, 1].
        valid: (n, 1, h, w), 1 inside the field of view, else 0.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target, weight=valid, reduction="sum")
    chance = torch.sigmoid(logits) * valid
    overlap = (chance * target).sum()
    dice = (2 * overlap + 1) / (chance.sum() + (target * valid).sum() + 1)
    return entropy / valid.sum().clamp(min=1) + 1 - dice


def _size_at(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-size[0] // stride), -(-size[1] // stride)


def _resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    if features.shape[-2:] == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
