"""Unsupervised knowledge mask of an angiogram: the pixels that change between its first and last frame."""

from __future__ import annotations

from torch import Tensor

KNOWLEDGE_THRESHOLD = 45
"""Grey levels (of 255) by which first and last frame must differ, strictly (MICCAI paper, section 3.0.2)."""


def knowledge_mask(frames: Tensor, threshold: float = KNOWLEDGE_THRESHOLD) -> Tensor:
    """Mask of the pixels that change during the angiogram: vessels that fill and lesions that leak.

    MICCAI paper, section 2.2.

    Args:
        frames: (n, t, h, w) in [−1, 1].
        threshold: Grey levels of 255 by which first and last frame must differ, strictly.

    Returns:
        float32 (n, 1, h, w), 1 inside and 0 outside.
    """
    # Whole grey levels, so that "strictly more" means the same as for 8-bit images.
    first, last = ((frames[:, [index]].float() + 1) * 127.5 for index in (0, -1))
    return ((first.round() - last.round()).abs() > threshold).float()
