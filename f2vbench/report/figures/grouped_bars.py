"""Groups of bars: means over seeds with whiskers, and every seed as a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.panels import CHANCE_LINE, PUBLISHED_MARK, spread_points
from f2vbench.report.figures.published_results import Published
from f2vbench.report.figures.style import INK, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Whiskers = Mapping[tuple[str, str], tuple[float, float]]
"""(label of a group, name of an encoder) → ends of the whisker."""
_PUBLISHED_SLOT = "published"
_MIN_SLOTS = 9
"""Smallest number of slots on an axis, so that few bars are not too wide."""
_BAR_WIDTH = 0.86
_GAP = 0.9
"""Gap between two groups, in slots."""


@dataclass(frozen=True)
class BarGroup:
    """Bars beside each other.

    Attributes:
        label: Label below the group.
        rows: Rows of the tidy frame, of one metric.
        chance: Chance level, or None.
        published: Published values, drawn as stars.
    """

    label: str
    rows: pd.DataFrame
    chance: float | None
    published: Sequence[Published] = ()


@dataclass(frozen=True)
class BarPanel:
    """A panel of groups of bars.

    Attributes:
        title: Title of the panel.
        metric: Name of the metric.
        groups: Groups from left to right.
    """

    title: str
    metric: str
    groups: Sequence[BarGroup]


@dataclass(frozen=True)
class _Bar:
    """A bar at ``x`` with the values of its seeds, (n,)."""

    x: float
    values: NDArray[np.float64]


def group_slots(panels: Sequence[BarPanel], encoders: Sequence[EncoderStyle]) -> dict[str, list[str]]:
    """Assign slots to the encoders of each group, equal in all panels so that groups are aligned.

    Args:
        panels: Panels of a figure; groups with the same label are aligned.
        encoders: Encoders in the order of legends.

    Returns:
        Label of a group → names of the encoders that have a slot; the last slot is that of published values.
    """
    slots: dict[str, list[str]] = {}
    for label in dict.fromkeys(group.label for panel in panels for group in panel.groups):
        groups = [group for panel in panels for group in panel.groups if group.label == label]
        present = {name for group in groups for name in group.rows.encoder}
        star = [_PUBLISHED_SLOT] if any(group.published for group in groups) else []
        slots[label] = [encoder.name for encoder in encoders if encoder.name in present] + star
    return slots


def interval_whiskers(summaries: Mapping[str, pd.DataFrame]) -> Whiskers:
    """Intervals of means; bars without one have no whisker.

    Args:
        summaries: Label of a group → rows of `Results.summary`, one for each encoder.
    """
    return {
        (label, row.encoder): (row.low, row.high)
        for label, summary in summaries.items()
        for row in summary.itertuples()
        if pd.notna(row.low)
    }


def draw_grouped_bars(
    axis: Axes,
    groups: Sequence[BarGroup],
    slots: Mapping[str, Sequence[str]],
    encoders: Sequence[EncoderStyle],
    style: Style,
    base: float,
    whiskers: Whiskers,
) -> None:
    """Draw groups of bars from left to right.

    Args:
        axis: Panel to draw on.
        groups: Groups from left to right.
        slots: Slots of each group, from `group_slots`.
        encoders: Encoders in the order of legends.
        style: Style of the figure.
        base: Value at which bars start.
        whiskers: Whiskers of bars, such as `interval_whiskers`; bars without an entry have none.
    """
    left, centres = 0.0, []
    values_drawn = [base]
    bars: dict[str, list[_Bar]] = {encoder.name: [] for encoder in encoders}
    intervals: list[tuple[float, float, float]] = []
    for group in groups:
        width = len(slots[group.label])
        for i, name in enumerate(slots[group.label]):
            values = group.rows.value[group.rows.encoder == name].to_numpy(float)
            if len(values):
                ends = whiskers.get((group.label, name))
                bars[name].append(_Bar(left + i, values))
                values_drawn += values.tolist()
                if ends is not None:
                    intervals.append((left + i, *ends))
                    values_drawn += ends
        for published in group.published:
            axis.plot(left + width - 1, published.value, markersize=1.1 * style.text, zorder=6, **PUBLISHED_MARK)
            values_drawn.append(published.value)
        if group.chance is not None and group.chance > 0:
            axis.plot([left - 0.7, left + width - 0.3], [group.chance, group.chance], **CHANCE_LINE)
            values_drawn.append(group.chance)
        centres.append(left + (width - 1) / 2)
        left += width + _GAP
    for encoder in encoders:
        _draw_bars(axis, bars[encoder.name], encoder, style, base)
    _draw_whiskers(axis, intervals, style)
    _label_groups(axis, centres, [group.label for group in groups], style)
    spare = max(0.0, _MIN_SLOTS - left) / 2
    axis.set_xlim(-_GAP - spare, left - _GAP + spare)
    _limit_values(axis, min(values_drawn), max(values_drawn), base, style)


def _draw_bars(axis: Axes, bars: Sequence[_Bar], encoder: EncoderStyle, style: Style, base: float) -> None:
    """Draw the bars of one encoder, and every seed as a point."""
    if not bars:
        return
    heights = [float(bar.values.mean()) - base for bar in bars]
    axis.bar([bar.x for bar in bars], heights, _BAR_WIDTH, bottom=base, zorder=2, **encoder.bar())
    marks: dict[str, Any] = encoder.points() | {"markerfacecolor": "white", "markeredgewidth": 0.7 * style.line}
    if encoder.baseline:
        marks["marker"], size = "o", 0.26 * style.text  # crosses would be lost on hatches
    else:
        marks["markeredgecolor"], size = INK, 0.36 * style.text
    x = np.concatenate([bar.x + spread_points(len(bar.values), _BAR_WIDTH) for bar in bars])
    y = np.concatenate([bar.values for bar in bars])
    axis.plot(x, y, markersize=size, zorder=4.5, clip_on=False, **marks)  # above the whiskers


def _draw_whiskers(axis: Axes, intervals: Sequence[tuple[float, float, float]], style: Style) -> None:
    """Draw whiskers from (x, low, high); the mean need not be between low and high."""
    if not intervals:
        return
    x, low, high = np.array(intervals).T
    whisker: dict[str, Any] = {"ecolor": INK, "elinewidth": style.line, "capsize": 0.22 * style.text}
    axis.errorbar(x, (low + high) / 2, (high - low) / 2, fmt="none", zorder=4, **whisker)


def _label_groups(axis: Axes, centres: Sequence[float], labels: Sequence[str], style: Style) -> None:
    """Set the labels below groups, rotated where they would overlap."""
    axis.set_xticks(centres, labels)
    axis.tick_params(axis="x", length=0)
    if sum(map(len, labels)) * 0.62 * style.text > 0.75 * style.inches * 72:
        axis.tick_params(axis="x", rotation=30)
        for label in axis.get_xticklabels():
            label.set_horizontalalignment("right")


def _limit_values(axis: Axes, low: float, high: float, base: float, style: Style) -> None:
    """Set the limits of the y-axis around the values; mark the base of the bars where values are below it."""
    margin = high - low
    axis.set_ylim(min(base, low - 0.03 * margin), min(1.0, high + 0.06 * margin) if high <= 1 else None)
    axis.grid(axis="y")
    if low < base:
        axis.axhline(base, color=INK, linewidth=0.8 * style.line, zorder=1)
