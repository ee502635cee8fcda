"""Wilcoxon's signed-rank test, exact with ties, and its interval."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata, wilcoxon

from f2vbench.stats.citations import SIGNED_RANK
from f2vbench.stats.power import at_least, required_pairs
from f2vbench.stats.result_classes import Comparison, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import is_constant, level, magnitude, pairs

_EXACT_UP_TO = 200  # beyond it the normal approximation agrees to three digits
_WALSH_UP_TO = 3_000  # all pairs of differences: 36 MB
_EFFICIENCY = 3 / math.pi  # relative to the t-test for normal differences


def wilcoxon_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Comparison:
    """Wilcoxon's signed-rank test on (n,) paired values; ``statistic`` is the sum of the ranks that favour the first.

    Exact up to 200 pairs, ties included (shift algorithm of Streitberg and Röhmel); normal approximation beyond.
    Differences of zero are left out, as Wilcoxon did. The smallest two-sided p at n pairs is 2/2ⁿ: with n = 5 it is
    0.0625, so that five seeds can never show anything at 0.05. ``difference`` is the pseudomedian of Hodges and
    Lehmann, the median of all averages of two differences, and the interval goes with it.

    Raises:
        ValueError: the two differ in length, are empty, or hold a number that is not finite.
    """
    a, b = pairs(first, second)
    alpha = level(confidence)
    names = as_variation(variation)
    unit = sampling_unit(names)
    scale = magnitude(a, b)
    differences = a - b
    kept = differences[np.abs(differences) > 1e-12 * scale]
    dropped = differences.size - kept.size
    result = Comparison(
        method=SIGNED_RANK,
        variation=names,
        n=differences.size,
        unit=unit,
        difference=float(np.median(_walsh(differences))) if differences.size <= _WALSH_UP_TO else None,
        confidence=confidence,
        note=f"{dropped} of {differences.size} differences are zero and left out" if dropped else "",
    )
    if differences.size < 2:
        return replace(result, reason="one pair: no test possible")
    if not kept.size:
        return replace(result, reason="every difference is zero: no test possible")
    ranks = _ranks(kept, scale)
    statistic = float(ranks[kept > 0].sum())
    if kept.size <= _EXACT_UP_TO:
        below = np.cumsum(_null_distribution(ranks))
        smallest_p = min(1.0, 2 * float(below[0]))
        smaller_side = min(statistic, float(ranks.sum()) - statistic)
        p = min(1.0, 2 * float(below[round(2 * smaller_side)]))
    else:
        smallest_p = None
        p = float(wilcoxon(kept, correction=True, method="approx").pvalue)
    low, high, why = _interval(differences, alpha)
    if result.difference is None:
        result = replace(result, difference=float(np.median(differences)))
    effect = 0.0 if is_constant(differences, scale) else float(differences.mean() / differences.std(ddof=1))
    needed = at_least(required_pairs(effect), 6, 1 / _EFFICIENCY) if effect else None
    return replace(
        result, statistic=statistic, p=p, low=low, high=high, smallest_p=smallest_p, required=needed, reason=why
    )


def _ranks(kept: np.ndarray, scale: float) -> np.ndarray:
    """Midranks of the absolute differences; what differs by rounding only is a tie."""
    sizes = np.abs(kept)
    order = np.argsort(sizes, kind="stable")
    steps = np.diff(sizes[order], prepend=sizes[order[0]]) > 1e-12 * scale
    groups = np.empty(len(sizes), dtype=np.int64)
    groups[order] = np.cumsum(steps)
    return rankdata(groups)


def _null_distribution(ranks: np.ndarray) -> np.ndarray:
    """Probability of every value 0, ½, 1, … of the rank sum when each sign is a fair coin's."""
    doubled = np.rint(2 * ranks).astype(np.int64)
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for step in doubled:
        chances *= 0.5
        chances[step:] += chances[:-step].copy()
    return chances


def _walsh(differences: np.ndarray) -> np.ndarray:
    """Averages of every two differences, each with itself too, sorted."""
    i, j = np.triu_indices(differences.size)
    return np.sort((differences[i] + differences[j]) / 2)


def _interval(differences: np.ndarray, alpha: float) -> tuple[float | None, float | None, str]:
    """The k-th smallest and k-th largest Walsh average, k the critical value of the signed-rank distribution.

    It takes the differences as untied, so that with ties it is a little too wide.
    """
    n = differences.size
    if n > _WALSH_UP_TO:
        return (
            None,
            None,
            f"above {_WALSH_UP_TO:,} pairs there is no interval by all pairs: take the paired bootstrap's",
        )
    if n <= _EXACT_UP_TO:
        below = np.cumsum(_null_distribution(np.arange(1.0, n + 1)))[::2]
        k = int(np.searchsorted(below, alpha / 2, side="right"))
    else:
        k = int(n * (n + 1) / 4 - ndtri(1 - alpha / 2) * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    if k < 1:
        return None, None, f"{n} pairs are too few for a {100 * (1 - alpha):g} % interval by ranks"
    averages = _walsh(differences)
    return float(averages[k - 1]), float(averages[-k]), ""
