"""The chain of windows that makes a video: what each one sees, what it has to predict, and the knowledge mask."""

from __future__ import annotations

import torch
from torch import Tensor

from f2vbench.encoders.global_generator import WINDOW, roll_out

__all__ = [
    "KNOWLEDGE_THRESHOLD",
    "WINDOW",
    "knowledge_mask",
    "roll_out",
    "truth_probability",
    "window_input",
    "window_target",
]

KNOWLEDGE_THRESHOLD = 45
"""Grey levels (of 255) by which first and last frame have to differ, strictly (MICCAI paper, section 3.0.2)."""

_STAGES = 10


def window_input(photograph: Tensor, previous: Tensor | None) -> Tensor:
    """What the generator sees: the photograph and the three frames before; in window 0 the photograph twice.

    Args:
        photograph: (n, 3, h, w) in [−1, 1].
        previous: (n, 3, h, w), predictions of the window before (or the true frames they stand for); None at the start.

    Returns:
        (n, 6, h, w).
    """
    return torch.cat([photograph, photograph if previous is None else previous], 1)


def window_target(frames: Tensor, window: int) -> Tensor:
    """The true frames that window n (from 0) predicts: n + 1, n + 2 and n + 3, counted from 1, the last one repeated.

    Args:
        frames: (n, t, h, w).

    Returns:
        (n, 3, h, w).
    """
    last = frames.shape[1] - 1
    if not 0 <= window <= last:
        raise ValueError(f"window={window}: a video of {last + 1} frames has windows 0 to {last}")
    return frames[:, [min(window + ahead, last) for ahead in range(WINDOW)]]


def truth_probability(videos: int, start: float, end: float, over: int | None) -> float:
    """How probably a window sees true frames in place of its predecessor's, after so many training videos.

    1/P rises in ten equal stages from 1/start to 1/end during ``over`` videos, then P is 0: with 1/2, 1/11 and 1000,
    the released code's 1/2, 1/3, …, 1/11, a hundred videos each. With ``over`` None it stays ``start``.
    """
    if over is None:
        return start
    if videos >= over:
        return 0.0
    stage = videos * _STAGES // over
    return 1 / (1 / start + (1 / end - 1 / start) * stage / (_STAGES - 1))


def knowledge_mask(frames: Tensor, threshold: float = KNOWLEDGE_THRESHOLD) -> Tensor:
    """Where first and last frame differ by more than ``threshold`` of 255 grey levels: vessels that fill, lesions
    that leak (MICCAI paper, section 2.2).

    Args:
        frames: (n, t, h, w) in [−1, 1].

    Returns:
        (n, 1, h, w), float32 of 0 and 1.
    """
    # Whole grey levels, so that "strictly more" means the same as on 8-bit images.
    first, last = ((frames[:, [index]].float() + 1) * 127.5 for index in (0, -1))
    return ((first.round() - last.round()).abs() > threshold).float()
