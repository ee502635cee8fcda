"""Kaplan–Meier estimate of survival with pointwise intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from f2vbench.stats.validation import as_binary_labels, significance_level

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SurvivalCurve:
    """Step function of the probability of no event until a time.

    Attributes:
        times: (k,) start of each step, the first is 0.
        survival: (k,) probability from each time on.
        low: (k,) lower bound of the interval.
        high: (k,) upper bound of the interval.
    """

    times: Floats
    survival: Floats
    low: Floats
    high: Floats


def kaplan_meier(time: ArrayLike, event: ArrayLike, confidence: float = 0.95) -> SurvivalCurve:
    """Estimate survival from times that may be censored (Kaplan & Meier 1958, J Am Stat Assoc 53:457).

    Intervals are those of log(−log S) with Greenwood's variance. Where survival is 1 or 0, they are [1, 1] and [0, 0].

    Args:
        time: (n,) times above 0, of the event or of the end of follow-up.
        event: (n,) whether the event was observed.
        confidence: Confidence level of the pointwise intervals.

    Returns:
        The curve; its last step starts at the last time.

    Raises:
        ValueError: Lengths differ, there is no time, or a time is not finite and above 0.

    Example:
        >>> curve = kaplan_meier([1, 2, 3, 4], [True, False, True, False])
        >>> curve.times.tolist(), curve.survival.tolist()
        ([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 0.75, 0.75, 0.375, 0.375])
    """
    times = np.asarray(time, np.float64)
    if times.ndim != 1 or not len(times) or not (np.isfinite(times) & (times > 0)).all():
        raise ValueError("times must be finite and above 0, (n,)")
    observed = as_binary_labels(event, len(times))
    z = float(ndtri(1 - significance_level(confidence) / 2))
    order = np.argsort(times, kind="stable")
    unique, first = np.unique(times[order], return_index=True)
    at_risk = len(times) - first
    events = np.add.reduceat(observed[order].astype(np.float64), first)
    survival = np.cumprod(1 - events / at_risk)
    terms = np.divide(events, at_risk * (at_risk - events), out=np.zeros(len(unique)), where=at_risk > events)
    inside = (survival > 0) & (survival < 1)
    logarithm = np.log(survival, out=np.full(len(unique), -1.0), where=inside)
    spread = np.exp(z * np.sqrt(np.cumsum(terms)) / -logarithm)
    low, high = (np.where(inside, np.exp(logarithm * factor), survival) for factor in (spread, 1 / spread))
    curve = [np.r_[1.0, values] for values in (survival, low, high)]
    return SurvivalCurve(np.r_[0.0, unique], *curve)
