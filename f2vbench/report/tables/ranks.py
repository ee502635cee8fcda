"""Table of average ranks across tasks, with tests of their differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import PRETRAINED_MARK
from f2vbench.analysis.task_scores import LOWER_IS_BETTER, RANKED_METRICS, compute_task_scores
from f2vbench.report.figures.encoder_style import EncoderStyle, encoder_styles
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.wording import NONE, TaskNames, as_sentence, metric_name
from f2vbench.stats.ranks import (
    FriedmanResult,
    PostHocResult,
    friedman_test,
    nemenyi_test,
    wilcoxon_holm_test,
    win_tie_loss,
)
from f2vbench.utils.text import p_value

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults

_LEAST_MODELS, _LEAST_TASKS = 2, 2


@dataclass(frozen=True)
class RanksAcrossTasks:
    """Table of ranks.

    Attributes:
        table: The table, or None.
        reason: Why there is no table.
    """

    table: Table | None
    reason: str = ""


def rank_across_tasks(results: RunResults, names: TaskNames) -> RanksAcrossTasks:
    """Rank the models across tasks by the main metric, mean over seeds and over the conditions that all models share.

    Models without results for a task are left out and named. Only conditions with labelled training count.

    Args:
        results: RunResults of several tasks.
        names: Names of tasks.

    Returns:
        The table, or the reason why there is none.
    """
    encoders = encoder_styles(results.frame)
    scores = compute_task_scores(results.frame, results.families, encoders)
    tasks, models = list(scores.index), list(scores.columns)
    if len(models) < _LEAST_MODELS or len(tasks) < _LEAST_TASKS:
        return RanksAcrossTasks(
            None,
            f"No comparison across tasks: average ranks require {_LEAST_MODELS} or more models with labelled training "
            f"on the same {_LEAST_TASKS} or more tasks of segmentation, classification, regression or survival, and "
            f"Friedman's test requires 3 models; these results have {len(models)} models on {len(tasks)} tasks. "
            "Conditions of the same task share its photographs and do not count as tasks.",
        )
    values = scores.to_numpy(float)
    gaps, pairs = nemenyi_test(values, models), wilcoxon_holm_test(values, models)
    order = np.argsort(gaps.average_ranks, kind="stable")
    first = int(order[0])
    ranked = dict.fromkeys(RANKED_METRICS[results.families[task]] for task in tasks)
    metrics = ", ".join(metric_name(name, "lower" if name in LOWER_IS_BETTER else "higher") for name in ranked)
    columns = [
        *text_columns("model"),
        Column("average rank"),
        Column("win–tie–loss", "against the first"),
        Column("sign test", "against the first: p"),
        Column("Nemenyi", "against the first: p"),
        Column("Wilcoxon, Holm-adjusted", "against the first: p"),
    ]
    table = Table(
        "ranks",
        "Average ranks across tasks",
        f"Ranks over n = {len(tasks)} tasks ({', '.join(names.titles[task] for task in tasks)}), the sampling units "
        f"of the tests, by {metrics}, mean over seeds and over the numbers of support images that all models share. "
        "Rank 1 is best. Wins and losses are those of the model in the row. The p-values of Nemenyi's and Wilcoxon's "
        "tests are adjusted over all pairs of models.",
        columns,
        [_row(int(index), first, values, encoders, gaps, pairs) for index in order],
        [
            *_pretrained_notes([encoders[model] for model in models]),
            *_friedman_notes(friedman_test(values, models)),
            *_pairwise_notes(gaps, pairs),
            *_left_out_notes([name for name in encoders if name not in models]),
        ],
    )
    return RanksAcrossTasks(table)


def _row(
    index: int,
    first: int,
    values: NDArray[np.float64],
    encoders: dict[str, EncoderStyle],
    gaps: PostHocResult,
    pairs: PostHocResult,
) -> list[Cell]:
    """Row of one model, compared with the model of the best average rank."""
    encoder = encoders[gaps.models[index]]
    label = "baseline" if encoder.baseline else "untrained" if encoder.untrained else ""
    mark = PRETRAINED_MARK if encoder.pretrained else ""
    name = Cell(encoder.name, detail=" ".join(filter(None, (label, mark))), muted=bool(label))
    rank = Cell(f"{gaps.average_ranks[index]:.2f}", gaps.average_ranks[index], mark="best" if index == first else "")
    if index == first:
        return [name, rank, *([Cell(NONE)] * 4)]
    wins = win_tie_loss(values[:, index], values[:, first])
    reason = next((text for a, b, text in pairs.reasons if {a, b} == {pairs.models[index], pairs.models[first]}), "")
    nemenyi_p, wilcoxon_p = float(gaps.p[index, first]), None if reason else float(pairs.p[index, first])
    return [
        name,
        rank,
        Cell(f"{wins.win}–{wins.tie}–{wins.loss}", float(wins.win)),
        Cell(p_value(wins.p), wins.p, reason="" if wins.p is not None else "ties on every task"),
        Cell(p_value(nemenyi_p), nemenyi_p),
        Cell(p_value(wilcoxon_p), wilcoxon_p, reason=reason),
    ]


def _friedman_notes(friedman: FriedmanResult) -> list[str]:
    notes = [as_sentence(friedman.sentence())]
    if friedman.f_p is not None and friedman.f_statistic is not None:
        notes.append(
            f"The less conservative F statistic of Iman and Davenport: F = {friedman.f_statistic:.3f}, "
            f"{p_value(friedman.f_p, equation=True)}."
        )
    return notes


def _pairwise_notes(gaps: PostHocResult, pairs: PostHocResult) -> list[str]:
    """Groups of models without significant differences, and the smallest p-value at this number of tasks."""
    groups = "; ".join(" = ".join(group) for group in gaps.groups) or "none, all models differ significantly"
    notes = [
        f"Groups without significant differences by Nemenyi's test at {gaps.alpha:g} "
        f"(critical difference {gaps.critical_difference:.2f}): {groups}."
    ]
    smallest = 2 / 2**gaps.n
    if smallest >= pairs.alpha:
        notes.append(
            f"With {gaps.n} tasks, the p-value of Wilcoxon's test is at least {smallest:.4f} before adjustment, so "
            f"that no difference can be significant at {pairs.alpha:g}."
        )
    return notes


def _pretrained_notes(encoders: list[EncoderStyle]) -> list[str]:
    seen = [f"{encoder.name}: {', '.join(encoder.pretrained)}" for encoder in encoders if encoder.pretrained]
    return [f"{PRETRAINED_MARK} trained on images of these data sets ({'; '.join(seen)})."] if seen else []


def _left_out_notes(models: list[str]) -> list[str]:
    if not models:
        return []
    return [f"Left out, because they lack a task or were not trained with labels: {', '.join(models)}."]
