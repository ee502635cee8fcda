"""Tables of results in the terminal, at the end of a run and by `f2vbench report`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from f2vbench.adapters.registry import adapter_for
from f2vbench.analysis.subgroup_labels import check_columns
from f2vbench.errors import StoreError
from f2vbench.metrics.names import CARD_METRICS
from f2vbench.report.settings import ReportSettings
from f2vbench.report.tables.retrieval import retrieval_tables
from f2vbench.report.tables.terminal import attention_text, results_text, table_text
from f2vbench.report.tables.terminal_clinical import operating_point_text, subgroups_text
from f2vbench.report.text.wording import TaskNames
from f2vbench.report.writers.write_report import check_report_folder, write_report
from f2vbench.results import Results
from f2vbench.stats.procedure import Procedure
from f2vbench.store.runs import RunFolder, runs_below
from f2vbench.utils.progress import for_this_terminal

_DEFAULT_PROCEDURE = Procedure()


class TerminalTables(NamedTuple):
    """Tables for the terminal.

    Attributes:
        text: Summary, comparisons, attention weights, notes and retrieval tables.
        summary: Data frame of `Results.summary`.
        comparison: Data frame of `Results.compare`.
        reference: Model that is compared with the best other model.
    """

    text: str
    summary: pd.DataFrame
    comparison: pd.DataFrame
    reference: str


def tables(
    results: Results,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    procedure: Procedure = _DEFAULT_PROCEDURE,
) -> TerminalTables:
    """Make the tables of some results.

    Args:
        results: Results to show.
        metrics: Names of metrics; by default the main ones of each task family.
        reference: Reference model, compared with the best other model; where it is None or has no results, the first
            model of the summary that is not a baseline.
        procedure: t-test over seeds and adjustment of p-values.

    Returns:
        Text and data frames.
    """
    by_task = {task: metrics or _main_metrics(results, task) for task in results.families}
    summary = results.summary(metrics or by_task, interval=procedure.interval)
    chosen = _choose_reference(summary, reference)
    comparison = results.compare(chosen, metrics or by_task, test=procedure.test, adjust=procedure.adjust)
    blocks = [results_text(summary, comparison, by_task, results.families, procedure, results.pretrained)]
    if len(results.attention):
        blocks.append(attention_text(results.attention, results.families))
    blocks += [f"note: {note}" for note in results.notes]
    names = TaskNames({task: task for task in results.families}, results.families, results.pretrained)
    blocks += map(table_text, retrieval_tables(results, chosen, names))
    blocks += [f"note: {reason}" for reason in results.retrieval.unavailable.values()]
    return TerminalTables("\n\n".join(blocks), summary, comparison, chosen)


def report(settings: ReportSettings) -> Iterator[str]:
    """Show and write a report.

    Args:
        settings: Keys of `f2vbench report`.

    Yields:
        Text for the terminal: the tables, and the names of files once they are written.

    Raises:
        StoreError: There is no run folder, it has no completed unit, or a file cannot be written.
        SettingsError: A figure, the style, the reference model or a column of subgroups is unknown.
    """
    folders = [Path(folder) for folder in settings.run or []]
    if not folders:
        runs = runs_below(Path("runs"))
        if not runs:
            raise StoreError(
                "no run folder below ./runs: start a run with f2vbench run task=rite, or name a folder with run=folder"
            )
        folders = [runs[0][0]]
    progress = for_this_terminal()
    results = Results.load(*folders, progress=progress)
    results.check_reference(settings.baseline)
    check_columns(settings.by or (), results.records)
    check_report_folder(results, settings.out or folders[0])
    metrics = results.metrics if settings.metric == ["all"] else settings.metric
    call = RunFolder(folders[0]).last_call()
    first_model = next(iter(call["models"] if call else []), None)
    shown = tables(
        results, metrics, settings.baseline or first_model, Procedure(settings.test, settings.adjust, settings.interval)
    )
    yield f"{', '.join(map(str, folders))}: {results.frame.unit.nunique()} units\n\n{shown.text}"
    yield from _clinical_texts(results, settings, metrics)
    yield ""
    for written in write_report(results, settings.out or folders[0], settings, metrics, shown.reference, progress):
        yield f"written: {written.text}"


def _clinical_texts(results: Results, settings: ReportSettings, metrics: Sequence[str] | None) -> Iterator[str]:
    """Operating points and subgroups, where they are requested."""
    clinical = settings.clinical()
    texts = []
    if clinical.operating_point is not None:
        point = clinical.operating_point
        texts.append(operating_point_text(results.diagnosis(point), point, results.families))
    if clinical.subgroups is not None:
        texts.append(subgroups_text(results.subgroups(clinical.subgroups, metrics), results.families))
    for text in filter(None, texts):
        yield f"\n{text}"


def _main_metrics(results: Results, task: str) -> tuple[str, ...]:
    """Main metrics of the family of a task; the one that the card chose when the task was run comes first."""
    of_family = adapter_for(results.families[task]).main_metrics
    chosen = results.main_metrics[task][0]
    known = chosen in CARD_METRICS.get(results.families[task], ())
    return tuple(dict.fromkeys((chosen, *of_family))) if known else of_family


def _choose_reference(summary: pd.DataFrame, reference: str | None) -> str:
    """The reference model where it has results, else the first model of the summary that is not a baseline."""
    if reference is not None and reference in set(summary.encoder):
        return reference
    models = summary[~summary.baseline] if (~summary.baseline).any() else summary
    return str(models.encoder.iloc[0])
