"""Box plots over seeds, with every seed as a point: few-shot results by the number of shots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    PUBLISHED_MARK,
    create_sheet,
    describe_encoders,
    describe_seeds,
    draw_chance_line,
    encoder_legend,
    join_sentences,
    letter_panels,
    spread_points,
)
from f2vbench.report.figures.published_results import Published, published_at, published_note
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHISKERS = 1.5
"""Length of whiskers in interquartile ranges; they end at the last seed within it."""
_BOX_WIDTH = 0.8
_FEW_SHOT = ("few-shot",)
_AUROC_FAMILIES = ("classification", "segmentation")


def explain_missing_few_shot(source: Source) -> str | None:
    """Explain why `draw_few_shot` has nothing to draw; None if it has."""
    return _explain_missing(source, "auroc", _AUROC_FAMILIES)


def draw_few_shot(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw AUROC, one panel a task (figure 5 of the paper)."""
    yield _draw_figure(source, style, "few-shot", "Few-shot results", "auroc", _AUROC_FAMILIES)


def explain_missing_few_shot_aupr(source: Source) -> str | None:
    """Explain why `draw_few_shot_aupr` has nothing to draw; None if it has."""
    return _explain_missing(source, "average_precision", ("classification",))


def draw_few_shot_aupr(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw the area under the precision-recall curve, one panel a task (supplementary figure 1 of the paper)."""
    title = "Few-shot classification, area under the precision-recall curve"
    yield _draw_figure(source, style, "few-shot-aupr", title, "average_precision", ("classification",))


def _explain_missing(source: Source, metric: str, families: Sequence[str]) -> str | None:
    if any(len(source.values(task, metric, _FEW_SHOT)) for task in source.tasks(*families)):
        return None
    return f"no few-shot units of a {' or '.join(families)} task with a value of {METRIC_NAMES[metric]}"


def _draw_figure(
    source: Source, style: Style, name: str, title: str, metric: str, families: Sequence[str]
) -> DrawnFigure:
    from matplotlib import rc_context

    by_task = {task: source.values(task, metric, _FEW_SHOT) for task in source.tasks(*families)}
    by_task = {task: rows for task, rows in by_task.items() if len(rows)}
    encoders = source.select_encoders(pd.concat(by_task.values()).encoder)
    chance = {task: source.chance(task, metric, _FEW_SHOT) for task in by_task}
    widest = max(sum(rows.groupby("shots").encoder.nunique() + 1) for rows in by_task.values())
    titles = [source.title(task) for task in by_task]
    columns = style.columns(len(by_task), max(42, 2.6 * widest), titles)
    published: list[Published] = []
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(by_task), columns=columns, height=50)
        for axis, (task, rows) in zip(axes, by_task.items(), strict=True):
            published += _draw_panel(axis, task, metric, rows, encoders, style)
            draw_chance_line(axis, chance[task])
            axis.set(ylabel=METRIC_NAMES[metric], xlabel=source.shots_label(task))
        letter_panels(axes, titles)
        encoder_legend(figure, style, encoders, chance=any(chance.values()), published=published)
    caption = join_sentences(
        f"{title}; {describe_seeds(by_task.values())}.",
        "Boxes: quartiles over seeds, with the median; whiskers: to the last seed within 1.5 interquartile ranges; "
        "points: seeds.",
        describe_encoders(encoders),
        published_note(published),
    )
    return DrawnFigure(name, title, caption, figure)


def _draw_panel(
    axis: Axes, task: str, metric: str, rows: pd.DataFrame, encoders: Sequence[EncoderStyle], style: Style
) -> list[Published]:
    """Draw the boxes of one task; returns the published values among them."""
    left, centres, labels = 0.0, [], []
    published: list[Published] = []
    positions: dict[str, list[float]] = {encoder.name: [] for encoder in encoders}
    values: dict[str, list[NDArray[np.float64]]] = {encoder.name: [] for encoder in encoders}
    for shots, group in rows.groupby("shots"):
        present = [encoder.name for encoder in encoders if encoder.name in set(group.encoder)]
        for i, name in enumerate(present):
            positions[name].append(left + i)
            values[name].append(group.value[group.encoder == name].to_numpy(float))
        slots = len(present)
        for mark in published_at(task, metric, "few-shot", int(shots)):
            axis.plot(left + slots, mark.value, markersize=1.1 * style.text, zorder=5, **PUBLISHED_MARK)
            slots += 1
            published.append(mark)
        centres.append(left + (slots - 1) / 2)
        labels.append(f"{shots:g}")
        left += slots + 0.9
    for encoder in encoders:
        _draw_boxes(axis, positions[encoder.name], values[encoder.name], encoder, style)
    axis.set_xticks(centres, labels)
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.9, left - 0.9)
    axis.grid(axis="y")
    return published


def _draw_boxes(
    axis: Axes,
    positions: Sequence[float],
    values: Sequence[NDArray[np.float64]],
    encoder: EncoderStyle,
    style: Style,
) -> None:
    """Draw the boxes of one encoder, and every seed as a point."""
    from matplotlib.cbook import boxplot_stats

    if not positions:
        return
    line = {"color": INK if encoder.baseline else encoder.colour, "linewidth": style.line}
    hollow = encoder.baseline or encoder.untrained
    axis.bxp(
        [boxplot_stats(seeds, whis=WHISKERS)[0] for seeds in values],
        positions=positions,
        widths=_BOX_WIDTH,
        patch_artist=True,
        showfliers=False,  # every seed is a point
        manage_ticks=False,
        boxprops={**encoder.bar(), "linewidth": style.line},
        medianprops={"color": INK if hollow else "white", "linewidth": 1.8 * style.line},
        whiskerprops=line,
        capprops=line,
        zorder=2,
    )
    marks = encoder.points() | {"markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": 0.6 * style.line}
    size = 0.34
    if encoder.baseline:
        marks["marker"], size = "o", 0.26
    x = [position + spread_points(len(seeds), _BOX_WIDTH) for position, seeds in zip(positions, values, strict=True)]
    axis.plot(np.concatenate(x), np.concatenate(values), zorder=4, markersize=size * style.text, **marks)
