"""Tables under the names they have in the papers: Supplementary Tables 1 to 7, and Table 1 for video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml

from f2vbench.analysis.comparisons import Compared
from f2vbench.report.tables.comparisons import certainty_text
from f2vbench.report.tables.results import SPREAD, model_cell
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.methods import card_of
from f2vbench.report.text.wording import NONE, SHOTS_OF, Names, interval, metric_name, number
from f2vbench.stats.procedure import Procedure
from f2vbench.store.record_schema import CallRecord
from f2vbench.utils.text import p_value

_SYSTEMIC_LAYOUTS = ("uk_biobank", "outcome_table")
_TWO_AREAS = ("auroc", "average_precision")
_ROWS_BY_PLACE = ["task", "protocol", "shots"]


@dataclass(frozen=True)
class Named:
    """One of the papers' tables: what it is about.

    Attributes:
        systemic: of classification, outcomes of the whole body (True) or diseases of the eye (False).
    """

    title: str
    family: str
    protocols: tuple[str, ...]
    metrics: tuple[str, ...]
    systemic: bool | None = None


NAMED = {
    "table-1": Named("Generated angiogram videos", "generation", ("zero-shot",), ("fvd", "ssim", "psnr", "lpips")),
    "supp-1": Named("Zero-shot diagnosis of eye disease", "classification", ("zero-shot",), _TWO_AREAS, False),
    "supp-2": Named("Few-shot diagnosis of eye disease", "classification", ("few-shot",), _TWO_AREAS, False),
    "supp-3": Named("Supervised diagnosis of eye disease", "classification", ("supervised",), _TWO_AREAS, False),
    "supp-4": Named("Zero-shot prediction of systemic disease", "classification", ("zero-shot",), _TWO_AREAS, True),
    "supp-5": Named("Few-shot prediction of systemic disease", "classification", ("few-shot",), _TWO_AREAS, True),
    "supp-6": Named("Supervised prediction of systemic disease", "classification", ("supervised",), _TWO_AREAS, True),
    "supp-7": Named(
        "Retrieval of a patient's images",
        "retrieval",
        ("zero-shot",),
        ("recall@1", "recall@5", "recall@10", "mean_recall"),
    ),
}


def tasks_of(named: Named, families: Mapping[str, str], calls: Sequence[CallRecord]) -> list[str]:
    """The tasks of these results that belong into a table of the papers."""
    found = [task for task, family in families.items() if family == named.family]
    if named.systemic is None:
        return found
    return [task for task in found if _is_systemic(task, calls) == named.systemic]


def named_table(
    name: str,
    summary: pd.DataFrame,
    comparisons: Sequence[Compared],
    tasks: Sequence[str],
    names: Names,
    procedure: Procedure,
) -> Table | None:
    """A table of the papers, a row a task, number of support images and model; None where there is nothing for it.

    Args:
        name: of `NAMED`.
        summary: of `Results.summary`, with the table's metrics.
        tasks: of `tasks_of`.
    """
    named = NAMED[name]
    rows_of = summary[summary.task.isin(tasks) & summary.protocol.isin(named.protocols)]
    metrics = [metric for metric in named.metrics if metric in set(rows_of.metric)]
    if not metrics:
        return None
    few = "few-shot" in named.protocols
    better = dict(zip(rows_of.metric, rows_of.better, strict=True))
    rows = []
    for key, group in rows_of.groupby(_ROWS_BY_PLACE, dropna=False, sort=False):
        rows += _place_rows(key, group, metrics, comparisons, names, few)
    columns = [Column("data set", numeric=False), *([Column(f"images{SHOTS_OF[named.family]}")] if few else [])]
    columns.append(Column("model", numeric=False))
    columns += [Column(metric_name(metric, better[metric])) for metric in metrics]
    columns += [Column("p"), Column("verdict", numeric=False)]
    notes = [
        f"p: {procedure.seed_test.name} of the best against the second in {metric_name(metrics[0])}, "
        f"{procedure.adjusted_label} over all comparisons of the report; the verdict asks for other seeds and other "
        "patients as well."
    ]
    if name == "table-1":
        rows += [[*row, Cell(NONE), Cell(NONE)] for row in _published_rows(metrics)]
        notes.append(str(published_videos()["note"]))
    return Table(name, f"{_paper_name(name)}: {named.title}", f"{SPREAD}.", columns, rows, notes)


def _place_rows(
    key: tuple,
    group: pd.DataFrame,
    metrics: Sequence[str],
    comparisons: Sequence[Compared],
    names: Names,
    few: bool,
) -> list[list[Cell]]:
    task, protocol, shots = key
    place = task, protocol, None if pd.isna(shots) else int(shots)
    held = {(row.encoder, row.metric): row for row in group.itertuples()}
    order = {metric: list(group.encoder[(group.metric == metric) & group["mean"].notna()]) for metric in metrics}
    models = list(dict.fromkeys([*order[metrics[0]], *group.encoder]))
    test = next(
        (c for c in comparisons if c.place == place and c.metric == metrics[0] and "best and second" in c.roles), None
    )
    rows = []
    for model in models:
        one = next(row for (encoder, _), row in held.items() if encoder == model)
        muted = bool(one.baseline) or one.weights == "untrained"
        cells = [Cell(names.titles[task]), *([Cell(str(place[2]), place[2])] if few else [])]
        cells.append(model_cell(model, one, muted))
        cells += [_mean(held.get((model, metric)), order[metric][:1] == [model]) for metric in metrics]
        first = test is not None and model == test.first
        cells.append(Cell(p_value(test.seeds.p_adjusted), reason=test.seeds.reason) if test and first else Cell(""))
        cells.append(Cell(certainty_text(test)) if test and first else Cell(""))
        rows.append(cells)
    return rows


def _mean(row: Any, best: bool) -> Cell:
    if row is None or pd.isna(row.mean):
        return Cell(NONE, reason=getattr(row, "reason", ""))
    return Cell(number(row.mean), float(row.mean), interval(row.low, row.high), mark="best" if best else "")


def _published_rows(metrics: Sequence[str]) -> list[list[Cell]]:
    return [
        [
            Cell(f"published: {paper['source']}", muted=True),
            Cell(model, detail="published", muted=True),
            *(Cell(number(values.get(metric)), values.get(metric), muted=True) for metric in metrics),
        ]
        for paper in published_videos()["papers"]
        for model, values in paper["models"].items()
    ]


@cache
def published_videos() -> dict[str, Any]:
    """Table 1 of both papers, with its sources."""
    return yaml.safe_load(files(__package__).joinpath("published_videos.yaml").read_text(encoding="utf-8"))


def _is_systemic(task: str, calls: Sequence[CallRecord]) -> bool:
    return card_of(task, calls).get("card", {}).get("layout") in _SYSTEMIC_LAYOUTS


def _paper_name(name: str) -> str:
    return "Table 1" if name == "table-1" else f"Supplementary Table {name.removeprefix('supp-')}"
