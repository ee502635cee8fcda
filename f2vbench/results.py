"""Results: the tidy table of a run folder, summaries over seeds, and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from f2vbench.errors import StoreError, did_you_mean
from f2vbench.files import write_atomically
from f2vbench.settings import Protocol
from f2vbench.stats.correction import holm
from f2vbench.stats.intervals import normal_interval
from f2vbench.stats.outcomes import Varies
from f2vbench.stats.tests import paired_t_test
from f2vbench.store.runs import Record, RunFolder

PLACE = ["task", "protocol", "shots"]
_SEEDS_VARY: tuple[Varies, ...] = ("split", "episode", "head seed")
_PROTOCOLS = get_args(Protocol)
_CHANCE = "_chance"
Metrics = Iterable[str] | Mapping[str, Iterable[str]] | None
COLUMNS = ["encoder", "weights", "task", "protocol", "shots", "seed", "metric", "value", "unit", "floor", "reason"]


class Results:
    """What one or several run folders hold, whole or unfinished.

    Attributes:
        frame: one row a (unit, metric): encoder, weights, task, protocol, shots (missing when supervised), seed,
            metric, value (missing with a ``reason``), unit (its fingerprint), floor.
        families: task → its family.
        records: of all units, as they were stored.
        attention: one row a (unit, class, part) of the fusions by soft attention: encoder, task, protocol, shots, seed,
            class, part (one of the joined encoders), weight (mean over the test images of the class, 0 to 1).
        lower_is_better: names of the metrics of which less is better, as their families say.
        notes: damaged files that were set aside, untrained weights, missing seeds, the level of chance.
    """

    def __init__(self, records: Sequence[Record], notes: Sequence[str] = ()):
        self.records = tuple(records)
        self.frame = _tidy(records)
        self.per_image = _tidy_images(records)
        self.attention = _tidy_attention(records)
        # Records of the time when there was one family do not name it.
        self.families = {record["unit"]["task"]: record.get("family", "segmentation") for record in records}
        self.lower_is_better = frozenset(name for record in records for name in record.get("lower_is_better", ()))
        self.notes = [*notes, *_warnings(self.frame), *_chance_levels(self.frame)]

    @classmethod
    def load(cls, *folders: str | Path) -> Results:
        """Read run folders.

        Raises:
            StoreError: a folder is no run, holds no finished unit, or two folders hold the same unit with
                different values.
        """
        records: dict[tuple[Any, ...], tuple[Record, Path]] = {}
        notes: list[str] = []
        for path in map(Path, folders):
            run = RunFolder(path)
            if not run.exists():
                raise StoreError(f"{path}: not a run folder; `f2vbench list runs` shows those there are")
            for record in run.records():
                place = tuple(record["unit"].values())
                held = records.get(place)
                if held is not None and held[0]["fingerprint"] != record["fingerprint"]:
                    raise StoreError(
                        f"{held[1]} and {path} both hold {' · '.join(map(str, place))}, made with other data, weights "
                        "or settings; report them apart"
                    )
                records[place] = (record, path)
            notes.extend(run.set_aside)
        if not records:
            raise StoreError(
                f"{', '.join(map(str, folders))}: no finished unit yet; start or resume it with `f2vbench run`"
            )
        return cls([record for record, _ in records.values()], notes)

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics."""
        return list(dict.fromkeys(self.frame.metric))

    def summary(self, metrics: Metrics = None) -> pd.DataFrame:
        """Mean over seeds of each (task, protocol, shots, encoder, metric).

        Args:
            metrics: names, or names by task; by default all.

        Returns:
            with ``better`` (``higher`` or ``lower``), ``n``, ``mean``, ``sd`` (n − 1), ``low`` and ``high`` (95 %: 1.96
            standard errors) and ``reason`` where there is no value; the best mean of each place first.
        """
        rows = []
        chosen = self._chosen(metrics)
        for key, group in chosen.groupby([*PLACE, "encoder", "metric"], dropna=False, sort=False):
            *place, encoder, metric = key
            values = group.value.dropna().to_numpy(float)
            row = dict(zip(PLACE, place, strict=True)) | {"encoder": encoder, "weights": group.weights.iloc[0]}
            row |= {"floor": bool(group.floor.iloc[0]), "metric": metric, "better": self._better(metric)}
            row |= {"n": len(values), "reason": ""}
            if len(values):
                found = normal_interval(values, varies=_SEEDS_VARY)
                row |= {"mean": found.value, "sd": found.sd, "low": found.low, "high": found.high}
            if len(values) < len(group):
                row["reason"] = f"{len(group) - len(values)} of {len(group)} seeds without a value: " + "; ".join(
                    sorted(set(group.reason[group.value.isna()]))
                )
            rows.append(row)
        numbers = ("n", "mean", "sd", "low", "high")
        columns = [*PLACE, "encoder", "weights", "floor", "metric", "better", *numbers, "reason"]
        table = pd.DataFrame(rows, columns=columns)
        table["shots"] = table.shots.astype("Int64")
        table = table.astype(dict.fromkeys(numbers[1:], float))
        table["rank"] = table["mean"].where(table.better == "lower", -table["mean"])
        return _sorted(table, [*PLACE, "metric", "rank"]).drop(columns="rank")

    def compare(self, encoder: str, metrics: Metrics = None) -> pd.DataFrame:
        """An encoder against the best other model at each place, by a two-sided t-test paired over shared seeds.

        What varies between seeds is the support set, the test set and the head's start together. Seeds that
        share images are not independent, so the test is the papers' and too sure of itself. ``p_holm`` is
        adjusted over the rows returned. The best other has the highest mean, or the lowest where ``better`` says
        so; ``difference`` is encoder − other in either case. Levels of chance are not compared.

        Raises:
            StoreError: the encoder isn't in these results.
        """
        chosen = self._chosen(metrics)
        known = sorted(set(chosen.encoder))
        if encoder not in known:
            raise StoreError(
                f"no results of '{encoder}' here{did_you_mean(encoder, known)}; there are {', '.join(known)}"
            )
        rows = []
        chosen = chosen[~chosen.metric.str.endswith(_CHANCE)]
        for key, group in chosen.groupby([*PLACE, "metric"], dropna=False, sort=False):
            values = group.pivot_table(index="seed", columns="encoder", values="value")
            if encoder not in values or len(values.columns) < 2:
                continue
            means = values.drop(columns=encoder).mean()
            better = self._better(key[-1])
            best = means.idxmin() if better == "lower" else means.idxmax()
            shared = values[[encoder, best]].dropna()
            row = dict(zip([*PLACE, "metric"], key, strict=True)) | {"better": better}
            row |= {"encoder": encoder, "best_other": best}
            if shared.empty:
                rows.append(row | {"n": 0, "reason": "no seed in common"})
                continue
            found = paired_t_test(shared[encoder].to_numpy(float), shared[best].to_numpy(float), varies=_SEEDS_VARY)
            row |= {"n": found.n, "difference": found.difference, "t": found.statistic, "p": found.p}
            rows.append(row | {"reason": found.reason})
        columns = [*PLACE, "metric", "better", "encoder", "best_other", "n", "difference", "t", "p", "p_holm", "reason"]
        table = pd.DataFrame(rows, columns=columns)
        table["shots"] = table.shots.astype("Int64")
        table = table.astype({"difference": float, "t": float, "p": float})
        table["p_holm"] = holm(table.p.to_numpy(float))
        return _sorted(table, [*PLACE, "metric"])

    def to_csv(self, path: str | Path) -> None:
        """Write the tidy frame; equal results give equal bytes."""
        write_csv(self.frame, Path(path))

    def _better(self, metric: str) -> str:
        return "lower" if metric in self.lower_is_better else "higher"

    def _chosen(self, metrics: Metrics) -> pd.DataFrame:
        if metrics is None:
            return self.frame
        if isinstance(metrics, Mapping):
            wanted = {(task, name) for task, names in metrics.items() for name in names}
            return self.frame[[pair in wanted for pair in zip(self.frame.task, self.frame.metric, strict=True)]]
        for name in metrics:
            if name not in self.metrics:
                hint = did_you_mean(name, self.metrics)
                raise StoreError(f"metric '{name}' is not in these results{hint}; there are {', '.join(self.metrics)}")
        return self.frame[self.frame.metric.isin(list(metrics))]


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table in one step, numbers in full."""
    write_atomically(path, table.to_csv(index=False, lineterminator="\n").encode())


def _tidy(records: Sequence[Record]) -> pd.DataFrame:
    rows = [
        {
            **record["unit"],
            "weights": record["weights"],
            "floor": record["floor"],
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
    return _sorted(frame.astype({"value": float}), [*PLACE, "encoder", "seed"])


def _sorted(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows in order; protocols as they are told: zero-shot, few-shot, supervised."""

    def key(column: pd.Series) -> pd.Series:
        return column.map(_PROTOCOLS.index) if column.name == "protocol" else column

    return table.sort_values(by, kind="stable", key=key).reset_index(drop=True)


def _tidy_images(records: Sequence[Record]) -> pd.DataFrame:
    rows = [
        {**record["unit"], "image": image, "metric": metric, "value": np.nan if value is None else value}
        for record in records
        for image, values in record["result"]["per_image"].items()
        for metric, value in values.items()
    ]
    columns = ["encoder", "task", "protocol", "shots", "seed", "image", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def _tidy_attention(records: Sequence[Record]) -> pd.DataFrame:
    rows = [
        {**record["unit"], "class": name, "part": part, "weight": weight}
        for record in records
        for name, weights in record["result"].get("attention", {}).items()
        for part, weight in weights.items()
    ]
    frame = pd.DataFrame(rows, columns=["encoder", *PLACE, "seed", "class", "part", "weight"])
    frame["shots"] = frame.shots.astype("Int64")
    return _sorted(frame, [*PLACE, "encoder", "seed"])


def _chance_levels(frame: pd.DataFrame) -> list[str]:
    """What chance reaches at each place, a sentence each."""
    levels = frame[frame.metric.str.endswith(_CHANCE) & ~frame.metric.str.contains(":")]  # not those of variants
    notes = []
    for (task, protocol), group in levels.groupby(["task", "protocol"], sort=False):
        means = group.groupby("metric", sort=False).value.mean().dropna()
        told = ", ".join(f"{name.removesuffix(_CHANCE)} {value:.4f}" for name, value in means.items())
        if told:
            notes.append(f"chance in {task} · {protocol}: {told}")
    return notes


def _warnings(frame: pd.DataFrame) -> list[str]:
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
