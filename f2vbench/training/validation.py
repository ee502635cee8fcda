"""Validation of angiogram generators: generated videos, their scores, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.data.cases import LAST_FRAME_OF_PHASE
from f2vbench.encoders.global_generator import WINDOW, roll_out
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.metrics.image_quality import psnr, ssim
from f2vbench.metrics.segmentation import tally
from f2vbench.training.data.truth_maps import VESSELS
from f2vbench.training.data.video_loader import VideoBatch

_STRIP_SIDE = 384
_VENOUS = slice(4, 8)  # frames of a video of 12
_MAX_PSNR = 100.0  # instead of infinity for a frame that equals the truth, such as a black one


@dataclass(frozen=True)
class GeneratedVideo:
    """A generated video with the true one.

    Attributes:
        photograph: float32 (h, w, 3), RGB in [0, 1].
        real: float32 (t, h, w) in [0, 1], the true frames.
        fake: float32 (t, h, w) in [0, 1], the generated frames, black outside the field of view.
        fov_mask: bool (h, w), the field of view.
        vessels: bool (h, w), or None where they are not known.
    """

    photograph: np.ndarray
    real: np.ndarray
    fake: np.ndarray
    fov_mask: np.ndarray
    vessels: np.ndarray | None = None

    def scores(self) -> dict[str, float]:
        """PSNR (dB) and SSIM inside the field of view, means over frames.

        Where vessels are known, also ``vessels``, the AUROC of the brightness of the venous frames.
        """
        scores = {
            "psnr": float(np.minimum(psnr(self.real, self.fake, self.fov_mask), _MAX_PSNR).mean()),
            "ssim": float(ssim(self.real, self.fake, self.fov_mask).mean()),
        }
        if self.vessels is not None:
            venous = self.fake[_VENOUS] if len(self.fake) > 1 else self.fake
            scores |= vessel_scores(venous.mean(axis=0), self.vessels, self.fov_mask)
        return scores

    def strip(self) -> np.ndarray:
        """Draw the true frames above the generated ones, each row after the photograph.

        Returns:
            uint8 (2 h, (t + 1) w, 3), reduced to 384 pixels an image where it is larger.
        """
        side = min(_STRIP_SIDE, max(self.photograph.shape[:2]))
        scale = side / max(self.photograph.shape[:2])

        def reduce(image: np.ndarray) -> np.ndarray:
            if scale == 1:
                return image
            return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

        photograph = reduce(self.photograph)
        rows = []
        for frames in (self.real, self.fake):
            grey = np.concatenate([reduce(frame) for frame in frames], 1)[..., None].repeat(3, 2)
            rows.append(np.concatenate([photograph, grey], 1))
        return np.asarray(np.rint(255 * np.concatenate(rows)), np.uint8)

    def animation(self) -> np.ndarray | None:
        """The true frames beside the generated ones, uint8 (t, h, 2 w); None for a single frame."""
        if len(self.fake) == 1:
            return None
        return np.asarray(np.rint(255 * np.concatenate([self.real, self.fake], 2)), np.uint8)


@torch.no_grad()
def generate_videos(
    generator: nn.Module, shape: GeneratorShape, batch: VideoBatch, phase: str, bf16: bool = False
) -> Iterator[GeneratedVideo]:
    """Generate a video, or a single frame, for each photograph of a batch.

    Args:
        generator: Of Fundus2Video's windows, or of a single frame.
        shape: Of the generator.
        batch: On the device of the generator.
        phase: Phase of the single frame.
        bf16: Autocast to bfloat16.
    """
    photograph = batch.photograph
    arithmetic = torch.autocast(photograph.device.type, torch.bfloat16) if bf16 else nullcontext()
    with arithmetic:
        if shape.outputs == WINDOW:
            fake, real = roll_out(generator, photograph, batch.frames.shape[1], shape), batch.frames
        else:
            fake, real = generator(photograph), batch.frames[:, [LAST_FRAME_OF_PHASE[phase]]]
    yield from compare_videos(batch, fake, real)


def compare_videos(batch: VideoBatch, fake: Tensor, real: Tensor) -> Iterator[GeneratedVideo]:
    """The generated video of each photograph of a batch with the true one.

    Args:
        batch: Photographs, fields of view and, where they are simulated, vessels.
        fake: (n, t, h, w) in [−1, 1], the generated frames.
        real: (n, t, h, w) in [−1, 1], the true frames.
    """
    for index in range(len(batch.cases)):
        rgb = _unit_range(batch.photograph[index]).transpose(1, 2, 0)
        fov_mask = batch.fov_mask[index, 0].cpu().numpy() > 0.5
        vessels = None if batch.truth is None else batch.truth[index, VESSELS].amax(0).cpu().numpy() > 0.5
        fake_frames = _unit_range(fake[index]) * fov_mask
        yield GeneratedVideo(rgb, _unit_range(real[index]), fake_frames, fov_mask, vessels)


def vessel_scores(score: np.ndarray, vessels: np.ndarray, fov_mask: np.ndarray) -> dict[str, float]:
    """``vessels``: AUROC of a score for the vessels inside the field of view; empty without vessel or background.

    Args:
        score: float32 (h, w).
        vessels: bool (h, w).
        fov_mask: bool (h, w).
    """
    auroc = tally(score[fov_mask], vessels[fov_mask]).auroc()
    return {} if auroc is None else {"vessels": auroc}


def _unit_range(x: Tensor) -> np.ndarray:
    """[−1, 1] → float32 [0, 1] on the CPU; clipped, because rounding may exceed the range slightly."""
    return np.asarray(((x.float() + 1) / 2).clamp(0, 1).cpu().numpy())
