"""Survival metrics of predicted survival curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2vbench.stats.weighted_metrics import WeightedMetric
from f2vbench.stats.weighted_survival import HARRELL_C, auroc_at, integrated_brier, uno_c

Floats = NDArray[np.float64]
Values = dict[str, float | None]
"""Metric → value, None where it is undefined."""

LOWER_IS_BETTER = ("integrated_brier",)
_TIMES = 40

_PAIRS = "no event before {} that another case outlived"
_NOBODY = "no case was followed beyond {}: choose a smaller horizon in the task card"


def time_grid(horizon: float) -> Floats:
    """Times up to a horizon at which survival is predicted and the Brier score averaged, (40,), equally spaced.

    Args:
        horizon: The last time.

    Example:
        >>> time_grid(10.0)[[0, -1]].tolist()
        [0.25, 10.0]
    """
    return horizon * np.arange(1, _TIMES + 1) / _TIMES


def survival_metrics(horizon: float) -> dict[str, WeightedMetric]:
    """Metrics of `evaluate` for many resamples, whose predictions are those of `prediction_columns`.

    Args:
        horizon: The horizon of the task.
    """
    brier = integrated_brier(time_grid(horizon))
    return {
        "uno_c": uno_c(horizon),
        "harrell_c": HARRELL_C,
        "auroc_at_horizon": auroc_at(horizon),
        "integrated_brier": brier,
    }


def prediction_columns(time: Floats, survival: Floats) -> Floats:
    """Columns that the metrics receive: time, risk at the horizon, and survival at each time of the grid.

    Args:
        time: (n,) observed times.
        survival: (n, k) predicted probability of no event until each time of `time_grid`.

    Returns:
        (n, 2 + k).
    """
    return np.column_stack([time, 1 - survival[:, -1], survival])


def evaluate(
    survival: NDArray[np.floating], time: NDArray[np.floating], event: NDArray[np.bool_], horizon: float
) -> tuple[Values, dict[str, str]]:
    """Compute all metrics of a test set.

    The predicted risk of a case is that of an event until the horizon. Censoring is weighted by its Kaplan–Meier
    estimate in the test set.

    Args:
        survival: (n, k) predicted probability of no event until each time of `time_grid`.
        time: (n,) times above 0, of the event or of the end of follow-up.
        event: (n,) whether the event was observed.
        horizon: Time up to which concordance, AUROC and Brier score are computed.

    Returns:
        Values of ``uno_c`` (concordance up to the horizon, weighted for censoring), ``harrell_c`` (concordance of all
        comparable pairs), ``auroc_at_horizon`` (cumulative/dynamic) and ``integrated_brier`` (lower is better). And
        the reason of each value that is None.

    Raises:
        ValueError: Shapes do not match, there is no case, or a number is not finite.

    Example:
        >>> time, event = np.array([1.0, 2.0, 4.0, 6.0]), np.array([True, True, False, False])
        >>> survival = np.linspace(1, [0.2, 0.5, 0.4, 0.9], 41, axis=1)[:, 1:]
        >>> values, reasons = evaluate(survival, time, event, 5.0)
        >>> round(values["uno_c"], 3), round(values["harrell_c"], 3), reasons
        (0.8, 0.8, {})
    """
    times, observed = np.asarray(time, np.float64), np.asarray(event, bool)
    curves = np.asarray(survival, np.float64)
    if times.ndim != 1 or observed.shape != times.shape or curves.shape != (len(times), _TIMES) or not len(times):
        raise ValueError(
            f"time and event must have shape (n,) and survival (n, {_TIMES}), not {times.shape}, {observed.shape} and "
            f"{curves.shape}"
        )
    if not (np.isfinite(curves).all() and np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("a survival probability or a time is not finite, or a time is not above 0")
    columns, ones = prediction_columns(times, curves), np.ones((1, len(times)))
    computed = {
        name: float(metric.prepare(columns, observed)(ones)[0]) for name, metric in survival_metrics(horizon).items()
    }
    if not (times > horizon).any():
        computed |= {"auroc_at_horizon": np.nan, "integrated_brier": np.nan}
    values: Values = {name: None if np.isnan(value) else value for name, value in computed.items()}
    followed = (times > horizon).any()
    reasons = {
        name: _PAIRS.format(f"{horizon:g}") if followed or name.endswith("_c") else _NOBODY.format(f"{horizon:g}")
        for name, value in values.items()
        if value is None
    }
    return values, reasons
