"""Segmenters that are trained: a decoder on an encoder's feature maps, and the network of the baseline ``scratch``.

The decoder is a new U-Net decoder, or the second half of a pix2pixHD generator with a new output layer.

With a frozen encoder, the decoder is trained on aligned crops of feature maps that are computed once: the stored maps
of the support images (``augment=none``), or these and the maps of a few augmented views (``pool``). With
``augment=live``, or when the encoder is trained too, each step encodes new crops.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.adapters.base import FeatureReader
from f2vbench.adapters.crop_sampling import BalancedSampler, UniformSampler, crop_corner
from f2vbench.adapters.segmenters import FitSummary, ScoreMap, Segmenter
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.data.working_resolution import enlarged, reduced, reduced_mask, working_size
from f2vbench.encoders.generator_decoder import GeneratorDecoder
from f2vbench.encoders.vessel_scores import VESSEL
from f2vbench.heads.scratch_unet import ScratchUNet, score_scratch_unet, train_scratch_unet
from f2vbench.heads.unet_decoder import UNetDecoder, segmentation_loss
from f2vbench.store.features import halved
from f2vbench.utils.step_reports import report_step

_WARM_UP = 0.05  # fraction of the steps


class LabelledImage(NamedTuple):
    """Image and masks of a square crop or a part of it.

    Attributes:
        image: (h, w, 3) uint8.
        masks: (classes, h, w) float32, the fraction of each pixel that is of each class.
        inside: (h, w) float32, 1 for pixels that count.
    """

    image: np.ndarray
    masks: np.ndarray
    inside: np.ndarray


class Batch(NamedTuple):
    """Input and target of the decoder for one step.

    Attributes:
        pyramid: Feature maps, (n, channels, height, width) each.
        target: (n, classes, h, w), the fraction of each pixel that is of each class.
        valid: (n, 1, h, w), 1 for pixels that count.
    """

    pyramid: list[Tensor]
    target: Tensor
    valid: Tensor


class DecoderSegmenter(Segmenter):
    """A decoder on an encoder, with an output for each class; ``encoder.spec.decoder`` says which decoder.

    Args:
        encoder: An encoder with ``pyramid``, ``channels`` and ``strides``. It does not change: fine-tuning trains a
            copy.
        stored_maps: Photograph → the frozen encoder's feature maps of the square crop.
        settings: Image size, steps, augmentation and fine-tuning.
        device: Device for the training.
        precision: Arithmetic of the encoder, ``float32`` or ``bf16``; the decoder computes in float32.
        classes: Names of the classes. A generator that was trained to predict classes of these names starts from them.
    """

    probability = True
    threshold: float | None = 0.5

    def __init__(
        self,
        encoder: Any,
        stored_maps: FeatureReader,
        settings: RunSettings,
        device: torch.device,
        precision: str = "float32",
        classes: Sequence[str] = (VESSEL,),
    ):
        self._classes = classes
        self._encoder, self._stored_maps = encoder, stored_maps
        self._settings, self._device, self._precision = settings, device, precision
        self._decoder: nn.Module | None = None

    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Train a new decoder; the same seed gives the same bits on one machine and number of threads."""
        started = time.perf_counter()
        settings, fine_tune = self._settings, self._settings.finetune != "frozen"
        cuda_devices = [self._device.index or 0] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda_devices):
            torch.manual_seed(seed % 2**63)
            decoder, groups = self._new_decoder()
            if fine_tune:
                self._encoder = copy.deepcopy(self._encoder).requires_grad_(True).train()
                learning_rate = settings.decoder.encoder_learning_rate
                groups.append({"params": list(self._encoder.parameters()), "lr": learning_rate})
            steps = settings.decoder_steps(len(support))
            rng = np.random.default_rng(seed)
            live = fine_tune or settings.augment == "live"
            draw_batch = self.live_batches(support, rng) if live else self.pooled_batches(support, rng)
            preparation_seconds = time.perf_counter() - started
            _train(decoder.train(), groups, draw_batch, steps, settings)
        if fine_tune:
            self._encoder.eval()
        self._decoder = decoder.eval()
        return FitSummary(steps, preparation_seconds)

    @torch.inference_mode()
    def score(self, photograph: Photograph) -> ScoreMap:
        """Compute the probability of each class on the square crop."""
        assert self._decoder is not None, "call fit first"
        size = self._settings.image_size
        if self._settings.finetune != "frozen":
            pyramid = self._encode(photograph.square(size)[None])
        else:
            pyramid = [torch.from_numpy(m[None]).to(self._device).float() for m in self._stored_maps(photograph)]
        logits = self._decoder(pyramid, (size, size))
        return ScoreMap(torch.sigmoid(logits)[0].float().cpu().numpy(), photograph.view)

    def pooled_batches(self, support: Sequence[Photograph], rng: np.random.Generator) -> Callable[[], Batch]:
        """Return a function that draws crops of stored feature maps.

        Crops are aligned to the coarsest stride, so that the corners are at whole pixels of each map.

        Args:
            support: Photographs with vessel masks.
            rng: Random stream of the crops.
        """
        strides = self._encoder.strides
        grid = max(strides)
        crop = max(grid, self._settings.decoder.crop // grid * grid)
        maps, targets = self._pool(support, rng)
        sampler = self._sampler([masks for masks, _ in targets], [inside for _, inside in targets])

        def draw_batch() -> Batch:
            places = sampler.draw(rng, self._settings.batch_size)
            chosen = [place.image for place in places]
            corners = [crop_corner(rng, targets[i][1], crop, grid, pixel) for i, pixel in places]
            pyramid = []
            for level, stride in enumerate(strides):
                side = crop // stride
                crops = [
                    _cut(maps[i][level], top // stride, left // stride, side)
                    for i, (top, left) in zip(chosen, corners, strict=True)
                ]
                pyramid.append(torch.from_numpy(np.stack(crops)).to(self._device).float())
            target, valid = (
                np.stack([_cut(targets[i][part], *corner, crop) for i, corner in zip(chosen, corners, strict=True)])
                for part in (0, 1)
            )
            return self._batch(pyramid, target, valid)

        return draw_batch

    def live_batches(self, support: Sequence[Photograph], rng: np.random.Generator) -> Callable[[], Batch]:
        """Return a function that draws and encodes crops, with gradients when the encoder is trained.

        Args:
            support: Photographs with vessel masks.
            rng: Random stream of the crops.
        """
        size, settings = self._settings.image_size, self._settings
        squares = [LabelledImage(photograph.square(size), *photograph.square_targets(size)) for photograph in support]
        sampler = self._sampler([square.masks for square in squares], [square.inside for square in squares])

        def draw_batch() -> Batch:
            places = sampler.draw(rng, settings.batch_size)
            augment = settings.augment == "live"
            views = [_random_view(rng, squares[i], settings.decoder.crop, augment, pixel) for i, pixel in places]
            images, masks, inside = (np.stack(arrays) for arrays in zip(*views, strict=True))
            with nullcontext() if settings.finetune != "frozen" else torch.no_grad():
                pyramid = self._encode(images)
            return self._batch(pyramid, masks, inside)

        return draw_batch

    def _sampler(self, masks: Sequence[np.ndarray], inside: Sequence[np.ndarray]) -> UniformSampler | BalancedSampler:
        """Return what draws support images and places of crops."""
        balanced = self._settings.decoder.sampling == "balanced"
        return BalancedSampler(masks, inside) if balanced else UniformSampler(len(masks))

    def _new_decoder(self) -> tuple[nn.Module, list[dict[str, Any]]]:
        """Return an untrained decoder, and its groups of parameters for the optimiser."""
        settings = self._settings.decoder
        if self._encoder.spec.decoder == "unet":
            unet = UNetDecoder(self._encoder.channels, self._encoder.strides, len(self._classes)).to(self._device)
            return unet, [{"params": list(unet.parameters()), "lr": settings.learning_rate}]
        decoder = GeneratorDecoder(self._encoder, self._classes).to(self._device)
        return decoder, [
            {"params": list(decoder.new_parameters()), "lr": settings.learning_rate},
            {"params": list(decoder.pretrained_parameters()), "lr": settings.generator_learning_rate},
        ]

    def _pool(
        self, support: Sequence[Photograph], rng: np.random.Generator
    ) -> tuple[list[list[np.ndarray]], list[tuple[np.ndarray, np.ndarray]]]:
        """Return maps and targets of each support image and, with ``augment=pool``, of augmented views."""
        size, settings = self._settings.image_size, self._settings
        maps = [self._stored_maps(photograph) for photograph in support]
        targets = [photograph.square_targets(size) for photograph in support]
        if settings.augment == "pool":
            for number in range(settings.decoder.pool - len(support)):
                photograph = support[number % len(support)]
                square = LabelledImage(photograph.square(size), *photograph.square_targets(size))
                view = _random_view(rng, square, size, augment=True)
                with torch.inference_mode():
                    pyramid = self._encode(view.image[None])
                maps.append([halved(level[0].cpu().numpy()) for level in pyramid])
                targets.append((view.masks, view.inside))
        return maps, targets

    def _batch(self, pyramid: list[Tensor], masks: np.ndarray, inside: np.ndarray) -> Batch:
        target, valid = (torch.from_numpy(each).to(self._device) for each in (masks, inside[:, None]))
        return Batch(pyramid, target, valid)

    def _encode(self, images: np.ndarray) -> list[Tensor]:
        """Compute the float32 feature maps of (n, size, size, 3) uint8 images."""
        channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        inputs = torch.from_numpy(channels_first).to(self._device).float() / 255
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            maps = self._encoder.pyramid(inputs)
        return [each.float() for each in maps]


class ScratchSegmenter(Segmenter):
    """The baseline ``scratch``: a small U-Net that is trained on the support images only, at a fixed resolution.

    Args:
        settings: Steps and batch size.
        device: Device for the training.
    """

    probability = True
    threshold: float | None = 0.5

    def __init__(self, settings: RunSettings, device: torch.device):
        self._settings, self._device = settings.scratch, device
        self._model: ScratchUNet | None = None

    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Train a new U-Net."""
        sizes = [(photograph, working_size(photograph.fov)) for photograph in support]
        self._model = train_scratch_unet(
            [reduced(photograph.rgb, size) for photograph, size in sizes],
            [_reduced_masks(photograph, size) for photograph, size in sizes],
            [reduced_mask(photograph.counted, size) for photograph, size in sizes],
            steps=self._settings.steps,
            batch_size=self._settings.batch_size,
            seed=seed,
            device=self._device,
            on_step=report_step,
        )
        return FitSummary(self._settings.steps)

    def score(self, photograph: Photograph) -> ScoreMap:
        """Compute the probability of each class at the photograph's resolution."""
        assert self._model is not None, "call fit first"
        size = working_size(photograph.fov)
        scores = score_scratch_unet(self._model, reduced(photograph.rgb, size), reduced_mask(photograph.fov, size))
        return ScoreMap(np.stack([enlarged(score, photograph.fov.shape) for score in scores]))


def _reduced_masks(photograph: Photograph, size: tuple[int, int]) -> np.ndarray:
    """The masks of all classes at a working size, float32 (classes, *size)."""
    masks = (photograph.annotation.mask(number) for number in range(photograph.annotation.classes))
    return np.stack([reduced(mask.astype(np.float32), size) for mask in masks])


def _train(
    decoder: nn.Module, groups: list[dict[str, Any]], draw_batch: Callable[[], Batch], steps: int, settings: RunSettings
) -> None:
    """Train with AdamW, a short linear warm-up and a cosine decay to zero."""
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.decoder.weight_decay)
    warm_up = max(1, round(_WARM_UP * steps))

    def factor(step: int) -> float:
        progress = max(0, step - warm_up) / max(1, steps - warm_up)
        return min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * progress)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    for step in range(steps):
        pyramid, target, valid = draw_batch()
        loss = segmentation_loss(decoder(pyramid, tuple(target.shape[-2:])), target, valid)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        report_step(step + 1, steps)


def _cut(array: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """Return a square of the last two axes."""
    return array[..., top : top + side, left : left + side]


def _random_view(
    rng: np.random.Generator, square: LabelledImage, crop: int, augment: bool, pixel: tuple[int, int] | None = None
) -> LabelledImage:
    """Draw a view of ``crop`` × ``crop`` pixels, which contains a pixel of the square where one is given.

    With ``augment``, the view shows a part of the square with 70 to 100 % of this side; it is resized, flipped, and
    changed in contrast and brightness.
    """
    side = round(crop * float(rng.uniform(0.7, 1.0))) if augment else crop
    top, left = crop_corner(rng, square.inside, side, 1, pixel)
    image = square.image[top : top + side, left : left + side]
    masks, inside = (_cut(each, top, left, side) for each in (square.masks, square.inside))
    if not augment:
        return LabelledImage(image, masks, inside)
    image = cv2.resize(image, (crop, crop), interpolation=cv2.INTER_LINEAR)
    masks = np.stack([cv2.resize(mask, (crop, crop), interpolation=cv2.INTER_LINEAR) for mask in masks])
    inside = cv2.resize(inside, (crop, crop), interpolation=cv2.INTER_NEAREST)
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, inside, masks = np.flip(image, axis), np.flip(inside, axis), np.flip(masks, axis + 1)
    contrast, brightness = rng.uniform(0.8, 1.2), rng.uniform(-0.2, 0.2)
    pixels = image.astype(np.float32)
    jittered = (pixels - pixels.mean()) * contrast + pixels.mean() * (1 + brightness)
    image = np.clip(jittered, 0, 255).astype(np.uint8)
    return LabelledImage(image, np.ascontiguousarray(masks), np.ascontiguousarray(inside))
