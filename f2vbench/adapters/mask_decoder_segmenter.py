"""Segmentation by SAM2's own mask decoder, fine-tuned on the support images on top of stored maps.

The image encoder is frozen, so that its maps are computed once for each photograph and a training step costs only the
mask decoder. The decoder receives whole photographs, without augmentation.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2vbench.adapters.base import FeatureReader
from f2vbench.adapters.segmenters import FitSummary, ScoreMap, Segmenter
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.sam2 import Sam2Encoder
from f2vbench.encoders.sam2_decoder import Sam2Decoder
from f2vbench.errors import DataError
from f2vbench.heads.unet_decoder import segmentation_loss
from f2vbench.utils.step_reports import report_step


class MaskDecoderSegmenter(Segmenter):
    """SAM2's mask decoder, fine-tuned without prompts or with one click on a vessel of the annotation.

    Args:
        encoder: A `Sam2Encoder`. It does not change: fine-tuning trains a copy of its mask decoder, in float32.
        stored_maps: Photograph → the maps of the frozen encoder.
        settings: Size of the score maps, steps, batch size and ``sam2``.
        device: Device for the training.
        oracle_click: Whether each photograph, of the test set too, is prompted with a click on its annotation.
        kept_images: Support images whose maps stay in memory during a fit, 8.4 MB each in half precision.
    """

    probability = True
    threshold: float | None = 0.5

    def __init__(
        self,
        encoder: Sam2Encoder,
        stored_maps: FeatureReader,
        settings: RunSettings,
        device: torch.device,
        oracle_click: bool = False,
        kept_images: int = 32,
    ):
        self._encoder, self._stored_maps = encoder, stored_maps
        self._settings, self._device, self._oracle_click = settings, device, oracle_click
        self._kept_images = kept_images
        self._kept: dict[str, list[Tensor]] = {}
        self._decoder: Sam2Decoder | None = None
        self._seed = 0

    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Fine-tune a copy of the decoder; the same seed gives the same bits on one machine and number of threads."""
        settings, rng = self._settings.sam2, np.random.default_rng(seed)
        self._seed = seed
        self._kept = {photograph.content: self._maps(photograph) for photograph in support[: self._kept_images]}
        decoder = Sam2Decoder(self._encoder).to(self._device).train()
        optimiser = torch.optim.Adam(decoder.trained_parameters(), lr=settings.learning_rate)
        targets = [photograph.square_targets(self._settings.image_size) for photograph in support]
        steps = self._settings.decoder_steps(len(support), views=1)
        for batch in _batches(len(support), self._settings.batch_size, steps, rng):
            if settings.halve_every is not None:
                rate = settings.learning_rate * 0.5 ** (batch.epoch // settings.halve_every)
                optimiser.param_groups[0]["lr"] = rate
            chosen = [support[number] for number in batch.numbers]
            masks, inside = (
                torch.from_numpy(np.stack(arrays)).to(self._device)
                for arrays in zip(*(targets[number] for number in batch.numbers), strict=True)
            )
            clicks = [self._click(photograph, rng) for photograph in chosen] if self._oracle_click else None
            logits = self._logits(decoder, chosen, clicks)
            loss = segmentation_loss(
                logits,
                masks,
                inside[:, None],
                positive_weight=settings.positive_weight,
                dice_weight=settings.dice_weight,
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            report_step(batch.step + 1, steps)
        self._decoder, self._kept = decoder.eval(), {}
        return FitSummary(steps)

    @torch.inference_mode()
    def score(self, photograph: Photograph) -> ScoreMap:
        """Compute vessel probabilities on the square crop.

        Raises:
            DataError: With a click, a photograph without a vessel in its annotation.
        """
        assert self._decoder is not None, "call fit first"
        clicks = None
        if self._oracle_click:
            stream = np.random.default_rng([self._seed, zlib.crc32(photograph.content.encode())])
            clicks = [self._click(photograph, stream)]
        probabilities = torch.sigmoid(self._logits(self._decoder, [photograph], clicks))
        return ScoreMap(probabilities[0].float().cpu().numpy(), photograph.view)

    def _logits(
        self, decoder: Sam2Decoder, photographs: Sequence[Photograph], clicks: list[NDArray[np.float32]] | None
    ) -> Tensor:
        """(n, 1, image_size, image_size) logits of photographs."""
        maps = [self._maps(photograph) for photograph in photographs]
        pyramid = [torch.stack(level).to(self._device).float() for level in zip(*maps, strict=True)]
        points = None if clicks is None else torch.from_numpy(np.stack(clicks)).to(self._device)
        logits: Tensor = decoder(pyramid, (self._settings.image_size,) * 2, points)
        return logits

    def _maps(self, photograph: Photograph) -> list[Tensor]:
        """Stored maps of a photograph; during a fit, those of the first support images are in memory."""
        kept = self._kept.get(photograph.content)
        return kept or [torch.from_numpy(level) for level in self._stored_maps(photograph)]

    def _click(self, photograph: Photograph, rng: np.random.Generator) -> NDArray[np.float32]:
        """Column and row of a random annotated vessel pixel, in pixels of the encoder's input."""
        size = self._settings.image_size
        vessels, inside = photograph.square_targets(size)
        shares = vessels[0] * inside
        pixels = np.argwhere(shares >= 0.5 * shares.max()) if shares.any() else np.empty((0, 2))
        if not len(pixels):
            raise DataError(
                f"{photograph.name}: @oracle-click needs a vessel in the annotation, inside the field of view; leave "
                "out the photograph, or run the model without @oracle-click"
            )
        row, column = pixels[rng.integers(len(pixels))]
        scale = self._encoder.embed_size[0] / size
        return np.array([(column + 0.5) * scale - 0.5, (row + 0.5) * scale - 0.5], np.float32)


class _Batch(NamedTuple):
    step: int
    epoch: int
    numbers: NDArray[np.int64]


def _batches(images: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[_Batch]:
    """Batches of image numbers, each epoch in a new order; the last batch of an epoch may be smaller."""
    step = epoch = 0
    while step < steps:
        order = rng.permutation(images)
        for start in range(0, images, size):
            if step < steps:
                yield _Batch(step, epoch, order[start : start + size])
                step += 1
        epoch += 1
