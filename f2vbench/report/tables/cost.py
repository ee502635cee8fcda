"""What encoding costs beside what is reached with it, as a table."""

from __future__ import annotations

import math

import pandas as pd

from f2vbench.analysis.cost_frame import with_most_labels
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.wording import NONE, Names, metric_name, model_name, number

_COSTS = {
    "parameters": ("parameters (M)", "network", 1e6),
    "macs": ("multiply-adds (G)", "network", 1e9),
    "images_per_second": ("images/s", "encoding", 1.0),
    "processor_seconds_per_image": ("processor s an image", "encoding", 1.0),
    "process_bytes": ("process (GiB)", "peak memory", 2.0**30),
    "device_bytes": ("GPU (GiB)", "peak memory", 2.0**30),
    "bytes_per_image": ("disk an image (KiB)", "features", 2.0**10),
    "training_seconds": ("training s a unit", "head", 1.0),
}
"""Column of `Results.cost` → title, group and unit."""


def cost_table(cost: pd.DataFrame, names: Names, lower_is_better: frozenset[str]) -> Table | None:
    """A row a task and model, at the task's place with most labels; None where there is nothing.

    Args:
        cost: of `Results.cost`.
        names: of tasks and places.
    """
    shown = with_most_labels(cost)
    if not len(shown):
        return None
    there = [name for name in _COSTS if name != "device_bytes" or shown[name].notna().any()]
    rows = [
        [
            Cell(names.place(row.task, row.protocol, None if pd.isna(row.shots) else int(row.shots))),
            Cell(model_name(row.encoder, row.baseline), muted=row.baseline or row.weights == "untrained"),
            Cell(metric_name(row.metric, "lower" if row.metric in lower_is_better else "higher")),
            Cell(number(row.value), None if pd.isna(row.value) else float(row.value)),
            *(_cost(getattr(row, name), _COSTS[name][2], row.reason) for name in there),
        ]
        for row in shown.itertuples()
    ]
    columns = [*(Column(name, numeric=False) for name in ("place", "model", "metric")), Column("mean")]
    columns += [Column(*_COSTS[name][:2]) for name in there]
    machines = ", ".join(dict.fromkeys(filter(None, shown.measured_on)))
    caption = (
        "Parameters and multiply-adds (products of convolutions, linear layers and attention) of encoding one "
        "photograph as the runs do; images/s of the encoder with its preprocessing, the median over groups of "
        "photographs; processor time and peak memory of the whole process, reading and storing included; files of "
        "features in the store."
    )
    notes = [f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, shown.reason))]
    notes += [f"Measured on {machines}, beside whatever else ran there."] if machines else []
    return Table("cost", "Cost beside quality", caption, columns, rows, notes)


def _cost(value: float, unit: float, reason: str) -> Cell:
    if pd.isna(value):
        return Cell(NONE, reason=reason or "not timed")
    return Cell(three_digits(value / unit), value / unit)


def three_digits(value: float) -> str:
    """``1,210``, ``79.8``, ``0.0312``: three digits that count, and all before the point."""
    if not value:
        return "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
