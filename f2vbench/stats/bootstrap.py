"""Bootstrap over patients on stored predictions: interval of a metric, and of the difference of two models.

Patients are drawn with replacement, each with all of their images. The i-th replicate depends on the seed and i
alone, so every comparison with one seed sees the same patients, and neither batches nor, where patients are named,
the order of the images matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from f2vbench.stats.citations import BOOTSTRAP_BCA, BOOTSTRAP_PERCENTILE
from f2vbench.stats.power import required_cases
from f2vbench.stats.resampling import Key, batches, drawn
from f2vbench.stats.result_classes import Comparison, Estimate
from f2vbench.stats.validation import clusters, level, predictions_of
from f2vbench.stats.weighted_metrics import Metric, WeightedFunction, get_metric

Kind = Literal["bca", "percentile"]

_JACKKNIFE_GROUPS = 500  # the acceleration of deleting groups is that of deleting patients one by one
_UNDEFINED_AT_MOST = 0.1


def bootstrap_interval(
    predictions: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    metric: str | Metric | Callable = "auroc",
    patients: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    replicates: int = 2_000,
    seed: Key = 0,
    kind: Kind = "bca",
    confidence: float = 0.95,
) -> Estimate:
    """A metric with its bootstrap interval; arguments as in `paired_bootstrap`.

    Raises:
        ValueError: as there.
    """
    held = predictions_of(predictions, "predictions")
    chosen = get_metric(metric)
    statistic = chosen.prepare(held, None if labels is None else np.asarray(labels))
    codes, count = clusters(patients, len(held))
    found = _Resampled.of(statistic, codes, count, _strata(strata, codes, count), replicates, seed, _known(kind))
    low, high, reason = found.interval(kind, level(confidence))
    return Estimate(
        method=_METHODS[kind],
        variation=("test patients",),
        n=count,
        unit="images" if patients is None else "patients",
        value=found.observed,
        se=found.se,
        low=low,
        high=high,
        confidence=confidence,
        reason=reason,
        note=found.note(),
    )


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    metric: str | Metric | Callable = "auroc",
    patients: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    replicates: int = 2_000,
    seed: Key = 0,
    kind: Kind = "percentile",
    confidence: float = 0.95,
) -> Comparison:
    """Difference of a metric between two models on the same cases, with bootstrap interval and p.

    p is the smallest 1 − confidence at which the interval leaves zero out, so the two never disagree; it is at least
    2 ÷ (replicates + 1).

    Args:
        first, second: (n,) or (n, k) predictions of the same cases: scores, called classes, values for ``mean``,
            (n, 2) numerators and denominators for ``ratio`` (pooled Dice: 2·TP and 2·TP + FP + FN by image), (n, 2k)
            for ``mean_of_ratios`` (sums of k galleries, then how many queries each is of, by patient).
        labels: (n,) where the metric wants them.
        metric: a name of `weighted.METRICS`, a `weighted.Metric`, or any function (predictions, labels) → number.
        patients: (n,) whose image each is; without it every image is a patient.
        strata: (n,) something that keeps its number of patients in every replicate, as the class of rare diseases;
            all images of a patient have one.
        seed: key of the replicates.
        kind: ``bca`` corrects percentiles for bias and skewness, ``percentile`` takes them as they are. In simulation
            the second serves differences better, and the first single values near 1, so that the defaults differ.

    Raises:
        ValueError: arrays that don't fit or aren't finite; an unknown metric or kind; fewer than 100 replicates.
    """
    a, b = predictions_of(first, "first"), predictions_of(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"both models must have predictions of the same cases, not {a.shape} and {b.shape}")
    chosen = get_metric(metric)
    truth = None if labels is None else np.asarray(labels)
    of_first, of_second = chosen.prepare(a, truth), chosen.prepare(b, truth)
    codes, count = clusters(patients, len(a))
    found = _Resampled.of(
        lambda weights: of_first(weights) - of_second(weights),
        codes,
        count,
        _strata(strata, codes, count),
        replicates,
        seed,
        _known(kind),
    )
    low, high, reason = found.interval(kind, level(confidence))
    result = Comparison(
        method=_METHODS[kind],
        variation=("test patients",),
        n=count,
        unit="images" if patients is None else "patients",
        difference=found.observed,
        confidence=confidence,
        reason=reason,
        note=found.note(),
    )
    if low is None or found.observed is None or found.se is None:
        return result
    return replace(
        result,
        statistic=found.observed / found.se,
        p=found.p(kind),
        low=low,
        high=high,
        smallest_p=2 / (len(found.values) + 1),
        required=required_cases(count, found.observed, found.se),
    )


_METHODS = {"bca": BOOTSTRAP_BCA, "percentile": BOOTSTRAP_PERCENTILE}


@dataclass(frozen=True)
class _Resampled:
    """A statistic, its replicates, and what BCa needs.

    Attributes:
        observed: None where it is undefined on all cases.
        values: replicates that are defined, sorted.
        asked: how many replicates there were.
        acceleration: of BCa; None where leaving patients out leaves the statistic undefined.
    """

    observed: float | None
    values: np.ndarray
    asked: int
    patients: int
    acceleration: float | None

    @classmethod
    def of(
        cls,
        statistic: WeightedFunction,
        codes: np.ndarray,
        count: int,
        strata: np.ndarray,
        replicates: int,
        seed: Key,
        kind: Kind,
    ) -> _Resampled:
        if replicates < 100:
            raise ValueError(f"a bootstrap needs at least 100 replicates (2,000 are usual), not {replicates}")
        observed = float(statistic(np.ones((1, codes.size)))[0])
        if np.isnan(observed) or count < 2:
            return cls(None if np.isnan(observed) else observed, np.zeros(0), replicates, count, None)
        groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]

        def times_drawn(draw: np.random.Generator, rows: int) -> np.ndarray:
            times = np.zeros((rows, count))
            for members in groups:
                chosen = draw.integers(0, members.size, (rows, members.size))
                chosen += members.size * np.arange(rows)[:, None]
                counted = np.bincount(chosen.ravel(), minlength=rows * members.size)
                times[:, members] = counted.reshape(rows, members.size)
            return times

        resamples = drawn("bootstrap", seed, replicates, times_drawn, codes.size, strata.tobytes())
        found = np.concatenate([statistic(times[:, codes]) for times in resamples])
        acceleration = _acceleration(statistic, codes, count) if kind == "bca" else None
        return cls(observed, np.sort(found[~np.isnan(found)]), replicates, count, acceleration)

    @property
    def se(self) -> float | None:
        """Standard deviation of the replicates; None where they do not vary."""
        if len(self.values) < 2 or self._constant():
            return None
        return float(self.values.std(ddof=1))

    def note(self) -> str:
        undefined = self.asked - len(self.values)
        if self.observed is None or self.patients < 2 or not undefined:
            return ""
        return f"{undefined:,} of {self.asked:,} replicates had no value (a class was absent) and are left out"

    def interval(self, kind: Kind, alpha: float) -> tuple[float | None, float | None, str]:
        """Low, high, and why there is none."""
        why = self._why_not(kind)
        if why:
            return None, None, why
        shares = np.array([alpha / 2, 1 - alpha / 2])
        if kind == "bca":
            bias, acceleration = self._bias(), self.acceleration or 0.0
            shifted = bias + ndtri(shares)
            shares = ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-9))
        low, high = np.quantile(self.values, shares, method="weibull")
        return float(low), float(high), ""

    def p(self, kind: Kind) -> float:
        """Twice the share of the distribution beyond zero, as ``kind`` reads the distribution."""
        share = self._share_below(0.0)
        if kind == "bca":
            # The interval's end shares solved for the level at which an end is zero.
            bias, acceleration = self._bias(), self.acceleration or 0.0
            shifted = float(ndtri(share)) - bias
            share = float(ndtr(shifted / max(1 + acceleration * shifted, 1e-9) - bias))
        return float(np.clip(2 * min(share, 1 - share), 2 / (len(self.values) + 1), 1.0))

    def _why_not(self, kind: Kind) -> str:
        if self.observed is None:
            return "the metric is undefined on these cases (a class is absent, or a sum is zero)"
        if self.patients < 2:
            return "one patient only: nothing to resample"
        if self.asked - len(self.values) > _UNDEFINED_AT_MOST * self.asked:
            return (
                "too few patients of a class to draw them at random (one was absent from "
                f"{self.asked - len(self.values):,} of {self.asked:,} replicates)"
            )
        if self._constant():
            return "every replicate gives the same value: no spread, no test and no interval"
        if kind == "bca" and self.acceleration is None:
            return "leaving a patient out leaves a class empty, so BCa has no acceleration; kind='percentile' goes on"
        return ""

    def _constant(self) -> bool:
        size = max(1e-300, abs(self.observed or 0.0), float(np.abs(self.values).max()))
        return bool(np.ptp(self.values) <= 1e-12 * max(size, 1e-3))

    def _bias(self) -> float:
        return float(ndtri(self._share_below(self.observed or 0.0)))

    def _share_below(self, bound: float) -> float:
        """Of the replicates, equal ones counted half, never 0 or 1."""
        slack = 1e-12 * max(abs(float(self.values[0])), abs(float(self.values[-1])))
        below = np.searchsorted(self.values, bound - slack, side="left")
        up_to = np.searchsorted(self.values, bound + slack, side="right")
        return float(((below + up_to) / 2 + 0.5) / (len(self.values) + 1))


def _acceleration(statistic: WeightedFunction, codes: np.ndarray, count: int) -> float | None:
    """Efron's a, from leaving out each patient (or each of 500 groups of patients) in turn."""
    total = min(count, _JACKKNIFE_GROUPS)
    group = np.random.default_rng(0).permutation(count) % total
    left = [
        statistic((group[codes][None] != np.array(batch)[:, None]).astype(np.float64))
        for batch in batches(total, codes.size)
    ]
    values = np.concatenate(left)
    if np.isnan(values).any():
        return None
    deviations = values.mean() - values
    spread = float((deviations**2).sum())
    return float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _strata(strata: ArrayLike | None, codes: np.ndarray, count: int) -> np.ndarray:
    """(patients,) number of the stratum of each patient."""
    if strata is None:
        return np.zeros(count, dtype=np.int64)
    names = np.asarray(strata)
    if names.shape != codes.shape:
        raise ValueError(f"there are {codes.size} cases, so there must be ({codes.size},) strata, not {names.shape}")
    of_case = np.unique(names, return_inverse=True)[1].reshape(-1)
    of_patient = np.zeros(count, dtype=np.int64)
    of_patient[codes] = of_case
    torn = np.unique(codes[of_patient[codes] != of_case]).size
    if torn:
        raise ValueError(f"{torn} patients have images in several strata: give all images of a patient one stratum")
    return of_patient


def _known(kind: str) -> Kind:
    if kind not in _METHODS:
        raise ValueError(f"kind must be bca or percentile, not {kind!r}")
    return "bca" if kind == "bca" else "percentile"
