"""Photographs as networks receive them that are trained on photographs in [−1, 1], plain or without their shading."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.shading_correction import normalised_picture


def scaled_photographs(x: Tensor, without_shading: bool) -> Tensor:
    """Photographs in [0, 1] → [−1, 1].

    Args:
        x: (n, 3, h, w).
        without_shading: Normalise by local mean and contrast (`f2vbench.data.shading_correction`), inside the detected
            field of view; not differentiable.
    """
    if not without_shading:
        return 2 * x - 1
    pictures = (255 * x.detach().float()).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    corrected = np.stack([normalised_picture(picture, field_of_view(picture)) for picture in pictures])
    return torch.from_numpy(corrected).permute(0, 3, 1, 2).to(x) / 127.5 - 1
