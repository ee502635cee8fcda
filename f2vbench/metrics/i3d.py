"""Fréchet video distance (FVD): I3D features of videos, from the TorchScript file with which FVDs are published."""

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
MIN_FRAMES = 10
"""I3D's last pooling takes two steps at an eighth of the frame rate; shorter videos have none."""

_SIDE = 224


def load_i3d(
    path: str | Path | None = None, *, card: WeightsCard | None = None, device: str | torch.device = "cpu"
) -> nn.Module:
    """Load the I3D network.

    TorchScript is a program, so the file is run only after its sha256 was verified.

    Args:
        path: The file or its folder. By default the file of the card is searched.
        card: Weights card of the file, by default ``weights/i3d-kinetics400.yaml``.
        device: Device of the network.

    Returns:
        A `torch.jit.ScriptModule` in evaluation mode.

    Raises:
        ValueError: The card has no sha256.
        WeightsError: The file is absent (with download instructions), a different file, or unreadable.

    Example:
        >>> network = load_i3d()  # doctest: +SKIP
        >>> load_i3d("no-such-folder/i3d.pt")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        f2vbench.errors.WeightsError: no-such-folder/i3d.pt: no such weights file...
    """
    card = card or weights_card(I3D_CARD)
    if card.sha256 is None:
        raise ValueError(f"weights/{card.name}.yaml: sha256 is missing; TorchScript is a program and must be verified")
    file = find_weights(card, path)
    try:
        network: nn.Module = torch.jit.load(str(file), map_location=device)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"{file}: can't be read as TorchScript ({reason}). {download_instructions(card)}") from error
    return network.eval()


def i3d_features(video: np.ndarray, network: nn.Module) -> np.ndarray:
    """I3D features of one grey video.

    Grey is repeated in three channels, the shorter side is resized to 224 (bilinear), the centre is cropped, and x
    becomes 2 x − 1.

    Args:
        video: (t, h, w) in [0, 1] (not validated), t ≥ 10.
        network: Network of `load_i3d`.

    Returns:
        (400,) float64.

    Raises:
        ValueError: Another number of dimensions, or fewer than 10 frames.

    Example:
        >>> class MeanColour(nn.Module):  # in place of load_i3d()
        ...     def forward(self, clip, rescale, resize, return_features):
        ...         return clip.mean(dim=(2, 3, 4))
        >>> i3d_features(np.full((10, 32, 48), 0.75), MeanColour()).tolist()
        [0.5, 0.5, 0.5]
    """
    if video.ndim != 3 or len(video) < MIN_FRAMES:
        raise ValueError(f"I3D needs a video (t, h, w) of at least {MIN_FRAMES} frames, not shape {video.shape}")
    with torch.inference_mode():
        frames = torch.from_numpy(np.ascontiguousarray(video)).to(_device_of(network), torch.float32)
        clip = (2 * _resize_and_crop(frames[:, None]) - 1).expand(-1, 3, -1, -1).transpose(0, 1)[None].contiguous()
        features: Tensor = network(clip, rescale=False, resize=False, return_features=True)
        return np.asarray(features[0].double().cpu().numpy())


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
        real_videos: (n, t, h, w), or an iterable of videos (t, h, w), in [0, 1], t ≥ 10.
        fake_videos: Generated videos, as many or another number.
        i3d: Path for `load_i3d`, or a loaded network.
        resamples: Number of bootstrap resamples; 0 for no interval.
        paired: Whether video i of both sets shows one eye, so that both are resampled together.
        seed: Seed of the resampling.

    Returns:
        The distance, its interval and the numbers of videos and features.

    Raises:
        ValueError: Fewer than two videos or ten frames, or a value that is not finite or outside [0, 1].
        WeightsError: The file is absent, a different file, or unreadable.

    Example:
        >>> class MeanColour(nn.Module):  # in place of load_i3d()
        ...     def forward(self, clip, rescale, resize, return_features):
        ...         return clip.mean(dim=(2, 3, 4))[:, :1]
        >>> videos = np.linspace(0.25, 0.75, 3)[:, None, None, None] * np.ones((10, 32, 32))
        >>> round(fvd(videos, videos + 0.25, MeanColour()).value, 4)
        0.25
    """
    network = i3d if isinstance(i3d, nn.Module) else load_i3d(i3d)
    real, fake = (np.stack([_checked_features(v, network) for v in videos]) for videos in (real_videos, fake_videos))
    return frechet_distance(real, fake, resamples=resamples, paired=paired, seed=seed)


def _checked_features(video: np.ndarray, network: nn.Module) -> np.ndarray:
    check_frames(video, video)
    return i3d_features(video, network)


def _resize_and_crop(frames: Tensor) -> Tensor:
    """(t, 1, h, w) → (t, 1, 224, 224)."""
    height, width = frames.shape[-2:]
    scale = _SIDE / min(height, width)
    # The longer side is rounded up, so it is never smaller than the crop.
    size = tuple(_SIDE if side == min(height, width) else int(np.ceil(side * scale)) for side in (height, width))
    resized = functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    top, left = (size[0] - _SIDE) // 2, (size[1] - _SIDE) // 2
    return resized[..., top : top + _SIDE, left : left + _SIDE]


def _device_of(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))
