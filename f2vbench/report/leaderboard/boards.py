"""Content of a leaderboard: ranks, ties and values of every model at every condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.analysis.crossed_tests import CrossedTests, all_pairs
from f2vbench.analysis.merged_runs import MergedRuns
from f2vbench.metrics.names import CHANCE
from f2vbench.report.figures.published_results import Published, load_published
from f2vbench.report.leaderboard.entries import BoardKey, board_versions, group_by_board, group_by_entry
from f2vbench.report.leaderboard.model_facts import ModelFacts, ModelFactsFinder
from f2vbench.report.run_results import RunResults
from f2vbench.report.text.methods import task_title
from f2vbench.report.text.wording import shots_text
from f2vbench.stats.tie_groups import indistinct_groups, rank_ranges
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.progress import Progress

ALPHA = 0.05


@dataclass(frozen=True)
class Value:
    """Mean of a metric over seeds with its 95 % interval for other patients and other heads.

    Attributes:
        mean: Mean.
        low: Lower bound; None without an interval.
        high: Upper bound.
        note: Why there is no interval, or what limits it.
    """

    mean: float
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True)
class Entry:
    """A model on a board.

    Attributes:
        label: Name of the model, and how it differs from others of this name.
        encoder: Name of the model.
        weights: Label of its weights.
        baseline: Whether it is a baseline.
        pretrained: Whether its weights were trained on images of the data set of the task.
        facts: Training data and licence.
        values: Metric → value; metrics without a value are absent.
        ranks: Best and worst rank that the tests leave open; None without a value of the main metric.
        ties: Letters of the groups of models that do not differ significantly.
        seeds: Number of seeds.
        patients: Number of different test patients; None where it is not recorded.
        versions: Versions of f2vbench that made the records.
        runs: Names of the run folders.
        fingerprints: Fingerprints of the units.
    """

    label: str
    encoder: str
    weights: str
    baseline: bool
    pretrained: bool
    facts: ModelFacts
    values: Mapping[str, Value]
    ranks: tuple[int, int] | None
    ties: str
    seeds: int
    patients: int | None
    versions: tuple[str, ...]
    runs: tuple[str, ...]
    fingerprints: tuple[str, ...]

    @property
    def is_tied_for_first(self) -> bool:
        """Whether it may be the best model, and is not the only one."""
        return self.ranks is not None and self.ranks[0] == 1 < self.ranks[1]


@dataclass(frozen=True)
class Board:
    """Models that answered the same question on the same images.

    Attributes:
        key: Task, condition and data.
        title: Title of the task.
        family: Task family.
        version: What distinguishes it from other boards of the same condition; empty for most.
        metrics: Metrics of the table, the one that orders the models first.
        lower_is_better: Those of which lower values are better.
        entries: Models, the best first, those without a value of the main metric last.
        published: Published values at the same task and condition, which take no part in ranks.
        untested: Reasons why pairs of models have no test.
    """

    key: BoardKey
    title: str
    family: str
    version: str
    metrics: tuple[str, ...]
    lower_is_better: frozenset[str]
    entries: tuple[Entry, ...]
    published: tuple[Published, ...]
    untested: tuple[str, ...]

    @property
    def condition(self) -> str:
        """Protocol and number of support images: ``few-shot, 2 shots``."""
        return ", ".join(filter(None, (self.key.protocol, shots_text(self.key.shots, self.family))))


@dataclass(frozen=True)
class Leaderboard:
    """All boards, and what a reader must know.

    Attributes:
        title: Title of the page.
        boards: Boards by task, protocol and number of shots.
        published: Published values of tasks and conditions that no board has.
        notes: Folders that were left out, runs of other versions, boards without the requested metrics.
        runs: Number of run folders.
        units: Number of units.
    """

    title: str
    boards: tuple[Board, ...]
    published: tuple[Published, ...]
    notes: tuple[str, ...]
    runs: int
    units: int


def build_leaderboard(
    merged: MergedRuns,
    title: str,
    metrics: Sequence[str] | None,
    progress: Progress,
    *,
    published: bool = True,
) -> Leaderboard:
    """Rank the models of merged runs at each condition.

    Args:
        merged: Units of all runs.
        title: Title of the page.
        metrics: Metrics of the tables, the one that orders the models first; by default the main ones of each family.
        progress: Receives the progress.
        published: Whether published values are added.

    Returns:
        The content of the page.
    """
    builder = _BoardBuilder(merged, metrics)
    groups = group_by_board(merged.records)
    keys = sorted(groups, key=_order)
    versions = board_versions(keys)
    boards, notes = [], list(merged.notes)
    progress.begin("ranking models", len(keys))
    for key in keys:
        board = builder.build(key, groups[key], versions[key], published=published)
        progress.advance(key.task)
        if board is None:
            notes.append(f"{key.task}, {key.protocol}: left out, its units have none of the metrics")
        else:
            boards.append(board)
    progress.end()
    shown = {row for board in boards for row in board.published}
    others = tuple(row for row in load_published() if row not in shown) if published else ()
    notes += _version_notes(merged)
    return Leaderboard(title, tuple(boards), others, tuple(notes), len(merged.folders), len(merged.records))


class _BoardBuilder:
    """Builds boards of merged runs."""

    def __init__(self, merged: MergedRuns, metrics: Sequence[str] | None):
        self._merged, self._metrics = merged, metrics
        self._sources = {
            record["fingerprint"]: path for record, path in zip(merged.records, merged.sources, strict=True)
        }
        self._facts = ModelFactsFinder()

    def build(
        self, key: BoardKey, records: Sequence[UnitRecord], version_text: str, *, published: bool
    ) -> Board | None:
        """A board, or None where its units have none of the metrics."""
        groups = group_by_entry(records)
        results = self._results(groups)
        metrics = self._shown_metrics(results)
        if not metrics:
            return None
        summary = results.summary(metrics)
        main = summary[(summary.metric == metrics[0]) & summary["mean"].notna()]
        models, means = [str(name) for name in main.encoder], main["mean"].to_numpy(float)
        p, untested = _pairwise_p(results, models, metrics[0])
        ranges = rank_ranges(means, p, ALPHA, higher_is_better=metrics[0] not in results.lower_is_better)
        groups_of_ties = indistinct_groups(models, range(len(models)), p, ALPHA)
        values = _values(summary)
        letters = _tie_letters(models, groups_of_ties)
        ordered = [*models, *(label for label in groups if label not in models)]
        entries = []
        for label in ordered:
            position = models.index(label) if label in models else None
            entries.append(
                self._entry(
                    label,
                    groups[label],
                    values.get(label, {}),
                    None if position is None else ranges[position],
                    letters.get(label, ""),
                )
            )
        rows = [
            row for row in load_published() if (row.task, row.protocol, row.shots) == key[:3] and row.metric in metrics
        ]
        return Board(
            key,
            task_title(key.task, self._merged.calls),
            results.families[key.task],
            version_text,
            tuple(metrics),
            results.lower_is_better,
            tuple(entries),
            tuple(rows) if published else (),
            tuple(untested),
        )

    def _results(self, groups: Mapping[str, Sequence[UnitRecord]]) -> RunResults:
        """Results in which each entry is a model of its own, with its label as name."""
        records, sources = [], []
        for label, own in groups.items():
            for record in own:
                records.append(cast(UnitRecord, {**record, "unit": {**record["unit"], "encoder": label}}))
                sources.append(self._sources[record["fingerprint"]])
        return RunResults(records, sources=sources)

    def _shown_metrics(self, results: RunResults) -> list[str]:
        (main,) = results.main_metrics.values()
        valued = set(results.frame.metric[results.frame.value.notna()])
        return [name for name in self._metrics or main if name in valued and not name.endswith(CHANCE)]

    def _entry(
        self,
        label: str,
        records: Sequence[UnitRecord],
        values: Mapping[str, Value],
        ranks: tuple[int, int] | None,
        ties: str,
    ) -> Entry:
        first = records[0]
        patients = {name for record in records for name in record["result"]["episode"].get("patients", ())}
        sources = dict.fromkeys(self._sources[record["fingerprint"]] for record in records)
        return Entry(
            label=label,
            encoder=first["unit"]["encoder"],
            weights=first["weights"],
            baseline=first["floor"],
            pretrained=any(record.get("pretrained_on") for record in records),
            facts=self._facts.find(first),
            values=values,
            ranks=ranks,
            ties=ties,
            seeds=len(records),
            patients=len(patients) or None,
            versions=tuple(sorted({_version(record) for record in records})),
            runs=tuple(path.name or str(path) for path in sources),
            fingerprints=tuple(record["fingerprint"] for record in records),
        )


def _pairwise_p(results: RunResults, models: Sequence[str], metric: str) -> tuple[NDArray[np.float64], list[str]]:
    """(k, k) p-values of the crossed test, adjusted over all pairs, NaN without a test; and why pairs have none."""
    p = np.full((len(models), len(models)), np.nan)
    (scores,) = results.crossed_scores.values()
    tests = CrossedTests(scores)
    family = all_pairs(models)
    reasons: dict[str, int] = {}
    for first, second in family:
        adjusted = tests.select((first, second), family, metric).p
        if adjusted is None:
            reason = tests.test(first, second, metric).reason or "no test"
            reasons[reason] = reasons.get(reason, 0) + 1
            continue
        one, other = models.index(first), models.index(second)
        p[one, other] = p[other, one] = adjusted
    return p, [f"{number} of {len(family)} pairs without a test: {reason}" for reason, number in reasons.items()]


def _values(summary: pd.DataFrame) -> dict[str, dict[str, Value]]:
    """Entry → metric → value."""
    values: dict[str, dict[str, Value]] = {}
    for row in summary[summary["mean"].notna()].to_dict("records"):
        low, high = (None if pd.isna(row[bound]) else float(row[bound]) for bound in ("low", "high"))
        value = Value(float(row["mean"]), low, high, str(row["interval_note"]))
        values.setdefault(str(row["encoder"]), {})[str(row["metric"])] = value
    return values


def _tie_letters(models: Sequence[str], groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Letters of each model: two models with a letter in common do not differ significantly."""
    alone = [(model,) for model in models if not any(model in group for group in groups)]
    ordered = sorted([*groups, *alone], key=lambda group: models.index(group[0]))
    letters: dict[str, str] = {}
    for name, group in zip(_letter_names(), ordered, strict=False):
        for model in group:
            letters[model] = f"{letters.get(model, '')} {name}".strip()
    return letters


def _letter_names() -> Sequence[str]:
    """Names of groups: ``a`` to ``z``, then ``aa``, ``ab`` and so on."""
    pairs = ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]
    return [*ascii_lowercase, *pairs]


def _order(key: BoardKey) -> tuple[object, ...]:
    protocols = {"zero-shot": 0, "few-shot": 2, "supervised": 3}
    return key.task, protocols.get(key.protocol, 1), key.protocol, -1 if key.shots is None else key.shots, *key[3:]


def _version(record: UnitRecord) -> str:
    """Version of f2vbench that made a record, with its commit where it is known."""
    software = record["provenance"].get("software")
    if not software:
        return "unknown version"
    git = software.get("git")
    return f"{software['f2vbench']} ({git[:8]})" if git else str(software["f2vbench"])


def _version_notes(merged: MergedRuns) -> list[str]:
    """A sentence where records come from several versions of f2vbench, or from another than this one."""
    by_version: dict[str, dict[Path, None]] = {}
    for record, path in zip(merged.records, merged.sources, strict=True):
        by_version.setdefault(_version(record), {})[path] = None
    installed = version("f2vbench")
    if len(by_version) == 1 and next(iter(by_version)).partition(" ")[0] == installed:
        return []
    texts = [
        f"{name}: {', '.join(path.name or str(path) for path in paths)}" for name, paths in sorted(by_version.items())
    ]
    return [f"f2vbench {installed} wrote this page, and these versions made the results: {'; '.join(texts)}"]
