"""Models over several tasks: average ranks, whether they differ at all, and from the first which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f2vbench.analysis.task_scores import MAIN_METRICS, compute_task_scores
from f2vbench.report.figures.source import Source
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.wording import METRIC_NAMES, NONE, Names
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
    from f2vbench.results import Results

_LEAST_MODELS, _LEAST_TASKS = 2, 2


@dataclass(frozen=True)
class AcrossTasks:
    """The table of ranks, or why there is none."""

    table: Table | None
    reason: str = ""


def across_tasks(results: Results, names: Names) -> AcrossTasks:
    """Ranks over tasks by the main metric, mean over seeds and over the places that all models share.

    Models that lack a task are left out, and named. Places without training are no part.
    """
    source = Source(results)
    scores = compute_task_scores(source.frame, source.families, source.encoders)
    tasks, models = list(scores.index), list(scores.columns)
    if len(models) < _LEAST_MODELS or len(tasks) < _LEAST_TASKS:
        return AcrossTasks(
            None,
            f"No comparison across tasks: average ranks need {_LEAST_MODELS} models with labelled training on the same "
            f"{_LEAST_TASKS} tasks or more of segmentation or classification, and Friedman's test 3 models; here are "
            f"{len(models)} on {len(tasks)}. Places of one task share its photographs and are no tasks of their own.",
        )
    values = scores.to_numpy(float)
    overall, gaps, pairs = (
        friedman_test(values, models),
        nemenyi_test(values, models),
        wilcoxon_holm_test(values, models),
    )
    metrics = ", ".join(dict.fromkeys(METRIC_NAMES[MAIN_METRICS[source.families[task]][0]] for task in tasks))
    columns = [
        Column("model", numeric=False),
        Column("average rank"),
        Column("win–tie–loss", "against the first"),
        Column("sign test", "against the first: p"),
        Column("Nemenyi", "against the first: p"),
        Column("Wilcoxon, Holm-adjusted", "against the first: p"),
    ]
    order = np.argsort(gaps.average_ranks, kind="stable")
    first = int(order[0])
    rows = [_row(int(place), first, values, source, gaps, pairs) for place in order]
    left_out = [name for name in source.encoders if name not in models]
    table = Table(
        "ranks",
        "Average ranks across tasks",
        f"Over n = {len(tasks)} tasks ({', '.join(names.titles[task] for task in tasks)}), which are what varies, by "
        f"{metrics}, mean over seeds and over the numbers of support images that all models share; rank 1 is best. "
        "Wins and losses are the row's model's. Nemenyi's and Wilcoxon's p are adjusted for all pairs of models.",
        columns,
        rows,
        [*_overall(overall), *_groups(gaps, pairs), *_left_out(left_out)],
    )
    return AcrossTasks(table)


def _row(
    place: int, first: int, values: np.ndarray, source: Source, gaps: PostHocResult, pairs: PostHocResult
) -> list[Cell]:
    encoder = source.encoders[gaps.models[place]]
    rank = gaps.average_ranks[place]
    kind = "baseline" if encoder.baseline else "untrained" if encoder.untrained else ""
    name = Cell(encoder.name, detail=kind, muted=bool(kind))
    shown = Cell(f"{rank:.2f}", rank, mark="best" if place == first else "")
    if place == first:
        return [name, shown, *([Cell(NONE)] * 4)]
    counted = win_tie_loss(values[:, place], values[:, first])
    reason = next((why for a, b, why in pairs.reasons if {a, b} == {pairs.models[place], pairs.models[first]}), "")
    by_ranks = None if reason else float(pairs.p[place, first])
    return [
        name,
        shown,
        Cell(f"{counted.win}–{counted.tie}–{counted.loss}", float(counted.win)),
        Cell(p_value(counted.p), counted.p, reason="" if counted.p is not None else "they tie on every task"),
        Cell(p_value(float(gaps.p[place, first])), float(gaps.p[place, first])),
        Cell(p_value(by_ranks), by_ranks, reason=reason),
    ]


def _overall(found: FriedmanResult) -> list[str]:
    told = found.sentence()
    notes = [f"{told[0].upper()}{told[1:]}."]
    if found.f_p is not None and found.f_statistic is not None:
        notes.append(
            f"The less conservative F statistic of Iman and Davenport: F = {found.f_statistic:.3f}, "
            f"{p_value(found.f_p, equation=True)}."
        )
    return notes


def _groups(gaps: PostHocResult, pairs: PostHocResult) -> list[str]:
    """Which models can't be told apart, and what the least p of so few tasks is."""
    told = "; ".join(" = ".join(group) for group in gaps.groups) or "none: every two differ"
    smallest = 2 / 2**gaps.n
    notes = [
        f"Not separable by Nemenyi's test at {gaps.alpha:g} "
        f"(critical difference {gaps.critical_difference:.2f}): {told}."
    ]
    if smallest >= pairs.alpha:
        notes.append(
            f"With {gaps.n} tasks Wilcoxon's p can't be below {smallest:.4f}, before any adjustment, so that it can "
            f"show nothing at {pairs.alpha:g}."
        )
    return notes


def _left_out(models: list[str]) -> list[str]:
    return (
        [f"Left out, because they lack a task or were not trained with labels: {', '.join(models)}."] if models else []
    )
