"""Fréchet video distance: I3D features of videos, from the one TorchScript file that published FVDs are made with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.errors import WeightsError
from f2vbench.metrics.frechet import FrechetDistance, frechet_distance
from f2vbench.metrics.image_quality import check_frames
from f2vbench.pretrained.weights_cards import WeightsCard, weights_card
from f2vbench.pretrained.weights_files import download_instructions, find_weights

I3D_CARD = "i3d-kinetics400"
LEAST_FRAMES = 10
"""I3D's last pooling takes two steps at an eighth of the frame rate; shorter videos have none."""

_SIDE = 224


def load_i3d(
    path: str | Path | None = None, *, card: WeightsCard | None = None, device: str | torch.device = "cpu"
) -> torch.jit.ScriptModule:
    """The I3D network, run only after its file was found to be the one that its card tells.

    Args:
        path: the file, or the folder it lies in; else it is looked for by its card.
        card: what the file must be; by default ``weights/i3d-kinetics400.yaml``.

    Raises:
        WeightsError: absent (told with what to download and where to put it), another file, or unreadable.
    """
    card = card or weights_card(I3D_CARD)
    if card.sha256 is None:
        raise ValueError(f"weights/{card.name}.yaml: TorchScript is a program, so its sha256 must be known")
    file = find_weights(card, path)
    try:
        return torch.jit.load(str(file), map_location=device).eval()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"{file}: can't be read as TorchScript ({reason}). {download_instructions(card)}") from error


def i3d_features(video: np.ndarray, network: nn.Module) -> np.ndarray:
    """I3D features of one grey video.

    Grey is repeated in three channels, the shorter side is resized to 224 (bilinear), the centre is cropped, and x
    becomes 2 x − 1.

    Args:
        video: (t, h, w) in [0, 1] (not checked), t ≥ 10.
        network: from `load_i3d`.

    Returns:
        (400,) float64.

    Raises:
        ValueError: another shape, or fewer than 10 frames.
    """
    if video.ndim != 3 or len(video) < LEAST_FRAMES:
        raise ValueError(f"I3D needs a video (t, h, w) of at least {LEAST_FRAMES} frames, not {video.shape}")
    with torch.inference_mode():
        frames = torch.from_numpy(np.ascontiguousarray(video)).to(_device_of(network), torch.float32)
        clip = (2 * _centre(frames[:, None]) - 1).expand(-1, 3, -1, -1).transpose(0, 1)[None].contiguous()
        found = network(clip, rescale=False, resize=False, return_features=True)
        return found[0].double().cpu().numpy()


def fvd(
    real_videos: Iterable[np.ndarray],
    fake_videos: Iterable[np.ndarray],
    i3d: str | Path | nn.Module | None = None,
    *,
    resamples: int = 0,
    paired: bool = False,
    seed: int = 0,
) -> FrechetDistance:
    """Fréchet video distance (Unterthiner et al. 2018) of two sets of videos, with I3D trained on Kinetics-400.

    Args:
        real_videos: (n, t, h, w), or videos (t, h, w) one after the other, in [0, 1], t ≥ 10.
        fake_videos: as many or another number of videos.
        i3d: as for `load_i3d`, or what it returned (to load only once).
        resamples, paired, seed: of the bootstrap interval, as for `frechet_distance`.

    Raises:
        ValueError: fewer than two videos or ten frames, values that are not finite or outside [0, 1].
        WeightsError: as `load_i3d`.
    """
    network = i3d if isinstance(i3d, nn.Module) else load_i3d(i3d)
    real, fake = (np.stack([_checked_features(v, network) for v in videos]) for videos in (real_videos, fake_videos))
    return frechet_distance(real, fake, resamples=resamples, paired=paired, seed=seed)


def _checked_features(video: np.ndarray, network: nn.Module) -> np.ndarray:
    check_frames(video, video)
    return i3d_features(video, network)


def _centre(frames: Tensor) -> Tensor:
    """(t, 1, h, w) → (t, 1, 224, 224)."""
    height, width = frames.shape[-2:]
    scale = _SIDE / min(height, width)
    # The longer side is rounded up, so that the crop never falls short.
    size = tuple(_SIDE if side == min(height, width) else int(np.ceil(side * scale)) for side in (height, width))
    resized = functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    top, left = (size[0] - _SIDE) // 2, (size[1] - _SIDE) // 2
    return resized[..., top : top + _SIDE, left : left + _SIDE]


def _device_of(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))
