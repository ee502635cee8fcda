"""Boxes over seeds, with every seed a point: few-shot results by the number of shots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    PUBLISHED_MARK,
    chance_line,
    legend,
    letters,
    looks_text,
    seeds_text,
    sentences,
    sheet,
    spread,
)
from f2vbench.report.figures.published_results import published_at
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Look, Style
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHISKERS = 1.5
"""Times the interquartile range: whiskers end at the last seed within it."""
_FEW_SHOT = ("few-shot",)


def lacks_few_shot(source: Source) -> str | None:
    return _lacks(source, "auroc", ("classification", "segmentation"))


def few_shot(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Figure 5 of the paper: AUROC, a panel a task."""
    yield _figure(source, style, "few-shot", "Few-shot results", "auroc", ("classification", "segmentation"))


def lacks_few_shot_aupr(source: Source) -> str | None:
    return _lacks(source, "average_precision", ("classification",))


def few_shot_aupr(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Supplementary figure 1 of the paper: the same of the area under the precision-recall curve."""
    title = "Few-shot classification, area under the precision-recall curve"
    yield _figure(source, style, "few-shot-aupr", title, "average_precision", ("classification",))


def _lacks(source: Source, metric: str, families: Sequence[str]) -> str | None:
    if any(len(source.values(task, metric, _FEW_SHOT)) for task in source.tasks(*families)):
        return None
    return f"no few-shot units of a {' or '.join(families)} task with a value of {METRIC_NAMES[metric]}"


def _figure(source: Source, style: Style, name: str, title: str, metric: str, families: Sequence[str]) -> DrawnFigure:
    from matplotlib import rc_context

    by_task = {task: source.values(task, metric, _FEW_SHOT) for task in source.tasks(*families)}
    by_task = {task: rows for task, rows in by_task.items() if len(rows)}
    looks = source.looks_among(pd.concat(by_task.values()).encoder)
    widest = max(sum(rows.groupby("shots").encoder.nunique() + 1) for rows in by_task.values())
    titles = [source.title(task) for task in by_task]
    columns = style.columns(len(by_task), max(42, 2.6 * widest), titles)
    marks = False
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(by_task), columns=columns, height=50)
        for axis, (task, rows) in zip(axes, by_task.items(), strict=True):
            marks |= _panel(axis, task, metric, rows, looks, style)
            chance_line(axis, source.chance(task, metric, _FEW_SHOT))
            axis.set(ylabel=METRIC_NAMES[metric], xlabel=source.shots_label(task))
        letters(axes, titles)
        legend(figure, style, looks, chance=any(source.chance(t, metric, _FEW_SHOT) for t in by_task), mark=marks)
    caption = sentences(
        f"{title}; {seeds_text(by_task.values())}.",
        "Boxes: quartiles over seeds, with the median; whiskers: to the last seed within 1.5 interquartile ranges; "
        "points: seeds.",
        looks_text(looks),
        "Stars: published figures, measured on other images than these." if marks else "",
    )
    return DrawnFigure(name, title, caption, figure)


def _panel(axis: Axes, task: str, metric: str, rows: pd.DataFrame, looks: Sequence[Look], style: Style) -> bool:
    """Boxes of one task; whether a published figure is among them."""
    left, centres, starred = 0.0, [], False
    places: dict[str, list[float]] = {look.encoder: [] for look in looks}
    values: dict[str, list[np.ndarray]] = {look.encoder: [] for look in looks}
    for shots, held in rows.groupby("shots"):
        present = [look for look in looks if look.encoder in set(held.encoder)]
        for place, look in enumerate(present):
            places[look.encoder].append(left + place)
            values[look.encoder].append(held.value[held.encoder == look.encoder].to_numpy(float))
        slots = len(present)
        for mark in published_at(task, metric, "few-shot", int(shots)):
            axis.plot(left + slots, mark.value, markersize=1.1 * style.text, zorder=5, **PUBLISHED_MARK)
            slots, starred = slots + 1, True
        centres.append((left + (slots - 1) / 2, f"{shots:g}"))
        left += slots + 0.9
    for look in looks:
        boxes(axis, places[look.encoder], values[look.encoder], look, style)
    axis.set_xticks([centre for centre, _ in centres], [label for _, label in centres])
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.9, left - 0.9)
    axis.grid(axis="y")
    return starred


def boxes(axis: Axes, places: Sequence[float], values: Sequence[np.ndarray], look: Look, style: Style) -> None:
    """Boxes of one encoder, with their seeds as points."""
    from matplotlib.cbook import boxplot_stats

    if not places:
        return

    line = {"color": look.colour if not look.baseline else INK, "linewidth": style.line}
    axis.bxp(
        [boxplot_stats(each, whis=WHISKERS)[0] for each in values],
        positions=places,
        widths=0.8,
        patch_artist=True,
        showfliers=False,  # every seed is drawn as a point
        manage_ticks=False,
        boxprops={**look.bar(), "linewidth": style.line},
        medianprops={"color": INK if look.baseline or look.untrained else "white", "linewidth": 1.8 * style.line},
        whiskerprops=line,
        capprops=line,
        zorder=2,
    )
    points = {**look.points(), "markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": 0.6 * style.line}
    size = 0.26 if look.baseline else 0.34
    marker = "o" if look.baseline else look.marker
    across = np.concatenate([place + spread(len(each), 0.8) for place, each in zip(places, values, strict=True)])
    axis.plot(across, np.concatenate(values), zorder=4, markersize=size * style.text, **{**points, "marker": marker})
