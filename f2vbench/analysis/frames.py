"""Records as tidy tables, and what is to be said of them as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from f2vbench.config.run import Protocol
from f2vbench.metrics.names import CHANCE
from f2vbench.store.record_schema import UnitRecord

PROTOCOLS = get_args(Protocol)
COLUMNS = ["encoder", "weights", "task", "protocol", "shots", "seed", "metric", "value", "unit", "baseline", "reason"]


def tidy(records: Sequence[UnitRecord]) -> pd.DataFrame:
    """One row a (unit, metric), with the columns of `COLUMNS`; NaN with a reason where there is no value."""
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
    return in_order(frame.astype({"value": float}), [*PLACE, "encoder", "seed"])


def in_order(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows in order; protocols as they are told: zero-shot, few-shot, supervised."""

    def key(column: pd.Series) -> pd.Series:
        return column.map(PROTOCOLS.index) if column.name == "protocol" else column

    return table.sort_values(by, kind="stable", key=key).reset_index(drop=True)


def tidy_images(records: Sequence[UnitRecord]) -> pd.DataFrame:
    """One row a (unit, image, metric)."""
    rows = [
        {**record["unit"], "image": image, "metric": metric, "value": np.nan if value is None else value}
        for record in records
        for image, values in record["result"]["per_image"].items()
        for metric, value in values.items()
    ]
    columns = ["encoder", "task", "protocol", "shots", "seed", "image", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def tidy_attention(records: Sequence[UnitRecord]) -> pd.DataFrame:
    """One row a (unit, class, part) of the fusions by soft attention."""
    rows = [
        {**record["unit"], "class": name, "part": part, "weight": weight}
        for record in records
        for name, weights in record["result"].get("attention", {}).items()
        for part, weight in weights.items()
    ]
    frame = pd.DataFrame(rows, columns=["encoder", *PLACE, "seed", "class", "part", "weight"])
    frame["shots"] = frame.shots.astype("Int64")
    return in_order(frame, [*PLACE, "encoder", "seed"])


def chance_levels(frame: pd.DataFrame) -> list[str]:
    """What chance reaches at each place, a sentence each."""
    levels = frame[frame.metric.str.endswith(CHANCE) & ~frame.metric.str.contains(":")]  # not those of variants
    notes = []
    for (task, protocol), group in levels.groupby(["task", "protocol"], sort=False):
        means = group.groupby("metric", sort=False).value.mean().dropna()
        told = ", ".join(f"{name.removesuffix(CHANCE)} {value:.4f}" for name, value in means.items())
        if told:
            notes.append(f"chance in {task} · {protocol}: {told}")
    return notes


def warnings_of(frame: pd.DataFrame) -> list[str]:
    """Untrained weights, missing seeds and too few of them, a sentence each."""
    notes = []
    untrained = sorted(set(frame.encoder[frame.weights == "untrained"]))
    if untrained:
        notes.append(f"untrained (random weights, not models): {', '.join(untrained)}")
    seeds = frame.groupby([*PLACE, "encoder"], dropna=False).seed.nunique()
    if len(seeds) and seeds.min() < seeds.max():
        notes.append(f"unfinished: some models have {seeds.min()} of {seeds.max()} seeds; run again to complete them")
    if len(seeds) and seeds.max() < 2:
        notes.append("one seed only: no spread and no test possible")
    return notes


PLACE = ["task", "protocol", "shots"]
