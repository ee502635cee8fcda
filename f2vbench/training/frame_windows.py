"""Windows of three frames, by which a video is predicted autoregressively."""

from __future__ import annotations

import torch
from torch import Tensor

from f2vbench.encoders.global_generator import WINDOW

_STAGES = 10


def window_input(photograph: Tensor, previous: Tensor | None) -> Tensor:
    """The generator's input of a window: the photograph and the three preceding frames.

    Args:
        photograph: (n, 3, h, w) in [−1, 1].
        previous: (n, 3, h, w), the prediction of the preceding window, or the true frames in its place (teacher
            forcing). None for window 0, where the photograph replaces the frames.

    Returns:
        (n, 6, h, w).
    """
    return torch.cat([photograph, photograph if previous is None else previous], 1)


def window_target(frames: Tensor, window: int) -> Tensor:
    """The true frames of window n (from 0): n + 1, n + 2 and n + 3, counted from 1; the last frame is repeated.

    Args:
        frames: (n, t, h, w).
        window: 0 to t − 1.

    Returns:
        (n, 3, h, w).

    Raises:
        ValueError: The video has no such window.
    """
    last = frames.shape[1] - 1
    if not 0 <= window <= last:
        raise ValueError(f"window={window}: a video of {last + 1} frames has windows 0 to {last}")
    return frames[:, [min(window + offset, last) for offset in range(WINDOW)]]


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
