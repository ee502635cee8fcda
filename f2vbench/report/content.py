"""What a report says, whatever it is written as: sentences, tables, methods, provenance and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pandas as pd

from f2vbench.comparisons import Compared, Pairs, as_frame, pairs_that_matter
from f2vbench.errors import StoreError, did_you_mean
from f2vbench.report.cost_table import cost_table
from f2vbench.report.grid import Table
from f2vbench.report.methods import card_of, methods_text, title_of
from f2vbench.report.provenance_tables import provenance_tables
from f2vbench.report.result_tables import comparison_table, place_tables
from f2vbench.report.retrieval_tables import retrieval_tables
from f2vbench.report.summary_text import Told, overview, told_places
from f2vbench.report.supplementary import NAMED, named_table, tasks_of
from f2vbench.report.wording import plural
from f2vbench.retrieval_results import untold
from f2vbench.store.runs import Record

Metrics = Iterable[str] | Mapping[str, Iterable[str]] | None


class Reported(Protocol):
    """What a report reads; `f2vbench.Results` is one."""

    records: list[Record]
    sources: list[Path]
    calls: list[Record]
    frame: pd.DataFrame
    attention: pd.DataFrame
    families: dict[str, str]
    lower_is_better: frozenset[str]
    notes: list[str]

    @property
    def cost(self) -> pd.DataFrame: ...

    @property
    def main_metrics(self) -> dict[str, list[str]]: ...

    def summary(self, metrics: Metrics = None) -> pd.DataFrame: ...

    def comparisons(self, metrics: Metrics = None, pairs: Pairs | None = None) -> list[Compared]: ...


@dataclass(frozen=True)
class Content:
    """A report's parts, in the order a reader meets them.

    Attributes:
        summary: of `Results.summary`, and ``comparison``, a row each: the same numbers as tidy frames.
        places: a table a task and protocol.
        named: name → the papers' tables that there are results for.
    """

    title: str
    about: str
    overview: str
    told: list[Told]
    warnings: list[str]
    notes: list[str]
    places: list[Table]
    comparisons: Table | None
    retrieval: list[Table]
    named: dict[str, Table]
    cost: Table | None
    methods: list[str]
    provenance: list[Table]
    summary: pd.DataFrame
    comparison: pd.DataFrame

    @property
    def tables(self) -> list[Table]:
        """All tables of results."""
        return [
            *self.places,
            *([self.comparisons] if self.comparisons else []),
            *self.retrieval,
            *self.named.values(),
            *([self.cost] if self.cost else []),
        ]


def content(results: Reported, metrics: Sequence[str] | None = None, baseline: str | None = None) -> Content:
    """Everything that a report of these results says.

    Args:
        metrics: those of the tables; by default the main ones of each task's family.
        baseline: a model that is compared with the best other everywhere, beside the comparisons always made.
    """
    by_task = {task: list(metrics or main) for task, main in results.main_metrics.items()}
    summary = results.summary(metrics or by_task)
    comparisons = _in_order(results.comparisons(metrics or by_task, pairs_that_matter(baseline)), summary, by_task)
    title = partial(title_of, calls=results.calls)
    leading = {task: _first_there(names, summary, task) for task, names in by_task.items()}
    told = told_places(summary, comparisons, leading, title)
    floors = set(summary.encoder[summary.floor])
    titles = [title(task) for task in results.families]
    counts = [plural(results.frame.unit.nunique(), "unit"), plural(results.frame.encoder.nunique(), "model")]
    warnings, notes = _warnings(results)
    return Content(
        title=f"Benchmark of retinal encoders: {', '.join(titles)}",
        about=", ".join([*counts, plural(results.frame.seed.nunique(), "seed")]),
        overview=overview(told),
        told=told,
        warnings=warnings,
        notes=notes,
        places=place_tables(summary, by_task, comparisons, title),
        comparisons=comparison_table(comparisons, title, floors) if comparisons else None,
        retrieval=retrieval_tables(results.records, baseline, title),
        named={name: table for name in NAMED if (table := _named(results, name, comparisons)) is not None},
        cost=cost_table(results.cost, title, results.lower_is_better),
        methods=methods_text(results.records, results.calls, results.families),
        provenance=provenance_tables(results.records, results.sources, results.calls),
        summary=summary,
        comparison=_tidy(comparisons),
    )


def table_named(results: Reported, name: str) -> Table:
    """One of the papers' tables, as ``supp-2``.

    Raises:
        StoreError: there is no table of that name, or nothing in these results for it.
    """
    if name not in NAMED:
        raise StoreError(f"there is no table '{name}'{did_you_mean(name, NAMED)}; there are {', '.join(NAMED)}")
    found = _named(results, name, None)
    if found is None:
        named = NAMED[name]
        what = f"{' or '.join(named.protocols)} units of {named.family}"
        about = {True: ", outcomes of the whole body", False: ", diseases of the eye", None: ""}[named.systemic]
        raise StoreError(f"nothing for {name}, {named.title.lower()}: these results hold no {what}{about}")
    return found


def _named(results: Reported, name: str, comparisons: Sequence[Compared] | None) -> Table | None:
    """One of the papers' tables; its comparisons are made, and adjusted, for it alone where none are handed over."""
    named = NAMED[name]
    there = {(task, metric) for task, metric in zip(results.frame.task, results.frame.metric, strict=True)}
    tasks = tasks_of(named, results.families, results.calls)
    wanted = {task: [metric for metric in named.metrics if (task, metric) in there] for task in tasks}
    if not any(wanted.values()):
        return None
    summary = results.summary(wanted)
    tested = results.comparisons(wanted) if comparisons is None else comparisons
    return named_table(name, summary, tested, tasks, partial(title_of, calls=results.calls))


def _tidy(comparisons: Sequence[Compared]) -> pd.DataFrame:
    """One row a comparison, with the two models and why they are compared."""
    table = as_frame(comparisons).rename(columns={"encoder": "first", "best_other": "second"})
    table.insert(0, "why", ["; ".join(each.roles) for each in comparisons])
    return table


def _in_order(
    comparisons: Sequence[Compared], summary: pd.DataFrame, metrics: Mapping[str, Sequence[str]]
) -> list[Compared]:
    """Places as the summary has them, and the main metric first."""
    shots = [None if pd.isna(count) else int(count) for count in summary.shots]
    places = {
        place: i for i, place in enumerate(dict.fromkeys(zip(summary.task, summary.protocol, shots, strict=True)))
    }
    return sorted(comparisons, key=lambda each: (places[each.place], metrics[each.task].index(each.metric)))


def _first_there(names: Sequence[str], summary: pd.DataFrame, task: str) -> str:
    """The first of the metrics that has a value in a task, so that sentences speak of what was measured."""
    valued = set(summary.metric[(summary.task == task) & summary["mean"].notna()])
    return next((name for name in names if name in valued), names[0])


def _warnings(results: Reported) -> tuple[list[str], list[str]]:
    """What a reader must know before believing a number, and what is only worth knowing."""
    seeds = results.frame.groupby(["task", "protocol"]).seed.nunique()
    few = [f"{task}, {protocol} ({count})" for (task, protocol), count in seeds.items() if 1 < count < 5]
    warnings = [note for note in results.notes if not note.startswith("chance in ")]
    if few:
        warnings.append(f"fewer than five seeds: {'; '.join(few)}")
    for task in results.families:
        held = card_of(task, results.calls)
        warnings += [f"{task}: {note}" for note in held.get("notes", [])]
    left_out = dict.fromkeys(reason for call in results.calls for reason in call.get("left_out", []))
    chance = [note for note in results.notes if note.startswith("chance in ")]
    return warnings, [*chance, *(f"left out: {reason}" for reason in left_out), *untold(results.records).values()]
