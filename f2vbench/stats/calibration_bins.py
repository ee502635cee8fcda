"""Bins of predicted probabilities, for the expected calibration error and reliability diagrams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15
"""Number of bins of equal width: [0, 1/15], (1/15, 2/15] … (14/15, 1]."""


def calibration_bins(probabilities: NDArray[np.floating]) -> NDArray[np.intp]:
    """Bin of each probability (Guo et al., ICML 2017).

    Args:
        probabilities: In [0, 1], of any shape.

    Returns:
        0 … 14, of the same shape.

    Example:
        >>> calibration_bins(np.array([0.0, 0.05, 0.07, 1.0])).tolist()
        [0, 0, 1, 14]
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    return np.clip(np.searchsorted(edges, probabilities, "left") - 1, 0, CALIBRATION_BINS - 1)
