"""Regression metrics of predicted numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2vbench.stats.weighted_regression import REGRESSION

Values = dict[str, float | None]
"""Metric → value, None where it is undefined."""

LOWER_IS_BETTER = ("mae", "rmse")
"""Metrics that are errors, in the unit of the numbers."""


def evaluate(predicted: NDArray[np.floating], true: NDArray[np.floating]) -> tuple[Values, dict[str, str]]:
    """Compute all metrics of a test set.

    Args:
        predicted: (n,) predicted numbers, in the unit of the task.
        true: (n,) true numbers.

    Returns:
        Values of ``mae`` and ``rmse`` (in the unit of the numbers; lower is better), ``r2`` (1 − squared error ÷
        variance of the true numbers, at most 1), ``spearman``, ``pearson`` and ``concordance_correlation`` (Lin 1989,
        Biometrics 45:255; −1 to 1, 1 where every prediction is right). And the reason of each value that is None.

    Raises:
        ValueError: Shapes do not match, there is no case, or a number is not finite.

    Example:
        >>> values, reasons = evaluate(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0]))
        >>> round(values["mae"], 3), round(values["r2"], 3), values["spearman"], reasons
        (0.333, 0.786, 1.0, {})
    """
    if np.shape(predicted) != np.shape(true) or np.ndim(predicted) != 1 or not len(true):
        raise ValueError(f"predicted and true must both have shape (n,), not {np.shape(predicted)}, {np.shape(true)}")
    pairs = np.column_stack([np.asarray(predicted, np.float64), np.asarray(true, np.float64)])
    if not np.isfinite(pairs).all():
        raise ValueError("a number is not finite")
    ones = np.ones((1, len(pairs)))
    computed = {name: float(metric.prepare(pairs, None)(ones)[0]) for name, metric in REGRESSION.items()}
    values: Values = {name: None if np.isnan(value) else value for name, value in computed.items()}
    reason = f"all {'true' if np.ptp(pairs[:, 1]) == 0 else 'predicted'} numbers are equal"
    if np.ptp(pairs[:, 1]) == 0:
        values["r2"] = None
    return values, {name: reason for name, value in values.items() if value is None}
