"""Learning curves: a metric over the number of shots, from zero-shot to supervised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.task_scores import MAIN_METRICS, NUMERIC_METRICS
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
)
from f2vbench.report.figures.published_results import Published, published_at, published_note
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style
from f2vbench.report.text.intervals import INTERVAL_TEXTS, interval_notes
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PROTOCOLS = ("zero-shot", "few-shot", "supervised")
Tick = tuple[str, float | None]
"""Protocol and number of shots: a tick of the x-axis."""


@dataclass(frozen=True)
class _Panel:
    """A task and metric with its rows of the tidy frame and its chance level."""

    task: str
    metric: str
    rows: pd.DataFrame
    chance: float | None


def explain_missing_learning_curves(source: Source) -> str | None:
    """Explain why `draw_learning_curves` has nothing to draw; None if it has."""
    return None if _panels(source) else "no task with AUROC at two numbers of shots or more"


def draw_learning_curves(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw one panel a task and metric, with the chance level."""
    from matplotlib import rc_context

    panels = _panels(source)
    summaries = [source.summarize(panel.rows) for panel in panels]
    encoders = source.select_encoders(pd.concat([panel.rows for panel in panels]).encoder)
    published: list[Published] = []
    with rc_context(style.settings()):
        titles = [source.title(panel.task) for panel in panels]
        figure, axes = create_sheet(style, len(panels), columns=style.columns(len(panels), 56, titles), height=48)
        for axis, panel, summary in zip(axes, panels, summaries, strict=True):
            published += _draw_panel(axis, panel, summary, encoders, style)
            draw_chance_line(axis, panel.chance)
            axis.set(ylabel=METRIC_NAMES[panel.metric], xlabel=source.shots_label(panel.task))
        letter_panels(axes, titles)
        chance = any(panel.chance for panel in panels)
        encoder_legend(figure, style, encoders, kind="line", chance=chance, published=published)
    caption = join_sentences(
        f"Results over the number of labelled images; {describe_seeds(panel.rows for panel in panels)}.",
        f"Marks: mean over seeds; vertical lines: {INTERVAL_TEXTS[source.interval]}. 0: zero-shot; all: supervised, on "
        "the whole training set. Lines do not connect results of different protocols.",
        *interval_notes(pd.concat(summaries)),
        describe_encoders(encoders),
        published_note(published),
    )
    yield DrawnFigure("learning-curves", "Learning curves", caption, figure)


def _panels(source: Source) -> list[_Panel]:
    """Tasks and metrics with values at two ticks or more."""
    panels = []
    for family, metrics in (MAIN_METRICS | NUMERIC_METRICS).items():
        for task in source.tasks(family):
            for metric in dict.fromkeys((source.main_metric(task), *metrics)):
                rows = source.values(task, metric, _PROTOCOLS)
                if len(_ticks(rows)) > 1:
                    panels.append(_Panel(task, metric, rows, source.chance(task, metric, _PROTOCOLS)))
    return panels


def _ticks(rows: pd.DataFrame) -> list[Tick]:
    pairs = rows[["protocol", "shots"]].drop_duplicates()
    ticks = {(row.protocol, None if pd.isna(row.shots) else float(row.shots)) for row in pairs.itertuples()}
    return sorted(ticks, key=lambda tick: (_PROTOCOLS.index(tick[0]), tick[1] or 0))


def _draw_panel(
    axis: Axes, panel: _Panel, summary: pd.DataFrame, encoders: Sequence[EncoderStyle], style: Style
) -> list[Published]:
    """Draw the curves of one task; returns the published values among them."""
    rows = panel.rows
    positions = {tick: i for i, tick in enumerate(_ticks(rows))}
    present = [encoder for encoder in encoders if encoder.name in set(rows.encoder)]
    for i, encoder in enumerate(present):
        shift = 0.34 * ((i + 0.5) / len(present) - 0.5)  # so that intervals do not hide each other
        means = summary[summary.encoder == encoder.name]
        for protocol in _PROTOCOLS:
            _draw_curve(axis, means[means.protocol == protocol], positions, shift, encoder, style)
    published: list[Published] = []
    for (protocol, shots), position in positions.items():
        for mark in published_at(panel.task, panel.metric, protocol, None if shots is None else int(shots)):
            axis.plot(position + 0.3, mark.value, markersize=1.1 * style.text, zorder=5, **PUBLISHED_MARK)
            published.append(mark)
    labels = [f"{shots:g}" if shots is not None else "all" for _, shots in positions]
    axis.set_xticks(range(len(positions)), labels)
    axis.set_xlim(-0.45, len(positions) - 0.55)
    axis.grid(axis="y")
    return published


def _draw_curve(
    axis: Axes,
    means: pd.DataFrame,
    positions: Mapping[Tick, int],
    shift: float,
    encoder: EncoderStyle,
    style: Style,
) -> None:
    """Draw means and intervals of one encoder under one protocol."""
    points = []
    for row in means.sort_values("shots").itertuples():
        x = positions[str(row.protocol), None if pd.isna(row.shots) else float(row.shots)] + shift
        points.append((x, row.mean))
        if pd.notna(row.low):
            axis.plot([x, x], [row.low, row.high], color=encoder.colour, linewidth=style.line, zorder=2)
    if points:
        axis.plot(
            *zip(*points, strict=True),
            markersize=0.55 * style.text,
            markeredgewidth=1.1 * style.line,
            zorder=3,
            **encoder.line(),
        )
