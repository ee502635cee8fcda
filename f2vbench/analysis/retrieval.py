"""Intervals and comparisons of retrieval: what varies are the patients, not the images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from f2vbench.errors import StoreError, did_you_mean
from f2vbench.metrics.names import CHANCE
from f2vbench.stats.bootstrap import bootstrap_interval, paired_bootstrap
from f2vbench.stats.multiple_testing import bootstrap_replicates, holm
from f2vbench.store.record_schema import UnitRecord

METRICS = ("recall@1", "recall@5", "recall@10", "mean_recall")
_OLD = (
    "units made by an older version do not say whose image each is, so there are no intervals over patients, and no "
    "examples: run the task again, into another out= folder"
)


def retrieval_records(records: Iterable[UnitRecord]) -> list[UnitRecord]:
    """The units of retrieval tasks among those of a run (`Results.records`) that tell whose image each is.

    Tasks with a unit that does not, because an older version made it, are left out whole: `untold` names them.
    """
    held = list(records)
    left_out = untold(held)
    return [record for record in held if _is_retrieval(record) and record["unit"]["task"] not in left_out]


def untold(records: Iterable[UnitRecord]) -> dict[str, str]:
    """Retrieval tasks of which no intervals and no examples can be had → why."""
    old = {
        record["unit"]["task"]
        for record in records
        if _is_retrieval(record) and "patient" not in record["result"].get("about", {})
    }
    return {task: f"{task}: {_OLD}" for task in sorted(old)}


def shown_metrics(records: Iterable[UnitRecord]) -> list[str]:
    """`METRICS`, and those of the variants whose values are kept by query, as ``recall@1:cross-modal``."""
    found = dict.fromkeys(name for record in records for name in record["result"]["metrics"])
    return [*METRICS, *(name for name in found if name.split(":")[0] in METRICS and _is_variant(name))]


def queries(records: Iterable[UnitRecord]) -> pd.DataFrame:
    """One row a (unit, query, metric): task, encoder, weights, baseline, seed, image, patient, metric, value."""
    rows = []
    for record in records:
        unit, result = record["unit"], record["result"]
        patients = dict(zip(result["gallery"], result["about"]["patient"], strict=True))
        kept = {name: unit[name] for name in ("task", "encoder", "seed")}
        kept |= {"weights": record["weights"], "baseline": record["floor"]}
        for image, values in result["per_image"].items():
            told = {**kept, "image": image, "patient": patients[image]}
            rows += [{**told, "metric": metric, "value": value} for metric, value in values.items()]
    columns = ["task", "encoder", "seed", "weights", "baseline", "image", "patient", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def intervals(records: Sequence[UnitRecord], metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Each encoder's metrics, the mean over galleries of the mean over queries, with a 95 % BCa interval.

    Patients are resampled, each with all of their queries in the galleries of all seeds.

    Returns:
        task, metric, encoder, weights, baseline, value, low, high, patients, queries, ``chance``, the mean over
        seeds of the level of chance, and ``reason`` where there is no interval; the best of each task and metric first.
    """
    asked = queries(records)
    rows = []
    for (task, metric, encoder), group in asked[asked.metric.isin(metrics)].groupby(["task", "metric", "encoder"]):
        people, (sums,) = _by_patient(group, "value")
        found = bootstrap_interval(sums, metric="mean_of_ratios", patients=people)
        levels = [
            record["result"]["metrics"].get(metric + CHANCE)
            for record in records
            if (record["unit"]["task"], record["unit"]["encoder"]) == (task, encoder)
        ]
        known = [level for level in levels if level is not None]
        chance = float(np.mean(known)) if known and len(known) == len(levels) else np.nan
        row = {"task": task, "metric": metric, "encoder": encoder, "weights": group.weights.iloc[0]}
        row |= {"baseline": bool(group.baseline.iloc[0]), "value": found.value, "low": found.low, "high": found.high}
        rows.append(row | {"patients": found.n, "queries": len(group), "chance": chance, "reason": found.reason})
    columns = [
        "task",
        "metric",
        "encoder",
        "weights",
        "baseline",
        "value",
        "low",
        "high",
        "patients",
        "queries",
        "chance",
    ]
    table = pd.DataFrame(rows, columns=[*columns, "reason"]).astype(dict.fromkeys(("value", "low", "high"), float))
    order = {metric: place for place, metric in enumerate(metrics)}
    return table.sort_values(
        ["task", "metric", "value"],
        ascending=[True, True, False],
        key=lambda column: column.map(order) if column.name == "metric" else column,
        ignore_index=True,
    )


def compare(records: Sequence[UnitRecord], encoder: str, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """An encoder against each other one, paired by query: the same image asked in the same gallery.

    Returns:
        task, metric, encoder, other, ``difference`` (encoder − other) with its 95 % percentile interval from
        resampling patients (2,000 times, or more where there are many rows to adjust for), ``p`` of the same resamples,
        ``p_holm`` (over all rows), patients and queries shared, and ``reason`` where there is no test.

    Raises:
        StoreError: no such encoder in these results.
    """
    asked = queries(records)
    known = sorted(set(asked.encoder))
    if encoder not in known:
        hint = did_you_mean(encoder, known)
        raise StoreError(f"no retrieval results of '{encoder}'{hint}; there are {', '.join(known) or 'none'}")
    wanted = asked[asked.metric.isin(metrics)]
    places = wanted.drop_duplicates(["task", "metric", "encoder"])
    replicates = bootstrap_replicates(int((places.encoder != encoder).sum()))
    rows = []
    for (task, metric), group in wanted.groupby(["task", "metric"], sort=False):
        mine = group[group.encoder == encoder]
        for other, theirs in group[group.encoder != encoder].groupby("encoder"):
            both = mine.merge(theirs[["seed", "image", "value"]], on=["seed", "image"], suffixes=("", "_other"))
            if both.empty:
                continue
            people, (first, second) = _by_patient(both, "value", "value_other")
            found = paired_bootstrap(first, second, metric="mean_of_ratios", patients=people, replicates=replicates)
            row = {"task": task, "metric": metric, "encoder": encoder, "other": other, "difference": found.difference}
            row |= {"low": found.low, "high": found.high, "p": found.p}
            rows.append(row | {"patients": found.n, "queries": len(both), "reason": found.reason})
    columns = ["task", "metric", "encoder", "other", "difference", "low", "high", "p", "patients", "queries", "reason"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("difference", "low", "high", "p"), float))
    return table.assign(p_holm=holm(table.p.to_numpy(float)))


def modality_pairs(records: Sequence[UnitRecord], metric: str = "recall@1") -> pd.DataFrame:
    """A metric, and its level of chance, of each pair of modalities, mean over seeds.

    Returns:
        task, encoder, query, gallery (modalities), value, chance; empty where ``variant=modality-pairs`` was not asked.
    """
    rows = []
    for record in records:
        metrics = record["result"]["metrics"]
        for name, value in metrics.items():
            asking, to, asked = name.removeprefix(f"{metric}:").partition("-to-")
            if name.startswith(f"{metric}:") and to and not name.endswith(CHANCE):
                place: dict[str, Any] = {"task": record["unit"]["task"], "encoder": record["unit"]["encoder"]}
                pair = {"query": asking, "gallery": asked, "value": value, "chance": metrics[name + CHANCE]}
                rows.append(place | pair)
    keys = ["task", "encoder", "query", "gallery"]
    table = pd.DataFrame(rows, columns=[*keys, "value", "chance"]).astype({"value": float, "chance": float})
    return table.groupby(keys, as_index=False)[["value", "chance"]].mean()


def _is_retrieval(record: UnitRecord) -> bool:
    return record.get("family") == "retrieval"


def _is_variant(name: str) -> bool:
    return ":" in name and "-to-" not in name and not name.endswith(CHANCE)


def _by_patient(group: pd.DataFrame, *columns: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Names of patients, and for each column (patients, 2 · galleries): sums over their queries, and how many."""
    tables = [
        group.pivot_table(index="patient", columns="seed", values=column, aggfunc=["sum", "count"], fill_value=0)
        for column in columns
    ]
    return tables[0].index.to_numpy(str), [table.to_numpy(float) for table in tables]
