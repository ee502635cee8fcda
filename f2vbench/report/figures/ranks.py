"""The critical-difference diagram: average ranks of models over tasks, and which can't be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import looks_text, sentences
from f2vbench.report.figures.source import MAIN_METRICS, PLACE, Source
from f2vbench.report.figures.style import INK, Look, Style
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.stats.ranks import PostHoc, friedman_test, nemenyi

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAINED = ("few-shot", "supervised", "probe")
_ROW = 6.2  # mm between two models
_LEAST_MODELS, _LEAST_TASKS = 3, 2


def lacks_critical_difference(source: Source) -> str | None:
    table = task_scores(source)
    models, tasks = len(table.columns), len(table)
    if models >= _LEAST_MODELS and tasks >= _LEAST_TASKS:
        return None
    return (
        f"ranks need {_LEAST_MODELS} models on the same {_LEAST_TASKS} tasks or more, trained with labels; here are "
        f"{models} on {tasks}"
    )


def task_scores(source: Source) -> pd.DataFrame:
    """(tasks, encoders) means of the main metric over seeds and over the places that all the encoders share.

    Encoders that lack a task are left out: ranks need every model on every task. Places without training are no part.
    """
    main = {task: MAIN_METRICS[family][0] for task, family in source.families.items() if family in MAIN_METRICS}
    frame = source.frame
    wanted = frame.protocol.isin(_TRAINED) & (frame.metric == frame.task.map(main)) & frame.value.notna()
    rows = frame[wanted]
    tasks_of = rows.groupby("encoder").task.nunique()
    everywhere = [name for name in source.looks if tasks_of.get(name) == rows.task.nunique()]
    rows = rows[rows.encoder.isin(everywhere)]
    table = rows.pivot_table(index=PLACE, columns="encoder", values="value", dropna=False)
    return table.dropna().groupby(level="task").mean().reindex(columns=everywhere)


def critical_difference(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Demšar's diagram (Journal of Machine Learning Research 7, 2006), bars after Nemenyi's test."""
    from matplotlib import rc_context

    from f2vbench.report.figures.styled_figure import HouseFigure

    table = task_scores(source)
    scores, names = table.to_numpy(float), list(table.columns)
    overall, pairs = friedman_test(scores, names), nemenyi(scores, names)
    looks = source.looks_among(names)
    with rc_context(style.settings()):
        levels = (len(names) + 1) // 2
        height = style.height(14 + _ROW * levels + 2.2 * len(pairs.groups))
        figure = HouseFigure(style, figsize=(style.inches, height))
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set(xlim=(0, style.width), ylim=(height * 25.4, 0))  # in millimetres, downwards
        axis.axis("off")
        _diagram(axis, pairs, looks, style)
    metrics = dict.fromkeys(METRIC_NAMES[MAIN_METRICS[source.families[task]][0]] for task in table.index)
    verdict = overall.sentence()
    caption = sentences(
        f"Average ranks over {len(table)} tasks ({', '.join(table.index)}) by {', '.join(metrics)}, "
        "mean over seeds and shots; 1 is best.",
        f"{verdict[0].upper()}{verdict[1:]}.",
        f"Thick bars join models that Nemenyi's test can't tell apart (α = {pairs.alpha:g}, critical difference CD); "
        "with few tasks it tells hardly any apart.",
        looks_text(looks),
    )
    yield DrawnFigure("critical-difference", "Average ranks over tasks", caption, figure)


def _diagram(axis: Axes, pairs: PostHoc, looks: Sequence[Look], style: Style) -> None:
    by_name = {look.encoder: look for look in looks}
    order = sorted(zip(pairs.average_ranks, pairs.models, strict=True))
    k, unit = len(order), style.text / 7
    margin = min(0.4 * style.width, (max(len(look.label) for look in looks) * 0.62 + 3) * style.text * 25.4 / 72)
    left, right, top = margin, style.width - margin, 11 * unit

    def x(rank: float) -> float:
        return left + (rank - 1) / (k - 1) * (right - left)

    axis.plot([left, right], [top, top], color=INK, linewidth=style.line)
    for tick in range(1, k + 1):
        axis.plot([x(tick)] * 2, [top - 1.3 * unit, top], color=INK, linewidth=style.line)
        axis.text(x(tick), top - 1.9 * unit, str(tick), ha="center", va="bottom")
    if pairs.critical_difference is not None:
        _critical(
            axis, x(1), x(1 + min(pairs.critical_difference, k - 1)), pairs.critical_difference, 3.2 * unit, style
        )
    for level, group in enumerate(pairs.groups):
        ranks = [rank for rank, name in order if name in group]
        y = top + (2.4 + 2.2 * level) * unit
        ends = [x(min(ranks)) - 0.7 * unit, x(max(ranks)) + 0.7 * unit]
        axis.plot(ends, [y, y], color=INK, linewidth=4 * style.line, solid_capstyle="round", zorder=2)
    first = top + (3.4 + 2.2 * len(pairs.groups)) * unit
    half = (k + 1) // 2
    for place, (rank, name) in enumerate(order):
        level, end, side = (place, left, "right") if place < half else (k - 1 - place, right, "left")
        y, look = first + _ROW * level * unit, by_name[name]
        axis.plot(
            [x(rank), x(rank), end], [top, y, y], color=look.colour, linewidth=1.4 * style.line, linestyle=look.dashes
        )
        axis.plot(x(rank), top, markersize=0.6 * style.text, zorder=3, **look.points())
        gap = -1.2 * unit if side == "right" else 1.2 * unit
        axis.text(end + gap, y, _told(look.label, rank, margin, style), ha=side, va="center", linespacing=1.05)


def _told(label: str, rank: float, room: float, style: Style) -> str:
    """Name and rank, on two lines where ``room`` (mm) is too narrow for the two."""
    told = f"{label}  {rank:.2f}"
    return told if len(told) * 0.6 * style.text * 25.4 / 72 < room else f"{label}\n{rank:.2f}"


def _critical(axis: Axes, start: float, end: float, value: float, y: float, style: Style) -> None:
    axis.plot([start, end], [y, y], color=INK, linewidth=style.line)
    for place in (start, end):
        axis.plot([place, place], [y - 0.8, y + 0.8], color=INK, linewidth=style.line)
    axis.text(end + 1.2, y, f"CD = {value:.2f}", va="center", ha="left")
