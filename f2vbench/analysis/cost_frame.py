"""Data frame of encoding and training costs beside the quality that each model reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.store.record_schema import CostRecord, MeasuredOn, UnitRecord
from f2vbench.utils.text import plural

COSTS = (
    "parameters",
    "macs",
    "seconds_per_image",
    "processor_seconds_per_image",
    "process_bytes",
    "device_bytes",
    "bytes_per_image",
)
"""Costs that a run folder records for each model and kind of features."""
NOT_RECORDED = "not recorded: an older version made the run"
_PROTOCOLS_BY_LABELS = ("zero-shot", "prototype", "knn", "probe", "few-shot", "supervised")
_ALL_IMAGES = 1_000_000  # larger than any number of shots


class _Timing(NamedTuple):
    """Mean seconds of training one unit and of scoring one image."""

    training_seconds: float
    scoring_seconds: float


def cost_frame(
    frame: pd.DataFrame, records: Sequence[UnitRecord], costs: Sequence[CostRecord], main: Mapping[str, str]
) -> pd.DataFrame:
    """Data frame with one row per condition and encoder.

    Args:
        frame: `Results.frame`.
        records: Unit records.
        costs: Cost records of the run folders.
        main: Main metric of each task.

    Returns:
        Columns task, protocol, shots, encoder, weights, baseline, metric, ``value`` (mean over the ``n`` seeds with a
        value), ``training_seconds`` (per unit) and ``scoring_seconds`` (per image), both means over seeds, ``features``
        (what is encoded), the columns of `COSTS`, ``images_per_second``, ``measured_on``, and ``reason`` (why a cost
        is missing).
    """
    by_protocol = {(cost["encoder"], *pair): cost for cost in reversed(costs) for pair in cost["places"]}
    timings = _timings(records)
    rows = []
    quality = frame[frame.metric == frame.task.map(main)]
    for (task, protocol, shots, encoder), group in quality.groupby([*CONDITION, "encoder"], dropna=False, sort=False):
        cost = by_protocol.get((encoder, task, protocol))
        values: Mapping[str, Any] = cost or {}
        timing = timings.get((Condition.from_values(task, protocol, shots), encoder))
        seconds = values.get("seconds_per_image")
        rows.append(
            {
                "task": task,
                "protocol": protocol,
                "shots": shots,
                "encoder": encoder,
                "weights": group.weights.iloc[0],
                "baseline": bool(group.baseline.iloc[0]),
                "metric": main[task],
                "value": group.value.mean(),
                "n": int(group.value.notna().sum()),
                "features": values.get("features"),
                **({} if timing is None else timing._asdict()),
                **{name: values.get(name) for name in COSTS},
                "images_per_second": 1 / seconds if seconds else None,
                "measured_on": _hardware_text(values.get("measured_on")),
                "reason": _missing_text(cost),
            }
        )
    columns = [*CONDITION, "encoder", "weights", "baseline", "metric", "value", "n", *_Timing._fields]
    columns += ["features", *COSTS, "images_per_second", "measured_on", "reason"]
    numbers = [*COSTS, "images_per_second", *_Timing._fields, "value"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))
    return table.astype({"shots": "Int64"})


def select_most_labels(cost: pd.DataFrame) -> pd.DataFrame:
    """Rows of the condition with most labels of each task; trained heads come before training-free protocols.

    Args:
        cost: Data frame of `cost_frame`.

    Returns:
        The rows of one condition per task.
    """
    protocol_rank = cost.protocol.map({name: rank for rank, name in enumerate(_PROTOCOLS_BY_LABELS)})
    rank = cost.shots.fillna(_ALL_IMAGES).astype(int) * len(_PROTOCOLS_BY_LABELS) + protocol_rank
    return cost[rank == rank.groupby(cost.task).transform("max")]


def _timings(records: Sequence[UnitRecord]) -> dict[tuple[Condition, str], _Timing]:
    """Mean timings by condition and encoder, of the units with recorded times."""
    by_encoder: dict[tuple[Condition, str], list[dict[str, float]]] = {}
    for record in records:
        timing = record.get("timing", {})
        if timing.get("scored"):
            key = Condition.from_record(record), record["unit"]["encoder"]
            by_encoder.setdefault(key, []).append(timing)
    return {
        key: _Timing(
            float(np.mean([t.get("prepare_seconds", 0) + t["fit_seconds"] for t in timings])),
            float(np.mean([t["score_seconds"] / t["scored"] for t in timings])),
        )
        for key, timings in by_encoder.items()
    }


def _hardware_text(measured_on: MeasuredOn | None) -> str:
    """``NVIDIA H200``, or ``AMD EPYC, 1 thread``."""
    if measured_on is None:
        return ""
    if measured_on["device"] != "cpu":
        return str(measured_on["device"])
    return f"{measured_on['processor']}, {plural(measured_on['threads'], 'thread')}"


def _missing_text(cost: CostRecord | None) -> str:
    """``macs: no network; …``, or one reason where all costs are missing for it."""
    if cost is None:
        return NOT_RECORDED
    by_reason: dict[str, list[str]] = {}
    for name, reason in cost["reasons"].items():
        by_reason.setdefault(reason, []).append(name)
    if len(by_reason) == 1 and len(cost["reasons"]) == len(COSTS):
        return next(iter(by_reason))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
