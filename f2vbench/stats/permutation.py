"""Permutation tests: signs of differences over seeds, and models swapped patient by patient.

Where all assignments are no more than the replicates asked for, every one is tried and p is exact; otherwise they are
drawn by key, and the one that was seen counts among them (Phipson & Smyth 2010), so that p is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from f2vbench.stats.citations import PAIRED_PERMUTATION, SIGN_FLIP
from f2vbench.stats.power import at_least, required_cases, required_pairs
from f2vbench.stats.resampling import Key, batches, drawn
from f2vbench.stats.result_classes import Comparison, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import clusters, is_constant, level, magnitude, pairs, predictions_of
from f2vbench.stats.weighted_metrics import Metric, get_metric

_SMALLEST_FOR_FIVE_PERCENT = 6  # 2/2⁶ is the first below 0.05


def sign_flip_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    replicates: int = 9_999,
    seed: Key = 0,
    confidence: float = 0.95,
) -> Comparison:
    """Paired permutation test of the mean difference over (n,) shared seeds: under no difference each sign is a coin's.

    The interval holds every shift that the test would not reject; its ends are means of subsets of the differences
    (Hartigan 1969). Like Wilcoxon's test it can't go below p = 2/2ⁿ: 0.0625 with five seeds.

    Raises:
        ValueError: the two differ in length, are empty, or hold a number that is not finite.
    """
    a, b = pairs(first, second)
    names = as_variation(variation)
    alpha = level(confidence)
    differences, n = a - b, a.size
    result = Comparison(
        method=SIGN_FLIP,
        variation=names,
        n=n,
        unit=sampling_unit(names),
        difference=float(differences.mean()),
        confidence=confidence,
    )
    if n < 2:
        return replace(result, reason="one pair: no test possible")
    scale = magnitude(a, b)
    if np.abs(differences).max() <= 1e-12 * scale:
        return replace(result, reason="every difference is zero: no test possible")
    means, exact = _subset_means(differences, replicates, seed)
    slack = 1e-12 * scale
    tail = 1 + min(np.count_nonzero(means <= slack), np.count_nonzero(means >= -slack))
    total = len(means) + 1
    low, high, reason = None, None, ""
    k = int(alpha / 2 * total + 1e-9)
    if k < 1:
        reason = f"{n} pairs are too few for a {100 * confidence:g} % interval by signs"
    else:
        low, high = float(means[k - 1]), float(means[-k])
    constant = is_constant(differences, scale)
    return replace(
        result,
        statistic=result.difference,
        p=min(1.0, 2 * tail / total),
        low=low,
        high=high,
        smallest_p=2 / total,
        required=None
        if constant
        else at_least(required_pairs(float(differences.mean() / differences.std(ddof=1))), _SMALLEST_FOR_FIVE_PERCENT),
        reason=reason,
        note=_how(exact, total),
    )


def paired_permutation_test(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    metric: str | Metric | Callable = "auroc",
    patients: ArrayLike | None = None,
    replicates: int = 1_999,
    seed: Key = 0,
) -> Comparison:
    """Permutation test of a metric's difference between two models on the same cases.

    Under the null the two are exchangeable: with a coin for each patient, all their predictions by the one model change
    places with those by the other. That is stronger than equal metrics. Metrics of order (AUROC, average precision) are
    computed from the ranks within each model, so that models on different scales can be swapped. There is no interval:
    take `bootstrap.paired_bootstrap`'s.

    Args:
        first, second, labels, metric, patients: as in `bootstrap.paired_bootstrap`.

    Raises:
        ValueError: arrays that don't fit or aren't finite; an unknown metric.
    """
    a, b = predictions_of(first, "first"), predictions_of(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"both models must have predictions of the same cases, not {a.shape} and {b.shape}")
    chosen = get_metric(metric)
    if chosen.rank_based:
        a, b = rankdata(a, axis=0), rankdata(b, axis=0)
    truth = None if labels is None else np.asarray(labels)
    codes, count = clusters(patients, len(a))
    # Both models' predictions form one pool of 2n cases; who holds which is a matter of weights.
    value = chosen.prepare(np.concatenate([a, b]), None if truth is None else np.concatenate([truth, truth]))

    def difference(swapped: np.ndarray) -> np.ndarray:
        mine = ~swapped[:, codes]
        weights = np.concatenate([mine, ~mine], axis=1).astype(np.float64)
        return value(weights) - value(1 - weights)

    observed = float(difference(np.zeros((1, count), dtype=bool))[0])
    result = Comparison(
        method=PAIRED_PERMUTATION,
        variation=("test patients",),
        n=count,
        unit="images" if patients is None else "patients",
        difference=None if np.isnan(observed) else observed,
    )
    if np.isnan(observed):
        return replace(result, reason="the metric is undefined on these cases (a class is absent, or a sum is zero)")
    if count < 2:
        return replace(result, reason="one patient only: nothing to swap")
    swaps, exact = _swaps(count, replicates, seed, 2 * len(a))
    found = np.concatenate([difference(batch) for batch in swaps])
    if np.isnan(found).any():
        why = "with some patients swapped the metric is undefined (its sum is zero): no test possible"
        return replace(result, reason=why)
    slack = 1e-12 * max(1e-3, float(np.abs(found).max()))
    if np.abs(found).max() <= slack and abs(observed) <= slack:
        return replace(result, reason="the models do not differ, however patients are swapped: no test possible")
    extreme = int(np.count_nonzero(np.abs(found) >= abs(observed) - slack))
    total = len(found) + 1
    return replace(
        result,
        statistic=observed,
        p=(extreme + 1) / total,
        smallest_p=2 / total if exact else 1 / total,
        required=required_cases(count, observed, float(found.std())),
        note=_how(exact, total),
    )


def _subset_means(differences: np.ndarray, replicates: int, seed: Key) -> tuple[np.ndarray, bool]:
    """Sorted means of the flipped differences, of every flip (the empty one apart) or of drawn ones."""
    swaps, exact = _swaps(differences.size, replicates, seed, differences.size)
    means = []
    for flipped in swaps:
        some = flipped[flipped.any(axis=1)]
        means.append(some @ differences / some.sum(axis=1))
    return np.sort(np.concatenate(means)), exact


def _swaps(count: int, replicates: int, seed: Key, numbers: int) -> tuple[Iterator[np.ndarray], bool]:
    """Batches (b, count) of who is swapped, nobody-swapped left out, and whether they are all there are."""
    if replicates < 99:
        raise ValueError(f"a permutation test needs at least 99 replicates, not {replicates}")
    exact = count < 60 and 2**count - 1 <= replicates
    if exact:
        return _all_swaps(count, numbers), True
    return drawn("swap", seed, replicates, lambda draw, rows: draw.random((rows, count)) < 0.5, numbers, count), False


def _all_swaps(count: int, numbers: int) -> Iterator[np.ndarray]:
    places = np.arange(count)
    for batch in batches(2**count - 1, numbers):
        yield (((np.array(batch) + 1)[:, None] >> places) & 1).astype(bool)


def _how(exact: bool, total: int) -> str:
    return f"exact, all {total:,} assignments" if exact else f"{total - 1:,} assignments drawn at random"
