"""Retrieval: confidence intervals and comparisons over patients, and recall by pair of modalities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.errors import StoreError, did_you_mean
from f2vbench.metrics.names import CHANCE
from f2vbench.stats.bootstrap import bootstrap_interval, paired_bootstrap
from f2vbench.stats.multiple_testing import bootstrap_replicates, holm
from f2vbench.store.record_schema import UnitRecord

METRICS = ("recall@1", "recall@5", "recall@10", "mean_recall")
_NO_PATIENTS = (
    "an older version made the units, which do not name the patient of each image, so intervals over patients and "
    "examples are unavailable; run the task again with a new out= folder"
)


class RetrievalStatistics:
    """Statistics of the retrieval units among some records; each bootstrap is computed once.

    Tasks with a unit that does not name the patient of each image (of an older version) are left out and named in
    ``unavailable``.

    Attributes:
        records: Records of the retrieval units, without the tasks in ``unavailable``.
        unavailable: Task → reason why it has no intervals over patients.

    Args:
        records: Records of all units, such as `Results.records`.
    """

    def __init__(self, records: Iterable[UnitRecord]):
        units = [record for record in records if record.get("family") == "retrieval"]
        tasks = {unit["unit"]["task"] for unit in units if "patient" not in unit["result"].get("about", {})}
        self.unavailable = {task: f"{task}: {_NO_PATIENTS}" for task in sorted(tasks)}
        self.records = [unit for unit in units if unit["unit"]["task"] not in tasks]
        self._comparisons: dict[str, pd.DataFrame] = {}

    @cached_property
    def metrics(self) -> list[str]:
        """`METRICS`, and those of the gallery variants with values per query, such as ``recall@1:cross-modal``."""
        names = dict.fromkeys(name for record in self.records for name in record["result"]["metrics"])
        return [*METRICS, *(name for name in names if name.split(":")[0] in METRICS and _is_variant(name))]

    @cached_property
    def queries(self) -> pd.DataFrame:
        """Data frame with one row per unit, query and metric.

        Its columns are task, encoder, seed, weights, baseline, image, patient, metric and value.
        """
        rows = []
        for record in self.records:
            unit, result = record["unit"], record["result"]
            patients = dict(zip(result["gallery"], result["about"]["patient"], strict=True))
            of_unit: dict[str, Any] = {name: unit[name] for name in ("task", "encoder", "seed")}
            of_unit |= {"weights": record["weights"], "baseline": record["floor"]}
            for image, values in result["per_image"].items():
                of_query = {**of_unit, "image": image, "patient": patients[image]}
                rows += [{**of_query, "metric": metric, "value": value} for metric, value in values.items()]
        columns = ["task", "encoder", "seed", "weights", "baseline", "image", "patient", "metric", "value"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """Metrics of each encoder with 95 % BCa intervals from resampling patients.

        A metric is the mean over galleries (seeds) of the mean over queries. A patient is drawn with all queries in the
        galleries of all seeds.

        Its columns are task, metric, encoder, weights, baseline, value, low, high, patients, queries, ``chance`` (mean
        over seeds of the chance level) and ``reason`` (why there is no interval); the best encoder of each task and
        metric comes first.
        """
        queries = self.queries[self.queries.metric.isin(self.metrics)]
        rows = []
        for (task, metric, encoder), group in queries.groupby(["task", "metric", "encoder"]):
            patients, (sums,) = _sums_by_patient(group, "value")
            estimate = bootstrap_interval(sums, metric="mean_of_ratios", patients=patients)
            rows.append(
                {
                    "task": task,
                    "metric": metric,
                    "encoder": encoder,
                    "weights": group.weights.iloc[0],
                    "baseline": bool(group.baseline.iloc[0]),
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "patients": estimate.n,
                    "queries": len(group),
                    "chance": self._chance_level(task, encoder, metric),
                    "reason": estimate.reason,
                }
            )
        columns = ["task", "metric", "encoder", "weights", "baseline", "value", "low", "high", "patients", "queries"]
        table = pd.DataFrame(rows, columns=[*columns, "chance", "reason"])
        rank = {metric: index for index, metric in enumerate(self.metrics)}
        return table.astype(dict.fromkeys(("value", "low", "high"), float)).sort_values(
            ["task", "metric", "value"],
            ascending=[True, True, False],
            key=lambda column: column.map(rank) if column.name == "metric" else column,
            ignore_index=True,
        )

    def compare(self, encoder: str) -> pd.DataFrame:
        """Compare an encoder with each other encoder, paired by query and gallery.

        Args:
            encoder: Name of the encoder.

        Returns:
            Data frame with the columns task, metric, encoder, other, ``difference`` (encoder − other) with its 95 %
            percentile interval ``low``, ``high`` from resampling patients (2,000 times, or more where many rows are
            adjusted for), ``p`` of the same resamples, patients, queries (shared), ``reason`` (why there is no test)
            and ``p_holm`` (adjusted over all rows).

        Raises:
            StoreError: The encoder has no retrieval results.
        """
        if encoder not in self._comparisons:
            self._comparisons[encoder] = self._compare(encoder)
        return self._comparisons[encoder]

    def _compare(self, encoder: str) -> pd.DataFrame:
        encoders = sorted(set(self.queries.encoder))
        if encoder not in encoders:
            hint = did_you_mean(encoder, encoders)
            raise StoreError(f"no retrieval results of '{encoder}'{hint}; available: {', '.join(encoders) or 'none'}")
        queries = self.queries[self.queries.metric.isin(self.metrics)]
        tested = queries.drop_duplicates(["task", "metric", "encoder"])
        replicates = bootstrap_replicates(int((tested.encoder != encoder).sum()))
        rows = []
        for (task, metric), group in queries.groupby(["task", "metric"], sort=False):
            own = group[group.encoder == encoder]
            for other, others in group[group.encoder != encoder].groupby("encoder"):
                both = own.merge(others[["seed", "image", "value"]], on=["seed", "image"], suffixes=("", "_other"))
                if both.empty:
                    continue
                patients, (first, second) = _sums_by_patient(both, "value", "value_other")
                test = paired_bootstrap(
                    first, second, metric="mean_of_ratios", patients=patients, replicates=replicates
                )
                rows.append(
                    {
                        "task": task,
                        "metric": metric,
                        "encoder": encoder,
                        "other": other,
                        "difference": test.difference,
                        "low": test.low,
                        "high": test.high,
                        "p": test.p,
                        "patients": test.n,
                        "queries": len(both),
                        "reason": test.reason,
                    }
                )
        columns = ["task", "metric", "encoder", "other", "difference", "low", "high", "p", "patients", "queries"]
        table = pd.DataFrame(rows, columns=[*columns, "reason"])
        table = table.astype(dict.fromkeys(("difference", "low", "high", "p"), float))
        return table.assign(p_holm=holm(table.p.to_numpy(float)))

    def _chance_level(self, task: str, encoder: str, metric: str) -> float:
        levels = [
            record["result"]["metrics"].get(metric + CHANCE)
            for record in self.records
            if (record["unit"]["task"], record["unit"]["encoder"]) == (task, encoder)
        ]
        known = [level for level in levels if level is not None]
        return float(np.mean(known)) if levels and len(known) == len(levels) else np.nan


def modality_pairs(records: Sequence[UnitRecord], metric: str = "recall@1") -> pd.DataFrame:
    """Metric and chance level of each pair of modalities, means over seeds.

    Args:
        records: Unit records.
        metric: Name of the metric.

    Returns:
        Data frame with the columns task, encoder, query and gallery (modalities), value and chance; empty where no
        unit has the gallery variant ``modality-pairs``.
    """
    rows = []
    for record in records:
        metrics = record["result"]["metrics"]
        for name, value in metrics.items():
            query, to, gallery = name.removeprefix(f"{metric}:").partition("-to-")
            if name.startswith(f"{metric}:") and to and not name.endswith(CHANCE):
                unit: dict[str, Any] = {"task": record["unit"]["task"], "encoder": record["unit"]["encoder"]}
                rows.append(
                    unit | {"query": query, "gallery": gallery, "value": value, "chance": metrics[name + CHANCE]}
                )
    keys = ["task", "encoder", "query", "gallery"]
    table = pd.DataFrame(rows, columns=[*keys, "value", "chance"]).astype({"value": float, "chance": float})
    return table.groupby(keys, as_index=False)[["value", "chance"]].mean()


def _is_variant(name: str) -> bool:
    """Whether a metric is of a gallery variant other than a pair of modalities."""
    return ":" in name and "-to-" not in name and not name.endswith(CHANCE)


def _sums_by_patient(group: pd.DataFrame, *columns: str) -> tuple[NDArray[np.str_], list[NDArray[np.float64]]]:
    """Patients, and for each column (patients, 2 · galleries) sums over queries followed by numbers of queries."""
    tables = [
        group.pivot_table(index="patient", columns="seed", values=column, aggfunc=["sum", "count"], fill_value=0)
        for column in columns
    ]
    return tables[0].index.to_numpy(str), [table.to_numpy(float) for table in tables]
