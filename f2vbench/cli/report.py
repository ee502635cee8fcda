"""Results of runs as tables: what a run shows at its end, and what `f2vbench report` shows and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from f2vbench.adapters.registry import adapter_for
from f2vbench.analysis.retrieval import untold
from f2vbench.errors import StoreError
from f2vbench.report.settings import ReportSettings
from f2vbench.report.tables.retrieval import as_text, retrieval_tables
from f2vbench.report.tables.terminal import attention_text, results_text
from f2vbench.report.writers.write_report import write_report
from f2vbench.results import Results
from f2vbench.stats.procedure import Procedure
from f2vbench.store.runs import RunFolder, runs_below
from f2vbench.utils.progress import for_this_terminal

_AS_IN_THE_PAPERS = Procedure()


class Tables(NamedTuple):
    """`Results.summary` and `Results.compare`, and both for the terminal, with the notes, and what retrieval adds."""

    text: str
    summary: pd.DataFrame
    comparison: pd.DataFrame


def tables(
    results: Results,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    procedure: Procedure = _AS_IN_THE_PAPERS,
) -> Tables:
    """Tables of some metrics, or of the main ones of each task's family.

    Args:
        reference: the model that is compared with the best other; where it is None or has no results, the first of
            the summary that is no baseline.
        procedure: which t-test is made over seeds, and how p-values are adjusted.
    """
    by_task = {task: metrics or adapter_for(family).main_metrics for task, family in results.families.items()}
    summary = results.summary(metrics or by_task)
    reference = _compared(summary, reference)
    comparison = results.compare(reference, metrics or by_task, test=procedure.test, adjust=procedure.adjust)
    notes = [f"note: {note}" for note in results.notes]
    shots_of = {task: adapter_for(family).shots_suffix for task, family in results.families.items()}
    blocks = [results_text(summary, comparison, by_task, shots_of)]
    if len(results.attention):
        blocks.append(attention_text(results.attention, shots_of))
    return Tables("\n\n".join([*blocks, *notes, *_of_retrieval(results, reference)]), summary, comparison)


def _of_retrieval(results: Results, reference: str) -> list[str]:
    """Intervals over patients where there are retrieval units; or why there are none."""
    tables = retrieval_tables(results.records, reference, title_of=str)
    return [*map(as_text, tables), *(f"note: {why}" for why in untold(results.records).values())]


def report(settings: ReportSettings) -> Iterator[str]:
    """What `f2vbench report` tells, part by part: the tables, and where they are written once they are.

    Raises:
        StoreError: there is no run, it holds nothing yet, or a file can't be written.
        SettingsError: there is no such figure or style.
    """
    folders = [Path(folder) for folder in settings.run or []]
    if not folders:
        runs = runs_below(Path("runs"))
        if not runs:
            raise StoreError("no run below ./runs: start one with f2vbench run task=rite, or name one with run=folder")
        folders = [runs[0][0]]
    results = Results.load(*folders, progress=for_this_terminal())
    metrics = results.metrics if settings.metric == ["all"] else settings.metric
    call = RunFolder(folders[0]).last_call()
    reference = settings.baseline or next(iter(call["models"] if call else []), None)
    found = tables(results, metrics, reference, Procedure(settings.test, settings.adjust))
    yield f"{', '.join(map(str, folders))}: {results.frame.unit.nunique()} units\n\n{found.text}"
    out = settings.out or folders[0]
    yield ""
    parts = write_report(results, out, settings, metrics, _compared(found.summary, reference))
    for written in parts:
        yield f"written: {written.text}"


def _compared(summary: pd.DataFrame, reference: str | None) -> str:
    """The reference where it has results, else the first of the summary that is no baseline."""
    if reference is not None and reference in set(summary.encoder):
        return reference
    ranked = summary[~summary.baseline] if (~summary.baseline).any() else summary
    return str(ranked.encoder.iloc[0])
