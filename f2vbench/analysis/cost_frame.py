"""What encoding costs, beside what is reached with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from f2vbench.store.record_schema import CostRecord, MeasuredOn, UnitRecord

PLACE = ["task", "protocol", "shots"]
COSTS = (
    "parameters",
    "macs",
    "seconds_per_image",
    "processor_seconds_per_image",
    "process_bytes",
    "device_bytes",
    "bytes_per_image",
)
"""As a run folder has them, a kind of features."""
_BY_WORTH = ("zero-shot", "prototype", "knn", "probe", "few-shot", "supervised")
_ALL = 1_000_000  # more than any number of shots
NOT_RECORDED = "not recorded: the run was made by an older version"


def cost_frame(
    frame: pd.DataFrame, records: Sequence[UnitRecord], costs: Sequence[CostRecord], main: Mapping[str, str]
) -> pd.DataFrame:
    """One row a (task, protocol, shots, encoder).

    Args:
        frame: of `Results.frame`.
        costs: of the run folders.
        main: task → its main metric.

    Returns:
        with weights, baseline, metric, ``value`` (mean over the ``n`` seeds that have one), ``training_seconds`` (a
        unit) and ``scoring_seconds`` (an image), means over seeds; ``features``, what is encoded; the columns of
        `COSTS`, ``images_per_second``, ``measured_on``, and ``reason`` (column → why it has no value, as text).
    """
    held = {(cost["encoder"], *place): cost for cost in reversed(costs) for place in cost["places"]}
    timed = _timings(records)
    rows = []
    quality = frame[frame.metric == frame.task.map(main)]
    for key, group in quality.groupby([*PLACE, "encoder"], dropna=False, sort=False):
        task, protocol, shots, encoder = key
        cost = held.get((encoder, task, protocol))
        known: Mapping[str, Any] = cost or {}
        row = dict(zip([*PLACE, "encoder"], key, strict=True)) | {"weights": group.weights.iloc[0]}
        row |= {"baseline": bool(group.baseline.iloc[0]), "metric": main[task], "value": group.value.mean()}
        row |= {"n": int(group.value.notna().sum()), "features": known.get("features")}
        row |= timed.get((task, protocol, None if pd.isna(shots) else int(shots), encoder), {})
        row |= {name: known.get(name) for name in COSTS}
        seconds = row["seconds_per_image"]
        row["images_per_second"] = 1 / seconds if seconds else None
        row["measured_on"] = _place_text(known.get("measured_on"))
        row["reason"] = _reasons(cost)
        rows.append(row)
    numbers = [*COSTS, "images_per_second", "training_seconds", "scoring_seconds", "value"]
    columns = [*PLACE, "encoder", "weights", "baseline", "metric", "value", "n", "training_seconds", "scoring_seconds"]
    columns += ["features", *COSTS, "images_per_second", "measured_on", "reason"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))
    return table.astype({"shots": "Int64"})


def _timings(records: Sequence[UnitRecord]) -> dict[tuple[Any, ...], dict[str, float]]:
    """Place and encoder → mean seconds of training a unit and of scoring an image, of the units that were timed."""
    by_place: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for record in records:
        unit, timing = record["unit"], record.get("timing", {})
        if timing.get("scored"):
            key = (unit["task"], unit["protocol"], unit["shots"], unit["encoder"])
            by_place.setdefault(key, []).append(timing)
    return {
        key: {
            "training_seconds": float(np.mean([t.get("prepare_seconds", 0) + t["fit_seconds"] for t in timings])),
            "scoring_seconds": float(np.mean([t["score_seconds"] / t["scored"] for t in timings])),
        }
        for key, timings in by_place.items()
    }


def _place_text(place: MeasuredOn | None) -> str:
    """``NVIDIA H200``, or ``AMD EPYC, 1 thread``."""
    if place is None:
        return ""
    if place["device"] != "cpu":
        return str(place["device"])
    return f"{place['processor']}, {place['threads']} thread{'' if place['threads'] == 1 else 's'}"


def _reasons(cost: CostRecord | None) -> str:
    """``macs: no network; …``, or one reason for all."""
    if cost is None:
        return NOT_RECORDED
    by_reason: dict[str, list[str]] = {}
    for name, why in cost["reasons"].items():
        by_reason.setdefault(why, []).append(name)
    if len(by_reason) == 1 and len(cost["reasons"]) == len(COSTS):
        return next(iter(by_reason))
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())


def with_most_labels(cost: pd.DataFrame) -> pd.DataFrame:
    """The rows of one place of each task: that with most support images, heads before what trains no network."""
    order = cost.protocol.map({name: place for place, name in enumerate(_BY_WORTH)})
    rank = cost.shots.fillna(_ALL).astype(int) * len(_BY_WORTH) + order  # no number of shots: the whole training part
    return cost[rank == rank.groupby(cost.task).transform("max")]
