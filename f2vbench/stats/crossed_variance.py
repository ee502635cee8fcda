"""Variance of a mean over seeds with the same test patients, for `f2vbench.stats.crossed`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from f2vbench.stats.degrees_of_freedom import crossed_degrees_of_freedom
from f2vbench.stats.jackknife import JackknifeScores
from f2vbench.stats.validation import max_abs
from f2vbench.utils.text import plural

_LEAST_PATIENTS = 5
_ROUNDING = 1e-12


class CrossedVariance(NamedTuple):
    """Parts of the variance of a mean over seeds.

    Attributes:
        between_seeds: s², over seeds.
        of_patients: C, the covariance of two seeds by their common patients, at least 0.
        within_seeds: Variance of the value of one seed by its patients; at least `of_patients`.
        seed_share: 1/S + r/2.
        seeds: Number of seeds S.
        reason: Why there is no variance, or an empty string.
    """

    between_seeds: float
    of_patients: float
    within_seeds: float
    seed_share: float
    seeds: int
    reason: str = ""

    @property
    def se(self) -> float:
        """Standard error."""
        return math.sqrt(self.between_seeds * self.seed_share + self.of_patients)

    @property
    def df(self) -> float:
        """Degrees of freedom."""
        return crossed_degrees_of_freedom(self.between_seeds * self.seed_share, self.of_patients, self.seeds)

    def quantile(self, probability: float) -> float:
        """Quantile of the statistic.

        Example:
            >>> round(CrossedVariance(1e-4, 2e-4, 3e-4, 0.2, 5).quantile(0.975), 3)
            1.983
        """
        return float(stdtrit(self.df, probability) if math.isfinite(self.df) else ndtri(probability))

    def p(self, difference: float) -> float:
        """Two-sided p of a difference.

        Example:
            >>> round(CrossedVariance(0.0, 1e-4, 1e-4, 1.0, 1).p(0.0196), 3)
            0.05
        """
        statistic = -abs(difference) / self.se
        return float(2 * (stdtr(self.df, statistic) if math.isfinite(self.df) else ndtr(statistic)))


def crossed_variance(scores: JackknifeScores, split_ratio: float = 0.0) -> CrossedVariance:
    """Parts of the variance of a mean over seeds; of a difference, with the scores of `JackknifeScores.minus`.

    Args:
        scores: Of a model, or of the difference of two.
        split_ratio: As for `crossed_interval`.

    Returns:
        The parts; ``reason`` where they cannot be estimated.

    Example:
        >>> from f2vbench.stats.jackknife import SeedCases, jackknife_scores
        >>> scores = jackknife_scores("mean", [SeedCases([0.7, 0.8, 0.9, 0.6, 0.5], None, list("abcde"))])
        >>> round(crossed_variance(scores).se, 4)
        0.0707
    """
    seeds = len(scores.values)
    none = CrossedVariance(0.0, 0.0, 0.0, 0.0, seeds)
    if not np.isfinite(scores.values).all():
        return none._replace(reason="the metric is undefined at a seed (a class is absent, or a sum is zero)")
    if scores.patients < _LEAST_PATIENTS:
        count = plural(scores.patients, "test patient")
        return none._replace(reason=f"{count}: at least {_LEAST_PATIENTS} are needed to estimate how patients vary")
    if not np.isfinite(scores.without).all():
        return none._replace(reason="the metric is undefined without one of the patients: a class has a single patient")
    deviations = jackknife_deviations(scores)
    within = float((deviations**2).sum()) / seeds
    across = float((deviations.sum(axis=1) ** 2).sum())
    between, of_patients = 0.0, within
    if seeds > 1:
        between = float(scores.values.var(ddof=1))
        of_patients = max(0.0, (across - seeds * within) / (seeds * (seeds - 1)))
    scale = max(max_abs(scores.values, scores.without), 1e-3)
    variance = CrossedVariance(between, of_patients, within, 1 / seeds + split_ratio / 2, seeds)
    if variance.se <= _ROUNDING * scale:
        return none._replace(reason="all values are equal for all patients and seeds, so there is no variance")
    return variance


def jackknife_deviations(scores: JackknifeScores) -> NDArray[np.float64]:
    """Deviations of the values without each patient from their mean.

    Args:
        scores: Of a model, or of the difference of two.

    Returns:
        (groups, seeds), whose sums of products are the jackknife's covariances.

    Example:
        >>> from f2vbench.stats.jackknife import SeedCases, jackknife_scores
        >>> scores = jackknife_scores("mean", [SeedCases([1.0, 3.0], None, ["a", "b"])])
        >>> jackknife_deviations(scores).round(4).tolist()
        [[0.7071], [-0.7071]]
    """
    groups = len(scores.without)
    return np.asarray((scores.without - scores.without.mean(axis=0)) * math.sqrt((groups - 1) / groups))
