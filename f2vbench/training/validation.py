"""What a generator makes of the validation videos: PSNR, SSIM and strips of frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from f2vbench.data.cases import LAST_FRAME_OF_PHASE
from f2vbench.metrics.image_quality import psnr, ssim
from f2vbench.training.data.batches import VideoBatch
from f2vbench.training.frame_windows import roll_out

_STRIP_SIDE = 384
_BEST_PSNR = 100.0  # instead of infinity for a frame that equals the truth, such as a black one


@dataclass(frozen=True)
class Generated:
    """A video beside its truth: photograph (h, w, 3), frames (t, h, w), all float32 in [0, 1]; field (h, w) bool."""

    case: str
    photograph: np.ndarray
    real: np.ndarray
    fake: np.ndarray
    inside: np.ndarray

    def scores(self) -> dict[str, float]:
        """PSNR (dB) and SSIM inside the field of view, means over frames."""
        return {
            "psnr": float(np.minimum(psnr(self.real, self.fake, self.inside), _BEST_PSNR).mean()),
            "ssim": float(ssim(self.real, self.fake, self.inside).mean()),
        }

    def strip(self) -> np.ndarray:
        """uint8 (2 h, (t + 1) w, 3): the true frames above the generated ones, the photograph before them; reduced to
        384 pixels each where they are larger."""
        side = min(_STRIP_SIDE, max(self.photograph.shape[:2]))
        scale = side / max(self.photograph.shape[:2])

        def reduced(image: np.ndarray) -> np.ndarray:
            if scale == 1:
                return image
            return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

        photograph = reduced(self.photograph)
        rows = []
        for frames in (self.real, self.fake):
            grey = np.concatenate([reduced(frame) for frame in frames], 1)[..., None].repeat(3, 2)
            rows.append(np.concatenate([photograph, grey], 1))
        return np.rint(255 * np.concatenate(rows)).astype(np.uint8)

    def film(self) -> np.ndarray | None:
        """uint8 (t, h, 2 w): the true frames beside the generated ones; None for a single frame."""
        if len(self.fake) == 1:
            return None
        return np.rint(255 * np.concatenate([self.real, self.fake], 2)).astype(np.uint8)


@torch.no_grad()
def generate(generator: nn.Module, batch: VideoBatch, phase: str, bf16: bool = False) -> Iterator[Generated]:
    """Videos (or single frames, from a generator of three channels) for a batch of photographs; black outside the
    field of view, as the true ones are.

    Args:
        phase: of the one frame, for a generator of one.
    """
    photograph = batch.photograph
    arithmetic = torch.autocast(photograph.device.type, torch.bfloat16) if bf16 else nullcontext()
    with arithmetic:
        if _inputs(generator) == 6:
            fake, real = roll_out(generator, photograph, batch.frames.shape[1]), batch.frames
        else:
            fake, real = generator(photograph), batch.frames[:, [LAST_FRAME_OF_PHASE[phase]]]
    for index, case in enumerate(batch.cases):
        colours = _unit(photograph[index]).transpose(1, 2, 0)
        inside = batch.inside[index, 0].cpu().numpy() > 0.5
        yield Generated(case, colours, _unit(real[index]), _unit(fake[index]) * inside, inside)


def _inputs(generator: nn.Module) -> int:
    return next(layer.in_channels for layer in generator.modules() if isinstance(layer, nn.Conv2d))


def _unit(x: Tensor) -> np.ndarray:
    """[−1, 1] → float32 [0, 1] on the CPU; rounding may have left it by a little."""
    return ((x.float() + 1) / 2).clamp(0, 1).cpu().numpy()
