"""Operating points and subgroups in the terminal, in short; the report's files have the full tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.analysis.subgroups import ALL, Subgroups
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.report.tables.terminal import condition_title
from f2vbench.report.text.wording import NONE, interval_text, metric_name, number
from f2vbench.utils.text import layout, p_value

_DIGITS = 3
_WITH_INTERVAL = ("sensitivity", "specificity")
_METRICS = (*_WITH_INTERVAL, "ppv", "npv")
_TITLES = {"ppv": "PPV", "npv": "NPV"}


def operating_point_text(frame: pd.DataFrame, point: OperatingPoint, families: Mapping[str, str]) -> str:
    """Sensitivity, specificity and predictive values of each class at the chosen threshold, mean over seeds.

    Args:
        frame: `f2vbench.analysis.diagnosis.diagnosis_frame`.
        point: Rule that chose the thresholds.
        families: Task family of each task.

    Returns:
        A title and a table, with the reasons of missing values; "" for an empty frame.
    """
    if frame.empty:
        return ""
    rows, reasons = [], dict[str, None]()
    keys = [*CONDITION, "class", "encoder"]
    for (*condition, class_name, encoder), group in frame.groupby(keys, dropna=False, sort=False):
        key = Condition.from_values(*condition)
        of_metric = {row.metric: row for row in group.itertuples()}
        cells = [_value(of_metric[name], with_interval=name in _WITH_INTERVAL) for name in _METRICS]
        reasons |= dict.fromkeys(filter(None, (of_metric[name].reason for name in _METRICS)))
        rows.append([condition_title(key, families[key.task]), str(class_name), str(encoder), *cells])
    heads = [f"{name} [95 % CI]" if name in _WITH_INTERVAL else _TITLES[name] for name in _METRICS]
    table = layout(["condition", "class", "model", *heads], rows)
    title = f"Operating points: {point.sentence} on the validation images; each class against the rest"
    return "\n".join([title, table, *(f"{NONE} {reason}" for reason in reasons)])


def subgroups_text(subgroups: Subgroups, families: Mapping[str, str]) -> str:
    """Result of all images, the worst subgroup, and the gap to the best with its test, for each column.

    Args:
        subgroups: Results of subgroups.
        families: Task family of each task.

    Returns:
        A title and a table, with warnings on small subgroups; "" for empty results.
    """
    if subgroups.gaps.empty:
        return ""
    values: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in subgroups.groups.itertuples():
        values.setdefault(_key(row), {})[row.group] = row
    rows = []
    for gap in subgroups.gaps.itertuples():
        key = Condition.from_values(gap.task, gap.protocol, gap.shots)
        of_group = values[_key(gap)]
        everyone = of_group[ALL]
        first = [condition_title(key, families[key.task]), gap.column, gap.encoder]
        first += [metric_name(gap.metric, everyone.better), _value(everyone, with_interval=False)]
        if pd.isna(gap.gap):
            rows.append([*first, NONE, NONE, NONE])
            continue
        worst = f"{gap.worst} {_value(of_group[gap.worst], with_interval=False)}"
        size = " ".join(filter(None, (number(gap.gap, _DIGITS), interval_text(gap.low, gap.high, _DIGITS))))
        rows.append([*first, worst, size, NONE if pd.isna(gap.p) else p_value(gap.p_adjusted)])
    header = ["condition", "by", "model", "metric", "all", "worst subgroup", "best − worst [95 % CI]", "p"]
    notes = [
        "p: crossed test of the gap, adjusted for the choice of the two subgroups (max-T) and over the rows (Holm)",
        *dict.fromkeys(f"{NONE} {reason}" for reason in subgroups.gaps.reason if reason),
        *dict.fromkeys(
            f"{row.column} {row.group}: {row.warning}" for row in subgroups.groups.itertuples() if row.warning
        ),
    ]
    return "\n".join(["Subgroups of the test images, mean over seeds", layout(header, rows), *notes])


def _key(row: Any) -> tuple[Any, ...]:
    """Condition, model, metric and column of a row; a missing number of shots is None."""
    shots = None if pd.isna(row.shots) else int(row.shots)
    return row.task, row.protocol, shots, row.encoder, row.metric, row.column


def _value(row: Any, *, with_interval: bool) -> str:
    if pd.isna(row.value):
        return NONE
    interval = interval_text(row.low, row.high, _DIGITS) if with_interval else ""
    return " ".join(filter(None, (number(row.value, _DIGITS), interval)))
