"""Metrics of predicted risks and survival curves for many resamples at once.

Predictions are (n, 2 + …): the time and the predicted risk of each case, and for the Brier score the predicted survival
at the times of a grid. Labels are (n,): 1 where the event was observed at the time, 0 where follow-up ended then. See
`f2vbench.stats.weighted_metrics`.

Censoring is weighted by the Kaplan–Meier estimate of the censoring distribution in the same (re)sample. The formulas
are those of scikit-survival, to which tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from f2vbench.stats.validation import as_binary_labels
from f2vbench.stats.weighted_metrics import WeightedFunction, WeightedMetric, divide_where_positive

Floats = NDArray[np.float64]

# Cases of one block of pairs; a block has this many rows and all columns.
_BLOCK = 512


def _pairs(time: Floats, event: NDArray[np.bool_], risk: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
    """Blocks of comparable pairs: rows are events, columns cases that outlived them.

    Yields:
        The rows; (rows, n) whether a pair is comparable; and (rows, n) 1 where it is concordant, 1/2 where risks are
        equal.
    """
    for start in range(0, len(time), _BLOCK):
        rows = slice(start, start + _BLOCK)
        later = (time > time[rows, None]) | ((time == time[rows, None]) & ~event)
        comparable = (later & event[rows, None]).astype(np.float64)
        difference = risk[rows, None] - risk
        yield rows, comparable, comparable * ((difference > 0) + 0.5 * (difference == 0))


def _concordance(
    time: Floats, event: NDArray[np.bool_], risk: Floats
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Function of (b, n) weights of the earlier and the later case → (b,) concordance."""

    def compute(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        concordant = pairs = np.zeros(len(earlier))
        for rows, comparable, scores in _pairs(time, event, risk):
            concordant = concordant + np.einsum("bi,bi->b", earlier[:, rows], later @ scores.T)
            pairs = pairs + np.einsum("bi,bi->b", earlier[:, rows], later @ comparable.T)
        return divide_where_positive(concordant, pairs)

    return compute


def _harrell_c(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    time, event, risk = _columns(predictions, labels)
    concordance = _concordance(time, event, risk)
    return lambda weights: concordance(weights, weights)


def uno_c(horizon: float) -> WeightedMetric:
    """Uno's C: concordance of pairs whose earlier event is before a horizon, weighted for censoring.

    Uno et al. 2011, Stat Med 30:1105, equation 6.

    Args:
        horizon: The time.
    """

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        time, event, risk = _columns(predictions, labels)
        concordance = _concordance(time, event, risk)
        censoring = _Censoring(time, event)
        counts = event & (time < horizon)

        def compute(weights: np.ndarray) -> np.ndarray:
            return concordance(_inverse_weights(weights, censoring.at(weights, time), counts, power=2), weights)

        return compute

    return WeightedMetric(f"uno_c@{horizon:g}", prepare)


def auroc_at(horizon: float) -> WeightedMetric:
    """Cumulative/dynamic AUROC: cases have the event up to a horizon, controls outlive it.

    Uno et al. 2007, J Am Stat Assoc 102:527; Hung and Chiang 2010, Can J Stat 38:8.

    Args:
        horizon: The time.
    """

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        time, event, risk = _columns(predictions, labels)
        censoring = _Censoring(time, event)
        cases, controls = event & (time <= horizon), time > horizon
        difference = risk[cases, None] - risk[controls]
        scores = (difference > 0) + 0.5 * (difference == 0)

        def compute(weights: np.ndarray) -> np.ndarray:
            of_cases = _inverse_weights(weights, censoring.at(weights, time), cases)[:, cases]
            of_controls = weights[:, controls]
            above = np.einsum("bi,bi->b", of_cases, of_controls @ scores.T)
            return divide_where_positive(above, of_cases.sum(axis=1) * of_controls.sum(axis=1))

        return compute

    return WeightedMetric(f"auroc@{horizon:g}", prepare)


def integrated_brier(grid: Floats) -> WeightedMetric:
    """Brier score of predicted survival, weighted for censoring and averaged over times.

    Graf et al. 1999, Stat Med 18:2529. Predictions have the predicted survival at the times after the first two
    columns.

    Args:
        grid: (k,) increasing times; the average is that of the trapezoid rule.
    """

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        time, event, _ = _columns(predictions, labels)
        survival = predictions[:, 2:].astype(np.float64)
        if survival.shape[1] != len(grid):
            raise ValueError(f"needs the survival at {len(grid)} times, not {survival.shape[1]}")
        censoring = _Censoring(time, event)
        ended = (time[:, None] <= grid) & event[:, None]
        of_ended, of_others = ended * survival**2, (time[:, None] > grid) * (1 - survival) ** 2
        steps = np.diff(grid)
        shares = np.r_[steps, 0] / 2 + np.r_[0, steps] / 2

        def compute(weights: np.ndarray) -> np.ndarray:
            before = _inverse_weights(weights, censoring.at(weights, time), event & (time <= grid[-1])) @ of_ended
            later = divide_where_positive(weights @ of_others, censoring.at(weights, grid))
            scores = divide_where_positive(before + later, weights.sum(axis=1, keepdims=True))
            return np.asarray(scores @ shares / shares.sum())

        return compute

    return WeightedMetric(f"integrated_brier@{grid[-1]:g}", prepare)


class _Censoring:
    """Kaplan–Meier estimate of the probability of not being censored, for many weights.

    Args:
        time: (n,) times.
        event: (n,) whether the event was observed.
    """

    def __init__(self, time: Floats, event: NDArray[np.bool_]):
        self._times, self._group = np.unique(time, return_inverse=True)
        self._event = event

    def at(self, weights: np.ndarray, times: Floats) -> np.ndarray:
        """Probability of being uncensored after each time.

        Args:
            weights: (b, n).
            times: (k,).

        Returns:
            (b, k), 0 to 1.
        """
        sums = np.zeros((2, len(self._times), len(weights)))
        np.add.at(sums[0], self._group, (weights * self._event).T)
        np.add.at(sums[1], self._group, (weights * ~self._event).T)
        events, censored = sums.transpose(0, 2, 1)
        both = events + censored
        at_risk = both[:, ::-1].cumsum(axis=1)[:, ::-1] - events  # events come before censoring at the same time
        kept = 1 - np.divide(censored, at_risk, out=np.zeros_like(censored), where=at_risk > 0)
        curve = np.column_stack([np.ones(len(weights)), np.cumprod(kept, axis=1)])
        return np.asarray(curve[:, np.searchsorted(self._times, times, side="right")])


def _inverse_weights(
    weights: np.ndarray, probability: np.ndarray, counts: NDArray[np.bool_], power: int = 1
) -> np.ndarray:
    """Weights divided by a power of the probabilities, 0 for cases that do not count; NaN for a probability of 0."""
    used = counts & (weights > 0)
    return np.where(used, divide_where_positive(weights, np.where(used, probability, 1) ** power), 0.0)


def _columns(predictions: np.ndarray, labels: np.ndarray | None) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Times, events and risks, (n,)."""
    if predictions.ndim != 2 or predictions.shape[1] < 2 or labels is None:
        raise ValueError(f"needs time and risk of each case, (n, 2 or more), and (n,) events, not {predictions.shape}")
    numbers = predictions.astype(np.float64)
    return numbers[:, 0], as_binary_labels(labels, len(numbers)), numbers[:, 1]


HARRELL_C = WeightedMetric("harrell_c", _harrell_c)
"""Harrell's C: concordance of all comparable pairs (Harrell et al. 1982, JAMA 247:2543). It depends on censoring."""
