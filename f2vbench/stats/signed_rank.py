"""Wilcoxon's signed-rank test, exact with ties, and its interval."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import rankdata, wilcoxon

from f2vbench.stats.citations import SIGNED_RANK
from f2vbench.stats.power import MIN_SIGNIFICANT_PAIRS, required_pairs, scale_sample_size
from f2vbench.stats.result_classes import Comparison, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import as_paired_vectors, is_constant, max_abs, significance_level

_MAX_EXACT = 200  # beyond it the normal approximation agrees to three digits
_MAX_WALSH = 3_000  # number of differences of which all pairwise averages are computed (36 MB)
_RELATIVE_EFFICIENCY = 3 / math.pi  # of this test to the t-test, for normal differences


def wilcoxon_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Comparison:
    """Wilcoxon's signed-rank test of paired values.

    Exact up to 200 pairs, ties included (shift algorithm of Streitberg & Röhmel 1986), with the normal approximation
    beyond. Differences of zero are left out, as Wilcoxon did. The smallest two-sided p of n pairs is 2/2ⁿ: five seeds
    give at least p = 0.0625 and are never significant at 0.05.

    Args:
        first: (n,) values of the first model.
        second: (n,) values of the second model for the same seeds or tasks.
        variation: What differs between the values.
        confidence: Confidence level of the interval.

    Returns:
        The pseudomedian of Hodges and Lehmann (median of all averages of two differences) as ``difference``, with its
        interval; the sum of the ranks of positive differences as ``statistic``; p, and the smallest possible p.

    Raises:
        ValueError: The lengths differ, there is no value, or a value is not finite.

    Example:
        >>> test = wilcoxon_test([3, 5, 6, 8, 9, 9], [1, 2, 7, 3, 2, 5], variation="tasks")
        >>> test.difference, test.statistic, test.p
        (3.5, 20.0, 0.0625)
    """
    a, b = as_paired_vectors(first, second)
    alpha = significance_level(confidence)
    sources = as_variation(variation)
    scale = max_abs(a, b)
    differences = a - b
    nonzero = differences[np.abs(differences) > 1e-12 * scale]
    zeros = differences.size - nonzero.size
    result = Comparison(
        method=SIGNED_RANK,
        variation=sources,
        n=differences.size,
        unit=sampling_unit(sources),
        difference=float(np.median(_walsh_averages(differences))) if differences.size <= _MAX_WALSH else None,
        confidence=confidence,
        note=f"{zeros} of {differences.size} differences are zero and left out" if zeros else "",
    )
    if differences.size < 2:
        return replace(result, reason="a test needs at least two pairs")
    if not nonzero.size:
        return replace(result, reason="every difference is zero, so there is no test")
    ranks = _midranks(nonzero, scale)
    statistic = float(ranks[nonzero > 0].sum())
    if nonzero.size <= _MAX_EXACT:
        cumulative = np.cumsum(_null_distribution(ranks))
        smallest_p = min(1.0, 2 * float(cumulative[0]))
        smaller_side = min(statistic, float(ranks.sum()) - statistic)
        p = min(1.0, 2 * float(cumulative[round(2 * smaller_side)]))
    else:
        smallest_p = None
        p = float(wilcoxon(nonzero, correction=True, method="approx").pvalue)
    low, high, reason = _walsh_interval(differences, alpha)
    if result.difference is None:
        result = replace(result, difference=float(np.median(differences)))
    effect = 0.0 if is_constant(differences, scale) else float(differences.mean() / differences.std(ddof=1))
    required = (
        scale_sample_size(required_pairs(effect), 1 / _RELATIVE_EFFICIENCY, MIN_SIGNIFICANT_PAIRS) if effect else None
    )
    return replace(
        result, statistic=statistic, p=p, low=low, high=high, smallest_p=smallest_p, required=required, reason=reason
    )


def _midranks(nonzero: np.ndarray, scale: float) -> NDArray[np.float64]:
    """Midranks of the absolute differences. Values that differ by rounding only are ties."""
    sizes = np.abs(nonzero)
    order = np.argsort(sizes, kind="stable")
    steps = np.diff(sizes[order], prepend=sizes[order[0]]) > 1e-12 * scale
    groups = np.empty(len(sizes), dtype=np.int64)
    groups[order] = np.cumsum(steps)
    return np.asarray(rankdata(groups))


def _null_distribution(ranks: np.ndarray) -> NDArray[np.float64]:
    """Probability of every value 0, ½, 1, … of the rank sum when each sign has probability ½."""
    doubled = np.rint(2 * ranks).astype(np.int64)
    probabilities = np.zeros(int(doubled.sum()) + 1)
    probabilities[0] = 1.0
    for step in doubled:
        probabilities *= 0.5
        probabilities[step:] += probabilities[:-step].copy()
    return probabilities


def _walsh_averages(differences: np.ndarray) -> np.ndarray:
    """Sorted averages of every two differences, each with itself included."""
    i, j = np.triu_indices(differences.size)
    return np.sort((differences[i] + differences[j]) / 2)


def _walsh_interval(differences: np.ndarray, alpha: float) -> tuple[float | None, float | None, str]:
    """The k-th smallest and k-th largest Walsh average, k the critical value of the signed-rank distribution.

    The distribution is that without ties, so with ties the interval is slightly too wide.

    Returns:
        Low, high, and the reason where there is no interval.
    """
    n = differences.size
    if n > _MAX_WALSH:
        return None, None, f"no interval from all pairs above {_MAX_WALSH:,} differences; use the paired bootstrap's"
    if n <= _MAX_EXACT:
        cumulative = np.cumsum(_null_distribution(np.arange(1.0, n + 1)))[::2]
        k = int(np.searchsorted(cumulative, alpha / 2, side="right"))
    else:
        k = int(n * (n + 1) / 4 - ndtri(1 - alpha / 2) * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    if k < 1:
        return None, None, f"{n} pairs are too few for a {100 * (1 - alpha):g} % interval by ranks"
    averages = _walsh_averages(differences)
    return float(averages[k - 1]), float(averages[-k]), ""
