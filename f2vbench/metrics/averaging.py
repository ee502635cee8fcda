"""Averages of metrics that may be undefined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_if_complete(values: Sequence[float | None]) -> float | None:
    """Mean of values, None where one of them is missing.

    A mean over the remaining classes or images would not be comparable between models or test sets.

    Args:
        values: Values of classes or images; None is undefined.

    Returns:
        The mean; None where a value is None, or there is none.

    Example:
        >>> mean_if_complete([0.5, 1.0]), mean_if_complete([0.5, None])
        (0.75, None)
    """
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined and len(defined) == len(values) else None
