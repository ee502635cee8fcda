"""Results as tables: means by task and protocol, and the comparisons between models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from f2vbench.analysis.comparisons import Compared
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.wording import NONE, Names, interval, kind_of, metric_name, number

SPREAD = "Mean over seeds, ± standard deviation (n − 1), and the papers' 95 % interval, mean ± 1.96 standard errors"


def place_tables(
    summary: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    comparisons: Sequence[Compared],
    names: Names,
) -> list[Table]:
    """One table a task and protocol: a row a model, a group of columns a number of support images.

    Args:
        summary: of `Results.summary`.
        metrics: task → its metrics in order; those that a place lacks are passed over.
        comparisons: tell whether the best of a column is separable from the second.
    """
    tables = []
    for (task, protocol), group in summary.groupby(["task", "protocol"], sort=False):
        there = set(group.metric)
        shown = [name for name in metrics[task] if name in there]
        if shown:
            tables.append(_place_table(task, protocol, group, shown, comparisons, names))
    return tables


def _place_table(
    task: str,
    protocol: str,
    group: pd.DataFrame,
    metrics: Sequence[str],
    comparisons: Sequence[Compared],
    names: Names,
) -> Table:
    shots = list(dict.fromkeys(None if pd.isna(value) else int(value) for value in group.shots))
    places = [(number_of, metric) for number_of in shots for metric in metrics]
    better = dict(zip(group.metric, group.better, strict=True))
    unsure = {(each.shots, each.metric) for each in comparisons if _separates_best(each, group)}
    held = {
        (row.encoder, None if pd.isna(row.shots) else int(row.shots), row.metric): row for row in group.itertuples()
    }
    ranks = {place: _order(held, *place) for place in places}
    models = list(dict.fromkeys(model for place in places for model in ranks[place]))
    models += [model for model in dict.fromkeys(group.encoder) if model not in models]
    rows = []
    for model in models:
        any_row = next(row for (encoder, *_), row in held.items() if encoder == model)
        muted = bool(any_row.baseline) or any_row.weights == "untrained"
        cells = [model_cell(model, any_row, muted)]
        cells += [_mean_cell(held.get((model, *place)), ranks[place], model, place in unsure) for place in places]
        rows.append(cells)
    columns = [Column("model", numeric=False)]
    columns += [Column(metric_name(metric, better[metric]), names.shots(task, count)) for count, metric in places]
    seeds = sorted(set(group.n[group.n > 0]))
    told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "no"
    notes = []
    if any(cell.unsure for row in rows for cell in row):
        notes.append("n.s.: the best does not differ significantly from the second over seeds and over patients both.")
    notes += [f"{NONE} {reason}" for reason in dict.fromkeys(row.reason for row in group.itertuples() if row.reason)]
    one = seeds[-1:] == [1]
    caption = f"{SPREAD}; {told} seeds." if not one else "One seed: no spread and no interval."
    return Table(f"{task}-{protocol}", names.place(task, protocol), caption, columns, rows, notes)


def model_cell(model: str, row: Any, muted: bool) -> Cell:
    """A model, and what it is where its name does not tell: a baseline, untrained, or whose weights."""
    kind = kind_of(row.baseline, row.weights)
    return Cell(model, detail="" if kind == model else kind, muted=muted)


def _separates_best(each: Compared, group: pd.DataFrame) -> bool:
    return (
        "best and second" in each.roles
        and (each.task, each.protocol) == (group.task.iloc[0], group.protocol.iloc[0])
        and each.certainty != "sure"
    )


def _order(held: Mapping[tuple, Any], shots: int | None, metric: str) -> list[str]:
    """Models of one column that have a value, as the summary has them: the best first."""
    return [
        encoder
        for (encoder, count, name), row in held.items()
        if (count, name) == (shots, metric) and pd.notna(row.mean)
    ]


def _mean_cell(row: Any | None, order: Sequence[str], model: str, unsure: bool) -> Cell:
    if row is None:
        return Cell(NONE, reason="not in these runs")
    mean, sd, low, high, reason = row.mean, row.sd, row.low, row.high, row.reason
    if pd.isna(mean):
        return Cell(NONE, reason=reason)
    spread = [f"± {number(sd)}" if pd.notna(sd) else "", interval(low, high)]
    best = model == order[0] and len(order) > 1
    return Cell(
        number(mean),
        float(mean),
        " ".join(part for part in spread if part),
        mark="best" if best else "second" if order[1:2] == [model] else "",
        unsure=best and unsure,
        reason=reason,
    )
