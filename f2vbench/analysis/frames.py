"""Data frames of unit records, and notes on their completeness."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.config.run import Protocol
from f2vbench.metrics.names import CHANCE
from f2vbench.stats.result_classes import Estimate
from f2vbench.store.record_schema import CallRecord, PlannedUnits, UnitRecord

PROTOCOLS = get_args(Protocol)
CONDITION = ["task", "protocol", "shots"]
"""Columns of a data frame that identify a condition."""
COLUMNS = ["encoder", "weights", "task", "protocol", "shots", "seed", "metric", "value", "unit", "baseline"]
COLUMNS += ["pretrained", "reason"]
PRETRAINED_MARK = "†"
"""Mark of a model at a task whose images its weights were trained on."""
_STATISTICS = ("mean", "sd", "low", "high")


class Condition(NamedTuple):
    """Task, protocol and number of shots (None where the protocol has none) of an experiment."""

    task: str
    protocol: str
    shots: int | None

    @classmethod
    def from_values(cls, task: str, protocol: str, shots: float | None) -> Condition:
        """Condition of a data frame's row, in which a missing number of shots is NaN or NA."""
        return cls(task, protocol, None if shots is None or pd.isna(shots) else int(shots))

    @classmethod
    def from_record(cls, record: UnitRecord) -> Condition:
        """Condition of a unit's record."""
        unit = record["unit"]
        return cls(unit["task"], unit["protocol"], unit["shots"])


def results_frame(records: Sequence[UnitRecord]) -> pd.DataFrame:
    """Data frame with the columns `COLUMNS` and one row per unit and metric.

    A missing value is NaN, with a text in ``reason``.
    """
    rows = [
        {
            **record["unit"],
            "weights": record["weights"],
            "baseline": record["floor"],
            "pretrained": bool(record.get("pretrained_on")),
            "unit": record["fingerprint"],
            "metric": metric,
            "value": np.nan if value is None else value,
            "reason": record["result"]["reasons"].get(metric, ""),
        }
        for record in records
        for metric, value in record["result"]["metrics"].items()
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["shots"] = frame.shots.astype("Int64")
    return sort_rows(frame.astype({"value": float, "pretrained": bool}), [*CONDITION, "encoder", "seed"])


def per_image_frame(records: Sequence[UnitRecord]) -> pd.DataFrame:
    """Data frame with one row per unit, image and metric."""
    rows = [
        {**record["unit"], "image": image, "metric": metric, "value": np.nan if value is None else value}
        for record in records
        for image, values in record["result"]["per_image"].items()
        for metric, value in values.items()
    ]
    columns = ["encoder", *CONDITION, "seed", "image", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def attention_frame(records: Sequence[UnitRecord]) -> pd.DataFrame:
    """Data frame with one row per unit, class and encoder (column ``part``) of the soft-attention fusions."""
    rows = [
        {**record["unit"], "class": name, "part": part, "weight": weight}
        for record in records
        for name, weights in record["result"].get("attention", {}).items()
        for part, weight in weights.items()
    ]
    frame = pd.DataFrame(rows, columns=["encoder", *CONDITION, "seed", "class", "part", "weight"])
    frame["shots"] = frame.shots.astype("Int64")
    return sort_rows(frame, [*CONDITION, "encoder", "seed"])


class _SummarizedRow(NamedTuple):
    """Row of `results_frame`, as `summary_frame` reads it."""

    task: str
    protocol: str
    shots: int | None
    encoder: str
    metric: str
    value: float
    weights: str
    baseline: bool
    reason: str


EstimateMean = Callable[[Condition, str, str, NDArray[np.float64]], Estimate]
"""(condition, encoder, metric, (n,) values of the seeds) → their mean with its interval."""

IntervalCoverage = Literal["", "patients and heads", "patients", "seeds"]
"""What an interval covers: other patients and other heads, other patients alone, or seeds alone; empty without one."""


def summary_frame(frame: pd.DataFrame, lower_is_better: Collection[str], estimate: EstimateMean) -> pd.DataFrame:
    """Summarize seeds: mean and interval of each encoder and metric at each condition.

    Args:
        frame: Rows of `results_frame`.
        lower_is_better: Names of the metrics of which lower values are better.
        estimate: Computes the mean of an encoder and metric at a condition, with its interval.

    Returns:
        Data frame with the columns that `Results.summary` describes.
    """
    # Lists by key: a data frame for each of thousands of groups would take most of the time of a report.
    groups: dict[tuple[Condition, str, str], list[_SummarizedRow]] = {}
    for row in map(_SummarizedRow._make, zip(*(frame[name] for name in _SummarizedRow._fields), strict=True)):
        condition = Condition.from_values(row.task, row.protocol, row.shots)
        groups.setdefault((condition, row.encoder, row.metric), []).append(row)
    rows = []
    for (condition, encoder, metric), group in groups.items():
        values = np.array([row.value for row in group if not math.isnan(row.value)])
        summary = {
            **condition._asdict(),
            "encoder": encoder,
            "weights": group[0].weights,
            "baseline": bool(group[0].baseline),
            "metric": metric,
            "better": "lower" if metric in lower_is_better else "higher",
            "n": len(values),
            "reason": _missing_text([row.reason for row in group if math.isnan(row.value)], len(group)),
            "interval": "",
            "interval_note": "",
        }
        if len(values):
            mean = estimate(condition, encoder, metric, values)
            summary |= {"mean": mean.value, "sd": mean.sd, "low": mean.low, "high": mean.high}
            summary |= {"interval": interval_coverage(mean), "interval_note": mean.reason or mean.note}
        rows.append(summary)
    columns = [*CONDITION, "encoder", "weights", "baseline", "metric", "better", "n", *_STATISTICS]
    columns += ["interval", "interval_note", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    table["shots"] = table.shots.astype("Int64")
    table = table.astype(dict.fromkeys(_STATISTICS, float))
    table["rank"] = table["mean"].where(table.better == "lower", -table["mean"])
    return sort_rows(table, [*CONDITION, "metric", "rank"]).drop(columns="rank")


def interval_coverage(estimate: Estimate) -> IntervalCoverage:
    """What the interval of an estimate covers.

    Args:
        estimate: Mean of a metric over seeds.
    """
    if estimate.low is None:
        return ""
    if "test patients" not in estimate.variation:
        return "seeds"
    return "patients" if len(estimate.variation) == 1 else "patients and heads"


def _groups_and_models(frame: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Rows of each condition, with the rows of each of its models."""
    for _, group in frame.groupby(CONDITION, dropna=False, sort=False):
        for _, rows in group.groupby("encoder", sort=False):
            yield group, rows


def _missing_notes(frame: pd.DataFrame, calls: Sequence[CallRecord]) -> list[str]:
    """Number of requested units that are not stored."""
    planned: dict[str, set[tuple[Condition, int]]] = {}
    for units in (units for call in calls for units in call.get("planned") or _planned_by_settings(frame, call)):
        condition = Condition(units["task"], units["protocol"], units["shots"])
        planned.setdefault(units["encoder"], set()).update((condition, seed) for seed in units["seeds"])
    columns = zip(frame.encoder, frame.task, frame.protocol, frame.shots, frame.seed, strict=True)
    stored = {(encoder, Condition.from_values(*condition), seed) for encoder, *condition, seed in columns}
    total = sum(map(len, planned.values()))
    missing = {
        encoder: count
        for encoder, units in planned.items()
        if (count := sum((encoder, *unit) not in stored for unit in units))
    }
    if not missing:
        return []
    models = ", ".join(f"{encoder} {count:,}" for encoder, count in missing.items())
    return [
        f"incomplete results: {sum(missing.values()):,} of {total:,} units are missing ({models}); run the same "
        "command again to complete them"
    ]


def _planned_by_settings(frame: pd.DataFrame, call: CallRecord) -> list[PlannedUnits]:
    """Requested units of a call of an older version, which did not record them, among the conditions with results."""
    settings = call["settings"]
    asked = {None if value == "all" else value for value in settings.get("shots", [])}
    groups = frame[frame.task.isin(settings.get("task", []))][[*CONDITION, "encoder"]].drop_duplicates()
    conditions = [
        (row.encoder, Condition.from_values(row.task, row.protocol, row.shots)) for row in groups.itertuples()
    ]
    return [
        {
            "encoder": encoder,
            "task": condition.task,
            "protocol": condition.protocol,
            "shots": condition.shots,
            "seeds": settings.get("seeds", []),
        }
        for encoder, condition in conditions
        if encoder in call["models"] and (condition.shots in asked or condition.protocol == "zero-shot")
    ]


def _missing_text(reasons: Sequence[str], seeds: int) -> str:
    """Number of seeds without a value, and why; empty where all have one."""
    return f"{len(reasons)} of {seeds} seeds without a value: {'; '.join(sorted(set(reasons)))}" if reasons else ""


def sort_rows(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Sort by columns; protocols in the order of `PROTOCOLS` (zero-shot before few-shot before supervised)."""

    def key(column: pd.Series) -> pd.Series:
        return column.map(PROTOCOLS.index) if column.name == "protocol" else column

    return table.sort_values(by, kind="stable", key=key).reset_index(drop=True)


def chance_notes(frame: pd.DataFrame) -> list[str]:
    """Chance levels of each task and protocol, as one text each."""
    levels = frame[frame.metric.str.endswith(CHANCE) & ~frame.metric.str.contains(":")]  # without retrieval variants
    notes = []
    for (task, protocol), group in levels.groupby(["task", "protocol"], sort=False):
        means = group.groupby("metric", sort=False).value.mean().dropna()
        values = ", ".join(f"{name.removesuffix(CHANCE)} {value:.4f}" for name, value in means.items())
        if values:
            notes.append(f"chance level in {task}, {protocol}: {values}")
    return notes


def completeness_notes(frame: pd.DataFrame, calls: Sequence[CallRecord] = ()) -> list[str]:
    """Models with random weights or trained on the data, missing units, different seeds, and results of one seed only.

    Args:
        frame: Data frame of `results_frame`.
        calls: Calls of the runs; a unit is missing where a call requests it.
    """
    notes = []
    untrained = sorted(set(frame.encoder[frame.weights == "untrained"]))
    if untrained:
        notes.append(f"random weights without training: {', '.join(untrained)}")
    for encoder, own in frame[frame.pretrained].groupby("encoder", sort=True):
        notes.append(
            f"trained on images of these data sets, so that its results there may be optimistic: {encoder} "
            f"({', '.join(sorted(set(own.task)))})"
        )
    seeds = frame.groupby([*CONDITION, "encoder"], dropna=False).seed.nunique()
    notes += _missing_notes(frame, calls)
    if any(names.seed.nunique() < group.seed.nunique() for group, names in _groups_and_models(frame)):
        notes.append(
            "different seeds: at some conditions the models do not share all seeds; paired tests use the seeds that "
            "both models have, and means are over the seeds of each model"
        )
    if len(seeds) and seeds.max() < 2:
        notes.append("one seed only: no standard deviation and no test over seeds can be computed")
    return notes
