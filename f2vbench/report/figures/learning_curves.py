"""Learning curves: a metric over the number of shots, from no training to all training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
)
from f2vbench.report.figures.published_results import published_at
from f2vbench.report.figures.source import MAIN_METRICS, Source
from f2vbench.report.figures.style import Look, Style
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.stats.intervals import normal_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PROTOCOLS = ("zero-shot", "few-shot", "supervised")
Stop = tuple[str, float | None]
"""Protocol and number of shots: a place on the x-axis."""


def lacks_learning_curves(source: Source) -> str | None:
    return None if _panels(source) else "no task with AUROC at two numbers of shots or more"


def learning_curves(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A panel a task and metric; baselines and chance are drawn across."""
    from matplotlib import rc_context

    panels = _panels(source)
    frames = [rows for _, _, rows in panels]
    looks = source.looks_among(pd.concat(frames).encoder)
    marks = False
    with rc_context(style.settings()):
        titles = [source.title(task) for task, _, _ in panels]
        figure, axes = sheet(style, len(panels), columns=style.columns(len(panels), 56, titles), height=48)
        for axis, (task, metric, rows) in zip(axes, panels, strict=True):
            marks |= _panel(axis, task, metric, rows, looks, style)
            chance_line(axis, source.chance(task, metric, _PROTOCOLS))
            axis.set(ylabel=METRIC_NAMES[metric], xlabel=source.shots_label(task))
        letters(axes, titles)
        chance = any(source.chance(task, metric, _PROTOCOLS) for task, metric, _ in panels)
        legend(figure, style, looks, kind="line", chance=chance, mark=marks)
    caption = sentences(
        f"Results over the number of labelled images; {seeds_text(frames)}.",
        "Marks: mean over seeds; bars: 95 % interval (1.96 standard errors), too narrow where seeds share images. "
        "0: zero-shot; all: supervised, on the whole training part. These are other protocols: no line leads there.",
        looks_text(looks),
        "Stars: published figures, measured on other images than these." if marks else "",
    )
    yield DrawnFigure("learning-curves", "Learning curves", caption, figure)


def _panels(source: Source) -> list[tuple[str, str, pd.DataFrame]]:
    """(task, metric, rows) of all tasks at two stops or more."""
    found = []
    for family, metrics in MAIN_METRICS.items():
        for task in source.tasks(family):
            for metric in metrics:
                rows = source.values(task, metric, _PROTOCOLS)
                if len(_stops(rows)) > 1:
                    found.append((task, metric, rows))
    return found


def _stops(rows: pd.DataFrame) -> list[Stop]:
    found = rows[["protocol", "shots"]].drop_duplicates()
    stops = {(row.protocol, None if pd.isna(row.shots) else float(row.shots)) for row in found.itertuples()}
    return sorted(stops, key=lambda stop: (_PROTOCOLS.index(stop[0]), stop[1] or 0))


def _panel(axis: Axes, task: str, metric: str, rows: pd.DataFrame, looks: Sequence[Look], style: Style) -> bool:
    """Curves of one task; whether a published figure is among them."""
    stops = _stops(rows)
    place_of = {stop: place for place, stop in enumerate(stops)}
    present = [look for look in looks if look.encoder in set(rows.encoder)]
    for order, look in enumerate(present):
        shift = 0.34 * ((order + 0.5) / len(present) - 0.5)  # so that intervals don't hide each other
        mine = rows[rows.encoder == look.encoder]
        for protocol in _PROTOCOLS:
            _curve(axis, mine[mine.protocol == protocol], place_of, shift, look, style)
    starred = False
    for (protocol, shots), place in place_of.items():
        for mark in published_at(task, metric, protocol, None if shots is None else int(shots)):
            axis.plot(place + 0.3, mark.value, markersize=1.1 * style.text, zorder=5, **PUBLISHED_MARK)
            starred = True
    labels = [f"{shots:g}" if shots is not None else "all" for _, shots in stops]
    axis.set_xticks(range(len(stops)), labels)
    axis.set_xlim(-0.45, len(stops) - 0.55)
    axis.grid(axis="y")
    return starred


def _curve(axis: Axes, rows: pd.DataFrame, place_of: dict[Stop, int], shift: float, look: Look, style: Style) -> None:
    points = []
    for (protocol, shots), held in rows.groupby(["protocol", "shots"], dropna=False):
        found = normal_interval(held.value.to_numpy(float), variation="head seed")
        place = place_of[protocol, None if pd.isna(shots) else float(shots)] + shift
        points.append((place, found.value))
        if found.low is not None and found.high is not None:
            axis.plot([place, place], [found.low, found.high], color=look.colour, linewidth=style.line, zorder=2)
    if points:
        x, y = zip(*points, strict=True)
        size = 0.55 * style.text
        axis.plot(
            x, y, markersize=size, markeredgewidth=1.1 * style.line, zorder=1 if look.baseline else 3, **look.line()
        )
