"""Feature maps as they are kept, in the store and in memory."""

from __future__ import annotations

import numpy as np


def halved(array: np.ndarray) -> np.ndarray:
    """float16 of a float32 array, or the array itself where that would overflow."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array
