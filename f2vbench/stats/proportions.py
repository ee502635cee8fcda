"""Intervals of proportions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from f2vbench.stats.validation import significance_level


def wilson_interval(
    proportions: ArrayLike, counts: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute Wilson's score interval of proportions of independent observations.

    Reference: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.

    Args:
        proportions: (k,) or () proportions.
        counts: Numbers of observations of the same shape, above 0; a mean of several numbers need not be whole.
        confidence: Confidence level.

    Returns:
        Lower and upper ends, of the same shape.

    Raises:
        ValueError: The confidence is outside (0, 1).

    Example:
        >>> low, high = wilson_interval(0.9, 50)
        >>> round(float(low), 4), round(float(high), 4)
        (0.7864, 0.9565)
    """
    p, n = np.asarray(proportions, np.float64), np.asarray(counts, np.float64)
    z = float(ndtri(1 - significance_level(confidence) / 2))
    scale = 1 + z**2 / n
    centre = (p + z**2 / (2 * n)) / scale
    half = z / scale * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
