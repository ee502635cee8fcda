"""Score maps as 16-bit PNG files: small, viewable, and exact enough to recompute every metric from.

Probabilities are kept as logits (clipped to ±16) in 4,096 steps, so that ranks survive near 0 and 1 and a
threshold of 0.5 falls between two steps; other scores are kept linearly between the map's lowest and highest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

_LOGIT_LIMIT = 16.0
_LOGIT_STEPS = 4096
_LINEAR_STEPS = 65535


def encode(scores: np.ndarray, *, probability: bool) -> tuple[bytes, dict[str, Any]]:
    """PNG bytes and what `decode` needs to know.

    Args:
        scores: (height, width) float32; in [0, 1] where ``probability``.

    Raises:
        ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("a score map holds values that are not finite")
    if probability:
        low, high, steps = -_LOGIT_LIMIT, _LOGIT_LIMIT, _LOGIT_STEPS - 1
        clipped = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
        values = np.clip(np.log(clipped / (1 - clipped)), low, high)
    else:
        low, high, steps = float(scores.min()), float(scores.max()), _LINEAR_STEPS
        values = scores.astype(np.float64)
    span = (high - low) or 1.0
    levels = np.rint((values - low) / span * steps).astype(np.uint16)
    done, png = cv2.imencode(".png", levels)
    if not done:
        raise ValueError("a score map could not be encoded as PNG")
    return png.tobytes(), {"scale": "logit" if probability else "linear", "low": low, "high": high, "steps": steps}


def decode(png: bytes, meta: Mapping[str, Any]) -> np.ndarray:
    """(height, width) float32 scores from what `encode` gave."""
    levels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16:
        raise ValueError("not a 16-bit PNG")
    values = meta["low"] + levels.astype(np.float64) / meta["steps"] * (meta["high"] - meta["low"])
    if meta["scale"] == "logit":
        values = 1 / (1 + np.exp(-values))
    return values.astype(np.float32)
