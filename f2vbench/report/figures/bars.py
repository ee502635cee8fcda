"""Bars of means over seeds with every seed a point: few-shot segmentation, zero-shot and supervised results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    CHANCE_LINE,
    PUBLISHED_MARK,
    legend,
    letters,
    looks_text,
    seeds_text,
    sentences,
    sheet,
    spread,
)
from f2vbench.report.figures.published_results import Published, published_at
from f2vbench.report.figures.source import MAIN_METRICS, Source
from f2vbench.report.figures.style import INK, Look, Style
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.stats.intervals import normal_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STAR = "published"
_FEWEST_SLOTS = 9  # so that few bars don't grow fat
_TRAINING_FREE = ("zero-shot", "prototype", "knn")
_WHISKERS = (
    "Bars: mean over seeds; whiskers: 95 % interval (1.96 standard errors), too narrow where seeds share images; "
    "points: seeds."
)
Group = tuple[str, pd.DataFrame, float | None, list[Published]]
"""Of bars beside each other: label, rows of one metric, level of chance, published figures."""
Panel = tuple[str, str, list[Group]]
Whiskers = Mapping[tuple[str, str], tuple[float, float]]
"""(label of a group, encoder) → the ends of its whiskers."""


def lacks_few_shot_segmentation(source: Source) -> str | None:
    return None if _segmentation_tasks(source) else "no few-shot or zero-shot units of a segmentation task"


def few_shot_segmentation(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Figure 3a of the paper: AUROC and Dice over the number of support images, a figure a task."""
    tasks = _segmentation_tasks(source)
    for task in tasks:
        shown = [source.values(task, metric, ("zero-shot", "few-shot")) for metric in MAIN_METRICS["segmentation"]]
        panels = []
        for metric, rows in zip(MAIN_METRICS["segmentation"], shown, strict=True):
            chance = source.chance(task, metric, ("zero-shot", "few-shot"))
            groups = [
                (f"{shots:g}", held, chance, published_at(task, metric, _protocol(int(shots)), int(shots)))
                for shots, held in rows.groupby("shots")
            ]
            panels.append(("", metric, groups))
        name = "few-shot-segmentation" if len(tasks) == 1 else f"few-shot-segmentation-{task}"
        title = f"Few-shot vessel segmentation, {source.title(task)}"
        yield _figure(source, style, name, title, panels, "support images", columns=1)


def lacks_zero_shot(source: Source) -> str | None:
    return None if _panels(source, _TRAINING_FREE) else "no zero-shot, prototype or knn units of a task with AUROC"


def zero_shot(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Figure 4 of the paper: what is reached without training, and beside it the read-outs that train no network."""
    panels = _panels(source, _TRAINING_FREE)
    yield _figure(source, style, "zero-shot", "Results without training", panels, "", columns=_columns(style, panels))


def lacks_supervised(source: Source) -> str | None:
    return None if _panels(source, ("supervised",)) else "no supervised units of a task with AUROC"


def supervised(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Figure 6 of the paper: supervised results, a panel a metric."""
    panels = _panels(source, ("supervised",))
    yield _figure(source, style, "supervised", "Supervised results", panels, "", columns=_columns(style, panels))


def _segmentation_tasks(source: Source) -> list[str]:
    protocols = ("zero-shot", "few-shot")
    return [task for task in source.tasks("segmentation") if len(source.values(task, "auroc", protocols))]


def _protocol(shots: int) -> str:
    return "few-shot" if shots else "zero-shot"


def _panels(source: Source, protocols: Sequence[str]) -> list[Panel]:
    """A panel a protocol, family and metric; tasks side by side."""
    panels: list[Panel] = []
    for protocol in protocols:
        for family, metrics in MAIN_METRICS.items():
            for metric in metrics:
                groups: list[Group] = []
                for task in source.tasks(family):
                    rows = source.values(task, metric, (protocol,))
                    if len(rows):
                        chance = source.chance(task, metric, (protocol,))
                        shots = 0 if protocol == "zero-shot" else None
                        groups.append((source.title(task), rows, chance, published_at(task, metric, protocol, shots)))
                if groups:
                    told = f"{protocol}, " if len(protocols) > 1 else ""
                    panels.append((f"{family.capitalize()}, {told}{METRIC_NAMES[metric]}", metric, groups))
    return panels


def _columns(style: Style, panels: Sequence[Panel]) -> int:
    widest = max(sum(len(set(rows.encoder)) + 1 for _, rows, _, _ in groups) for _, _, groups in panels)
    # A group alone in its panel has its label below, which is as wide as a title.
    titles = [heading for heading, _, _ in panels] + [groups[0][0] for _, _, groups in panels if len(groups) == 1]
    return style.columns(len(panels), max(42, min(widest * 5, style.width)), titles)


def _figure(
    source: Source, style: Style, name: str, title: str, panels: Sequence[Panel], xlabel: str, columns: int
) -> DrawnFigure:
    from matplotlib import rc_context

    frames = [rows for _, _, groups in panels for _, rows, _, _ in groups]
    looks = source.looks_among(pd.concat(frames).encoder)
    marks = any(found for _, _, groups in panels for _, _, _, found in groups)
    slots = slots_of(panels, looks)
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(panels), columns=columns, height=48)
        for axis, (_, metric, groups) in zip(axes, panels, strict=True):
            grouped_bars(axis, groups, slots, looks, style, 0.5 if metric == "auroc" else 0.0)
            axis.set_ylabel(METRIC_NAMES[metric])
            axis.set_xlabel(xlabel)
        figure.align_ylabels(axes)
        letters(axes, [heading for heading, _, _ in panels])
        chance = any(level for _, _, groups in panels for _, _, level, _ in groups)
        legend(figure, style, looks, chance=chance, mark=marks)
    told = "Bars of AUROC start at chance, 0.5." if any(metric == "auroc" for _, metric, _ in panels) else ""
    star = "Stars: published figures, measured on other images than these." if marks else ""
    caption = sentences(f"{title}; {seeds_text(frames)}.", _WHISKERS, told, looks_text(looks), star)
    return DrawnFigure(name, title, caption, figure)


def grouped_bars(
    axis: Axes,
    groups: Sequence[Group],
    slots: Mapping[str, Sequence[str]],
    looks: Sequence[Look],
    style: Style,
    base: float,
    whiskers: Whiskers | None = None,
) -> None:
    """Bars of each group's encoders in the order of ``looks``.

    Args:
        slots: label of a group → encoders that room is left for, the last of them `_STAR` for published figures.
        base: where bars start.
        whiskers: of each bar; by default the interval over seeds.
    """
    left, centres, everything = 0.0, [], [base]
    bars: dict[str, list[tuple[float, np.ndarray]]] = {look.encoder: [] for look in looks}
    reaches: list[tuple[float, float, float]] = []
    for label, rows, chance, found in groups:
        for place, name in enumerate(slots[label]):
            values = rows.value[rows.encoder == name].to_numpy(float)
            if len(values):
                ends = whiskers.get((label, name)) if whiskers is not None else _over_seeds(values)
                bars[name].append((left + place, values))
                everything += values.tolist()
                if ends is not None:
                    reaches.append((left + place, *ends))
                    everything += ends
        width = len(slots[label])
        for mark in found:
            axis.plot(left + width - 1, mark.value, markersize=1.1 * style.text, zorder=5, **PUBLISHED_MARK)
            everything.append(mark.value)
        if chance is not None and chance > 0:
            axis.plot([left - 0.7, left + width - 0.3], [chance, chance], **CHANCE_LINE)
            everything.append(chance)
        centres.append((left + (width - 1) / 2, label))
        left += width + 0.9
    for look in looks:
        _bars(axis, bars[look.encoder], look, style, base)
    _whiskers(axis, reaches, style)
    axis.set_xticks([centre for centre, _ in centres], [label for _, label in centres])
    axis.tick_params(axis="x", length=0)
    _turn_labels(axis, [label for _, label in centres], style)
    spare = max(0.0, _FEWEST_SLOTS - left) / 2
    axis.set_xlim(-0.9 - spare, left - 0.9 + spare)
    low, high = min(everything), max(everything)
    axis.set_ylim(min(base, low - 0.03 * (high - low)), min(1.0, high + 0.06 * (high - low)) if high <= 1 else None)
    axis.grid(axis="y")
    if low < base:
        axis.axhline(base, color=INK, linewidth=0.8 * style.line, zorder=1)


def slots_of(panels: Sequence[Panel], looks: Sequence[Look]) -> dict[str, list[str]]:
    """Encoders of each group in any of the panels, so that groups stand below each other; a place for stars last."""
    slots: dict[str, list[str]] = {}
    for label in dict.fromkeys(label for _, _, groups in panels for label, _, _, _ in groups):
        mine = [group for _, _, groups in panels for group in groups if group[0] == label]
        there = {name for _, rows, _, _ in mine for name in rows.encoder}
        star = [_STAR] if any(found for _, _, _, found in mine) else []
        slots[label] = [look.encoder for look in looks if look.encoder in there] + star
    return slots


def _over_seeds(values: np.ndarray) -> tuple[float, float] | None:
    found = normal_interval(values, variation="head seed")
    return None if found.low is None or found.high is None else (found.low, found.high)


def _bars(axis: Axes, bars: Sequence[tuple[float, np.ndarray]], look: Look, style: Style, bottom: float) -> None:
    """Bars of one encoder, places with the values of seeds, and every seed a point."""
    if not bars:
        return
    places = [place for place, _ in bars]
    axis.bar(places, [float(values.mean()) - bottom for _, values in bars], 0.86, bottom=bottom, zorder=2, **look.bar())
    marks: dict[str, Any] = look.points() | {"markerfacecolor": "white", "markeredgewidth": 0.7 * style.line}
    if look.baseline:
        marks["marker"], size = "o", 0.26 * style.text
    else:
        marks["markeredgecolor"], size = INK, 0.36 * style.text
    across = np.concatenate([place + spread(len(values), 0.86) for place, values in bars])
    up = np.concatenate([values for _, values in bars])
    axis.plot(across, up, markersize=size, zorder=3, clip_on=False, **marks)


def _whiskers(axis: Axes, reaches: Sequence[tuple[float, float, float]], style: Style) -> None:
    """From low to high at each place; the mean need not lie between them."""
    if not reaches:
        return
    places, low, high = np.array(reaches).T
    whisker: dict[str, Any] = {"ecolor": INK, "elinewidth": style.line, "capsize": 0.22 * style.text}
    axis.errorbar(places, (low + high) / 2, (high - low) / 2, fmt="none", zorder=4, **whisker)


def _turn_labels(axis: Axes, labels: Sequence[str], style: Style) -> None:
    """Labels are turned where they would run into each other."""
    if sum(map(len, labels)) * 0.62 * style.text > 0.75 * style.inches * 72:
        axis.tick_params(axis="x", rotation=30)
        for label in axis.get_xticklabels():
            label.set_horizontalalignment("right")
