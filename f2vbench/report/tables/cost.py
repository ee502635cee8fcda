"""Table of encoding and training costs beside the quality that each model reaches."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from f2vbench.analysis.cost_frame import select_most_labels
from f2vbench.analysis.frames import Condition
from f2vbench.report.tables.results import is_muted
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.table_notes import pretrained_notes
from f2vbench.report.text.wording import NONE, TaskNames, metric_name, model_name, number


class _CostColumn(NamedTuple):
    """Heading, group and unit of a column of `Results.cost`."""

    title: str
    group: str
    unit: float


_COLUMNS = {
    "parameters": _CostColumn("parameters (M)", "network", 1e6),
    "macs": _CostColumn("multiply-adds (G)", "network", 1e9),
    "images_per_second": _CostColumn("images/s", "encoding", 1.0),
    "processor_seconds_per_image": _CostColumn("CPU s per image", "encoding", 1.0),
    "process_bytes": _CostColumn("process (GiB)", "peak memory", 2.0**30),
    "device_bytes": _CostColumn("GPU (GiB)", "peak memory", 2.0**30),
    "bytes_per_image": _CostColumn("disk per image (KiB)", "features", 2.0**10),
    "training_seconds": _CostColumn("training s per unit", "head", 1.0),
}


def cost_table(cost: pd.DataFrame, names: TaskNames, lower_is_better: frozenset[str]) -> Table | None:
    """Make a table with a row per task and model, at the condition of each task with most labels.

    Args:
        cost: `Results.cost`.
        names: Names of tasks and conditions.
        lower_is_better: Names of the metrics of which lower values are better.

    Returns:
        The table, or None where there are no rows.
    """
    selected = select_most_labels(cost)
    if not len(selected):
        return None
    has_gpu = selected.device_bytes.notna().any()
    shown = {name: column for name, column in _COLUMNS.items() if has_gpu or name != "device_bytes"}
    rows = [
        [
            Cell(names.condition(Condition.from_values(row.task, row.protocol, row.shots))),
            Cell(model_name(row.encoder, row.baseline), detail=names.mark(row.task, row.encoder), muted=is_muted(row)),
            Cell(metric_name(row.metric, "lower" if row.metric in lower_is_better else "higher")),
            Cell(number(row.value), None if pd.isna(row.value) else float(row.value)),
            *(_cost_cell(getattr(row, name), column.unit, row.reason) for name, column in shown.items()),
        ]
        for row in selected.itertuples()
    ]
    columns = [*text_columns("condition", "model", "metric"), Column("mean")]
    columns += [Column(column.title, column.group) for column in shown.values()]
    hardware = ", ".join(dict.fromkeys(filter(None, selected.measured_on)))
    caption = (
        "Parameters and multiply-adds (of convolutions, linear layers and attention) of encoding one photograph at the "
        "settings of the run; images/s of the encoder with its preprocessing, median over groups of photographs; CPU "
        "time and peak memory of the whole process, with reading and storing; size of the stored features."
    )
    notes = pretrained_notes(names, zip(selected.task, selected.encoder, strict=True))
    notes += [f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, selected.reason))]
    notes += [f"Measured on {hardware}, where other processes may have run."] if hardware else []
    return Table("cost", "Cost and quality", caption, columns, rows, notes)


def three_digits(value: float) -> str:
    """Format with three significant digits, and all digits before the point: ``1,210``, ``79.8``, ``0.0312``."""
    if not value:
        return "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _cost_cell(value: float, unit: float, reason: str) -> Cell:
    if pd.isna(value):
        return Cell(NONE, reason=reason or "not timed")
    return Cell(three_digits(value / unit), value / unit)
