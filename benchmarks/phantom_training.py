"""A small U-Net trained on crops of phantoms, and its scores of whole images, for the transfer benchmarks."""

from __future__ import annotations

import math
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()
import segmentation_models_pytorch as smp  # noqa: E402

CROP, BATCH = 128, 8
PEAK_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 1e-3, 0.05
STRIDE = 32
FIXED_POINT = 4096  # planes are stored as int16 multiples of 1 / 4096


def pack(image: np.ndarray, *masks: np.ndarray) -> np.ndarray:
    """Pack an image with its masks as fixed-point planes.

    Args:
        image: (h, w, 3), normalised.
        masks: (h, w) each: the target masks, and last the field of view.

    Returns:
        int16 (h, w, 3 + masks).
    """
    planes = np.concatenate([image, np.stack(masks, axis=-1).astype(np.float32)], axis=-1)
    return np.rint(planes * FIXED_POINT).astype(np.int16)


def train_unet(pool: list[np.ndarray], steps: int, seed: int) -> nn.Module:
    """Train segmentation-models-pytorch's U-Net on the first stages of a ResNet-18, from random weights.

    Args:
        pool: Packed images (`pack`), all with the same number of targets.
        steps: Number of optimiser steps.
        seed: Of initial weights and crops.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    targets = pool[0].shape[-1] - 4
    model = smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(64, 32, 16), classes=targets)
    model = model.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    started, running = time.perf_counter(), 0.0
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * _schedule(step / steps)
        batch = np.stack([_random_crop(pool[int(rng.integers(len(pool)))], rng) for _ in range(BATCH)])
        planes = torch.from_numpy(batch).permute(0, 3, 1, 2)
        logits = model(planes[:, :3].contiguous(memory_format=torch.channels_last))
        loss = _loss(logits, planes[:, 3:-1], planes[:, -1:])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 100 == 0:
            print(f"  step {step + 1}/{steps}: loss {running:.3f}, {time.perf_counter() - started:.0f} s", flush=True)
    return model.eval()


@torch.no_grad()
def score(model: nn.Module, image: np.ndarray) -> np.ndarray:
    """Predict the targets of an image, averaged over the four flips.

    Args:
        model: As `train_unet` returns it.
        image: (h, w, 3), normalised.

    Returns:
        Probabilities, float32 (h, w, targets).
    """
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)))
    x = torch.from_numpy(padded).permute(2, 0, 1)[None]
    views: list[Tensor] = []
    for axes in ([], [2], [3], [2, 3]):
        flipped = x.flip(axes).contiguous(memory_format=torch.channels_last)
        views.append(torch.sigmoid(model(flipped)).flip(axes))
    return np.asarray(torch.stack(views).mean(dim=0)[0, :, :height, :width].permute(1, 2, 0).numpy())


def _schedule(share: float) -> float:
    """Factor of the peak learning rate at a share of the steps: a linear warm-up, then half a cosine."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


def _loss(logits: Tensor, target: Tensor, fov_mask: Tensor) -> Tensor:
    """Cross-entropy plus half of a soft Dice loss, mean over targets, inside the field of view."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * fov_mask
    probability, truth = torch.sigmoid(logits) * fov_mask, target * fov_mask
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    dice = (2 * overlap + 1) / (probability.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3)) + 1)
    return entropy.sum() / fov_mask.sum() / target.shape[1] + 0.5 * (1 - dice).mean()


def _random_crop(planes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rotated, scaled and flipped crop with other contrast, float32 (CROP, CROP, planes)."""
    height, width = planes.shape[:2]
    row, column = rng.integers(height), rng.integers(width)
    while not planes[row, column, -1]:
        row, column = rng.integers(height), rng.integers(width)
    angle, scale, flip = rng.uniform(0, 2 * math.pi), math.exp(rng.uniform(-0.3, 0.3)), rng.choice((-1.0, 1.0))
    cosine, sine, middle = math.cos(angle) / scale, math.sin(angle) / scale, (CROP - 1) / 2
    linear = np.array([[flip * cosine, -sine], [flip * sine, cosine]])
    matrix = np.column_stack([linear, np.array([column, row]) - linear @ (middle, middle)])
    parts = [  # OpenCV warps up to four channels at a time
        cv2.warpAffine(
            np.ascontiguousarray(planes[..., first : first + 4]),
            matrix,
            (CROP, CROP),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        ).reshape(CROP, CROP, -1)
        for first in range(0, planes.shape[-1], 4)
    ]
    values = np.concatenate(parts, axis=-1).astype(np.float32) / FIXED_POINT
    gain = math.exp(rng.uniform(-0.3, 0.3)) * np.exp(rng.uniform(-0.15, 0.15, 3))
    values[..., :3] = (values[..., :3] * gain + rng.uniform(-0.3, 0.3, 3)) * values[..., -1:]
    return values
