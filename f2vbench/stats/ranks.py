"""Several models over several tasks: Friedman's test, which pairs differ, average ranks, and wins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from f2vbench.stats.citations import FRIEDMAN, NEMENYI, WILCOXON_HOLM, Method
from f2vbench.stats.multiple_testing import adjust
from f2vbench.stats.result_classes import Comparison, Verdict
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.validation import level, pairs
from f2vbench.utils.text import p_value


@dataclass(frozen=True, kw_only=True)
class Friedman:
    """Friedman's test that k models rank alike over n tasks; tasks vary.

    Attributes:
        average_ranks: (k,) 1 is best, ties share theirs.
        statistic, p: χ² with k − 1 degrees of freedom, corrected for ties.
        f_statistic, f_p: Iman and Davenport's F of it, which is less timid; None where all tasks rank alike.
        reason: why there is no p, or no F.
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
        """Whether any models can be told apart, and by what."""
        basis = f"{self.method.name}, {len(self.models)} models, n = {self.n} tasks; tasks vary"
        if self.p is None:
            return f"no test of ranks is possible: {self.reason} ({basis})"
        verdict = (
            "some models rank apart" if self.p < alpha else "the models' average ranks do not differ significantly"
        )
        return f"{verdict}: χ² = {self.statistic:.3f}, {p_value(self.p, equation=True)} ({basis})"


@dataclass(frozen=True, kw_only=True)
class PostHoc:
    """Which pairs of k models differ.

    Attributes:
        p: (k, k) two-sided, adjusted for all pairs; 1 on the diagonal, NaN where a pair has no test (with its reason
            in ``reasons``).
        critical_difference: of average ranks; None for pairwise tests, which have none.
        groups: names, best first, of each longest run of models of which no two differ: the bars of a
            critical-difference diagram.
        reasons: (first, second, why) of pairs without a test.
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
    """How often the first was better, level and worse; p of the sign test, ties left out, None where all tie."""

    win: int
    tie: int
    loss: int
    p: float | None

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> WinTieLoss:
        """From verdicts of comparisons; those without a test count as ties."""
        held = list(verdicts)
        win, loss = held.count("better"), held.count("worse")
        return cls._counted(win, len(held) - win - loss, loss)

    @classmethod
    def _counted(cls, win: int, tie: int, loss: int) -> WinTieLoss:
        return cls(win, tie, loss, float(stats.binomtest(win, win + loss).pvalue) if win + loss else None)


def win_tie_loss(first: ArrayLike, second: ArrayLike, margin: float = 0.0) -> WinTieLoss:
    """Of (n,) scores on the same tasks, higher better; differences up to ``margin`` are ties.

    Raises:
        ValueError: the two differ in length, are empty or not finite; a negative margin.
    """
    a, b = pairs(first, second)
    if margin < 0:
        raise ValueError(f"margin can't be negative, as {margin} is")
    slack = margin + 1e-12 * max(1.0, float(np.abs(a).max()))
    win, loss = int(np.count_nonzero(a - b > slack)), int(np.count_nonzero(b - a > slack))
    return WinTieLoss._counted(win, a.size - win - loss, loss)


def average_ranks(scores: ArrayLike) -> np.ndarray:
    """(k,) mean rank of each model over (tasks, k) scores, higher better, rank 1 best; ties share theirs.

    Raises:
        ValueError: fewer than two models, no task, or a task without a model's score.
    """
    return stats.rankdata(-_table(scores), axis=1).mean(axis=0)


def friedman_test(scores: ArrayLike, models: Sequence[str]) -> Friedman:
    """Friedman's test over (tasks, k) scores, higher better.

    The χ² distribution is near enough from some ten tasks with five models; ``f_p`` from fewer.

    Raises:
        ValueError: as `average_ranks`; names that don't fit the scores.
    """
    table, names = _table(scores), _names(models, scores)
    n, k = table.shape
    result = Friedman(models=names, n=n, average_ranks=tuple(average_ranks(table).tolist()))
    if k < 3:
        return replace(result, reason="two models only: take Wilcoxon's signed-rank test over tasks")
    if n < 2:
        return replace(result, reason="one task only: ranks have no spread")
    if (table == table[:, :1]).all():
        return replace(result, reason="all models tie on every task")
    found = stats.friedmanchisquare(*table.T)
    chi2 = float(found.statistic)
    result = replace(result, statistic=chi2, p=float(found.pvalue))
    rest = n * (k - 1) - chi2
    if rest <= 1e-9:
        return replace(result, reason="every task ranks the models alike, so F is infinite")
    f = (n - 1) * chi2 / rest
    return replace(result, f_statistic=f, f_p=float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))))


def critical_difference(models: int, tasks: int, alpha: float = 0.05) -> float:
    """Nemenyi's: how far apart two average ranks must be, q·√(k(k + 1)/6n), q of the studentized range ÷ √2.

    Raises:
        ValueError: fewer than two models, or no task.
    """
    if models < 2 or tasks < 1:
        raise ValueError(f"a critical difference is between at least two models over a task, not {models}, {tasks}")
    level(1 - alpha)
    return float(stats.studentized_range.ppf(1 - alpha, models, np.inf)) / math.sqrt(2) * _rank_error(models, tasks)


def nemenyi(scores: ArrayLike, models: Sequence[str], alpha: float = 0.05) -> PostHoc:
    """Nemenyi's test of all pairs of average ranks over (tasks, k) scores, higher better; to follow Friedman's.

    A pair's p depends on the other models in the table too; `wilcoxon_holm` has no such dependence.

    Raises:
        ValueError: as `friedman_test`.
    """
    table, names = _table(scores), _names(models, scores)
    n, k = table.shape
    ranks = average_ranks(table)
    gaps = np.abs(ranks[:, None] - ranks) / _rank_error(k, n) * math.sqrt(2)
    p = np.ones((k, k))
    for i, j in combinations(range(k), 2):
        p[i, j] = p[j, i] = float(stats.studentized_range.sf(gaps[i, j], k, np.inf))
    return PostHoc(
        method=NEMENYI,
        models=names,
        n=n,
        average_ranks=tuple(ranks.tolist()),
        p=p,
        alpha=alpha,
        critical_difference=critical_difference(k, n, alpha),
        groups=_groups(names, ranks, p, alpha),
    )


def wilcoxon_holm(scores: ArrayLike, models: Sequence[str], alpha: float = 0.05) -> PostHoc:
    """Wilcoxon's signed-rank test over tasks of each pair, Holm-adjusted over all pairs; scores (tasks, k).

    Raises:
        ValueError: as `friedman_test`.
    """
    table, names = _table(scores), _names(models, scores)
    n, k = table.shape
    places = list(combinations(range(k), 2))
    found: list[Comparison] = adjust([wilcoxon_test(table[:, i], table[:, j], variation="tasks") for i, j in places])
    p = np.ones((k, k))
    for (i, j), each in zip(places, found, strict=True):
        p[i, j] = p[j, i] = np.nan if each.p_adjusted is None else each.p_adjusted
    ranks = average_ranks(table)
    return PostHoc(
        method=WILCOXON_HOLM,
        models=names,
        n=n,
        average_ranks=tuple(ranks.tolist()),
        p=p,
        alpha=alpha,
        critical_difference=None,
        groups=_groups(names, ranks, p, alpha),
        reasons=tuple(
            (names[i], names[j], each.reason) for (i, j), each in zip(places, found, strict=True) if each.p is None
        ),
    )


def _rank_error(models: int, tasks: int) -> float:
    return math.sqrt(models * (models + 1) / (6 * tasks))


def _groups(models: Sequence[str], ranks: np.ndarray, p: np.ndarray, alpha: float) -> tuple[tuple[str, ...], ...]:
    """Longest runs, along the average ranks, of two or more models of which no two differ (or could not be tested)."""
    order = np.argsort(ranks, kind="stable")
    alike = ~(p[np.ix_(order, order)] < alpha)
    runs: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and alike[start : end + 1, start : end + 1].all():
            end += 1
        if end - start > 1 and (not runs or end > runs[-1][1]):
            runs.append((start, end))
    return tuple(tuple(models[i] for i in order[start:end]) for start, end in runs)


def _table(scores: ArrayLike) -> np.ndarray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ValueError(f"scores must be (tasks, models) with at least one task and two models, not {table.shape}")
    missing = np.argwhere(~np.isfinite(table))
    if len(missing):
        where = ", ".join(f"task {task}, model {model}" for task, model in missing[:5])
        raise ValueError(
            f"{len(missing)} scores are missing or not finite (rows and columns from 0: {where}): ranks need every "
            "model on every task; leave those tasks or models out"
        )
    return table


def _names(models: Sequence[str], scores: ArrayLike) -> tuple[str, ...]:
    names, columns = tuple(models), np.shape(scores)[1]
    if len(names) != columns or len(set(names)) != columns:
        raise ValueError(f"there are {columns} columns of scores, so there must be as many different names: {names}")
    return names
