"""Segmenters that are trained: a decoder on an encoder's feature maps, and the `scratch` network.

With a frozen encoder the decoder trains on aligned crops of maps that were made beforehand: those in the
feature store (``augment=none``), or these and a few augmented views of the support images (``pool``). With
``live`` augmentation, or when the encoder is fine-tuned, every step encodes fresh crops.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.adapters.segmenters import Fit, ScoreMap
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.data.working_resolution import enlarged, reduced, reduced_mask, working_size
from f2vbench.heads.scratch_unet import ScratchUNet, score_scratch, train_scratch
from f2vbench.heads.vessel_decoder import VesselDecoder, segmentation_loss
from f2vbench.store.features import halved

Maps = Callable[[Photograph], list[np.ndarray]]
Batch = tuple[list[Tensor], Tensor, Tensor]
Square = tuple[np.ndarray, np.ndarray, np.ndarray]
WARM_UP = 0.05


class DecoderSegmenter:
    """A vessel decoder on an encoder.

    Args:
        encoder: gives ``pyramid``, ``channels`` and ``strides``; not changed here (full fine-tuning works on a copy).
        stored_maps: photograph → the frozen encoder's maps of its whole square.
        settings: image size, steps, augmentation, fine-tuning.
        device: where to train.
        precision: of the encoder, ``float32`` or ``bf16``; the decoder computes in float32.
    """

    probability = True
    threshold: float | None = 0.5

    def __init__(
        self,
        encoder: Any,
        stored_maps: Maps,
        settings: RunSettings,
        device: torch.device,
        precision: str = "float32",
    ):
        self._encoder, self._stored_maps = encoder, stored_maps
        self._settings, self._device, self._precision = settings, device, precision
        self._decoder: VesselDecoder | None = None

    def fit(self, support: Sequence[Photograph], seed: int) -> Fit:
        """Train a fresh decoder; the same seed gives the same bits on the same machine and thread count."""
        started = time.perf_counter()
        settings, full = self._settings, self._settings.finetune == "full"
        with torch.random.fork_rng(devices=_cuda(self._device)):
            torch.manual_seed(seed % 2**63)
            decoder = VesselDecoder(self._encoder.channels, self._encoder.strides).to(self._device)
            groups = [{"params": list(decoder.parameters()), "lr": settings.decoder.learning_rate}]
            if full:
                self._encoder = copy.deepcopy(self._encoder).requires_grad_(True).train()
                rate = settings.decoder.encoder_learning_rate
                groups.append({"params": list(self._encoder.parameters()), "lr": rate})
            steps = settings.decoder_steps(len(support))
            draw = np.random.default_rng(seed)
            live = full or settings.augment == "live"
            batches = self._live_batches(support, draw, full) if live else self._pooled_batches(support, draw)
            prepared = time.perf_counter() - started
            _train(decoder.train(), groups, batches, steps, settings)
        if full:
            self._encoder.eval()
        self._decoder = decoder.eval()
        return Fit(steps, prepared)

    @torch.inference_mode()
    def score(self, photograph: Photograph) -> ScoreMap:
        """Probabilities on the encoder's square."""
        assert self._decoder is not None, "fit comes first"
        size = self._settings.image_size
        if self._settings.finetune == "full":
            pyramid = self._encoded(photograph.square(size)[None])
        else:
            pyramid = [torch.from_numpy(m[None]).to(self._device).float() for m in self._stored_maps(photograph)]
        logits = self._decoder(pyramid, (size, size))
        return ScoreMap(torch.sigmoid(logits)[0, 0].float().cpu().numpy(), photograph.view)

    def _pooled_batches(self, support: Sequence[Photograph], draw: np.random.Generator) -> Callable[[], Batch]:
        """Crops of maps made beforehand, aligned to the coarsest stride so that all levels are cut at whole pixels."""
        strides = self._encoder.strides
        grid = max(strides)
        crop = max(grid, self._settings.decoder.crop // grid * grid)
        maps, targets = self._pool(support, draw)

        def batch() -> Batch:
            chosen = draw.integers(len(maps), size=self._settings.batch_size)
            corners = [_corner(draw, targets[i][1], crop, grid) for i in chosen]
            pyramid = []
            for level, stride in enumerate(strides):
                side = crop // stride
                cuts = [
                    maps[i][level][:, top // stride : top // stride + side, left // stride : left // stride + side]
                    for i, (top, left) in zip(chosen, corners, strict=True)
                ]
                pyramid.append(torch.from_numpy(np.stack(cuts)).to(self._device).float())
            wanted = [
                np.stack(
                    [targets[i][part][t : t + crop, x : x + crop] for i, (t, x) in zip(chosen, corners, strict=True)]
                )
                for part in (0, 1)
            ]
            return pyramid, *(torch.from_numpy(array[:, None]).to(self._device) for array in wanted)  # type: ignore[return-value]

        return batch

    def _pool(
        self, support: Sequence[Photograph], draw: np.random.Generator
    ) -> tuple[list[list[np.ndarray]], list[tuple[np.ndarray, np.ndarray]]]:
        """Maps and targets of each support image as it is and, with augment=pool, of augmented views of it."""
        size, settings = self._settings.image_size, self._settings
        maps = [self._stored_maps(photograph) for photograph in support]
        targets = [photograph.square_targets(size) for photograph in support]
        if settings.augment == "pool":
            for number in range(settings.decoder.pool - len(support)):
                photograph = support[number % len(support)]
                square = (photograph.square(size), *photograph.square_targets(size))
                image, vessels, inside = _random_view(draw, square, size, augment=True)
                with torch.inference_mode():
                    pyramid = self._encoded(image[None])
                maps.append([halved(level[0].cpu().numpy()) for level in pyramid])
                targets.append((vessels, inside))
        return maps, targets

    def _live_batches(
        self, support: Sequence[Photograph], draw: np.random.Generator, full: bool
    ) -> Callable[[], Batch]:
        """Fresh crops through the encoder, with gradients where it is fine-tuned."""
        size, settings = self._settings.image_size, self._settings
        squares = [(photograph.square(size), *photograph.square_targets(size)) for photograph in support]

        def batch() -> Batch:
            chosen = draw.integers(len(support), size=settings.batch_size)
            views = [_random_view(draw, squares[i], settings.decoder.crop, settings.augment == "live") for i in chosen]
            images, vessels, inside = (np.stack(part) for part in zip(*views, strict=True))
            with nullcontext() if full else torch.no_grad():
                pyramid = self._encoded(images)
            return pyramid, *(torch.from_numpy(part[:, None]).to(self._device) for part in (vessels, inside))  # type: ignore[return-value]

        return batch

    def _encoded(self, images: np.ndarray) -> list[Tensor]:
        """float32 maps of (n, size, size, 3) uint8 squares."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            maps = self._encoder.pyramid(_to_unit(images, self._device))
        return [each.float() for each in maps]


class ScratchSegmenter:
    """The `scratch` baseline: a small U-Net trained on the support images alone, at the baselines' resolution."""

    probability = True
    threshold: float | None = 0.5

    def __init__(self, settings: RunSettings, device: torch.device):
        self._settings, self._device = settings, device
        self._model: ScratchUNet | None = None

    def fit(self, support: Sequence[Photograph], seed: int) -> Fit:
        chosen = self._settings.scratch
        sizes = [working_size(photograph.fov) for photograph in support]
        self._model = train_scratch(
            [reduced(photograph.rgb, size) for photograph, size in zip(support, sizes, strict=True)],
            [
                reduced(photograph.vessels.astype(np.float32), size)
                for photograph, size in zip(support, sizes, strict=True)
            ],
            [reduced_mask(photograph.fov, size) for photograph, size in zip(support, sizes, strict=True)],
            steps=chosen.steps,
            batch_size=chosen.batch_size,
            seed=seed,
            device=self._device,
        )
        return Fit(chosen.steps)

    def score(self, photograph: Photograph) -> ScoreMap:
        assert self._model is not None, "fit comes first"
        size = working_size(photograph.fov)
        score = score_scratch(self._model, reduced(photograph.rgb, size), reduced_mask(photograph.fov, size))
        return ScoreMap(enlarged(score, photograph.fov.shape))


def _train(
    decoder: nn.Module, groups: list[dict[str, Any]], batch: Callable[[], Batch], steps: int, settings: RunSettings
) -> None:
    """AdamW with a short linear warm-up and a cosine to zero."""
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.decoder.weight_decay)
    warm = max(1, round(WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm)))),
    )
    for _ in range(steps):
        pyramid, target, valid = batch()
        loss = segmentation_loss(decoder(pyramid, tuple(target.shape[-2:])), target, valid)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def _corner(draw: np.random.Generator, inside: np.ndarray, crop: int, grid: int) -> tuple[int, int]:
    """Top-left corner of a crop on the grid whose centre lies in the field of view (any, where none does)."""
    rows, columns = ((side - crop) // grid + 1 for side in inside.shape)
    centres = inside[crop // 2 :: grid, crop // 2 :: grid][:rows, :columns]
    allowed = np.flatnonzero(centres)
    place = int(allowed[draw.integers(len(allowed))]) if len(allowed) else int(draw.integers(rows * columns))
    return place // columns * grid, place % columns * grid


def _random_view(
    draw: np.random.Generator, square: Square, crop: int, augment: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A crop of ``crop`` pixels; augmented: of 70 to 100 % of the side, resized, flipped, brighter or darker."""
    image, vessels, inside = square
    size = image.shape[0]
    side = round(size * float(draw.uniform(0.7, 1.0))) if augment else crop
    top, left = _corner(draw, inside, side, 1)
    parts = [part[top : top + side, left : left + side] for part in (image, vessels, inside)]
    if not augment:
        return parts[0], parts[1], parts[2]
    resized = [
        cv2.resize(part, (crop, crop), interpolation=how)
        for part, how in zip(parts, (cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_NEAREST), strict=True)
    ]
    for axis in (0, 1):
        if draw.random() < 0.5:
            resized = [np.flip(part, axis) for part in resized]
    contrast, brightness = draw.uniform(0.8, 1.2), draw.uniform(-0.2, 0.2)
    pixels = resized[0].astype(np.float32)
    shown = np.clip((pixels - pixels.mean()) * contrast + pixels.mean() * (1 + brightness), 0, 255).astype(np.uint8)
    return shown, np.ascontiguousarray(resized[1]), np.ascontiguousarray(resized[2])


def _to_unit(images: np.ndarray, device: torch.device) -> Tensor:
    """(n, h, w, 3) uint8 → (n, 3, h, w) float in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device).float() / 255


def _cuda(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []
