"""Intervals of means over seeds, as tables and figures show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.crossed_scores import CrossedScores
from f2vbench.analysis.frames import Condition
from f2vbench.metrics.names import metric_range
from f2vbench.stats.citations import CROSSED
from f2vbench.stats.crossed import crossed_interval
from f2vbench.stats.intervals import Bounds, MeanInterval, seed_interval
from f2vbench.stats.result_classes import Estimate, Variation

_SEED_VARIATION: Variation = ("split", "episode", "head seed")


class MeanIntervals:
    """Means over seeds with their intervals; each crossed interval is computed once.

    Args:
        crossed_scores: Scores of the models at each condition.
    """

    def __init__(self, crossed_scores: Mapping[Condition, CrossedScores]):
        self._crossed_scores = crossed_scores
        self._crossed: dict[tuple[Condition, str, str], Estimate] = {}

    def estimate(
        self, condition: Condition, encoder: str, metric: str, values: NDArray[np.float64], kind: MeanInterval
    ) -> Estimate:
        """Mean of a metric over seeds with its interval.

        Args:
            condition: Task, protocol and number of shots.
            encoder: Name of the model.
            metric: Name of the metric, whose range the interval does not leave unless it is the papers'.
            values: (n,) values of all seeds that have one.
            kind: Kind of interval. A crossed interval that cannot be computed is not replaced by another kind.

        Returns:
            Mean, standard deviation (n − 1) and interval, or the reason why there is none.
        """
        if kind != "crossed":
            return seed_interval(values, variation=_SEED_VARIATION, bounds=metric_bounds(values, metric), kind=kind)
        key = condition, encoder, metric
        if key not in self._crossed:
            self._crossed[key] = self._compute_crossed(condition, encoder, metric, values)
        return self._crossed[key]

    def _compute_crossed(
        self, condition: Condition, encoder: str, metric: str, values: NDArray[np.float64]
    ) -> Estimate:
        # Mean and standard deviation are those of the stored values, which have more digits than stored predictions.
        stored = replace(seed_interval(values, variation=_SEED_VARIATION), method=CROSSED, low=None, high=None, se=None)
        models = self._crossed_scores[condition]
        scores = models.scores(encoder, metric, models.seeds(encoder, metric))
        if isinstance(scores, str):
            return replace(stored, reason=scores)
        design = models.design
        estimate = crossed_interval(
            scores,
            variation=design.variation,
            split_ratio=design.split_ratio,
            bounds=metric_bounds(values, metric),
        )
        return replace(estimate, value=stored.value, sd=stored.sd)


def metric_bounds(values: NDArray[np.float64], metric: str) -> Bounds:
    """Range of a metric with these values.

    Args:
        values: (n,) values, at least one.
        metric: Name of the metric.

    Returns:
        Smallest and largest possible value; none where the values leave the range, as those of a plug-in's metric of
        the same name in another unit do.
    """
    low, high = metric_range(metric)
    if metric.startswith("brier") and values.max() <= 1:
        high = 1.0  # of two classes; the sum over more classes is at most 2
    if (low is not None and values.min() < low) or (high is not None and values.max() > high):
        return None, None
    return low, high
