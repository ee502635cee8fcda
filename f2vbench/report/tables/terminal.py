"""Tables in the terminal: aligned plain text with one row per model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.tables.table import Table
from f2vbench.report.text.intervals import INTERVAL_TEXTS, interval_notes
from f2vbench.report.text.table_notes import imagenet_notes, pretrained_notes
from f2vbench.report.text.wording import NONE, SHOTS_UNIT, TaskNames, weights_label
from f2vbench.stats.procedure import Procedure
from f2vbench.utils.text import layout, p_value, plural

_METRICS_PER_TABLE = 2
_DEFAULT_PROCEDURE = Procedure()


def results_text(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    families: Mapping[str, str],
    procedure: Procedure = _DEFAULT_PROCEDURE,
    pretrained: Collection[tuple[str, str]] = (),
) -> str:
    """Render the summary of each condition, and the comparisons below.

    Models are sorted by the first metric, the best first. An arrow, as in ``lpips ↓``, marks metrics of which lower
    values are better.

    Args:
        summary: `Results.summary`.
        comparison: `Results.compare`; may be empty.
        metrics: Task → metrics in the order of columns; metrics without results are left out.
        families: Task family of each task.
        procedure: Interval and t-test over seeds, and adjustment of p-values.
        pretrained: `Results.pretrained`; their names have a mark.

    Returns:
        Blocks of text, separated by empty lines.
    """
    tasks = TaskNames({task: task for task in families}, families, pretrained)
    first_tables: list[str] = []
    further_tables: list[str] = []
    for key, group in summary.groupby(CONDITION, dropna=False, sort=False):
        condition = Condition.from_values(*key)
        measured = set(group.metric)
        names = [name for name in metrics[condition.task] if name in measured]
        title = condition_title(condition, families[condition.task])
        for start in range(0, len(names), _METRICS_PER_TABLE):
            tables = further_tables if start else first_tables
            tables.append(f"{title}\n{_means_text(group, names[start : start + _METRICS_PER_TABLE], tasks)}")
    blocks = [*first_tables, *further_tables]
    pairs = list(dict.fromkeys(zip(summary.task, summary.encoder, strict=True)))
    shown = [*imagenet_notes(tasks, pairs), *pretrained_notes(tasks, pairs)]
    shown += [INTERVAL_TEXTS[procedure.interval]] if summary["low"].notna().any() else []
    shown += interval_notes(
        summary[[name in metrics[task] for task, name in zip(summary.task, summary.metric, strict=True)]]
    )
    if shown:
        blocks.append("\n".join(shown))
    if len(comparison):
        blocks.append(_comparison_text(comparison, families, procedure))
    missing = summary[summary.reason != ""]
    if len(missing):
        blocks.append(_missing_text(missing))
    return "\n\n".join(blocks)


def attention_text(attention: pd.DataFrame, families: Mapping[str, str]) -> str:
    """Render the attention weights of fusions: mean over the test images of each class ± sd over seeds.

    Args:
        attention: `Results.attention` with at least one row.
        families: Task family of each task.

    Returns:
        A title and a table.
    """
    rows = []
    for (*condition, encoder), group in attention.groupby([*CONDITION, "encoder"], dropna=False, sort=False):
        key = Condition.from_values(*condition)
        first = [condition_title(key, families[key.task]), encoder]
        for name, of_class in group.groupby("class", sort=False):
            weights = [f"{part} {_weight_text(own.weight)}" for part, own in of_class.groupby("part", sort=False)]
            rows.append([*first, str(name), "; ".join(weights)])
            first = ["", ""]
    return (
        "Attention weights of fusions: mean over the test images of a class ± sd over seeds\n"
        f"{layout(['condition', 'fusion', 'class', 'weights'], rows)}"
    )


def table_text(table: Table) -> str:
    """Render any table with its title and caption."""
    rows = [[" ".join(filter(None, (cell.text, cell.detail))) for cell in row] for row in table.rows]
    return f"{table.title}\n{table.caption}\n{layout(table.headings, rows)}"


def condition_title(condition: Condition, family: str) -> str:
    """``rite · few-shot · 2 support images``, ``odir · few-shot · 2 support images per class``."""
    task, protocol, shots = condition
    if not shots:
        return f"{task} · {protocol}"
    return f"{task} · {protocol} · {plural(shots, 'support image')}{SHOTS_UNIT.get(family, '')}"


def _means_text(group: pd.DataFrame, metrics: Sequence[str], names: TaskNames) -> str:
    """Table of one condition: mean ± sd [95 % CI] of some metrics."""
    means = group.pivot_table(index="encoder", columns="metric", values="mean", dropna=False)
    better = dict(zip(group.metric, group.better, strict=True))
    order = means[metrics[0]].sort_values(ascending=better[metrics[0]] == "lower", kind="stable").index
    rows_of = {(row.encoder, row.metric): row for row in group.itertuples()}
    rows = []
    for encoder in order:
        first = rows_of[encoder, metrics[0]]
        label = weights_label(first.baseline, first.weights)
        model = f"{encoder} {names.mark(first.task, encoder)}".rstrip()
        rows.append([model, label, str(first.n), *(_mean_text(rows_of[encoder, name]) for name in metrics)])
    header = ["model", "weights", "seeds"]
    header += [f"{_metric_title(name, better[name])}: mean ± sd [95 % CI]" for name in metrics]
    return layout(header, rows)


def _metric_title(metric: str, better: str) -> str:
    return f"{metric} ↓" if better == "lower" else metric


def _mean_text(row: Any) -> str:
    if pd.isna(row.mean):
        return NONE
    spread = "" if pd.isna(row.sd) else f" ± {row.sd:.4f}"
    interval = "" if pd.isna(row.low) else f" [{row.low:.4f}, {row.high:.4f}]"
    return f"{row.mean:.4f}{spread}{interval}"


def _comparison_text(comparison: pd.DataFrame, families: Mapping[str, str], procedure: Procedure) -> str:
    """Table of the crossed test, which decides, and the papers' t-test beside it, with what their p-values mean."""
    reasons: dict[str, str] = {}  # of missing p-values, and warnings → mark
    rows = [
        [
            condition_title(Condition.from_values(row.task, row.protocol, row.shots), families[row.task]),
            _metric_title(row.metric, row.better),
            row.best_other,
            _difference_text(row),
            f"{row.certainty}{_mark(row.warning, reasons)}",
            _p_text(row.p_crossed_adjusted, row.reason_crossed, reasons),
            _p_text(row.p_adjusted, row.reason, reasons),
            str(row.patients),
            str(row.n),
        ]
        for row in comparison.itertuples()
    ]
    header = ["condition", "metric", "best other", "difference [95 % CI]", "significance", "p"]
    header += ["p papers" if procedure.test == "paired" else "p Welch", "patients", "seeds"]
    name = procedure.seed_test.name
    plain = f"p papers: their plain {name}" if procedure.test == "paired" else f"p Welch: {name}"
    targets = dict.fromkeys(text for text in comparison.generalizes_to if text)
    notes = [
        "p: crossed test over patients and seeds, two-sided, adjusted for the choice of the best other model",
        f"(max-T) and over the rows ({procedure.adjustment_method.name})"
        + (f"; it generalizes to {'; or '.join(targets)}" if targets else ""),
        f"{plain}, {procedure.adjusted_label}, which takes seeds for independent: where they share patients it",
        "rejects in 5 to 73 % of studies of equal models",
        *(f"{mark}) {reason}" for reason, mark in reasons.items()),
    ]
    return "\n".join([f"{comparison.encoder.iloc[0]} against the best other model", layout(header, rows), *notes])


def _difference_text(row: Any) -> str:
    if pd.isna(row.difference):
        return NONE
    return f"{row.difference:+.4f}" + ("" if pd.isna(row.low) else f" [{row.low:+.4f}, {row.high:+.4f}]")


def _mark(warning: str, reasons: dict[str, str]) -> str:
    """Mark of a warning, which is added to ``reasons`` if it is new; empty without a warning."""
    return f" {reasons.setdefault(warning, str(len(reasons) + 1))})" if warning else ""


def _p_text(p: float, reason: str, reasons: dict[str, str]) -> str:
    """A p-value, or a dash with the mark of the reason why there is none; new reasons are added to ``reasons``."""
    if not pd.isna(p) or not reason:
        return p_value(p)
    return f"{NONE}{_mark(reason, reasons)}"


def _missing_text(rows: pd.DataFrame) -> str:
    """Reasons of missing values, with the models and metrics that each applies to."""
    by_reason: dict[str, dict[str, None]] = {}
    for row in rows.itertuples():
        by_reason.setdefault(row.reason, {})[f"{row.encoder}, {row.metric}"] = None
    lines = sorted(f"  {'; '.join(sorted(names))}: {reason}" for reason, names in by_reason.items())
    return f"Missing values ({NONE})\n" + "\n".join(lines)


def _weight_text(weights: pd.Series) -> str:
    return f"{weights.mean():.3f}" + (f" ± {weights.std():.3f}" if len(weights) > 1 else "")
