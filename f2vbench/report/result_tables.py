"""Results as tables: means by task and protocol, and the comparisons between models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from f2vbench.comparisons import Certainty, Compared
from f2vbench.report.grid import Cell, Column, Table
from f2vbench.report.wording import (
    NONE,
    interval,
    kind_of,
    metric_name,
    model_name,
    number,
    p_value,
    place_text,
    shots_text,
    signed,
)
from f2vbench.stats.outcomes import Comparison, varies_text

SPREAD = "Mean over seeds, ± standard deviation (n − 1), and the papers' 95 % interval, mean ± 1.96 standard errors"
_CERTAINTY: dict[Certainty, str] = {
    "sure": "{}",
    "over seeds only": "{} over seeds; patients can't tell",
    "over patients only": "{} over patients; seeds can't tell",
    "contradictory": "seeds and patients disagree",
    "not separable": "not separable",
    "no test": "no test possible",
}


def place_tables(
    summary: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    comparisons: Sequence[Compared],
    title_of: Callable[[str], str],
) -> list[Table]:
    """One table a task and protocol: a row a model, a group of columns a number of support images.

    Args:
        summary: of `Results.summary`.
        metrics: task → its metrics in order; those that a place lacks are passed over.
        comparisons: tell whether the best of a column is separable from the second.
        title_of: a task's title.
    """
    tables = []
    for (task, protocol), group in summary.groupby(["task", "protocol"], sort=False):
        there = set(group.metric)
        names = [name for name in metrics[task] if name in there]
        if names:
            title = place_text(title_of(task), protocol, None)
            tables.append(_place_table(f"{task}-{protocol}", title, group, names, comparisons))
    return tables


def _place_table(
    name: str, title: str, group: pd.DataFrame, metrics: Sequence[str], comparisons: Sequence[Compared]
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
        muted = bool(any_row.floor) or any_row.weights == "untrained"
        cells = [model_cell(model, any_row, muted)]
        cells += [_mean_cell(held.get((model, *place)), ranks[place], model, place in unsure) for place in places]
        rows.append(cells)
    columns = [Column("model", numeric=False)]
    columns += [Column(metric_name(metric, better[metric]), shots_text(count)) for count, metric in places]
    seeds = sorted(set(group.n[group.n > 0]))
    told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "no"
    notes = []
    if any(cell.unsure for row in rows for cell in row):
        notes.append("n.s.: the best is not separable from the second over seeds and over patients both.")
    notes += [f"{NONE} {reason}" for reason in dict.fromkeys(row.reason for row in group.itertuples() if row.reason)]
    one = seeds[-1:] == [1]
    caption = f"{SPREAD}; {told} seeds." if not one else "One seed: no spread and no interval."
    return Table(name, title, caption, columns, rows, notes)


def model_cell(model: str, row: Any, muted: bool) -> Cell:
    """A model, and what it is where its name does not tell: a floor, untrained, or whose weights."""
    kind = kind_of(row.floor, row.weights)
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


def comparison_table(comparisons: Sequence[Compared], title_of: Callable[[str], str], floors: set[str]) -> Table:
    """Every comparison shown, with its three tests, the p of each Holm-adjusted over all rows."""
    columns = [
        *(Column(title, numeric=False) for title in ("place", "metric", "first", "second")),
        Column("difference"),
        Column("verdict", numeric=False),
        Column("as in the papers", "p, Holm-adjusted, over seeds"),
        Column("corrected for overlap", "p, Holm-adjusted, over seeds"),
        Column("bootstrap", "p, Holm-adjusted, over test patients"),
    ]
    rows = [_comparison_row(each, title_of, floors) for each in comparisons]
    return Table(
        "comparisons",
        "Which differences are real",
        "The difference is first − second, with its 95 % interval over test patients; the verdict is on the first. "
        "Each p-value says what varies: the papers' t-test takes the seeds as "
        "independent, which they are not where they share images; the corrected test (Nadeau and Bengio) accounts for "
        "the overlap of their splits; the bootstrap asks for other patients, with the heads as they were trained. "
        "Holm's adjustment of each is over all rows of this table.",
        columns,
        rows,
        _reasons(comparisons),
    )


def _comparison_row(each: Compared, title_of: Callable[[str], str], floors: set[str]) -> list[Cell]:
    def test(found: Comparison) -> Cell:
        basis = f"p {p_value(found.p)}, n = {found.n} {found.unit}; {varies_text(found.varies)}"
        return Cell(
            p_value(found.p_adjusted), found.p_adjusted, basis if found.p is not None else "", reason=found.reason
        )

    difference, between = each.means[0] - each.means[1], each.patients
    return [
        Cell(place_text(title_of(each.task), each.protocol, each.shots)),
        Cell(metric_name(each.metric, each.better)),
        *(Cell(model_name(name, name in floors)) for name in (each.first, each.second)),
        Cell(signed(difference), difference, interval(between.low, between.high), reason=between.reason),
        Cell(certainty_text(each)),
        *map(test, (each.seeds, each.splits, each.patients)),
    ]


def certainty_text(each: Compared) -> str:
    """``better``, ``not separable``, ``better over patients; seeds can't tell``"""
    verdict = next((verdict for verdict in each.verdicts() if verdict in ("better", "worse")), "")
    return _CERTAINTY[each.certainty].format(verdict)


def _reasons(comparisons: Sequence[Compared]) -> list[str]:
    """Why p-values are missing, once each."""
    reasons = (found.reason for each in comparisons for found in (each.seeds, each.splits, each.patients))
    return [f"{NONE} {reason}" for reason in dict.fromkeys(reason for reason in reasons if reason)]
