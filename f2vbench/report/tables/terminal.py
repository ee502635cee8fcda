"""Tables for the terminal: plain text, aligned, one row a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from f2vbench.utils.text import layout, p_value

PLACE = ["task", "protocol", "shots"]
_METRICS_A_TABLE = 2


def results_text(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    shots_of: Mapping[str, str] | None = None,
) -> str:
    """The summary by place, mean ± sd [95 % CI], best first by the first metric, and the tests below.

    An arrow, as in ``lpips ↓``, says of which metrics less is better.

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
    reasons: dict[str, dict[str, None]] = {}
    for row in summary.itertuples():
        if row.reason:
            reasons.setdefault(row.reason, {})[f"{row.encoder}, {row.metric}"] = None
    if reasons:
        lines = sorted(f"  {'; '.join(sorted(whose))}: {reason}" for reason, whose in reasons.items())
        blocks.append("Missing values (–)\n" + "\n".join(lines))
    return "\n\n".join(blocks)


def _place_text(place: tuple, group: pd.DataFrame, metrics: Sequence[str], shots_of: Mapping[str, str]) -> str:
    by_metric = group.pivot_table(index="encoder", columns="metric", values="mean", dropna=False)
    better = dict(zip(group.metric, group.better, strict=True))
    order = list(by_metric[metrics[0]].sort_values(ascending=better[metrics[0]] == "lower", kind="stable").index)
    cells = {(row.encoder, row.metric): row for row in group.itertuples()}
    rows = []
    for encoder in order:
        first = cells[encoder, metrics[0]]
        kind = "baseline" if first.baseline else "untrained" if first.weights == "untrained" else first.weights
        rows.append([encoder, kind, str(first.n), *(_spread_text(cells[encoder, name]) for name in metrics)])
    header = [
        "model",
        "weights",
        "seeds",
        *(f"{_arrowed(name, better[name])}: mean ± sd [95 % CI]" for name in metrics),
    ]
    task, protocol, shots = place
    return f"{place_title(task, protocol, shots, shots_of.get(task, ''))}\n{layout(header, rows)}"


def _arrowed(metric: str, better: str) -> str:
    return f"{metric} ↓" if better == "lower" else metric


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
    interval = "" if pd.isna(low) else f" [{low:.4f}, {high:.4f}]"
    return f"{mean:.4f} ± {sd:.4f}{interval}"


def _comparison_text(comparison: pd.DataFrame, shots_of: Mapping[str, str]) -> str:
    rows = [
        [
            place_title(row.task, row.protocol, row.shots, shots_of.get(row.task, "")),
            _arrowed(row.metric, row.better),
            row.best_other,
            "–" if pd.isna(row.difference) else f"{row.difference:+.4f}",
            str(row.n),
            p_value(row.p),
            p_value(row.p_adjusted),
            row.reason,
        ]
        for row in comparison.itertuples()
    ]
    encoder = comparison.encoder.iloc[0]
    adjustment = comparison.adjustment.iloc[0]
    header = ["place", "metric", "best other", "difference", "n", "p", f"p ({adjustment})", ""]
    test = comparison.test.iloc[0]
    return f"{encoder} against the best other model (two-sided {test} over seeds)\n{layout(header, rows)}"


def attention_text(attention: pd.DataFrame, shots_of: Mapping[str, str]) -> str:
    """How fusions weigh their encoders: mean weight over the test images of each class ± sd over seeds.

    Args:
        attention: of `Results.attention`, with at least one row.
    """
    rows = []
    for key, group in attention.groupby([*PLACE, "encoder"], dropna=False, sort=False):
        task, protocol, shots, encoder = key
        first = [place_title(task, protocol, shots, shots_of.get(task, "")), encoder]
        for name, of_class in group.groupby("class", sort=False):
            weights = [f"{part} {_weight_text(own.weight)}" for part, own in of_class.groupby("part", sort=False)]
            rows.append([*first, str(name), "; ".join(weights)])
            first = ["", ""]
    return (
        "Attention of fusions: mean weight of each encoder over the test images of a class ± sd over seeds\n"
        f"{layout(['place', 'fusion', 'class', 'weights'], rows)}"
    )


def _weight_text(weights: pd.Series) -> str:
    return f"{weights.mean():.3f}" + (f" ± {weights.std():.3f}" if len(weights) > 1 else "")
