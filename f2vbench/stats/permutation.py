"""Paired permutation tests: of means over seeds, and of metrics over test patients.

Where the number of assignments is at most the number of replicates, all of them are enumerated and p is exact.
Otherwise assignments are drawn at random, and the observed one counts among them (Phipson & Smyth 2010), so p is never
zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from f2vbench.stats.citations import PAIRED_PERMUTATION, SIGN_FLIP
from f2vbench.stats.power import MIN_SIGNIFICANT_PAIRS, required_cases, required_pairs, scale_sample_size
from f2vbench.stats.resampling import SeedKey, batch_ranges, draw_resamples
from f2vbench.stats.result_classes import Comparison, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import (
    as_paired_vectors,
    check_predictions,
    encode_patients,
    is_constant,
    max_abs,
    significance_level,
)
from f2vbench.stats.weighted_metrics import MetricLike, get_metric

_PURPOSE = "swap"  # part of the seed: another word would draw other assignments


def sign_flip_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    replicates: int = 9_999,
    seed: SeedKey = 0,
    confidence: float = 0.95,
) -> Comparison:
    """Paired permutation test of a mean difference over shared seeds.

    Under the null hypothesis each difference has either sign with probability ½. The interval contains the shifts that
    the test does not reject; its ends are means of subsets of the differences (Hartigan 1969). As with Wilcoxon's
    test, p is at least 2/2ⁿ: 0.0625 with five seeds.

    Args:
        first: (n,) values of the first model.
        second: (n,) values of the second model at the same seeds.
        variation: What differs between seeds.
        replicates: Number of random assignments where not all are enumerated, at least 99.
        seed: Key of the random assignments.
        confidence: Confidence level of the interval.

    Returns:
        Mean difference, p, its smallest possible value, and interval.

    Raises:
        ValueError: The lengths differ, there is no value, a value is not finite, or fewer than 99 replicates.

    Example:
        >>> test = sign_flip_test([3, 5, 6, 8, 9, 9], [1, 2, 7, 3, 2, 5], variation="split")
        >>> round(test.difference, 4), test.p, test.note
        (3.3333, 0.0625, 'exact, all 64 assignments')
    """
    a, b = as_paired_vectors(first, second)
    sources = as_variation(variation)
    alpha = significance_level(confidence)
    differences, n = a - b, a.size
    result = Comparison(
        method=SIGN_FLIP,
        variation=sources,
        n=n,
        unit=sampling_unit(sources),
        difference=float(differences.mean()),
        confidence=confidence,
    )
    if n < 2:
        return replace(result, reason="a test needs at least two pairs")
    scale = max_abs(a, b)
    if np.abs(differences).max() <= 1e-12 * scale:
        return replace(result, reason="every difference is zero, so there is no test")
    means, exact = _subset_means(differences, replicates, seed)
    tolerance = 1e-12 * scale
    tail = 1 + min(np.count_nonzero(means <= tolerance), np.count_nonzero(means >= -tolerance))
    total = len(means) + 1
    low, high, reason = None, None, ""
    k = int(alpha / 2 * total + 1e-9)
    if k < 1:
        reason = f"{n} pairs are too few for a {100 * confidence:g} % interval by sign flips"
    else:
        low, high = float(means[k - 1]), float(means[-k])
    required = None
    if not is_constant(differences, scale):
        t_test = required_pairs(float(differences.mean() / differences.std(ddof=1)))
        required = scale_sample_size(t_test, minimum=MIN_SIGNIFICANT_PAIRS)
    return replace(
        result,
        statistic=result.difference,
        p=min(1.0, float(2 * tail / total)),
        low=low,
        high=high,
        smallest_p=2 / total,
        required=required,
        reason=reason,
        note=_describe_assignments(exact, total),
    )


def paired_permutation_test(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    metric: MetricLike = "auroc",
    patients: ArrayLike | None = None,
    replicates: int = 1_999,
    seed: SeedKey = 0,
) -> Comparison:
    """Paired permutation test of a metric's difference between two models on the same cases.

    The null hypothesis is that the models are exchangeable, which is stronger than equal metrics: for each patient, all
    predictions of the one model are exchanged with those of the other with probability ½ (Bandos et al. 2005). Metrics
    that depend on the order only (AUROC, average precision) are computed from ranks within each model, so the models'
    scores may have different scales. There is no interval; `bootstrap.paired_bootstrap` has one.

    Args:
        first: (n,) or (n, k) predictions of the first model, see `bootstrap.paired_bootstrap`.
        second: Predictions of the second model, of the same shape and for the same cases.
        labels: (n,) labels, where the metric needs them.
        metric: Name of a metric in `weighted_metrics.METRICS`, a `weighted_metrics.WeightedMetric`, or a function
            (predictions, labels) → number.
        patients: (n,) patient of each case; None counts each case as a patient.
        replicates: Number of random assignments where not all are enumerated, at least 99.
        seed: Key of the random assignments.

    Returns:
        Difference of the metric, and p.

    Raises:
        ValueError: Shapes do not match, a value is not finite, an unknown metric, or fewer than 99 replicates.

    Example:
        >>> test = paired_permutation_test([0.1, 0.4, 0.6, 0.7, 0.9], [0.3, 0.8, 0.4, 0.2, 0.6], [0, 0, 1, 1, 1])
        >>> round(test.difference, 4), test.p, test.note
        (0.6667, 0.125, 'exact, all 32 assignments')
    """
    a, b = check_predictions(first, "first"), check_predictions(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"both models need predictions for the same cases, not shapes {a.shape} and {b.shape}")
    chosen = get_metric(metric)
    if chosen.rank_based:
        a, b = rankdata(a, axis=0), rankdata(b, axis=0)
    truth = None if labels is None else np.asarray(labels)
    codes, count = encode_patients(patients, len(a))
    # The predictions of both models form one pool of 2n cases; an assignment is a matter of weights.
    statistic = chosen.prepare(np.concatenate([a, b]), None if truth is None else np.concatenate([truth, truth]))

    def difference(exchanged: np.ndarray) -> np.ndarray:
        unchanged = ~exchanged[:, codes]
        weights = np.concatenate([unchanged, ~unchanged], axis=1).astype(np.float64)
        return statistic(weights) - statistic(1 - weights)

    observed = float(difference(np.zeros((1, count), dtype=bool))[0])
    result = Comparison(
        method=PAIRED_PERMUTATION,
        variation=("test patients",),
        n=count,
        unit="images" if patients is None else "patients",
        difference=None if np.isnan(observed) else observed,
    )
    if np.isnan(observed):
        return replace(result, reason="the metric is undefined for these cases (a class is absent, or a sum is zero)")
    if count < 2:
        return replace(result, reason="a test needs at least two patients")
    assignments, exact = _assignments(count, replicates, seed, 2 * len(a))
    permuted = np.concatenate([difference(batch) for batch in assignments])
    if np.isnan(permuted).any():
        return replace(
            result, reason="the metric is undefined for some permutations (a sum is zero), so there is no test"
        )
    tolerance = 1e-12 * max(1e-3, float(np.abs(permuted).max()))
    if np.abs(permuted).max() <= tolerance and abs(observed) <= tolerance:
        return replace(result, reason="the difference is zero for every permutation, so there is no test")
    extreme = int(np.count_nonzero(np.abs(permuted) >= abs(observed) - tolerance))
    total = len(permuted) + 1
    return replace(
        result,
        statistic=observed,
        p=(extreme + 1) / total,
        smallest_p=2 / total if exact else 1 / total,
        required=required_cases(count, observed, float(permuted.std())),
        note=_describe_assignments(exact, total),
    )


def _subset_means(differences: np.ndarray, replicates: int, seed: SeedKey) -> tuple[np.ndarray, bool]:
    """Sorted means of the non-empty subsets of differences whose sign is flipped, and whether they are all subsets."""
    assignments, exact = _assignments(differences.size, replicates, seed, differences.size)
    means = []
    for flipped in assignments:
        subsets = flipped[flipped.any(axis=1)]
        means.append(subsets @ differences / subsets.sum(axis=1))
    return np.sort(np.concatenate(means)), exact


def _assignments(
    count: int, replicates: int, seed: SeedKey, values_per_assignment: int
) -> tuple[Iterator[np.ndarray], bool]:
    """Batches (b, count) of assignments other than the observed one, and whether they are enumerated."""
    if replicates < 99:
        raise ValueError(f"a permutation test needs at least 99 replicates, not {replicates}")
    if count < 60 and 2**count - 1 <= replicates:
        return _all_assignments(count, values_per_assignment), True

    def draw(generator: np.random.Generator, rows: int) -> np.ndarray:
        return generator.random((rows, count)) < 0.5

    return draw_resamples(_PURPOSE, seed, replicates, draw, values_per_assignment, count), False


def _all_assignments(count: int, values_per_assignment: int) -> Iterator[np.ndarray]:
    bits = np.arange(count)
    for batch in batch_ranges(2**count - 1, values_per_assignment):
        yield (((np.array(batch) + 1)[:, None] >> bits) & 1).astype(bool)


def _describe_assignments(exact: bool, total: int) -> str:
    return f"exact, all {total:,} assignments" if exact else f"{total - 1:,} assignments drawn at random"
