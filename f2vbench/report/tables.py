"""Tables for the terminal: plain text, aligned, one row a model."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from f2vbench.metrics.direction import LOWER_IS_BETTER

PLACE = ["task", "protocol", "shots"]
_METRICS_A_TABLE = 2
_NUMBER = re.compile(r"–|[<+-]?\d[\d.]*( .*)?|")


def layout(header: Sequence[str], rows: Iterable[Sequence[str]], wrap: int | None = None) -> str:
    """Aligned columns: text to the left, columns of numbers to the right.

    Args:
        wrap: the last column is broken into lines of at most so many characters.
    """
    cells = [list(map(str, row)) for row in rows]
    right = [bool(cells) and all(_NUMBER.fullmatch(row[i]) for row in cells) for i in range(len(header))]
    if wrap is not None:
        cells = [[*line] for row in cells for line in _broken(row, wrap)]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in [header, *cells]
    ]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _broken(row: list[str], width: int) -> list[list[str]]:
    """One row as several, the last cell broken at spaces and the others empty after the first."""
    first, *more = textwrap.wrap(row[-1], width, break_long_words=False, break_on_hyphens=False) or [""]
    return [[*row[:-1], first], *([""] * (len(row) - 1) + [line] for line in more)]


def results_text(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    shots_of: Mapping[str, str] | None = None,
) -> str:
    """The summary by place, mean ± sd [95 % CI], best first by the first metric, and the tests below.

    Args:
        summary: of `Results.summary`.
        comparison: of `Results.compare`; may be empty.
        metrics: task → names in their order, those that a place lacks passed over.
        shots_of: task → what follows "4 support images", where they are not those of all.
    """
    tables = []
    for place, group in summary.groupby(PLACE, dropna=False, sort=False):
        there = set(group.metric)
        names = [name for name in metrics[place[0]] if name in there]
        parts = [names[i : i + _METRICS_A_TABLE] for i in range(0, len(names), _METRICS_A_TABLE)]
        tables += [(number, _place_text(place, group, part, shots_of or {})) for number, part in enumerate(parts)]
    blocks = [text for _, text in sorted(tables, key=lambda table: table[0])]
    if len(comparison):
        blocks.append(_comparison_text(comparison, shots_of or {}))
    reasons = sorted({f"{row.encoder}, {row.metric}: {row.reason}" for row in summary.itertuples() if row.reason})
    if reasons:
        blocks.append("Missing values (–)\n" + "\n".join(f"  {reason}" for reason in reasons))
    return "\n\n".join(blocks)


def _place_text(place: tuple, group: pd.DataFrame, metrics: Sequence[str], shots_of: Mapping[str, str]) -> str:
    by_metric = group.pivot_table(index="encoder", columns="metric", values="mean", dropna=False)
    lower = metrics[0] in LOWER_IS_BETTER
    order = list(by_metric[metrics[0]].sort_values(ascending=lower, kind="stable").index)
    cells = {(row.encoder, row.metric): row for row in group.itertuples()}
    rows = []
    for encoder in order:
        first = cells[encoder, metrics[0]]
        kind = "floor" if first.floor else "untrained" if first.weights == "untrained" else first.weights
        rows.append([encoder, kind, str(first.n), *(_spread_text(cells[encoder, name]) for name in metrics)])
    header = ["model", "weights", "seeds", *(f"{name}: mean ± sd [95 % CI]" for name in metrics)]
    task, protocol, shots = place
    return f"{place_title(task, protocol, shots, shots_of.get(task, ''))}\n{layout(header, rows)}"


def place_title(task: str, protocol: str, shots: int | None, shots_of: str = "") -> str:
    """``rite · few-shot · 2 support images``, ended by ``shots_of``"""
    if pd.isna(shots) or not shots:
        return f"{task} · {protocol}"
    return f"{task} · {protocol} · {shots} support image{'' if shots == 1 else 's'}{shots_of}"


def _spread_text(row: object) -> str:
    mean, sd, low, high = (getattr(row, name) for name in ("mean", "sd", "low", "high"))
    if pd.isna(mean):
        return "–"
    if pd.isna(sd):
        return f"{mean:.4f}"
    return f"{mean:.4f} ± {sd:.4f} [{low:.4f}, {high:.4f}]"


def _comparison_text(comparison: pd.DataFrame, shots_of: Mapping[str, str]) -> str:
    rows = [
        [
            place_title(row.task, row.protocol, row.shots, shots_of.get(row.task, "")),
            row.metric,
            row.best_other,
            "–" if pd.isna(row.difference) else f"{row.difference:+.4f}",
            str(row.n),
            _p_text(row.p),
            _p_text(row.p_holm),
            row.reason,
        ]
        for row in comparison.itertuples()
    ]
    encoder = comparison.encoder.iloc[0]
    header = ["place", "metric", "best other", "difference", "n", "p", "p (Holm)", ""]
    return (
        f"{encoder} against the best other model (two-sided t-test, paired over shared seeds)\n{layout(header, rows)}"
    )


def _p_text(p: float) -> str:
    return "–" if pd.isna(p) else "<0.0001" if p < 1e-4 else f"{p:.4f}"
