"""The ``scratch`` baseline: a small U-Net that learns vessels from the support photographs alone.

No pre-training and no hand-made vesselness: the input is the photograph after photometric normalisation,
everything else is learnt from 1 to 16 photographs with vessel masks, in about a minute on one CPU core.
A pre-trained encoder that can't beat this has not earned its weights.

Where the time goes decides the shape. Convolutions and normalisations at full resolution cost more than
the rest of a U-Net together and run with too few channels to be efficient, so there are none: a stride-2
stem folds 2 × 2 pixels into channels, and a sub-pixel head (Shi et al. 2016, arXiv:1609.05158) unfolds them.
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

CROP = 128
WIDTHS = (32, 48, 64)
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
WARM_UP = 0.1  # share of the steps
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
        widths: channels at 1/2, 1/4, 1/8, … of the resolution.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS):
        super().__init__()
        self.down = nn.ModuleList(_Block(a, b) for a, b in zip((12, *widths[:-1]), widths, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_Block(deep + shallow, shallow) for deep, shallow in pairs)
        self.head = nn.Conv2d(widths[0], 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Vessel logits (n, 1, h, w) of normalised images (n, 3, h, w); h and w are multiples of `STRIDE`."""
        x = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)  # the CPU's fastest order
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1))
        return F.pixel_shuffle(self.head(x), 2)


def train_scratch(
    photographs: Sequence[np.ndarray],
    vessels: Sequence[np.ndarray],
    fields_of_view: Sequence[np.ndarray],
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, int], None] | None = None,
) -> ScratchUNet:
    """Train a new U-Net on the support photographs alone.

    The same arguments give the same weights to the last bit on a CPU with one thread, whatever ran before;
    the global random generators are neither read nor changed.

    Args:
        photographs: uint8 (h, w, 3) RGB each, FOV diameter up to about 700 px; sizes may differ.
        vessels: (h, w) each, bool, or float32 where a pixel is partly vessel.
        fields_of_view: bool (h, w) each; nothing outside is learnt from.
        steps: optimiser steps; the learning rate rises and falls once over them.
        batch_size: crops a step.
        seed: of the weights and the crops.
        device: where to train.
        on_step: called with (steps done, steps in all) after each step.

    Returns:
        The model on `device`, in evaluation mode.

    Raises:
        ValueError: no photographs, lists or sizes that don't match, or an empty field of view.
    """
    samples = _samples(photographs, vessels, fields_of_view)
    rng = np.random.default_rng(seed)
    model = _initialised(seed).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * _schedule((step + 0.5) / steps)
        images, targets, weights = (part.to(device) for part in _batch(samples, batch_size, rng))
        loss = _loss(model(images), targets, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, steps)
    return model.eval()


@torch.no_grad()
def score_scratch(model: nn.Module, photograph: np.ndarray, field_of_view: np.ndarray) -> np.ndarray:
    """Vessel probability of every pixel, the mean over the four flips.

    Args:
        model: as `train_scratch` returns it.
        photograph: uint8 (h, w, 3) RGB, any size.
        field_of_view: bool (h, w).

    Returns:
        float32 (h, w) in [0, 1]; 0 outside the field of view.
    """
    height, width = field_of_view.shape
    image = normalise(photograph, field_of_view)
    padding = ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
    device = next(model.parameters()).device
    x = torch.from_numpy(np.pad(image, padding)).permute(2, 0, 1)[None].to(device)
    total = torch.zeros_like(x[:, :1])
    for axes in ([], [2], [3], [2, 3]):
        total += torch.sigmoid(model(x.flip(axes))).flip(axes)
    scores = (total / 4)[0, 0, :height, :width].cpu().numpy()
    return np.where(field_of_view, scores, np.float32(0))


@dataclass(frozen=True)
class _Sample:
    """One support photograph, ready for crops."""

    planes: np.ndarray  # float32 (h, w, 5): three normalised channels, vessels, field of view
    inside: np.ndarray  # int (n, 2): row and column of every pixel inside the field of view


def _samples(
    photographs: Sequence[np.ndarray], vessels: Sequence[np.ndarray], fields_of_view: Sequence[np.ndarray]
) -> list[_Sample]:
    """Normalise the support photographs; raises ValueError when they don't belong together."""
    if not len(photographs) == len(vessels) == len(fields_of_view) > 0:
        counts = f"{len(photographs)} photographs, {len(vessels)} vessel masks, {len(fields_of_view)} fields of view"
        raise ValueError(f"{counts}: give at least one photograph, and one mask of each kind for each")
    samples = []
    for index, (photograph, vessel, fov) in enumerate(zip(photographs, vessels, fields_of_view, strict=True)):
        if not photograph.shape[:2] == vessel.shape == fov.shape:
            shapes = f"{photograph.shape[:2]}, its vessels {vessel.shape}, its field of view {fov.shape}"
            raise ValueError(f"support photograph {index} is {shapes}: resize them to one size")
        if not fov.any():
            raise ValueError(f"support photograph {index} has an empty field of view")
        masks = np.stack([vessel, fov], axis=-1).astype(np.float32)
        planes = np.concatenate([normalise(photograph, fov), masks], axis=-1)
        samples.append(_Sample(planes, np.argwhere(fov)))
    return samples


def _initialised(seed: int) -> ScratchUNet:
    """A model with He-normal weights drawn from a generator of its own."""
    with torch.random.fork_rng(devices=[]):  # the constructors of the layers draw from the global generator
        model = ScratchUNet()
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.constant_(module.bias, -2.0)  # about the share of vessels: no steps lost on finding it
    return model


def _schedule(progress: float) -> float:
    """Factor of the peak learning rate: a linear warm-up, then half a cosine down to 0."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy, which ranks pixels, plus soft Dice, which puts the best threshold near 0.5."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, weight=weights, reduction="sum") / weights.sum()
    probabilities = torch.sigmoid(logits) * weights
    overlap = (probabilities * targets).sum()
    dice = (2 * overlap + 1) / (probabilities.sum() + (targets * weights).sum() + 1)
    return entropy + 0.5 * (1 - dice)


def _batch(samples: Sequence[_Sample], batch_size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Random crops: images (n, 3, CROP, CROP), vessels and loss weights (n, 1, CROP, CROP)."""
    crops = np.stack([_crop(samples[int(rng.integers(len(samples)))], rng) for _ in range(batch_size)])
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2)
    return planes[:, :3], planes[:, 3:4], planes[:, 4:]


def _crop(sample: _Sample, rng: np.random.Generator) -> np.ndarray:
    """One augmented crop, float32 (CROP, CROP, 5), centred on a pixel inside the field of view."""
    row, column = sample.inside[rng.integers(len(sample.inside))]
    angle = rng.uniform(0, 2 * math.pi)
    scale = math.exp(rng.uniform(-0.25, 0.25))
    flip = rng.choice((-1.0, 1.0))
    cos, sin, middle = math.cos(angle) / scale, math.sin(angle) / scale, (CROP - 1) / 2
    turn = np.array([[flip * cos, -sin], [flip * sin, cos]])
    shift = np.array([column, row]) - turn @ (middle, middle)
    matrix = np.column_stack([turn, shift])  # from the crop's pixels to the photograph's
    crop = cv2.warpAffine(sample.planes, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    gain = math.exp(rng.uniform(-0.3, 0.3)) * np.exp(rng.uniform(-0.15, 0.15, 3))
    crop[..., :3] = (crop[..., :3] * gain + rng.uniform(-0.3, 0.3, 3)) * crop[..., 4:]
    return crop
