"""Results of subgroups of patients: a row a subgroup, a mark and an interval an encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.analysis.subgroups import ALL
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import create_sheet, describe_encoders, encoder_legend, join_sentences
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import GRID, INK, Style
from f2vbench.report.text.wording import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 6.5
"""Height of a row of one encoder more than three, in mm, for text of 7 points."""


def explain_missing_subgroups(source: Source) -> str | None:
    """Explain why `draw_subgroups` has nothing to draw; None if it has."""
    if source.subgroups is None:
        return "no subgroups are requested: name columns of the data set's table, as in by=sex,age"
    return None if len(source.subgroups) else "no unit has results of subgroups in the main metric of its task"


def draw_subgroups(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task at its last condition, a panel a column, in the main metric."""
    assert source.subgroups is not None
    rows = source.subgroups
    tasks = list(dict.fromkeys(rows.task))
    for task in tasks:
        own = rows[(rows.task == task) & (rows.metric == rows.metric[rows.task == task].iloc[0])]
        present = {Condition.from_values(*key) for key, _ in own.groupby(CONDITION, dropna=False)}
        last = [each for each in source.conditions(source.families[task]) if each in present][-1]
        of_shots = own.shots.isna() if last.shots is None else own.shots == last.shots
        name = "subgroups" if len(tasks) == 1 else f"subgroups-{task}"
        yield _draw_figure(source, style, name, last, own[(own.protocol == last.protocol) & of_shots])


def _draw_figure(source: Source, style: Style, name: str, condition: Condition, rows: pd.DataFrame) -> DrawnFigure:
    from matplotlib import rc_context

    encoders = source.select_encoders(rows.encoder)
    panels = list(dict.fromkeys(rows.column))
    metric = metric_name(str(rows.metric.iloc[0]), str(rows.better.iloc[0]))
    title = f"Subgroups, {source.condition_title(condition)}"
    most = max(rows[rows.column == column].group.nunique() for column in panels)
    ends = rows[["value", "low", "high"]].astype(float)
    low, high = float(np.nanmin(ends.to_numpy())), float(np.nanmax(ends.to_numpy()))
    margin = 0.05 * max(high - low, 0.02)
    with rc_context(style.settings()):
        columns = style.columns(len(panels), least=58)
        height = 14 + most * max(_ROW, 2.2 * len(encoders))
        figure, axes = create_sheet(style, len(panels), columns=columns, height=height)
        for i, (axis, column) in enumerate(zip(axes, panels, strict=True)):
            _draw_panel(axis, rows[rows.column == column], encoders, style)
            letter = f"{chr(97 + i % 26)}  " if len(panels) > 1 else ""
            axis.set_title(f"{letter}{column}")
            axis.set_xlabel(metric)
            axis.set_xlim(low - margin, high + margin)
        encoder_legend(figure, style, encoders, kind="point")
    caption = join_sentences(
        f"{title}: {metric} in each subgroup; number of test patients in brackets.",
        "Marks: means over seeds; lines: 95 % intervals for other patients and other heads (crossed analysis). Without "
        "a line, the subgroup is too small for an interval. Pale labels: fewer than 10 patients, or fewer than 10 with "
        "or without the rarest class, too few to say anything.",
        describe_encoders(encoders),
    )
    return DrawnFigure(name, title, caption, figure)


def _draw_panel(axis: Axes, rows: pd.DataFrame, encoders: Sequence[EncoderStyle], style: Style) -> None:
    """Draw the subgroups by one column, all images at the top."""
    groups = list(dict.fromkeys(rows.group))
    widest = min(0.32, 0.11 * (len(encoders) - 1))
    offsets = np.linspace(-widest, widest, len(encoders))
    by_key = {(row.group, row.encoder): row for row in rows.itertuples()}
    for position, group in enumerate(groups):
        if position % 2:
            axis.axhspan(position - 0.5, position + 0.5, color=GRID, alpha=0.35, linewidth=0, zorder=0)
        for offset, encoder in zip(offsets, encoders, strict=True):
            row = by_key.get((group, encoder.name))
            if row is None or pd.isna(row.value):
                continue
            y = position + offset
            if not pd.isna(row.low):
                axis.plot([row.low, row.high], [y, y], color=encoder.colour, linewidth=1.4 * style.line, zorder=2)
            points = {**encoder.points(), "markersize": 0.55 * style.text, "markeredgewidth": style.line}
            axis.plot([row.value], [y], zorder=3, **points)
    patients = rows.groupby("group").patients.max()
    labels = [f"{group} ({patients[group]:,})" for group in groups]
    axis.set_yticks(range(len(groups)), labels)
    small = set(rows.group[rows.warning != ""]) - {ALL}
    for label, group in zip(axis.get_yticklabels(), groups, strict=True):
        label.set_color("#8A8A8A" if group in small else INK)
        label.set_fontweight("bold" if group == ALL else "normal")
    axis.axhline(0.5, color=INK, linewidth=0.6 * style.line)
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")
