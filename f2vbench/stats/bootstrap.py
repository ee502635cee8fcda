"""Bootstrap over patients from stored predictions: intervals of a metric and of the difference of two models.

Patients are drawn with replacement, each with all of their images. The i-th replicate depends only on the seed and i:
comparisons with the same seed resample the same patients. Neither batches nor, where patients are named, the order of
the images change a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from f2vbench.stats.citations import BOOTSTRAP_BCA, BOOTSTRAP_PERCENTILE
from f2vbench.stats.power import required_cases
from f2vbench.stats.resampling import SeedKey, batch_ranges, draw_resamples
from f2vbench.stats.result_classes import Comparison, Estimate
from f2vbench.stats.validation import check_predictions, encode_patients, significance_level
from f2vbench.stats.weighted_metrics import MetricLike, WeightedFunction, get_metric

Kind = Literal["bca", "percentile"]

_JACKKNIFE_GROUPS = 500  # the acceleration from deleting groups equals that from deleting single patients
_MAX_UNDEFINED = 0.1  # share of replicates
_METHODS = {"bca": BOOTSTRAP_BCA, "percentile": BOOTSTRAP_PERCENTILE}


def bootstrap_interval(
    predictions: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    metric: MetricLike = "auroc",
    patients: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    replicates: int = 2_000,
    seed: SeedKey = 0,
    kind: Kind = "bca",
    confidence: float = 0.95,
) -> Estimate:
    """Metric of one model with its bootstrap interval over patients.

    Args:
        predictions: (n,) or (n, k), see `paired_bootstrap`.
        labels: (n,) labels, where the metric needs them.
        metric: Metric, see `paired_bootstrap`.
        patients: (n,) patient of each case; None counts each case as a patient.
        strata: (n,) stratum of each case, see `paired_bootstrap`.
        replicates: Number of bootstrap replicates, at least 100.
        seed: Key of the replicates.
        kind: ``bca`` or ``percentile``, see `paired_bootstrap`.
        confidence: Confidence level of the interval.

    Returns:
        Value of the metric, standard deviation of the replicates as standard error, and interval.

    Raises:
        ValueError: Shapes do not match, a value is not finite, an unknown metric or kind, or too few replicates.

    Example:
        >>> interval = bootstrap_interval([0.7, 0.8, 0.9, 0.4, 0.6, 0.5], metric="mean", replicates=200)
        >>> round(interval.value, 3), interval.low < interval.value < interval.high
        (0.65, True)
    """
    array = check_predictions(predictions, "predictions")
    statistic = get_metric(metric).prepare(array, None if labels is None else np.asarray(labels))
    codes, count = encode_patients(patients, len(array))
    resampled = _resample(statistic, codes, count, strata, replicates, seed, _check_kind(kind))
    low, high, reason = resampled.interval(kind, significance_level(confidence))
    return Estimate(
        method=_METHODS[kind],
        variation=("test patients",),
        n=count,
        unit="images" if patients is None else "patients",
        value=resampled.observed,
        se=resampled.se,
        low=low,
        high=high,
        confidence=confidence,
        reason=reason,
        note=resampled.note(),
    )


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    metric: MetricLike = "auroc",
    patients: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    replicates: int = 2_000,
    seed: SeedKey = 0,
    kind: Kind = "percentile",
    confidence: float = 0.95,
) -> Comparison:
    """Difference of a metric between two models on the same cases, with bootstrap interval and p over patients.

    p is the smallest 1 − confidence at which the interval excludes zero, so test and interval always agree; it is at
    least 2 ÷ (replicates + 1).

    Args:
        first: Predictions of the first model: (n,) scores, predicted classes, or values for ``mean``; (n, 2) numerators
            and denominators for ``ratio`` (pooled Dice: 2·TP and 2·TP + FP + FN of each image); (n, 2k) for
            ``mean_of_ratios`` (by patient: sums over k galleries, then numbers of queries).
        second: Predictions of the second model, of the same shape and for the same cases.
        labels: (n,) labels, where the metric needs them.
        metric: Name of a metric in `weighted_metrics.METRICS`, a `weighted_metrics.WeightedMetric`, or a function
            (predictions, labels) → number.
        patients: (n,) patient of each case; None counts each case as a patient.
        strata: (n,) stratum of each case, e.g. the class of a rare disease. Every replicate has as many patients of
            each stratum as the sample. All images of a patient belong to one stratum.
        replicates: Number of bootstrap replicates, at least 100.
        seed: Key of the replicates.
        kind: ``bca`` corrects the percentiles for bias and skewness, ``percentile`` does not. In simulations the
            percentile interval is better for differences, and BCa for single values near 1, hence the defaults.
        confidence: Confidence level of the interval.

    Returns:
        Difference of the metric, p, its smallest possible value, and interval.

    Raises:
        ValueError: Shapes do not match, a value is not finite, an unknown metric or kind, or too few replicates.

    Example:
        >>> test = paired_bootstrap([0.8, 0.9, 0.7, 0.9], [0.6, 0.8, 0.6, 0.7], metric="mean", replicates=200)
        >>> round(test.difference, 3), test.verdict()
        (0.15, 'better')
    """
    a, b = check_predictions(first, "first"), check_predictions(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"both models need predictions for the same cases, not shapes {a.shape} and {b.shape}")
    chosen = get_metric(metric)
    truth = None if labels is None else np.asarray(labels)
    first_metric, second_metric = chosen.prepare(a, truth), chosen.prepare(b, truth)
    codes, count = encode_patients(patients, len(a))

    def difference(weights: np.ndarray) -> np.ndarray:
        return first_metric(weights) - second_metric(weights)

    resampled = _resample(difference, codes, count, strata, replicates, seed, _check_kind(kind))
    low, high, reason = resampled.interval(kind, significance_level(confidence))
    result = Comparison(
        method=_METHODS[kind],
        variation=("test patients",),
        n=count,
        unit="images" if patients is None else "patients",
        difference=resampled.observed,
        confidence=confidence,
        reason=reason,
        note=resampled.note(),
    )
    if low is None or resampled.observed is None or resampled.se is None:
        return result
    return replace(
        result,
        statistic=resampled.observed / resampled.se,
        p=resampled.p(kind),
        low=low,
        high=high,
        smallest_p=2 / (len(resampled.replicates) + 1),
        required=required_cases(count, resampled.observed, resampled.se),
    )


@dataclass(frozen=True)
class _BootstrapDistribution:
    """A statistic and its bootstrap replicates.

    Attributes:
        observed: Statistic of all cases; None where it is undefined.
        replicates: (r,) defined replicates, sorted.
        drawn: Number of replicates including undefined ones.
        patients: Number of patients.
        acceleration: Acceleration of BCa; None where the statistic is undefined without some patient.
    """

    observed: float | None
    replicates: np.ndarray
    drawn: int
    patients: int
    acceleration: float | None

    @property
    def se(self) -> float | None:
        """Standard deviation of the replicates; None where they do not vary."""
        if len(self.replicates) < 2 or self._is_constant():
            return None
        return float(self.replicates.std(ddof=1))

    def note(self) -> str:
        """The number of undefined replicates, or an empty string."""
        undefined = self.drawn - len(self.replicates)
        if self.observed is None or self.patients < 2 or not undefined:
            return ""
        return f"{undefined:,} of {self.drawn:,} replicates are undefined (a class was absent) and left out"

    def interval(self, kind: Kind, alpha: float) -> tuple[float | None, float | None, str]:
        """Low, high, and the reason where there is no interval."""
        reason = self._invalid_reason(kind)
        if reason:
            return None, None, reason
        probabilities = np.array([alpha / 2, 1 - alpha / 2])
        if kind == "bca":
            bias, acceleration = self._bias(), self.acceleration or 0.0
            z = bias + ndtri(probabilities)
            probabilities = ndtr(bias + z / np.maximum(1 - acceleration * z, 1e-9))
        low, high = np.quantile(self.replicates, probabilities, method="weibull")
        return float(low), float(high), ""

    def p(self, kind: Kind) -> float:
        """Two-sided p-value that agrees with the interval of the same kind."""
        share = self._share_below(0.0)
        if kind == "bca":
            # Solve the limits of the interval for the level at which one of them is zero.
            bias, acceleration = self._bias(), self.acceleration or 0.0
            z = float(ndtri(share)) - bias
            share = float(ndtr(z / max(1 + acceleration * z, 1e-9) - bias))
        return float(np.clip(2 * min(share, 1 - share), 2 / (len(self.replicates) + 1), 1.0))

    def _invalid_reason(self, kind: Kind) -> str:
        """Why there is no interval, or an empty string."""
        if self.observed is None:
            return "the metric is undefined for these cases (a class is absent, or a sum is zero)"
        if self.patients < 2:
            return "the bootstrap needs at least two patients"
        undefined = self.drawn - len(self.replicates)
        if undefined > _MAX_UNDEFINED * self.drawn:
            return (
                "too few patients of a class for random resampling (it was absent from "
                f"{undefined:,} of {self.drawn:,} replicates)"
            )
        if self._is_constant():
            return "every replicate has the same value, so there is no interval and no test"
        if kind == "bca" and self.acceleration is None:
            return "without one of the patients a class is empty, so BCa is undefined; use kind='percentile'"
        return ""

    def _is_constant(self) -> bool:
        scale = max(1e-300, abs(self.observed or 0.0), float(np.abs(self.replicates).max()))
        return bool(np.ptp(self.replicates) <= 1e-12 * max(scale, 1e-3))

    def _bias(self) -> float:
        return float(ndtri(self._share_below(self.observed or 0.0)))

    def _share_below(self, bound: float) -> float:
        """Share of the replicates below a bound; equal ones count half, and the share is never 0 or 1."""
        tolerance = 1e-12 * max(abs(float(self.replicates[0])), abs(float(self.replicates[-1])))
        below = np.searchsorted(self.replicates, bound - tolerance, side="left")
        up_to = np.searchsorted(self.replicates, bound + tolerance, side="right")
        return float(((below + up_to) / 2 + 0.5) / (len(self.replicates) + 1))


def _resample(
    statistic: WeightedFunction,
    codes: np.ndarray,
    count: int,
    strata: ArrayLike | None,
    replicates: int,
    seed: SeedKey,
    kind: Kind,
) -> _BootstrapDistribution:
    """Compute a statistic for all cases and for every replicate.

    Args:
        statistic: (b, n) weights of the cases → (b,) values.
        codes: (n,) number of each case's patient.
        count: Number of patients.
        strata: (n,) stratum of each case.
        replicates: Number of replicates.
        seed: Key of the replicates.
        kind: Kind of interval; only BCa needs the acceleration.
    """
    patient_strata = _patient_strata(strata, codes, count)
    if replicates < 100:
        raise ValueError(f"a bootstrap needs at least 100 replicates (2,000 are usual), not {replicates}")
    observed = float(statistic(np.ones((1, codes.size)))[0])
    if np.isnan(observed) or count < 2:
        return _BootstrapDistribution(None if np.isnan(observed) else observed, np.zeros(0), replicates, count, None)
    resamples = _draw_patients(patient_strata, codes.size, replicates, seed)
    values = np.concatenate([statistic(times_drawn[:, codes]) for times_drawn in resamples])
    acceleration = _acceleration(statistic, codes, count) if kind == "bca" else None
    return _BootstrapDistribution(observed, np.sort(values[~np.isnan(values)]), replicates, count, acceleration)


def _draw_patients(strata: np.ndarray, cases: int, replicates: int, seed: SeedKey) -> Iterator[np.ndarray]:
    """Batches (b, patients) of how often each patient is drawn."""
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]

    def draw(generator: np.random.Generator, rows: int) -> np.ndarray:
        times_drawn = np.zeros((rows, strata.size))
        for members in groups:
            chosen = generator.integers(0, members.size, (rows, members.size))
            chosen += members.size * np.arange(rows)[:, None]
            counts = np.bincount(chosen.ravel(), minlength=rows * members.size)
            times_drawn[:, members] = counts.reshape(rows, members.size)
        return times_drawn

    return draw_resamples("bootstrap", seed, replicates, draw, cases, strata.tobytes())


def _acceleration(statistic: WeightedFunction, codes: np.ndarray, count: int) -> float | None:
    """Acceleration of BCa (Efron 1987) by the jackknife over patients, or over 500 groups of patients."""
    total = min(count, _JACKKNIFE_GROUPS)
    group = np.random.default_rng(0).permutation(count) % total
    values = np.concatenate(
        [
            statistic((group[codes][None] != np.array(batch)[:, None]).astype(np.float64))
            for batch in batch_ranges(total, codes.size)
        ]
    )
    if np.isnan(values).any():
        return None
    deviations = values.mean() - values
    spread = float((deviations**2).sum())
    return float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _patient_strata(strata: ArrayLike | None, codes: np.ndarray, count: int) -> np.ndarray:
    """(patients,) number of the stratum of each patient."""
    if strata is None:
        return np.zeros(count, dtype=np.int64)
    names = np.asarray(strata)
    if names.shape != codes.shape:
        raise ValueError(f"strata must have shape ({codes.size},), one for each case, not {names.shape}")
    case_strata = np.unique(names, return_inverse=True)[1].reshape(-1)
    patient_strata = np.zeros(count, dtype=np.int64)
    patient_strata[codes] = case_strata
    divided = np.unique(codes[patient_strata[codes] != case_strata]).size
    if divided:
        raise ValueError(f"{divided} patients have images in more than one stratum: assign one stratum to each patient")
    return patient_strata


def _check_kind(kind: str) -> Kind:
    if kind not in _METHODS:
        raise ValueError(f"kind must be bca or percentile, not {kind!r}")
    return "bca" if kind == "bca" else "percentile"
