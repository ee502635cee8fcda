"""Tables of means by task and protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from f2vbench.analysis.comparisons import BEST_AND_SECOND, ModelComparison
from f2vbench.analysis.frames import Condition
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.intervals import INTERVAL_TEXTS, interval_notes
from f2vbench.report.text.table_notes import imagenet_notes, pretrained_notes
from f2vbench.report.text.wording import NONE, TaskNames, interval_text, metric_name, number, weights_label
from f2vbench.stats.intervals import MeanInterval


class _ValueColumn(NamedTuple):
    """Column of a table: number of shots and metric."""

    shots: int | None
    metric: str


def condition_tables(
    summary: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    comparisons: Sequence[ModelComparison],
    names: TaskNames,
    interval: MeanInterval = "crossed",
) -> list[Table]:
    """Make one table per task and protocol, with a row per model and a group of columns per number of shots.

    Args:
        summary: `Results.summary`.
        metrics: Task → metrics in the order of columns; metrics without results are left out.
        comparisons: Comparisons, which tell whether the best model of a column is significantly better than the second.
        names: Names of tasks and conditions.
        interval: Kind of interval in ``summary``, for the captions.

    Returns:
        Tables in the order of ``summary``.
    """
    tables = []
    for (task, protocol), group in summary.groupby(["task", "protocol"], sort=False):
        measured = set(group.metric)
        shown = [name for name in metrics[task] if name in measured]
        if shown:
            own = [each for each in comparisons if each.condition[:2] == (task, protocol)]
            tables.append(_condition_table(task, protocol, group, shown, own, names, interval))
    return tables


def model_cell(model: str, row: Any, mark: str = "") -> Cell:
    """Cell of a model, with the label of its weights where that differs from the name, and its mark.

    Args:
        model: Name of the model.
        row: Row of `Results.summary` with ``baseline`` and ``weights``.
        mark: `TaskNames.mark`.

    Returns:
        A cell, muted for baselines and random weights.
    """
    label = weights_label(row.baseline, row.weights)
    detail = " ".join(filter(None, ("" if label == model else label, mark)))
    return Cell(model, detail=detail, muted=is_muted(row))


def is_muted(row: Any) -> bool:
    """Whether a row with ``baseline`` and ``weights`` is of a baseline or of an encoder with random weights."""
    return bool(row.baseline) or row.weights == "untrained"


def _condition_table(
    task: str,
    protocol: str,
    group: pd.DataFrame,
    metrics: Sequence[str],
    comparisons: Sequence[ModelComparison],
    names: TaskNames,
    interval: MeanInterval,
) -> Table:
    counts = [Condition.from_values(task, protocol, value).shots for value in group.shots]
    shots = list(dict.fromkeys(counts))
    keys = [_ValueColumn(count, metric) for count in shots for metric in metrics]
    rows_of = {
        (row.encoder, _ValueColumn(count, row.metric)): row
        for row, count in zip(group.itertuples(), counts, strict=True)
    }
    # The summary has the best model of each condition and metric first.
    ranked = {
        key: [model for (model, own), row in rows_of.items() if own == key and pd.notna(row.mean)] for key in keys
    }
    not_significant = {
        _ValueColumn(each.condition.shots, each.metric)
        for each in comparisons
        if BEST_AND_SECOND in each.roles and each.significance != "significant"
    }
    models = dict.fromkeys([*(model for key in keys for model in ranked[key]), *group.encoder])
    first_row = {model: next(row for (encoder, _), row in rows_of.items() if encoder == model) for model in models}
    rows = [
        [
            model_cell(model, first_row[model], names.mark(task, model)),
            *(_mean_cell(rows_of.get((model, key)), ranked[key], model, key in not_significant) for key in keys),
        ]
        for model in models
    ]
    better = dict(zip(group.metric, group.better, strict=True))
    columns = text_columns("model")
    columns += [Column(metric_name(key.metric, better[key.metric]), names.shots(task, key.shots)) for key in keys]
    pairs = [(task, model) for model in models]
    notes = [*imagenet_notes(names, pairs), *pretrained_notes(names, pairs)]
    if any(cell.not_significant for row in rows for cell in row):
        notes.append(
            "n.s.: not significantly better than the second-best model by the crossed test over patients and seeds, "
            "adjusted for the choice of the two models and over all comparisons of the report."
        )
    notes += interval_notes(group[group.metric.isin(metrics)])
    notes += [f"{NONE} {reason}" for reason in dict.fromkeys(row.reason for row in group.itertuples() if row.reason)]
    title = names.condition(Condition(task, protocol, None))
    return Table(f"{task}-{protocol}", title, _caption(group, interval), columns, rows, notes)


def _caption(group: pd.DataFrame, interval: MeanInterval) -> str:
    seeds = sorted(set(group.n[group.n > 0]))
    if not seeds:
        return "No seed with a value."
    parts = [] if seeds[-1] == 1 else ["± standard deviation (n − 1)"]
    if group.low.notna().any():
        parts.append(INTERVAL_TEXTS[interval])
    if seeds[-1] == 1:
        return f"One seed, without standard deviation{''.join(f'; {part}' for part in parts)}."
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"Mean over seeds, {' and '.join(parts)}; {count} seeds."


def _mean_cell(row: Any | None, ranked: Sequence[str], model: str, not_significant: bool) -> Cell:
    if row is None:
        return Cell(NONE, reason="not in these runs")
    if pd.isna(row.mean):
        return Cell(NONE, reason=row.reason)
    spread = [f"± {number(row.sd)}" if pd.notna(row.sd) else "", interval_text(row.low, row.high)]
    best = model == ranked[0] and len(ranked) > 1
    return Cell(
        number(row.mean),
        float(row.mean),
        " ".join(part for part in spread if part),
        mark="best" if best else "second" if ranked[1:2] == [model] else "",
        not_significant=best and not_significant,
        reason=row.reason,
    )
