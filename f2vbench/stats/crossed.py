"""Intervals and tests for other patients and other heads at once.

Every seed has a head of its own (in few-shot its own support images too), and all heads are tested on patients that
seeds and models share. Readers and cases of a multi-reader multi-case study are crossed in the same way. The analysis
is therefore that of Obuchowski and Rockette (1995) with the degrees of freedom of Hillis (2007): the variance of a mean
over S seeds is

    V = s²·(1/S + r/2) + max(0, C),

where s² is the variance over seeds and C the mean covariance of two different seeds that their common test patients
cause. C is computed by the jackknife: the metric without each patient, with all images of the patient. r is 0 where all
seeds are tested on the same patients. Where seeds are random splits of one data set, r is the ratio of test to training
patients: Nadeau and Bengio (2003) attribute r·s² to patients that splits share; as C already contains the shared test
patients, half of it is added for the shared training patients. Heads of few support images share fewer (`split_ratio`).

The statistic is compared with Student's t, with the degrees of freedom of `f2vbench.stats.degrees_of_freedom`. They and
the share r/2 were chosen by simulation; `benchmarks/crossed_calibration.py` shows type I error, coverage and power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from f2vbench.stats.citations import CROSSED
from f2vbench.stats.crossed_variance import crossed_variance, jackknife_deviations
from f2vbench.stats.intervals import UNBOUNDED, Bounds, scaled_ends
from f2vbench.stats.jackknife import JackknifeScores
from f2vbench.stats.power import required_patients_and_seeds
from f2vbench.stats.resampling import batch_ranges
from f2vbench.stats.result_classes import Comparison, Estimate, Variation, VariationLike, as_variation
from f2vbench.stats.validation import significance_level
from f2vbench.utils.text import plural

_DRAWS = 10_000  # standard error of an adjusted p of 0.05: 0.002
_FEW_PATIENTS = 10  # of a class
_ROUNDING = 1e-12


def split_ratio(patients: int, test: float, trained: float) -> float:
    """The ratio r of random splits of one data set.

    The training sets of two seeds, each of m of N patients, share m·m/N patients on average, the part m/N of either.
    Values with that correlation have a mean over S seeds of variance s²·(1/S + m/(N − m)). Half of r is added, so r is
    not more than 2·m/(N − m).

    Args:
        patients: Patients N of the data set.
        test: Test patients of a seed.
        trained: Patients m on which a head is trained: the support images, or the whole training split.

    Returns:
        Test ÷ training patients, or 2·m/(N − m) where that is less; 0 where no patient is left for training.

    Example:
        >>> split_ratio(100, test=20, trained=80), round(split_ratio(100, test=20, trained=8), 4)
        (0.25, 0.1739)
    """
    if patients <= test:
        return 0.0
    ratio = test / (patients - test)
    return min(ratio, 2 * trained / (patients - trained)) if trained < patients else ratio


def crossed_interval(
    scores: JackknifeScores,
    *,
    variation: VariationLike = "head seed",
    split_ratio: float = 0.0,
    bounds: Bounds = UNBOUNDED,
    confidence: float = 0.95,
) -> Estimate:
    """Mean of a metric over seeds with its interval for other patients and other heads.

    Args:
        scores: Of the model.
        variation: What differs between seeds; test patients are added.
        split_ratio: `split_ratio` where seeds are random splits of one data set; 0 where all seeds have the same test
            patients.
        bounds: Range of the metric; the interval is symmetric on its logit scale, as in
            `intervals.scaled_student_interval`.
        confidence: Confidence level.

    Returns:
        Mean, standard error and interval; ``sd`` is the standard deviation over seeds. With one seed, and where all
        seeds have equal values, the interval is that for other patients alone. A mean at a bound has no interval.

    Example:
        >>> from f2vbench.stats.jackknife import SeedCases, jackknife_scores
        >>> values = ([0.7, 0.8, 0.9, 0.6, 0.7], [0.6, 0.8, 0.8, 0.6, 0.7])
        >>> scores = jackknife_scores("mean", [SeedCases(each, None, list("abcde")) for each in values])
        >>> interval = crossed_interval(scores, bounds=(0.0, 1.0))
        >>> f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
        '0.72 [0.43, 0.90]'
    """
    variance = crossed_variance(scores, split_ratio)
    mean = float(scores.values.mean())
    defined = math.isfinite(mean)
    seeds = len(scores.values)
    estimate = Estimate(
        method=CROSSED,
        variation=_sources(scores, variation),
        n=scores.patients,
        unit="patients",
        value=mean if defined else None,
        sd=float(scores.values.std(ddof=1)) if defined and seeds > 1 else None,
        confidence=confidence,
        reason=variance.reason,
        note=_note(scores),
    )
    if variance.reason:
        return estimate
    if mean in bounds:
        return replace(
            estimate, reason="the mean is at the end of the range of the metric, where it cannot vary freely"
        )
    margin = variance.quantile(1 - significance_level(confidence) / 2) * variance.se
    low, high = scaled_ends(mean, margin, bounds)
    return replace(estimate, se=variance.se, low=low, high=high)


def crossed_test(
    first: JackknifeScores,
    second: JackknifeScores,
    *,
    variation: VariationLike = "head seed",
    split_ratio: float = 0.0,
    largest: float = math.inf,
    confidence: float = 0.95,
) -> Comparison:
    """Test the difference of two models for other patients and other heads.

    Args:
        first: Scores of the first model.
        second: Scores of the second model, with the same patients and seeds.
        variation: What differs between seeds; test patients are added.
        split_ratio: As for `crossed_interval`.
        largest: Largest possible difference, where the interval ends, such as 1 for AUROC.
        confidence: Confidence level of the interval.

    Returns:
        Mean difference, t, p, interval, and the number of patients (or seeds) that would detect the difference.

    Raises:
        ValueError: The numbers of patients or of seeds differ.

    Example:
        >>> from f2vbench.stats.jackknife import SeedCases, jackknife_scores
        >>> patients = list("abcdef")
        >>> first = [SeedCases([0.7, 0.8, 0.9, 0.6, 0.7, 0.8], None, patients)] * 2
        >>> second = [SeedCases([0.6, 0.8, 0.8, 0.5, 0.7, 0.6], None, patients)] * 2
        >>> test = crossed_test(jackknife_scores("mean", first), jackknife_scores("mean", second))
        >>> round(test.difference, 4), round(test.p, 4)
        (0.0833, 0.0067)
    """
    scores = first.minus(second)
    variance = crossed_variance(scores, split_ratio)
    difference = float(scores.values.mean())
    comparison = Comparison(
        method=CROSSED,
        variation=_sources(scores, variation),
        n=scores.patients,
        unit="patients",
        difference=difference if math.isfinite(difference) else None,
        confidence=confidence,
        reason=variance.reason,
        note="" if variance.reason else _note(scores),
        seeds=len(scores.values),
    )
    if variance.reason:
        return comparison
    margin = variance.quantile(1 - significance_level(confidence) / 2) * variance.se
    required = required_patients_and_seeds(
        difference,
        patients=scores.patients,
        seeds=len(scores.values),
        between_seeds=variance.between_seeds,
        of_patients=variance.of_patients,
        within_seeds=variance.within_seeds,
        split_ratio=split_ratio,
    )
    return replace(
        comparison,
        statistic=difference / variance.se,
        p=variance.p(difference),
        low=max(difference - margin, -largest),
        high=min(difference + margin, largest),
        required=required,
        se=variance.se,
        df=variance.df,
    )


def max_t_adjusted(
    models: Sequence[JackknifeScores], pairs: Sequence[tuple[int, int]], *, split_ratio: float = 0.0
) -> list[float | None]:
    """p-values of several pairs of models, adjusted for the choice among the pairs (step-down max-T).

    The best of several models, or the best opponent of one model, is chosen after seeing the data. The adjusted p of a
    pair is the probability that the largest of the standardised differences that are not larger than its own would be
    as large, if no two models differed. Differences are drawn from a normal distribution with their estimated
    correlations; the t statistics are first converted to normal ones with the same p.

    Args:
        models: Scores of each model, with the same patients and seeds.
        pairs: Indices of the first and second model of each pair.
        split_ratio: As for `crossed_interval`.

    Returns:
        The adjusted p of each pair, not below its unadjusted p; None where there is no test.

    Raises:
        ValueError: The numbers of patients or of seeds differ.

    Example:
        >>> from f2vbench.stats.jackknife import SeedCases, jackknife_scores
        >>> patients = list("abcdef")
        >>> values = ([0.7, 0.8, 0.9, 0.6, 0.7, 0.8], [0.6, 0.8, 0.8, 0.5, 0.7, 0.6], [0.6, 0.7, 0.9, 0.5, 0.7, 0.7])
        >>> models = [jackknife_scores("mean", [SeedCases(each, None, patients)]) for each in values]
        >>> p = [crossed_test(models[0], models[other]).p for other in (1, 2)]
        >>> adjusted = max_t_adjusted(models, [(0, 1), (0, 2)])
        >>> [low < high for low, high in zip(p, adjusted)]
        [False, True]
    """
    contrasts = [models[first].minus(models[second]) for first, second in pairs]
    variances = [crossed_variance(contrast, split_ratio) for contrast in contrasts]
    adjusted: list[float | None] = [None] * len(pairs)
    tested = [index for index, variance in enumerate(variances) if not variance.reason]
    if not tested:
        return adjusted
    p = np.array([variances[index].p(float(contrasts[index].values.mean())) for index in tested])
    descending = np.argsort(p, kind="stable")
    factor = _correlation_factor(models, [pairs[index] for index in tested], split_ratio)[descending]
    exceeded = _share_of_larger_maxima(-ndtri(p[descending] / 2), factor)
    # No larger than Bonferroni's adjustment among the remaining pairs, which needs no draws.
    exceeded = np.minimum(exceeded, p[descending] * np.arange(len(p), 0, -1))
    stepped = np.maximum.accumulate(np.maximum(exceeded, p[descending]))
    for position, value in zip(descending, stepped, strict=True):
        adjusted[tested[position]] = float(value)
    return adjusted


def _correlation_factor(
    models: Sequence[JackknifeScores], pairs: Sequence[tuple[int, int]], split_ratio: float
) -> NDArray[np.float64]:
    """(pairs, rank) factor F of the correlations F·Fᵀ of the pairs' differences; its rows have length 1."""
    used = sorted({index for pair in pairs for index in pair})
    seeds = len(models[used[0]].values)
    deviations = np.stack([jackknife_deviations(models[index]) for index in used]).reshape(len(used), -1)
    within = deviations @ deviations.T
    covariance = within
    if seeds > 1:
        sums = deviations.reshape(len(used), -1, seeds).sum(axis=2)
        values = np.stack([models[index].values for index in used])
        of_patients = (sums @ sums.T - within) / (seeds * (seeds - 1))
        covariance = np.atleast_2d(np.cov(values)) * (1 / seeds + split_ratio / 2) + of_patients
    # Differences do not depend on what all models have in common.
    centred = covariance - covariance.mean(axis=0)
    centred = centred - centred.mean(axis=1, keepdims=True)
    roots, vectors = np.linalg.eigh(centred)
    kept = roots > _ROUNDING * roots.max()
    of_model = vectors[:, kept] * np.sqrt(roots[kept])
    first, second = np.searchsorted(used, np.array(pairs)).T
    factor = of_model[first] - of_model[second]
    length = np.sqrt((factor**2).sum(axis=1, keepdims=True))
    return np.asarray(factor / np.where(length > 0, length, 1))


def _share_of_larger_maxima(observed: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the draws in which the largest difference among a pair and those after it reaches the pair's own.

    Args:
        observed: (pairs,) absolute z of each pair, in descending order.
        factor: (pairs, rank) factor of the correlations.
    """
    exceeded = np.zeros(len(observed))
    normal = _normal_draws(factor.shape[1])
    ascending = factor[::-1].astype(np.float32)
    bounds = observed[::-1].astype(np.float32)[:, None]
    for batch in batch_ranges(_DRAWS, len(observed)):
        drawn = np.abs(ascending @ normal[batch.start : batch.stop].T)
        largest = np.maximum.accumulate(drawn, axis=0, out=drawn)
        exceeded += np.count_nonzero(largest >= bounds, axis=1)[::-1]
    return (1 + exceeded) / (1 + _DRAWS)


@lru_cache(maxsize=4)
def _normal_draws(rank: int) -> NDArray[np.float32]:
    """(draws, rank) standard normal numbers; equal ranks have equal numbers, so that results are reproducible."""
    drawn = np.random.default_rng(rank).standard_normal((_DRAWS, rank), dtype=np.float32)
    drawn.flags.writeable = False
    return drawn


def _sources(scores: JackknifeScores, variation: VariationLike) -> Variation:
    """Test patients, and what differs between seeds unless all seeds have equal values."""
    others = [source for source in as_variation(variation) if source != "test patients"]
    return ("test patients",) if (scores.values == scores.values[0]).all() else ("test patients", *others)


def _note(scores: JackknifeScores) -> str:
    fewest = scores.patients if scores.rarest is None else scores.rarest
    if fewest >= _FEW_PATIENTS:
        return ""
    whose = "" if scores.rarest is None else " with (or without) the rarest class"
    return f"only {plural(fewest, 'test patient')}{whose}: interval and p are rough below {_FEW_PATIENTS}"
