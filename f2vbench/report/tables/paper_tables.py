"""The papers' tables: Supplementary Tables 1 to 7, and Table 1 of the video papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml

from f2vbench.analysis.comparisons import BEST_AND_SECOND, ModelComparison
from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.tables.comparisons import verdict_text
from f2vbench.report.tables.results import model_cell
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.intervals import INTERVAL_TEXTS, interval_notes
from f2vbench.report.text.methods import task_card
from f2vbench.report.text.table_notes import imagenet_notes, pretrained_notes
from f2vbench.report.text.wording import NONE, SHOTS_UNIT, TaskNames, interval_text, metric_name, number
from f2vbench.stats.procedure import Procedure
from f2vbench.store.record_schema import CallRecord
from f2vbench.utils.text import p_value

_SYSTEMIC_LAYOUTS = ("uk_biobank", "outcome_table")
_AREAS = ("auroc", "average_precision")


@dataclass(frozen=True)
class PaperTable:
    """Specification of one of the papers' tables.

    Attributes:
        title: Title, without the number of the table.
        family: Task family of its tasks.
        protocols: Protocols of its rows.
        metrics: Metrics of its columns.
        systemic: For classification, systemic outcomes (True) or eye diseases (False).
    """

    title: str
    family: str
    protocols: tuple[str, ...]
    metrics: tuple[str, ...]
    systemic: bool | None = None


PAPER_TABLES = {
    "table-1": PaperTable("Generated angiogram videos", "generation", ("zero-shot",), ("fvd", "ssim", "psnr", "lpips")),
    "supp-1": PaperTable("Zero-shot diagnosis of eye disease", "classification", ("zero-shot",), _AREAS, False),
    "supp-2": PaperTable("Few-shot diagnosis of eye disease", "classification", ("few-shot",), _AREAS, False),
    "supp-3": PaperTable("Supervised diagnosis of eye disease", "classification", ("supervised",), _AREAS, False),
    "supp-4": PaperTable("Zero-shot prediction of systemic disease", "classification", ("zero-shot",), _AREAS, True),
    "supp-5": PaperTable("Few-shot prediction of systemic disease", "classification", ("few-shot",), _AREAS, True),
    "supp-6": PaperTable("Supervised prediction of systemic disease", "classification", ("supervised",), _AREAS, True),
    "supp-7": PaperTable(
        "Retrieval of a patient's images",
        "retrieval",
        ("zero-shot",),
        ("recall@1", "recall@5", "recall@10", "mean_recall"),
    ),
}


def tasks_of_table(spec: PaperTable, families: Mapping[str, str], calls: Sequence[CallRecord]) -> list[str]:
    """Tasks of some results that belong to one of the papers' tables."""
    tasks = [task for task, family in families.items() if family == spec.family]
    if spec.systemic is None:
        return tasks
    return [task for task in tasks if (task_card(task, calls).get("layout") in _SYSTEMIC_LAYOUTS) == spec.systemic]


def make_paper_table(
    name: str,
    summary: pd.DataFrame,
    comparisons: Sequence[ModelComparison],
    tasks: Sequence[str],
    names: TaskNames,
    procedure: Procedure,
) -> Table | None:
    """Make one of the papers' tables, with a row per task, number of support images and model.

    Args:
        name: Name in `PAPER_TABLES`.
        summary: `Results.summary` with the metrics of the table.
        comparisons: Comparisons of the best with the second model.
        tasks: Tasks of `tasks_of_table`.
        names: Names of tasks and conditions.
        procedure: t-test over seeds and adjustment of p-values.

    Returns:
        The table, or None where there are no results for it.
    """
    spec = PAPER_TABLES[name]
    selected = summary[summary.task.isin(tasks) & summary.protocol.isin(spec.protocols)]
    metrics = [metric for metric in spec.metrics if metric in set(selected.metric)]
    if not metrics:
        return None
    few_shot = "few-shot" in spec.protocols
    best_and_second = {
        each.condition: each for each in comparisons if each.metric == metrics[0] and BEST_AND_SECOND in each.roles
    }
    rows = []
    for key, group in selected.groupby(CONDITION, dropna=False, sort=False):
        condition = Condition.from_values(*key)
        first = [Cell(names.titles[condition.task])]
        first += [Cell(str(condition.shots), condition.shots)] if few_shot else []
        cells_of_models = _model_rows(group, metrics, best_and_second.get(condition), names)
        rows += [[*first, *cells] for cells in cells_of_models]
    better = dict(zip(selected.metric, selected.better, strict=True))
    columns = [*text_columns("data set"), *([Column(f"images{SHOTS_UNIT[spec.family]}")] if few_shot else [])]
    columns += text_columns("model")
    columns += [Column(metric_name(metric, better[metric])) for metric in metrics]
    columns += [Column("p"), *text_columns("verdict")]
    pairs = list(dict.fromkeys(zip(selected.task, selected.encoder, strict=True)))
    notes = [
        *imagenet_notes(names, pairs),
        *pretrained_notes(names, pairs),
        f"p: {procedure.seed_test.name} of the best against the second-best model in {metric_name(metrics[0])}, "
        f"{procedure.adjusted_label} over all comparisons of the report, as in the papers. The verdict is that of the "
        "crossed test over patients and seeds, adjusted for the choice of the two models as well.",
        *interval_notes(selected[selected.metric.isin(metrics)]),
    ]
    if name == "table-1":
        rows += _published_rows(metrics)
        notes.append(str(published_videos()["note"]))
    caption = f"Mean over seeds, and {INTERVAL_TEXTS[procedure.interval]}."
    return Table(name, f"{_paper_name(name)}: {spec.title}", caption, columns, rows, notes)


def _model_rows(
    group: pd.DataFrame, metrics: Sequence[str], test: ModelComparison | None, names: TaskNames
) -> list[list[Cell]]:
    """Cells of each model: name, means, p-value and verdict; the best model of the first metric first."""
    rows_of = {(row.encoder, row.metric): row for row in group.itertuples()}
    ranked = {metric: list(group.encoder[(group.metric == metric) & group["mean"].notna()]) for metric in metrics}
    rows = []
    for model in dict.fromkeys([*ranked[metrics[0]], *group.encoder]):
        first = next(row for (encoder, _), row in rows_of.items() if encoder == model)
        means = [_mean_cell(rows_of.get((model, metric)), ranked[metric][:1] == [model]) for metric in metrics]
        tested = [Cell(""), Cell("")]
        if test is not None and model == test.first:
            p = Cell(p_value(test.t_test.p_adjusted), reason=test.t_test.reason)
            tested = [p, Cell(verdict_text(test))]
        rows.append([model_cell(model, first, names.mark(first.task, model)), *means, *tested])
    return rows


def _mean_cell(row: Any | None, best: bool) -> Cell:
    if row is None or pd.isna(row.mean):
        return Cell(NONE, reason=getattr(row, "reason", ""))
    return Cell(number(row.mean), float(row.mean), interval_text(row.low, row.high), mark="best" if best else "")


def _published_rows(metrics: Sequence[str]) -> list[list[Cell]]:
    """Published values of the video papers, without p-value and verdict."""
    return [
        [
            Cell(f"published: {paper['source']}", muted=True),
            Cell(model, detail="published", muted=True),
            *(Cell(number(values.get(metric)), values.get(metric), muted=True) for metric in metrics),
            Cell(NONE),
            Cell(NONE),
        ]
        for paper in published_videos()["papers"]
        for model, values in paper["models"].items()
    ]


@cache
def published_videos() -> dict[str, Any]:
    """Published values of Table 1 of the video papers, with their sources."""
    content: dict[str, Any] = yaml.safe_load(
        files(__package__).joinpath("published_videos.yaml").read_text(encoding="utf-8")
    )
    return content


def _paper_name(name: str) -> str:
    return "Table 1" if name == "table-1" else f"Supplementary Table {name.removeprefix('supp-')}"
