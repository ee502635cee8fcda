"""Several models on several tasks: Friedman's test, post-hoc tests of all pairs, average ranks, wins and losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from f2vbench.stats.citations import FRIEDMAN, NEMENYI, WILCOXON_HOLM, Method
from f2vbench.stats.multiple_testing import adjust
from f2vbench.stats.result_classes import Verdict
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.tie_groups import indistinct_groups
from f2vbench.stats.validation import as_paired_vectors, significance_level
from f2vbench.utils.text import p_value


@dataclass(frozen=True, kw_only=True)
class FriedmanResult:
    """Result of Friedman's test that k models have equal ranks over n tasks.

    Attributes:
        method: The test.
        models: k names.
        n: Number of tasks.
        average_ranks: k mean ranks; 1 is best, ties have their mean rank.
        statistic: χ² with k − 1 degrees of freedom, corrected for ties.
        p: p-value of χ².
        f_statistic: F of Iman and Davenport, which is less conservative; None where all tasks rank the models equally.
        f_p: p-value of F.
        reason: Why there is no p, or no F.
    """

    method: Method = FRIEDMAN
    models: tuple[str, ...]
    n: int
    average_ranks: tuple[float, ...]
    statistic: float | None = None
    p: float | None = None
    f_statistic: float | None = None
    f_p: float | None = None
    reason: str = ""

    def sentence(self, alpha: float = 0.05) -> str:
        """Write the result as a sentence.

        Args:
            alpha: Significance level.

        Returns:
            A sentence without a full stop.

        Example:
            >>> scores = [[0.7, 0.8, 0.9], [0.6, 0.8, 0.7], [0.5, 0.6, 0.8], [0.6, 0.7, 0.8]]
            >>> print(friedman_test(scores, ["a", "b", "c"]).sentence())  # doctest: +NORMALIZE_WHITESPACE
            the models' average ranks differ significantly: χ² = 6.500, p = 0.0388 (Friedman's test, 3 models,
            n = 4 tasks; tasks vary)
        """
        basis = f"{self.method.name}, {len(self.models)} models, n = {self.n} tasks; tasks vary"
        if self.p is None:
            return f"the models' ranks cannot be tested: {self.reason} ({basis})"
        verdict = "differ significantly" if self.p < alpha else "do not differ significantly"
        numbers = f"χ² = {self.statistic:.3f}, {p_value(self.p, equation=True)}"
        return f"the models' average ranks {verdict}: {numbers} ({basis})"


@dataclass(frozen=True, kw_only=True)
class PostHocResult:
    """Result of a test of all pairs of k models.

    Attributes:
        method: The test.
        models: k names.
        n: Number of tasks.
        average_ranks: k mean ranks; 1 is best.
        p: (k, k) two-sided p-values, adjusted for all pairs; 1 on the diagonal, NaN where a pair has no test.
        alpha: Significance level of ``groups`` and ``critical_difference``.
        critical_difference: Smallest significant difference of average ranks; None for pairwise tests.
        groups: Maximal runs of models, best first, in which no two models differ significantly: the bars of a
            critical-difference diagram.
        reasons: (first, second, reason) of the pairs without a test.
    """

    method: Method
    models: tuple[str, ...]
    n: int
    average_ranks: tuple[float, ...]
    p: np.ndarray
    alpha: float
    critical_difference: float | None
    groups: tuple[tuple[str, ...], ...]
    reasons: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class WinTieLoss:
    """Number of wins, ties and losses of a first model against a second.

    Attributes:
        win: Number of wins.
        tie: Number of ties.
        loss: Number of losses.
        p: p-value of the two-sided sign test without ties; None where all are ties.
    """

    win: int
    tie: int
    loss: int
    p: float | None

    @classmethod
    def from_verdicts(cls, verdicts: Iterable[Verdict]) -> WinTieLoss:
        """Count verdicts of comparisons. Those without a test count as ties.

        Args:
            verdicts: Verdicts on the first model.

        Returns:
            The counts and the sign test.

        Example:
            >>> WinTieLoss.from_verdicts(["better", "better", "worse", "not significant"])
            WinTieLoss(win=2, tie=1, loss=1, p=1.0)
        """
        counted = list(verdicts)
        win, loss = counted.count("better"), counted.count("worse")
        return cls._from_counts(win, len(counted) - win - loss, loss)

    @classmethod
    def _from_counts(cls, win: int, tie: int, loss: int) -> WinTieLoss:
        return cls(win, tie, loss, float(stats.binomtest(win, win + loss).pvalue) if win + loss else None)


def win_tie_loss(first: ArrayLike, second: ArrayLike, margin: float = 0.0) -> WinTieLoss:
    """Count wins, ties and losses over tasks.

    Args:
        first: (n,) scores of the first model; higher is better.
        second: (n,) scores of the second model on the same tasks.
        margin: Largest difference that counts as a tie.

    Returns:
        The counts and the sign test.

    Raises:
        ValueError: The lengths differ, there is no value, a value is not finite, or the margin is negative.

    Example:
        >>> win_tie_loss([0.9, 0.8, 0.7], [0.8, 0.8, 0.5])
        WinTieLoss(win=2, tie=1, loss=0, p=0.5)
    """
    a, b = as_paired_vectors(first, second)
    if margin < 0:
        raise ValueError(f"margin must be at least 0, not {margin}")
    threshold = margin + 1e-12 * max(1.0, float(np.abs(a).max()))
    win, loss = int(np.count_nonzero(a - b > threshold)), int(np.count_nonzero(b - a > threshold))
    return WinTieLoss._from_counts(win, a.size - win - loss, loss)


def average_ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean rank of each model over tasks.

    Args:
        scores: (tasks, k) scores; higher is better.

    Returns:
        (k,) mean ranks; 1 is best, ties have their mean rank.

    Raises:
        ValueError: Fewer than two models, no task, or a score that is missing or not finite.

    Example:
        >>> average_ranks([[0.7, 0.8, 0.9], [0.6, 0.8, 0.7]]).tolist()
        [3.0, 1.5, 1.5]
    """
    return np.asarray(stats.rankdata(-_check_scores(scores), axis=1).mean(axis=0))


def friedman_test(scores: ArrayLike, models: Sequence[str]) -> FriedmanResult:
    """Friedman's test that several models have equal ranks over tasks.

    The χ² approximation is accurate from about ten tasks with five models, F (``f_p``) from fewer.

    Args:
        scores: (tasks, k) scores; higher is better.
        models: k different names.

    Returns:
        Average ranks, χ², F and their p-values.

    Raises:
        ValueError: Fewer than two models, no task, a score that is missing or not finite, or names that do not match.

    Example:
        >>> result = friedman_test([[0.7, 0.8, 0.9], [0.6, 0.8, 0.7], [0.5, 0.6, 0.8]], ["a", "b", "c"])
        >>> round(result.statistic, 3), round(result.p, 4), round(result.f_p, 4)
        (4.667, 0.097, 0.0494)
    """
    table, names = _check_scores(scores), _check_names(models, scores)
    n, k = table.shape
    result = FriedmanResult(models=names, n=n, average_ranks=tuple(average_ranks(table).tolist()))
    if k < 3:
        return replace(result, reason="two models only: use Wilcoxon's signed-rank test over tasks")
    if n < 2:
        return replace(result, reason="a test needs at least two tasks")
    if (table == table[:, :1]).all():
        return replace(result, reason="all models tie on every task")
    test = stats.friedmanchisquare(*table.T)
    chi2 = float(test.statistic)
    result = replace(result, statistic=chi2, p=float(test.pvalue))
    denominator = n * (k - 1) - chi2
    if denominator <= 1e-9:
        return replace(result, reason="every task ranks the models equally, so F is infinite")
    f = (n - 1) * chi2 / denominator
    return replace(result, f_statistic=f, f_p=float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))))


def critical_difference(models: int, tasks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of average ranks, q·√(k(k + 1)/6n) (Demšar 2006).

    Args:
        models: Number k of models, at least 2.
        tasks: Number n of tasks, at least 1.
        alpha: Significance level.

    Returns:
        Smallest significant difference of two average ranks; q is the quantile of the studentized range ÷ √2.

    Raises:
        ValueError: Fewer than two models, no task, or α outside (0, 1).

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    if models < 2 or tasks < 1:
        raise ValueError(f"a critical difference needs at least two models and one task, not {models} and {tasks}")
    significance_level(1 - alpha)
    q = float(stats.studentized_range.ppf(1 - alpha, models, np.inf)) / math.sqrt(2)
    return q * _rank_standard_error(models, tasks)


def nemenyi_test(scores: ArrayLike, models: Sequence[str], alpha: float = 0.05) -> PostHocResult:
    """Nemenyi's test of all pairs of average ranks, to follow Friedman's test.

    The p-value of a pair depends on the other models too; that of `wilcoxon_holm_test` does so by the adjustment only.

    Args:
        scores: (tasks, k) scores; higher is better.
        models: k different names.
        alpha: Significance level of the groups.

    Returns:
        p-values, critical difference, and groups of models that do not differ significantly.

    Raises:
        ValueError: As `friedman_test`.

    Example:
        >>> scores = [[0.7, 0.8, 0.9], [0.6, 0.7, 0.8], [0.5, 0.6, 0.8], [0.6, 0.7, 0.8]]
        >>> nemenyi_test(scores, ["a", "b", "c"]).groups
        (('c', 'b'), ('b', 'a'))
    """
    table, names = _check_scores(scores), _check_names(models, scores)
    n, k = table.shape
    ranks = average_ranks(table)
    gaps = np.abs(ranks[:, None] - ranks) / _rank_standard_error(k, n) * math.sqrt(2)
    p = np.ones((k, k))
    for i, j in combinations(range(k), 2):
        p[i, j] = p[j, i] = float(stats.studentized_range.sf(gaps[i, j], k, np.inf))
    return PostHocResult(
        method=NEMENYI,
        models=names,
        n=n,
        average_ranks=tuple(ranks.tolist()),
        p=p,
        alpha=alpha,
        critical_difference=critical_difference(k, n, alpha),
        groups=indistinct_groups(names, ranks, p, alpha),
    )


def wilcoxon_holm_test(scores: ArrayLike, models: Sequence[str], alpha: float = 0.05) -> PostHocResult:
    """Wilcoxon's signed-rank test of each pair of models over tasks, Holm-adjusted over all pairs.

    Args:
        scores: (tasks, k) scores; higher is better.
        models: k different names.
        alpha: Significance level of the groups.

    Returns:
        p-values, and groups of models that do not differ significantly.

    Raises:
        ValueError: As `friedman_test`.

    Example:
        >>> scores = np.arange(8)[:, None] + np.array([0.1, 0.2, 0.4])
        >>> result = wilcoxon_holm_test(scores, ["a", "b", "c"])
        >>> round(float(result.p[0, 1]), 4), result.groups
        (0.0234, ())
    """
    table, names = _check_scores(scores), _check_names(models, scores)
    n, k = table.shape
    pairs = list(combinations(range(k), 2))
    comparisons = adjust([wilcoxon_test(table[:, i], table[:, j], variation="tasks") for i, j in pairs])
    p = np.ones((k, k))
    for (i, j), comparison in zip(pairs, comparisons, strict=True):
        p[i, j] = p[j, i] = np.nan if comparison.p_adjusted is None else comparison.p_adjusted
    ranks = average_ranks(table)
    return PostHocResult(
        method=WILCOXON_HOLM,
        models=names,
        n=n,
        average_ranks=tuple(ranks.tolist()),
        p=p,
        alpha=alpha,
        critical_difference=None,
        groups=indistinct_groups(names, ranks, p, alpha),
        reasons=tuple(
            (names[i], names[j], comparison.reason)
            for (i, j), comparison in zip(pairs, comparisons, strict=True)
            if comparison.p is None
        ),
    )


def _rank_standard_error(models: int, tasks: int) -> float:
    return math.sqrt(models * (models + 1) / (6 * tasks))


def _check_scores(scores: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ValueError(f"scores must be (tasks, models) with at least one task and two models, not {table.shape}")
    missing = np.argwhere(~np.isfinite(table))
    if len(missing):
        where = ", ".join(f"task {task}, model {model}" for task, model in missing[:5])
        raise ValueError(
            f"{len(missing)} scores are missing or not finite (rows and columns from 0: {where}): ranks need every "
            "model on every task; remove those tasks or models"
        )
    return table


def _check_names(models: Sequence[str], scores: ArrayLike) -> tuple[str, ...]:
    names, columns = tuple(models), np.shape(scores)[1]
    if len(names) != columns or len(set(names)) != columns:
        raise ValueError(f"models must be {columns} different names, one for each column of scores, not {names}")
    return names
