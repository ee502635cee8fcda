"""Table of the classes of segmentation tasks: means over seeds of each class and model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.wording import NONE, TaskNames, metric_name, number
from f2vbench.store.record_schema import UnitRecord

_METRICS = ("auroc", "average_precision", "average_precision_pooled", "dice", "iou", "hd95", "nsd")
_NOTES = (
    "AUROC, AUPR, Dice, IoU, HD95 and NSD are means over the test images in which the class occurs; AUPR of all "
    "pixels pools the pixels of all test images, so that images without the class count as negatives.",
    "HD95 is in percent of the width of the field of view, 100 where nothing is predicted; NSD has a tolerance of "
    "0.5 % of this width.",
)


def class_table(frame: pd.DataFrame, records: Sequence[UnitRecord], names: TaskNames) -> Table | None:
    """Make a table with a row per condition, class and model; None without segmentation of several classes.

    Args:
        frame: `Results.frame`.
        records: Records of the units.
        names: Names of tasks and conditions.
    """
    classes = {
        record["unit"]["task"]: record["result"]["mask_classes"]
        for record in records
        if "mask_classes" in record["result"]
    }
    if not classes:
        return None
    images = _image_counts(records)
    wanted = {f"{metric}:{name}" for task in classes for name in classes[task] for metric in _METRICS}
    own = frame[frame.task.isin(classes) & frame.metric.isin(wanted)]
    rows = []
    for (task, protocol, shots), group in own.groupby(CONDITION, dropna=False, sort=False):
        condition = names.condition(Condition.from_values(task, protocol, shots))
        cells = {key: _cell(values) for key, values in group.groupby(["encoder", "metric"], sort=False)}
        for name in classes[task]:
            for encoder in dict.fromkeys(group.encoder):
                values = [cells.get((encoder, f"{metric}:{name}"), Cell(NONE)) for metric in _METRICS]
                texts = [Cell(condition), Cell(name), Cell(f"{encoder} {names.mark(task, encoder)}".strip())]
                rows.append([*texts, *values, Cell(images[task, name])])
    columns = [Column(metric_name(metric, "lower" if metric == "hd95" else "higher")) for metric in _METRICS]
    return Table(
        "classes",
        "Segmentation by class",
        "Mean over seeds, ± standard deviation (n − 1).",
        [*text_columns("condition", "class", "model"), *columns, Column("test images")],
        rows,
        _NOTES,
    )


def _cell(group: pd.DataFrame) -> Cell:
    values = group.value.dropna()
    if values.empty:
        return Cell(NONE, reason="; ".join(sorted({*group.reason} - {""})))
    spread = f"± {number(values.std())}" if len(values) > 1 else ""
    return Cell(number(values.mean()), float(values.mean()), spread)


def _image_counts(records: Sequence[UnitRecord]) -> dict[tuple[str, str], str]:
    """Number of test images with a class, by task and class; the smallest and largest of all seeds."""
    counts: dict[tuple[str, str], set[int]] = {}
    for record in records:
        for name, count in record["result"].get("test_by_class", {}).items():
            counts.setdefault((record["unit"]["task"], name), set()).add(count)
    return {key: f"{min(found)}" if len(found) == 1 else f"{min(found)}–{max(found)}" for key, found in counts.items()}
