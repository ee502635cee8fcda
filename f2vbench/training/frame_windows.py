"""Windows of three frames, by which a video is predicted autoregressively."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2vbench.encoders.global_generator import WINDOW

_STAGES = 10
_REDUCED = 6  # px, side of the areas whose means make the blurred copy of degraded frames
_NOISE = 0.1  # largest standard deviation of the noise of degraded frames


def window_target(frames: Tensor, windows: Sequence[int]) -> Tensor:
    """The true frames of window n (from 0): n + 1, n + 2 and n + 3, counted from 1; the last frame is repeated.

    Args:
        frames: (n, t, h, w).
        windows: For each video one of 0 to t − 1.

    Returns:
        (n, 3, h, w).

    Raises:
        ValueError: The videos have no such window.
    """
    last = frames.shape[1] - 1
    if not all(0 <= window <= last for window in windows):
        raise ValueError(f"windows={list(windows)}: videos of {last + 1} frames have windows 0 to {last}")
    starts = torch.as_tensor(windows, device=frames.device)
    chosen = (starts[:, None] + torch.arange(WINDOW, device=frames.device)).clamp(max=last)
    return frames[torch.arange(len(frames), device=frames.device)[:, None], chosen]


def degraded_frames(frames: Tensor, photograph: Tensor, dropped: float, rngs: Sequence[np.random.Generator]) -> Tensor:
    """True frames as the input of a window, made unreliable so that the generator does not only copy them.

    With the probability ``dropped`` the photograph replaces them, as in window 0. Otherwise they are mixed with a
    blurred copy, and Gaussian noise is added; both amounts are random.

    Args:
        frames: (n, 3, h, w) in [−1, 1].
        photograph: (n, 3, h, w) in [−1, 1].
        dropped: A probability; 0 returns the frames unchanged.
        rngs: The random numbers of each video.

    Returns:
        (n, 3, h, w).
    """
    if not dropped:
        return frames
    height, width = frames.shape[2:]
    small = functional.adaptive_avg_pool2d(frames, (max(1, height // _REDUCED), max(1, width // _REDUCED)))
    blurred = functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    degraded = []
    for video, rng in enumerate(rngs):
        is_dropped, share, deviation = rng.random(3)
        seed = int(rng.integers(2**63))
        if is_dropped < dropped:
            degraded.append(photograph[video])
            continue
        noise = torch.randn(frames.shape[1:], generator=torch.Generator().manual_seed(seed)).to(frames)
        mixed = frames[video].lerp(blurred[video], float(share))
        degraded.append(mixed + float(deviation) * _NOISE * noise)
    return torch.stack(degraded)


def teacher_forcing_probability(videos: int, start: float, end: float, over: int | None) -> float:
    """Probability that a window receives true frames instead of the prediction of the preceding window.

    Scheduled sampling: 1/P rises in ten equal stages from 1/start to 1/end during ``over`` videos; then P is 0. With
    1/2, 1/11 and 1000 these are the released code's 1/2, 1/3, …, 1/11, for a hundred videos each.

    Args:
        videos: Number of videos that the network was trained on so far.
        start: Probability of the first stage.
        end: Probability of the last stage.
        over: Number of videos in all stages; None for ``start`` in the whole training.
    """
    if over is None:
        return start
    if videos >= over:
        return 0.0
    stage = videos * _STAGES // over
    return 1 / (1 / start + (1 / end - 1 / start) * stage / (_STAGES - 1))
