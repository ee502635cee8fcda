"""The baseline ``scratch``: a small U-Net that learns segmentation from the support photographs only.

There is no pre-training and no hand-crafted filter. The input is the photograph after shading correction; the network
is trained on 1 to 16 photographs with vessel masks, in about a minute on one CPU core. A pre-trained encoder should do
better than this baseline.

The architecture is chosen for speed on a CPU. Convolutions and normalisations at full resolution would cost more than
the rest of the U-Net, with too few channels to be efficient. Instead, the input is rearranged from 2 × 2 pixels to
channels, and the output from channels to pixels (sub-pixel convolution; Shi et al., CVPR 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from f2vbench.data.shading_correction import normalise
from f2vbench.heads.unet_decoder import soft_dice

CROP = 128
WIDTHS = (32, 48, 64)
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
WARM_UP = 0.1  # fraction of the steps
STRIDE = 2 ** len(WIDTHS)


class _Block(nn.Sequential):
    """Two 3 × 3 convolutions, each with batch normalisation and ReLU."""

    def __init__(self, channels_in: int, channels_out: int):
        layers: list[nn.Module] = []
        for source in (channels_in, channels_out):
            layers += [
                nn.Conv2d(source, channels_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels_out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class ScratchUNet(nn.Module):
    """U-Net from half resolution downwards.

    Args:
        widths: Number of channels at 1/2, 1/4, 1/8, … of the resolution.
        classes: Number of classes, which may overlap.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, classes: int = 1):
        super().__init__()
        self.down = nn.ModuleList(_Block(a, b) for a, b in zip((12, *widths[:-1]), widths, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_Block(deep + shallow, shallow) for deep, shallow in pairs)
        self.head = nn.Conv2d(widths[0], 4 * classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits.

        Args:
            images: (n, 3, h, w), shading-corrected; h and w are multiples of `STRIDE`.

        Returns:
            (n, classes, h, w).
        """
        x = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)  # fastest on a CPU
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1))
        return F.pixel_shuffle(self.head(x), 2)


def train_scratch_unet(
    photographs: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    counted: Sequence[np.ndarray],
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, int], None] | None = None,
) -> ScratchUNet:
    """Train a new U-Net on the support photographs.

    On a CPU with one thread, the same arguments give the same weights to the last bit. The global random generators are
    neither used nor changed.

    Args:
        photographs: (h, w, 3) uint8 RGB each, with a field of view of up to about 700 px in diameter; sizes can differ.
        masks: (h, w) or (classes, h, w) each, bool, or float32 with the fraction of each pixel that is of a class.
        counted: (h, w) bool each, the field of view, less pixels that do not contribute to the loss.
        steps: Number of optimiser steps.
        batch_size: Number of crops per step.
        seed: Seed of the weights and the crops.
        device: Device for the training.
        on_step: Called after each step with the number of completed steps and of all steps.

    Returns:
        The network on ``device``, in evaluation mode.

    Raises:
        ValueError: There are no photographs, numbers or sizes of the arrays differ, or a field of view is empty.
    """
    samples = _samples(photographs, masks, counted)
    rng = np.random.default_rng(seed)
    model = _initialised(seed, samples[0].planes.shape[2] - 4).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * _learning_rate_factor((step + 0.5) / steps)
        images, targets, weights = (part.to(device) for part in _batch(samples, batch_size, rng))
        loss = _loss(model(images), targets, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    return model.eval()


@torch.no_grad()
def score_scratch_unet(model: nn.Module, photograph: np.ndarray, field_of_view: np.ndarray) -> np.ndarray:
    """Compute the probability of each class at each pixel, as the mean over the four flips of the photograph.

    Args:
        model: A network from `train_scratch_unet`.
        photograph: (h, w, 3) uint8 RGB, of any size.
        field_of_view: (h, w) bool.

    Returns:
        (classes, h, w) float32 in [0, 1]; 0 outside the field of view.
    """
    height, width = field_of_view.shape
    image = normalise(photograph, field_of_view)
    padding = ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
    device = next(model.parameters()).device
    x = torch.from_numpy(np.pad(image, padding)).permute(2, 0, 1)[None].to(device)
    total = torch.sigmoid(model(x))
    for axes in ([2], [3], [2, 3]):
        total += torch.sigmoid(model(x.flip(axes))).flip(axes)
    scores = (total / 4)[0, :, :height, :width].cpu().numpy()
    return np.where(field_of_view, scores, np.float32(0))


@dataclass(frozen=True)
class _Sample:
    """One support photograph.

    Attributes:
        planes: (h, w, 4 + classes) float32: three shading-corrected channels, the masks, and the pixels that count.
        inside: (n, 2) row and column of each pixel inside the field of view.
    """

    planes: np.ndarray
    inside: np.ndarray


def _samples(
    photographs: Sequence[np.ndarray], masks: Sequence[np.ndarray], counted: Sequence[np.ndarray]
) -> list[_Sample]:
    """Correct the shading of the support photographs; raise ValueError for arrays that do not match."""
    if not len(photographs) == len(masks) == len(counted) > 0:
        counts = f"{len(photographs)} photographs, {len(masks)} masks, {len(counted)} fields of view"
        raise ValueError(f"{counts}: at least one photograph is needed, and one mask of each kind per photograph")
    samples = []
    for index, (photograph, mask, fov) in enumerate(zip(photographs, masks, counted, strict=True)):
        if not photograph.shape[:2] == mask.shape[-2:] == fov.shape:
            shapes = f"{photograph.shape[:2]}, its mask {mask.shape[-2:]}, its field of view {fov.shape}"
            raise ValueError(f"support photograph {index} has the size {shapes}: resize them to one size")
        if not fov.any():
            raise ValueError(f"support photograph {index} has an empty field of view")
        of_classes = mask.reshape(-1, *fov.shape)
        last = np.stack([*of_classes, fov], axis=-1).astype(np.float32)
        planes = np.concatenate([normalise(photograph, fov), last], axis=-1)
        samples.append(_Sample(planes, np.argwhere(fov)))
    return samples


def _initialised(seed: int, classes: int) -> ScratchUNet:
    """Return a network with He-normal weights, drawn from a separate generator."""
    with torch.random.fork_rng(devices=[]):  # layer constructors draw from the global generator
        model = ScratchUNet(classes=classes)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.constant_(module.bias, -2.0)  # about the logit of the fraction of vessel pixels
    return model


def _learning_rate_factor(progress: float) -> float:
    """Return the factor of the peak learning rate: a linear warm-up, then a half cosine to 0."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Compute cross-entropy plus half the soft Dice loss, which moves the best threshold towards 0.5."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, weight=weights, reduction="sum")
    dice = soft_dice(torch.sigmoid(logits) * weights, targets, weights)
    return entropy / (weights.sum() * logits.shape[1]) + 0.5 * (1 - dice)


def _batch(samples: Sequence[_Sample], batch_size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw random crops: images (n, 3, CROP, CROP), masks (n, classes, …) and loss weights (n, 1, …)."""
    crops = np.stack([_crop(samples[int(rng.integers(len(samples)))], rng) for _ in range(batch_size)])
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2)
    return planes[:, :3], planes[:, 3:-1], planes[:, -1:]


def _crop(sample: _Sample, rng: np.random.Generator) -> np.ndarray:
    """Draw one augmented crop, (CROP, CROP, 4 + classes) float32, centred on a pixel inside the field of view."""
    row, column = sample.inside[rng.integers(len(sample.inside))]
    angle = rng.uniform(0, 2 * math.pi)
    scale = math.exp(rng.uniform(-0.25, 0.25))
    flip = rng.choice((-1.0, 1.0))
    cos, sin, middle = math.cos(angle) / scale, math.sin(angle) / scale, (CROP - 1) / 2
    rotation = np.array([[flip * cos, -sin], [flip * sin, cos]])
    shift = np.array([column, row]) - rotation @ (middle, middle)
    matrix = np.column_stack([rotation, shift])  # maps pixels of the crop to pixels of the photograph
    crop: np.ndarray = cv2.warpAffine(
        sample.planes, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    gain = math.exp(rng.uniform(-0.3, 0.3)) * np.exp(rng.uniform(-0.15, 0.15, 3))
    crop[..., :3] = (crop[..., :3] * gain + rng.uniform(-0.3, 0.3, 3)) * crop[..., -1:]
    return crop
