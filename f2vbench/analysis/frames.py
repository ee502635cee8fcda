"""Data frames of unit records, and notes on their completeness."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd

from f2vbench.config.run import Protocol
from f2vbench.metrics.names import CHANCE
from f2vbench.stats.intervals import normal_interval
from f2vbench.stats.result_classes import Variation
from f2vbench.store.record_schema import UnitRecord

PROTOCOLS = get_args(Protocol)
CONDITION = ["task", "protocol", "shots"]
"""Columns of a data frame that identify a condition."""
COLUMNS = ["encoder", "weights", "task", "protocol", "shots", "seed", "metric", "value", "unit", "baseline", "reason"]
_SEED_VARIATION: Variation = ("split", "episode", "head seed")
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
    return sort_rows(frame.astype({"value": float}), [*CONDITION, "encoder", "seed"])


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


def summary_frame(frame: pd.DataFrame, lower_is_better: Collection[str]) -> pd.DataFrame:
    """Summarize seeds: mean and interval of each encoder and metric at each condition.

    Args:
        frame: Rows of `results_frame`.
        lower_is_better: Names of the metrics of which lower values are better.

    Returns:
        Data frame with the columns that `Results.summary` describes.
    """
    rows = []
    groups = frame.groupby([*CONDITION, "encoder", "metric"], dropna=False, sort=False)
    for (*condition, encoder, metric), group in groups:
        values = group.value.dropna().to_numpy(float)
        row = {
            **dict(zip(CONDITION, condition, strict=True)),
            "encoder": encoder,
            "weights": group.weights.iloc[0],
            "baseline": bool(group.baseline.iloc[0]),
            "metric": metric,
            "better": "lower" if metric in lower_is_better else "higher",
            "n": len(values),
            "reason": _missing_text(group),
        }
        if len(values):
            interval = normal_interval(values, variation=_SEED_VARIATION)
            row |= {"mean": interval.value, "sd": interval.sd, "low": interval.low, "high": interval.high}
        rows.append(row)
    columns = [*CONDITION, "encoder", "weights", "baseline", "metric", "better", "n", *_STATISTICS, "reason"]
    table = pd.DataFrame(rows, columns=columns)
    table["shots"] = table.shots.astype("Int64")
    table = table.astype(dict.fromkeys(_STATISTICS, float))
    table["rank"] = table["mean"].where(table.better == "lower", -table["mean"])
    return sort_rows(table, [*CONDITION, "metric", "rank"]).drop(columns="rank")


def _missing_text(group: pd.DataFrame) -> str:
    """Number of seeds without a value, and why; empty where all have one."""
    missing = group.value.isna()
    if not missing.any():
        return ""
    reasons = "; ".join(sorted(set(group.reason[missing])))
    return f"{missing.sum()} of {len(group)} seeds without a value: {reasons}"


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


def completeness_notes(frame: pd.DataFrame) -> list[str]:
    """Models with random weights, missing seeds, and results of one seed only, as one text each."""
    notes = []
    untrained = sorted(set(frame.encoder[frame.weights == "untrained"]))
    if untrained:
        notes.append(f"random weights without training: {', '.join(untrained)}")
    seeds = frame.groupby([*CONDITION, "encoder"], dropna=False).seed.nunique()
    if len(seeds) and seeds.min() < seeds.max():
        notes.append(
            f"incomplete results: some models have {seeds.min()} of {seeds.max()} seeds; run the same command again to "
            "complete them"
        )
    if len(seeds) and seeds.max() < 2:
        notes.append("one seed only: no standard deviation and no test over seeds can be computed")
    return notes
