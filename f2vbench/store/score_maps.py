"""Score maps as 16-bit PNG files: small, viewable, and precise enough to compute every metric again.

Probabilities are stored as logits, clipped to ±16, in 4,096 steps, so that ranks near 0 and 1 are kept and a threshold
of 0.5 lies between two steps. Other scores are stored linearly between the minimum and the maximum of the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

_LOGIT_LIMIT = 16.0
_LOGIT_STEPS = 4096
_LINEAR_STEPS = 65535


class Scale(TypedDict):
    """Conversion between the levels of a PNG file and scores; ``scale`` is ``logit`` or ``linear``."""

    scale: str
    low: float
    high: float
    steps: int


def encode(scores: NDArray[np.floating[Any]], *, probability: bool) -> tuple[bytes, Scale]:
    """Encode a score map as a PNG file.

    Args:
        scores: Score map, (height, width) float32; in [0, 1] for probabilities. Of several classes, their maps are
            joined below each other.
        probability: Whether the scores are probabilities.

    Returns:
        The file, and the scale that `decode` needs.

    Raises:
        ValueError: A score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("the score map has values that are not finite")
    if probability:
        low, high, steps = -_LOGIT_LIMIT, _LOGIT_LIMIT, _LOGIT_STEPS - 1
        clipped = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
        values = np.clip(np.log(clipped / (1 - clipped)), low, high)
    else:
        low, high, steps = float(scores.min()), float(scores.max()), _LINEAR_STEPS
        values = scores.astype(np.float64)
    span = (high - low) or 1.0
    levels = np.rint((values - low) / span * steps).astype(np.uint16)
    encoded, png = cv2.imencode(".png", levels)
    if not encoded:
        raise ValueError("the score map could not be encoded as PNG")
    return png.tobytes(), {"scale": "logit" if probability else "linear", "low": low, "high": high, "steps": steps}


def decode(png: bytes, scale: Mapping[str, Any]) -> NDArray[np.float32]:
    """Decode a score map.

    Args:
        png: The file.
        scale: Scale of `encode`, or a record's entry that includes its keys.

    Returns:
        (height, width) float32.

    Raises:
        ValueError: Not a 16-bit PNG file.
    """
    levels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16:
        raise ValueError("not a 16-bit PNG file")
    values = scale["low"] + levels.astype(np.float64) / scale["steps"] * (scale["high"] - scale["low"])
    if scale["scale"] == "logit":
        values = 1 / (1 + np.exp(-values))
    return np.asarray(values, np.float32)
