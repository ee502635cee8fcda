"""Content of a report, independent of its file format: sentences, tables, methods, provenance, limitations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.comparisons import ModelComparison, comparisons_frame, select_key_pairs
from f2vbench.analysis.frames import Condition
from f2vbench.errors import StoreError, did_you_mean
from f2vbench.report.tables.assessment import stored_assessment_tables
from f2vbench.report.tables.attention import attention_table
from f2vbench.report.tables.clinical import ClinicalSettings, clinical_tables
from f2vbench.report.tables.comparisons import comparison_tables
from f2vbench.report.tables.cost import cost_table
from f2vbench.report.tables.mask_classes import class_table
from f2vbench.report.tables.paper_tables import PAPER_TABLES, make_paper_table, tasks_of_table
from f2vbench.report.tables.provenance import provenance_tables
from f2vbench.report.tables.ranks import RanksAcrossTasks, rank_across_tasks
from f2vbench.report.tables.results import condition_tables
from f2vbench.report.tables.retrieval import retrieval_tables
from f2vbench.report.tables.table import Table
from f2vbench.report.text.clinical_methods import clinical_methods
from f2vbench.report.text.limitations import comparison_limitations, further_notes, limitations
from f2vbench.report.text.methods import methods_text, task_title
from f2vbench.report.text.summary import ConditionSummary, comparison_sentence, overview, summarize_conditions
from f2vbench.report.text.wording import TaskNames
from f2vbench.report.writers.rendered_table import RenderedTable
from f2vbench.stats.procedure import Procedure
from f2vbench.utils.text import plural

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults

_DEFAULT_PROCEDURE = Procedure()
_NO_CLINICAL_TABLES = ClinicalSettings()


@dataclass(frozen=True)
class ReportContent:
    """Parts of a report, in reading order.

    Attributes:
        title: Title of the report.
        about: Numbers of units, models and seeds.
        overview: In how many conditions the best model is significantly better than the second.
        summaries: Sentences on each condition.
        limitations: What a reader must know before using the results.
        notes: Chance levels and further notes.
        conditions: One table per task and protocol.
        comparisons: Tables of the deciding test and of further tests; empty where nothing was compared.
        comparison_sentences: One sentence or more per comparison.
        ranks: Ranks of the models across tasks.
        attention: Weights of the soft-attention fusions, where there are any.
        classes: Results by class of segmentation tasks with several classes, where there are any.
        retrieval: Tables of retrieval tasks.
        assessment: Tables of the human assessments within the run folders.
        clinical: Tables of operating points, calibration, subgroups and equivalence, as far as they are requested.
        paper_tables: The papers' tables that these results have values for, by name.
        cost: Encoding and training costs, where there are results with labels.
        methods: Paragraphs of the methods section.
        provenance: Tables of models, data and software.
        summary: Data frame of `Results.summary`.
        comparison: Data frame with one row per comparison.
        procedure: t-test over seeds and adjustment of p-values.
    """

    title: str
    about: str
    overview: str
    summaries: list[ConditionSummary]
    limitations: list[str]
    notes: list[str]
    conditions: list[Table]
    comparisons: list[Table]
    comparison_sentences: list[str]
    ranks: RanksAcrossTasks
    attention: Table | None
    classes: Table | None
    retrieval: list[Table]
    assessment: list[Table]
    clinical: list[Table]
    paper_tables: dict[str, Table]
    cost: Table | None
    methods: list[str]
    provenance: list[Table]
    summary: pd.DataFrame
    comparison: pd.DataFrame
    procedure: Procedure

    @property
    def significance_note(self) -> str:
        """Definition of significance in the summary."""
        method = self.procedure.adjustment_method.name
        return (
            "Significant: the best model is better than the second-best model by the crossed test over patients and "
            "seeds, at p < 0.05 after adjustment for the choice of the two models among all pairs (step-down max-T) "
            f"and {method} adjustment over all comparisons of this report. It generalizes to other patients of the "
            "same kind, and to what else the sentence names. The p-values in the sentences are "
            "adjusted unless stated otherwise."
        )

    @property
    def tables(self) -> list[Table]:
        """All tables of results."""
        optional = [table for table in (self.ranks.table, self.classes, self.attention) if table is not None]
        cost = [self.cost] if self.cost else []
        more = [*self.retrieval, *self.assessment, *self.clinical, *self.paper_tables.values(), *cost]
        return [*self.conditions, *self.comparisons, *optional, *more]


def report_content(
    results: RunResults,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    procedure: Procedure = _DEFAULT_PROCEDURE,
    clinical: ClinicalSettings = _NO_CLINICAL_TABLES,
) -> ReportContent:
    """Compute the content of a report.

    Args:
        results: RunResults to report.
        metrics: Names of the metrics in tables; by default the main ones of each task.
        reference: Reference model, compared with the best other model at each condition in addition to the comparisons
            that are always made.
        procedure: t-test over seeds and adjustment of p-values.
        clinical: Which clinical tables to make.

    Returns:
        All sentences, tables and data frames of the report.
    """
    by_task = {task: list(metrics or main) for task, main in results.main_metrics.items()}
    summary = results.summary(metrics or by_task, interval=procedure.interval)
    unsorted = results.comparisons(metrics or by_task, select_key_pairs(reference), procedure, summary)
    comparisons = _sort_comparisons(unsorted, summary, by_task)
    names = _task_names(results)
    main_metric = {task: _first_with_values(shown, summary, task) for task, shown in by_task.items()}
    summaries = summarize_conditions(summary, comparisons, main_metric, names)
    baselines = set(summary.encoder[summary.baseline])
    sentences = [comparison_sentence(each, names, baselines) for each in comparisons]
    counts = [plural(results.frame.unit.nunique(), "unit"), plural(results.frame.encoder.nunique(), "model")]
    return ReportContent(
        title=f"Benchmark of retinal encoders: {', '.join(names.titles.values())}",
        about=", ".join([*counts, plural(results.frame.seed.nunique(), "seed")]),
        overview=overview(summaries),
        summaries=summaries,
        limitations=[*limitations(results), *comparison_limitations(comparisons)],
        notes=further_notes(results),
        conditions=condition_tables(summary, by_task, comparisons, names, procedure.interval),
        comparisons=comparison_tables(comparisons, names, baselines),
        comparison_sentences=sentences,
        ranks=rank_across_tasks(results, names),
        attention=attention_table(results.attention, names) if len(results.attention) else None,
        classes=class_table(results.frame, results.records, names),
        retrieval=retrieval_tables(results, reference, names),
        assessment=stored_assessment_tables(results.assessments),
        clinical=clinical_tables(results, clinical, names, comparisons, metrics),
        paper_tables={
            name: table
            for name in PAPER_TABLES
            if (table := _paper_table(results, name, comparisons, procedure)) is not None
        },
        cost=cost_table(results.cost, names, results.lower_is_better),
        methods=[
            *methods_text(results.records, results.calls, results.families, procedure),
            *clinical_methods(clinical),
        ],
        provenance=provenance_tables(results.records, results.sources, results.calls),
        summary=summary,
        comparison=_comparison_frame(comparisons, sentences),
        procedure=procedure,
    )


def paper_table(results: RunResults, name: str) -> RenderedTable:
    """Make one of the papers' tables.

    Args:
        results: RunResults to report.
        name: Name of a table in `PAPER_TABLES`, such as ``supp-2``.

    Returns:
        The table.

    Raises:
        StoreError: The name is unknown, or these results have no values for the table.
    """
    if name not in PAPER_TABLES:
        hint = did_you_mean(name, PAPER_TABLES)
        raise StoreError(f"there is no table '{name}'{hint}; available: {', '.join(PAPER_TABLES)}")
    table = _paper_table(results, name, None, _DEFAULT_PROCEDURE)
    if table is None:
        spec = PAPER_TABLES[name]
        units = f"{' or '.join(spec.protocols)} units of {spec.family}"
        about = {True: ", systemic outcomes", False: ", eye diseases", None: ""}[spec.systemic]
        raise StoreError(f"no results for {name}, {spec.title.lower()}: they contain no {units}{about}")
    return RenderedTable.from_table(table)


def _paper_table(
    results: RunResults, name: str, comparisons: Sequence[ModelComparison] | None, procedure: Procedure
) -> Table | None:
    """One of the papers' tables; without ``comparisons``, p-values are adjusted over the table alone."""
    spec = PAPER_TABLES[name]
    measured = {(task, metric) for task, metric in zip(results.frame.task, results.frame.metric, strict=True)}
    tasks = tasks_of_table(spec, results.families, results.calls)
    metrics = {task: [metric for metric in spec.metrics if (task, metric) in measured] for task in tasks}
    if not any(metrics.values()):
        return None
    if comparisons is None:
        comparisons = results.comparisons(metrics, procedure=procedure)
    return make_paper_table(
        name, results.summary(metrics, interval=procedure.interval), comparisons, tasks, _task_names(results), procedure
    )


def _task_names(results: RunResults) -> TaskNames:
    titles = {task: task_title(task, results.calls) for task in results.families}
    return TaskNames(titles, results.families, results.pretrained)


def _comparison_frame(comparisons: Sequence[ModelComparison], sentences: Sequence[str]) -> pd.DataFrame:
    """One row per comparison: both models, why they are compared, the tests, and the sentence."""
    table = comparisons_frame(comparisons).rename(columns={"encoder": "first", "best_other": "second"})
    table.insert(0, "why", ["; ".join(each.roles) for each in comparisons])
    table["sentence"] = list(sentences)
    return table


def _sort_comparisons(
    comparisons: Sequence[ModelComparison], summary: pd.DataFrame, metrics: Mapping[str, Sequence[str]]
) -> list[ModelComparison]:
    """Sort by condition, in the order of the summary, and by metric, the main metric first."""
    conditions = map(Condition.from_values, summary.task, summary.protocol, summary.shots)
    order = {condition: rank for rank, condition in enumerate(dict.fromkeys(conditions))}
    ranks = {task: {metric: rank for rank, metric in enumerate(names)} for task, names in metrics.items()}
    return sorted(comparisons, key=lambda each: (order[each.condition], ranks[each.condition.task][each.metric]))


def _first_with_values(metrics: Sequence[str], summary: pd.DataFrame, task: str) -> str:
    """The first metric with a value in a task."""
    valued = set(summary.metric[(summary.task == task) & summary["mean"].notna()])
    return next((name for name in metrics if name in valued), metrics[0])
