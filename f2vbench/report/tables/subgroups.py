"""Tables of subgroups: the result of each, the worst, and the gap between the best and the worst with its test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from f2vbench.analysis.frames import Condition
from f2vbench.analysis.subgroup_labels import NOT_GIVEN
from f2vbench.analysis.subgroups import ALL, GAP_OF_INTEREST, Subgroups
from f2vbench.report.tables.results import model_cell
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.wording import NONE, TaskNames, interval_text, metric_name, number
from f2vbench.utils.text import p_value, plural

SMALL_MARK = "‡"
"""Mark of subgroups that are too small to say anything."""

_DIGITS = 3


def subgroup_tables(subgroups: Subgroups, names: TaskNames) -> list[Table]:
    """Make a table for each task, protocol and column.

    Args:
        subgroups: Results of subgroups.
        names: Names of tasks and conditions.

    Returns:
        Tables in the order of the results.
    """
    return [
        _table(str(task), str(protocol), str(column), rows, subgroups.gaps, names)
        for (task, protocol, column), rows in subgroups.groups.groupby(["task", "protocol", "column"], sort=False)
    ]


def _table(
    task: str, protocol: str, column: str, rows: pd.DataFrame, all_gaps: pd.DataFrame, names: TaskNames
) -> Table:
    own = (all_gaps.task == task) & (all_gaps.protocol == protocol) & (all_gaps.column == column)
    gaps = {_key(row): row for row in all_gaps[own].itertuples()}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows.itertuples():
        found.setdefault(_key(row), {})[row.group] = row
    groups = list(dict.fromkeys(rows.group))
    cells = []
    for key, of_model in found.items():
        first, gap = of_model[ALL], gaps[key]
        cells.append(
            [
                model_cell(first.encoder, first, names.mark(task, first.encoder)),
                Cell(names.shots(task, Condition.from_values(task, protocol, first.shots).shots) or NONE),
                Cell(metric_name(first.metric, first.better)),
                *(_value_cell(of_model.get(group)) for group in groups),
                *_gap_cells(gap),
            ]
        )
    patients = rows.groupby("group").patients.max()
    columns = text_columns("model", "shots", "metric")
    columns += [Column(f"{group} ({patients[group]:,})", f"{column} (patients)") for group in groups]
    columns += [
        Column("worst", "gap", numeric=False),
        Column("best − worst", "gap"),
        Column("p", "gap"),
        Column("detectable", "gap"),
        Column(f"power at {GAP_OF_INTEREST:g}", "gap"),
    ]
    return Table(
        f"subgroups-{task}-{protocol}-{column}",
        f"Subgroups by {column}: {names.condition(Condition(task, protocol, None))}",
        "Mean over seeds in each subgroup with its 95 % interval for other patients and other heads; in brackets, the "
        "number of test patients. Gap: best minus worst subgroup among those with an interval, without images of which "
        "the value is not given. p: crossed test of the gap, adjusted for the choice of the two subgroups among all "
        "pairs (step-down max-T) and by Holm's method over all gaps of this report. Detectable: the smallest true gap "
        f"that this test finds with 80 % power; power: the chance that it finds a true gap of {GAP_OF_INTEREST:g}, "
        "both at 0.05 divided by the number of pairs. A gap that is not significant is no evidence of equal "
        "performance where the detectable gap is large.",
        columns,
        cells,
        _notes(rows, gaps.values()),
    )


def _key(row: Any) -> tuple[Any, ...]:
    return (None if pd.isna(row.shots) else int(row.shots), row.metric, row.encoder)


def _value_cell(row: Any | None) -> Cell:
    if row is None:
        return Cell(NONE, reason="no image of this subgroup")
    mark = SMALL_MARK if row.warning else ""
    if pd.isna(row.value):
        return Cell(NONE, detail=mark, reason=row.reason)
    detail = " ".join(filter(None, (interval_text(row.low, row.high, _DIGITS), mark)))
    return Cell(number(row.value, _DIGITS), float(row.value), detail, reason=row.reason)


def _gap_cells(gap: Any) -> list[Cell]:
    if pd.isna(gap.gap):
        return [Cell(NONE, reason=gap.reason)] * 5
    if pd.isna(gap.p):
        size = Cell(number(gap.gap, _DIGITS), float(gap.gap), reason=gap.reason)
        return [Cell(gap.worst), size, *[Cell(NONE, reason=gap.reason)] * 3]
    return [
        Cell(gap.worst),
        Cell(number(gap.gap, _DIGITS), float(gap.gap), interval_text(gap.low, gap.high, _DIGITS)),
        Cell(p_value(gap.p_adjusted), float(gap.p_adjusted), f"p {p_value(gap.p)}; of pairs {p_value(gap.p_selected)}"),
        _detectable_cell(gap.detectable),
        Cell(f"{100 * gap.power:.0f} %", float(gap.power)),
    ]


def _detectable_cell(detectable: float) -> Cell:
    if pd.isna(detectable):
        return Cell("none", reason="not even the largest possible gap would be found with 80 % power")
    return Cell(number(detectable, _DIGITS), float(detectable))


def _notes(rows: pd.DataFrame, gaps: Iterable[Any]) -> list[str]:
    small = rows[rows.warning != ""]
    fewest = small.drop_duplicates(["group", "warning"])
    notes = [f"{SMALL_MARK} {row.group}: {row.warning}." for row in fewest.itertuples()]
    missing = rows[rows.group == NOT_GIVEN]
    if len(missing):
        images = round(float(missing.images.max()))
        notes.append(f"not given: the value is missing for {plural(images, 'test image')} of a seed.")
    reasons = [*rows.reason[rows.low.isna()], *(gap.reason for gap in gaps)]
    return [*notes, *(f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, reasons)))]
