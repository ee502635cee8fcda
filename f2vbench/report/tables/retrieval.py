"""Tables of retrieval, for the terminal and the page: intervals over patients, comparisons, pairs of modalities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from f2vbench.analysis.retrieval import METRICS, compare, intervals, modality_pairs, retrieval_records, shown_metrics
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.wording import METRIC_NAMES, NONE, interval, model_name, number, signed
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.text import layout, p_value

_RESAMPLED = "2,000 resamples of patients, each with all of their queries in the galleries of all seeds"


def retrieval_tables(
    records: Sequence[UnitRecord], reference: str | None, title_of: Callable[[str], str]
) -> list[Table]:
    """What there is of a run's units; none where none of them is retrieval, or tells whose image each is.

    Args:
        records: of all units.
        reference: the model that is compared with each other one; where it is None or has no retrieval results, the
            best that is no baseline.
        title_of: a task's title.
    """
    held = retrieval_records(records)
    if not held:
        return []
    metrics = shown_metrics(held)
    table = intervals(held, metrics)
    tables = [_intervals_table(table, title_of)]
    if table.encoder.nunique() > 1:
        tables.append(_comparison_table(held, _compared(table, reference), metrics, set(table.encoder[table.baseline])))
    return [*tables, *_matrices(held, title_of)]


def retrieval_metric(metric: str) -> str:
    """``Recall@1``, ``Recall@1, cross-modal``"""
    base, _, variant = metric.partition(":")
    return ", ".join(filter(None, (METRIC_NAMES.get(base, base), variant)))


def as_text(table: Table) -> str:
    """A table for the terminal."""
    rows = [[" ".join(filter(None, (cell.text, cell.detail))) for cell in row] for row in table.rows]
    return f"{table.title}\n{table.caption}\n{layout(table.headings, rows)}"


def _intervals_table(table: pd.DataFrame, title_of: Callable[[str], str]) -> Table:
    best = table.sort_values("value", ascending=False, kind="stable").groupby(["task", "metric"]).head(1).index
    rows = [
        [
            Cell(title_of(row.task)),
            Cell(retrieval_metric(row.metric)),
            Cell(model_name(row.encoder, row.baseline), muted=row.baseline or row.weights == "untrained"),
            Cell(
                number(row.value),
                row.value,
                interval(row.low, row.high),
                mark="best" if row.Index in best else "",
                reason=row.reason or "",
            ),
            Cell(number(row.chance), row.chance),
            Cell(f"{row.patients:,}", row.patients),
            Cell(f"{row.queries:,}", row.queries),
        ]
        for row in table.itertuples()
    ]
    columns = [*(Column(name, numeric=False) for name in ("data set", "metric", "model"))]
    columns += [Column(name) for name in ("value", "chance", "patients", "queries")]
    return Table(
        "retrieval-intervals",
        "Retrieval, with intervals over patients",
        f"Mean over galleries of the mean over queries, and its 95 % BCa interval from {_RESAMPLED}.",
        columns,
        rows,
        [f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, table.reason))],
    )


def _compared(table: pd.DataFrame, reference: str | None) -> str:
    """The reference where it has results, else the best in Recall@1, baselines last."""
    if reference is not None and reference in set(table.encoder):
        return reference
    means = table[table.metric == METRICS[0]].groupby(["baseline", "encoder"]).value.mean()
    return str(means[means.index[0][0]].idxmax())


def _comparison_table(
    records: Sequence[UnitRecord], encoder: str, metrics: Sequence[str], baselines: set[str]
) -> Table:
    compared = compare(records, encoder, metrics)
    rows = [
        [
            Cell(row.task),
            Cell(retrieval_metric(row.metric)),
            Cell(model_name(row.other, row.other in baselines), muted=row.other in baselines),
            Cell(signed(row.difference), row.difference, interval(row.low, row.high), reason=row.reason or ""),
            Cell(p_value(row.p), row.p, reason=row.reason or ""),
            Cell(p_value(row.p_holm), row.p_holm, reason=row.reason or ""),
            Cell(f"{row.queries:,}", row.queries),
        ]
        for row in compared.itertuples()
    ]
    columns = [*(Column(name, numeric=False) for name in ("data set", "metric", "other model"))]
    columns += [Column(name) for name in ("difference", "p", "p (Holm)", "queries shared")]
    return Table(
        "retrieval-comparisons",
        f"Retrieval: {encoder} against each other model",
        f"The difference is {encoder} − the other at the same queries in the same galleries, with its 95 % percentile "
        f"interval and p from at least {_RESAMPLED}; Holm's adjustment is over all rows of this table.",
        columns,
        rows,
        [f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, compared.reason))],
    )


def _matrices(records: Sequence[UnitRecord], title_of: Callable[[str], str]) -> list[Table]:
    """Of each task and model that was asked for ``variant=modality-pairs``."""
    tables = []
    for (task, encoder), group in modality_pairs(records).groupby(["task", "encoder"]):
        held = group.set_index(["query", "gallery"])
        kinds = sorted(set(group["query"]) | set(group.gallery))
        rows = [
            [Cell(asking), *(_pair(held.loc[asking, to]) if (asking, to) in held.index else Cell(NONE) for to in kinds)]
            for asking in kinds
        ]
        columns = [Column("query", numeric=False), *(Column(kind, "among the images of") for kind in kinds)]
        title = f"Pairs of modalities: {title_of(task)}, {encoder}"
        caption = "Recall@1, mean over seeds, of queries of one modality among the images of one; in brackets: chance."
        tables.append(Table(f"modality-pairs-{task}-{encoder}", title, caption, columns, rows))
    return tables


def _pair(row: pd.Series) -> Cell:
    if pd.isna(row.value):
        return Cell(NONE, reason="no patient has another image there")
    return Cell(number(row.value, 3), float(row.value), f"({number(row.chance, 3)})")
