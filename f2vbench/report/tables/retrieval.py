"""Tables of retrieval: intervals over patients, comparisons, and recall by pair of modalities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.retrieval import METRICS, modality_pairs
from f2vbench.report.tables.results import is_muted
from f2vbench.report.tables.table import Cell, Column, Table, count_cell, text_columns
from f2vbench.report.text.table_notes import imagenet_notes, pretrained_notes
from f2vbench.report.text.wording import METRIC_NAMES, NONE, TaskNames, interval_text, model_name, number, signed
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.text import p_value

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults

_RESAMPLES = "2,000 resamples of patients, each with all queries in the galleries of all seeds"


def retrieval_tables(results: RunResults, reference: str | None, names: TaskNames) -> list[Table]:
    """Make the tables of the retrieval units.

    Args:
        results: RunResults of any tasks.
        reference: Reference model, compared with each other model; where it is None or has no retrieval results, the
            best model that is not a baseline.
        names: Names of tasks.

    Returns:
        Tables; empty where there are no retrieval units that name the patient of each image.
    """
    retrieval = results.retrieval
    if not retrieval.records:
        return []
    intervals = retrieval.intervals
    tables = [_intervals_table(intervals, names)]
    if intervals.encoder.nunique() > 1:
        chosen = _choose_reference(intervals, reference)
        baselines = set(intervals.encoder[intervals.baseline])
        tables.append(_comparison_table(retrieval.compare(chosen), chosen, baselines, names))
    return [*tables, *_modality_tables(retrieval.records, names.titles)]


def retrieval_metric(metric: str) -> str:
    """``Recall@1``, ``Recall@1, cross-modal``."""
    base, _, variant = metric.partition(":")
    return ", ".join(filter(None, (METRIC_NAMES.get(base, base), variant)))


def _intervals_table(intervals: pd.DataFrame, names: TaskNames) -> Table:
    best = intervals.sort_values("value", ascending=False, kind="stable").groupby(["task", "metric"]).head(1).index
    rows = [
        [
            Cell(names.titles[row.task]),
            Cell(retrieval_metric(row.metric)),
            Cell(model_name(row.encoder, row.baseline), detail=names.mark(row.task, row.encoder), muted=is_muted(row)),
            Cell(
                number(row.value),
                row.value,
                interval_text(row.low, row.high),
                mark="best" if row.Index in best else "",
                reason=row.reason or "",
            ),
            Cell(number(row.chance), row.chance),
            count_cell(row.patients),
            count_cell(row.queries),
        ]
        for row in intervals.itertuples()
    ]
    columns = text_columns("data set", "metric", "model")
    columns += [Column(title) for title in ("value", "chance", "patients", "queries")]
    return Table(
        "retrieval-intervals",
        "Retrieval with intervals over patients",
        f"Mean over galleries of the mean over queries, with the 95 % BCa interval from {_RESAMPLES}.",
        columns,
        rows,
        [*_notes(names, zip(intervals.task, intervals.encoder, strict=True)), *_missing_notes(intervals)],
    )


def _choose_reference(intervals: pd.DataFrame, reference: str | None) -> str:
    """The reference model where it has results, else the best model in Recall@1, baselines last."""
    if reference is not None and reference in set(intervals.encoder):
        return reference
    means = intervals[intervals.metric == METRICS[0]].groupby(["baseline", "encoder"]).value.mean()
    return str(means[means.index[0][0]].idxmax())


def _notes(names: TaskNames, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Notes on models; see `f2vbench.report.text.table_notes`."""
    distinct = list(dict.fromkeys(pairs))
    return [*imagenet_notes(names, distinct), *pretrained_notes(names, distinct)]


def _comparison_table(comparison: pd.DataFrame, reference: str, baselines: set[str], names: TaskNames) -> Table:
    rows = [
        [
            Cell(row.task),
            Cell(retrieval_metric(row.metric)),
            Cell(
                model_name(row.other, row.other in baselines),
                detail=names.mark(row.task, row.other),
                muted=row.other in baselines,
            ),
            Cell(signed(row.difference), row.difference, interval_text(row.low, row.high), reason=row.reason or ""),
            Cell(p_value(row.p), row.p, reason=row.reason or ""),
            Cell(p_value(row.p_holm), row.p_holm, reason=row.reason or ""),
            count_cell(row.queries),
        ]
        for row in comparison.itertuples()
    ]
    columns = text_columns("data set", "metric", "other model")
    columns += [Column(title) for title in ("difference", "p", "p (Holm)", "shared queries")]
    return Table(
        "retrieval-comparisons",
        f"Retrieval: {reference} against each other model",
        f"The difference is {reference} − the other model for the same queries in the same galleries, with its 95 % "
        f"percentile interval and p-value from at least {_RESAMPLES}. Holm's adjustment is over all rows of the table.",
        columns,
        rows,
        [*_notes(names, _compared(comparison, reference)), *_missing_notes(comparison)],
    )


def _compared(comparison: pd.DataFrame, reference: str) -> list[tuple[str, str]]:
    """Task and model of both sides of each comparison."""
    others = zip(comparison.task, comparison.other, strict=True)
    return [*others, *((task, reference) for task in dict.fromkeys(comparison.task))]


def _missing_notes(table: pd.DataFrame) -> list[str]:
    """Reasons of missing intervals and p-values, each once."""
    return [f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, table.reason))]


def _modality_tables(records: Sequence[UnitRecord], titles: Mapping[str, str]) -> list[Table]:
    """One table per task and model with the gallery variant ``modality-pairs``."""
    tables = []
    for (task, encoder), group in modality_pairs(records).groupby(["task", "encoder"]):
        pairs = group.set_index(["query", "gallery"])
        modalities = sorted(set(group["query"]) | set(group.gallery))
        rows = [
            [
                Cell(query),
                *(
                    _recall_cell(pairs.loc[query, gallery]) if (query, gallery) in pairs.index else Cell(NONE)
                    for gallery in modalities
                ),
            ]
            for query in modalities
        ]
        columns = [*text_columns("query"), *(Column(modality, "among images of") for modality in modalities)]
        title = f"Recall by pair of modalities: {titles[task]}, {encoder}"
        caption = "Recall@1 of queries of one modality among images of one modality, mean over seeds, and chance level."
        tables.append(Table(f"modality-pairs-{task}-{encoder}", title, caption, columns, rows))
    return tables


def _recall_cell(row: pd.Series) -> Cell:
    if pd.isna(row.value):
        return Cell(NONE, reason="no patient has another image of this modality")
    return Cell(number(row.value, 3), float(row.value), f"({number(row.chance, 3)})")
