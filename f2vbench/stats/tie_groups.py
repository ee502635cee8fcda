"""Which of several models are tied: groups without significant differences, and ranges of ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def indistinct_groups(
    models: Sequence[str], ranks: ArrayLike, p: ArrayLike, alpha: float = 0.05
) -> tuple[tuple[str, ...], ...]:
    """Maximal runs of at least two models, in order of rank, of which no pair differs significantly.

    Args:
        models: k names.
        ranks: (k,) numbers that order the models, the best first.
        p: (k, k) adjusted p-values of all pairs; NaN where a pair has no test, which shows no difference.
        alpha: Significance level.

    Returns:
        The groups; a model may be in several, because not being significantly different is not transitive.

    Example:
        >>> p = [[1, 0.2, 0.01], [0.2, 1, 0.3], [0.01, 0.3, 1]]
        >>> indistinct_groups(["a", "b", "c"], [1, 2, 3], p)
        (('a', 'b'), ('b', 'c'))
    """
    order = np.argsort(np.asarray(ranks), kind="stable")
    indistinct = ~(np.asarray(p, dtype=float)[np.ix_(order, order)] < alpha)
    runs: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and indistinct[start : end + 1, start : end + 1].all():
            end += 1
        if end - start > 1 and (not runs or end > runs[-1][1]):
            runs.append((start, end))
    return tuple(tuple(models[i] for i in order[start:end]) for start, end in runs)


def rank_ranges(
    values: ArrayLike, p: ArrayLike, alpha: float = 0.05, *, higher_is_better: bool = True
) -> list[tuple[int, int]]:
    """The best and the worst rank of each model that the tests of all pairs leave open.

    A model's best rank is one more than the number of models that are significantly better, and its worst rank the
    number of models without those that are significantly worse. If the p-values control the probability of any false
    positive among all pairs, and of a significant difference of the wrong sign, the ranges contain the true ranks of
    all models at once with probability 1 − alpha (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91,
    2024).

    Args:
        values: (k,) values of the models.
        p: (k, k) adjusted p-values of all pairs; NaN where a pair has no test, which shows no difference.
        alpha: Significance level.
        higher_is_better: Whether higher values are better.

    Returns:
        k pairs of the best and the worst rank, from 1 to k.

    Example:
        >>> p = [[1, 0.2, 0.01], [0.2, 1, 0.3], [0.01, 0.3, 1]]
        >>> rank_ranges([0.9, 0.8, 0.7], p)
        [(1, 2), (1, 3), (2, 3)]
    """
    ascending = np.asarray(values, dtype=float) * (1 if higher_is_better else -1)
    significant = np.asarray(p, dtype=float) < alpha
    better = significant & (ascending[None, :] > ascending[:, None])
    worse = significant & (ascending[None, :] < ascending[:, None])
    count = len(ascending)
    return [(1 + int(above.sum()), count - int(below.sum())) for above, below in zip(better, worse, strict=True)]
