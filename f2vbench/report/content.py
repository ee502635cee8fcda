"""What a report says, whatever it is written as: sentences, tables, methods, provenance and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.comparisons import Compared, as_frame, pairs_that_matter
from f2vbench.errors import StoreError, did_you_mean
from f2vbench.report.tables.attention import attention_table
from f2vbench.report.tables.comparisons import comparison_tables
from f2vbench.report.tables.cost import cost_table
from f2vbench.report.tables.paper_tables import NAMED, named_table, tasks_of
from f2vbench.report.tables.provenance import provenance_tables
from f2vbench.report.tables.ranks import AcrossTasks, across_tasks
from f2vbench.report.tables.results import place_tables
from f2vbench.report.tables.retrieval import retrieval_tables
from f2vbench.report.tables.table import Table
from f2vbench.report.text.cautions import cautions, remarks
from f2vbench.report.text.methods import methods_text, title_of
from f2vbench.report.text.summary import Told, overview, told_places, verdict_sentence
from f2vbench.report.text.wording import Names
from f2vbench.report.writers.rendered_table import RenderedTable
from f2vbench.stats.procedure import Procedure
from f2vbench.utils.text import plural

if TYPE_CHECKING:
    from f2vbench.results import Results

_AS_IN_THE_PAPERS = Procedure()


@dataclass(frozen=True)
class Content:
    """A report's parts, in the order a reader meets them.

    Attributes:
        summary: of `Results.summary`, and ``comparison``, a row each: the same numbers as tidy frames.
        places: a table a task and protocol.
        comparisons: the tests that decide, and the same by other tests; none where nothing was compared.
        verdicts: a sentence a comparison.
        across: ranks of models over tasks.
        attention: of fusions, where there are some.
        named: name → the papers' tables that there are results for.
    """

    title: str
    about: str
    overview: str
    told: list[Told]
    warnings: list[str]
    notes: list[str]
    places: list[Table]
    comparisons: list[Table]
    verdicts: list[str]
    across: AcrossTasks
    attention: Table | None
    retrieval: list[Table]
    named: dict[str, Table]
    cost: Table | None
    methods: list[str]
    provenance: list[Table]
    summary: pd.DataFrame
    comparison: pd.DataFrame
    procedure: Procedure

    @property
    def tables(self) -> list[Table]:
        """All tables of results."""
        others = [table for table in (self.across.table, self.attention) if table is not None]
        cost = [self.cost] if self.cost else []
        return [*self.places, *self.comparisons, *others, *self.retrieval, *self.named.values(), *cost]


def content(
    results: Results,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    procedure: Procedure = _AS_IN_THE_PAPERS,
) -> Content:
    """Everything that a report of these results says.

    Args:
        metrics: those of the tables; by default the main ones of each task's family.
        reference: a model that is compared with the best other everywhere, beside the comparisons always made.
        procedure: which t-test is made over seeds, and how p-values are adjusted.
    """
    by_task = {task: list(metrics or main) for task, main in results.main_metrics.items()}
    summary = results.summary(metrics or by_task)
    compared = results.comparisons(metrics or by_task, pairs_that_matter(reference), procedure)
    comparisons = _in_order(compared, summary, by_task)
    names = _names(results)
    leading = {task: _first_there(shown, summary, task) for task, shown in by_task.items()}
    told = told_places(summary, comparisons, leading, names)
    baselines = set(summary.encoder[summary.baseline])
    counts = [plural(results.frame.unit.nunique(), "unit"), plural(results.frame.encoder.nunique(), "model")]
    return Content(
        title=f"Benchmark of retinal encoders: {', '.join(names.titles.values())}",
        about=", ".join([*counts, plural(results.frame.seed.nunique(), "seed")]),
        overview=overview(told),
        told=told,
        warnings=cautions(results),
        notes=remarks(results),
        places=place_tables(summary, by_task, comparisons, names),
        comparisons=comparison_tables(comparisons, names, baselines),
        verdicts=[verdict_sentence(each, names, baselines) for each in comparisons],
        across=across_tasks(results, names),
        attention=attention_table(results.attention, names) if len(results.attention) else None,
        retrieval=retrieval_tables(results.records, reference, names.titles.__getitem__),
        named={name: table for name in NAMED if (table := _named(results, name, comparisons, procedure)) is not None},
        cost=cost_table(results.cost, names, results.lower_is_better),
        methods=methods_text(results.records, results.calls, results.families, procedure),
        provenance=provenance_tables(results.records, results.sources, results.calls),
        summary=summary,
        comparison=_tidy(comparisons, names, baselines),
        procedure=procedure,
    )


def table_named(results: Results, name: str) -> RenderedTable:
    """One of the papers' tables, as ``supp-2``.

    Raises:
        StoreError: there is no table of that name, or nothing in these results for it.
    """
    if name not in NAMED:
        raise StoreError(f"there is no table '{name}'{did_you_mean(name, NAMED)}; there are {', '.join(NAMED)}")
    found = _named(results, name, None, _AS_IN_THE_PAPERS)
    if found is None:
        named = NAMED[name]
        what = f"{' or '.join(named.protocols)} units of {named.family}"
        about = {True: ", outcomes of the whole body", False: ", diseases of the eye", None: ""}[named.systemic]
        raise StoreError(f"nothing for {name}, {named.title.lower()}: these results hold no {what}{about}")
    return RenderedTable.from_table(found)


def _named(results: Results, name: str, comparisons: Sequence[Compared] | None, procedure: Procedure) -> Table | None:
    """One of the papers' tables; its comparisons are made, and adjusted, for it alone where none are handed over."""
    named = NAMED[name]
    there = {(task, metric) for task, metric in zip(results.frame.task, results.frame.metric, strict=True)}
    tasks = tasks_of(named, results.families, results.calls)
    wanted = {task: [metric for metric in named.metrics if (task, metric) in there] for task in tasks}
    if not any(wanted.values()):
        return None
    summary = results.summary(wanted)
    tested = results.comparisons(wanted, procedure=procedure) if comparisons is None else comparisons
    return named_table(name, summary, tested, tasks, _names(results), procedure)


def _names(results: Results) -> Names:
    return Names({task: title_of(task, results.calls) for task in results.families}, results.families)


def _tidy(comparisons: Sequence[Compared], names: Names, baselines: set[str]) -> pd.DataFrame:
    """One row a comparison, with the two models, why they are compared, and the verdict as a sentence."""
    table = as_frame(comparisons).rename(columns={"encoder": "first", "best_other": "second"})
    table.insert(0, "why", ["; ".join(each.roles) for each in comparisons])
    table["sentence"] = [verdict_sentence(each, names, baselines) for each in comparisons]
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
