"""What several figures share: a sheet of panels, a legend below them, chance lines, and sentences of captions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from f2vbench.report.figures.published_results import LABEL
from f2vbench.report.figures.style import INK, Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE_LINE: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (5, 3)), "zorder": 2.5}
PUBLISHED_MARK: dict[str, Any] = {
    "marker": "*",
    "markerfacecolor": "#FFD92F",
    "markeredgecolor": INK,
    "markeredgewidth": 0.6,
    "linestyle": "none",
}


def sheet(style: Style, panels: int, *, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, the last row filled from the left.

    Args:
        height: of a row in mm, with text of 7 points.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from f2vbench.report.figures.styled_figure import HouseFigure

    rows = math.ceil(panels / columns)
    pad = 0.35 * style.text / 72
    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0.02, hspace=0.03)
    figure = HouseFigure(style, figsize=(style.inches, style.height(height) * rows), layout=layout)
    grid = figure.add_gridspec(rows, columns)
    return figure, [figure.add_subplot(grid[place // columns, place % columns]) for place in range(panels)]


def chance_line(axis: Axes, level: float | None) -> None:
    """Across the panel, where chance reaches anything."""
    if level is not None and level > 0:
        axis.axhline(level, **CHANCE_LINE)


def letters(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Titles with a bold letter before each, where there are several."""
    for place, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        axis.set_title(f"{chr(97 + place % 26)}  {title}".rstrip() if len(axes) > 1 else title)


def model_title(axis: Axes, look: Look, style: Style, columns: int) -> None:
    """A panel's model as its title, in two lines where the panel is narrow."""
    room = int(0.8 * style.inches * 72 / columns / (0.6 * style.text))
    label = look.label
    if len(label) > room:
        cut = max(label.rfind(mark, 1, room) for mark in ":-_+ ")
        label = f"{label[: cut + 1]}\n{label[cut + 1 :]}" if cut > 0 else label
    axis.set_title(label, fontweight="normal")


def shortened(text: str, room: int) -> str:
    """At most so many characters, underscores as spaces."""
    told = text.replace("_", " ")
    return told if len(told) <= room else f"{told[: room - 1].rstrip()}…"


def legend(
    figure: Figure,
    style: Style,
    looks: Sequence[Look],
    *,
    kind: Literal["bar", "line", "point"] = "bar",
    chance: bool = False,
    mark: bool = False,
) -> None:
    """One legend of the encoders below all panels, as `bottom_legend`."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for look in looks:
        if kind != "bar":
            handles.append(Line2D([], [], **(look.line() if kind == "line" else look.points())))
        else:
            patch = Patch(**look.bar())
            seen = {**look.points(), "markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": style.line}
            point = Line2D([], [], **seen, markersize=0.45 * style.text)
            handles.append(patch if look.baseline else (patch, point))
    labels = [look.label for look in looks]
    if chance:
        handles.append(Line2D([], [], **CHANCE_LINE))
        labels.append("chance")
    if mark:
        handles.append(Line2D([], [], markersize=style.text, **PUBLISHED_MARK))
        labels.append(LABEL)
    bottom_legend(figure, style, handles, labels)


def bottom_legend(figure: Figure, style: Style, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend below all panels, in as many rows as the width needs; the figure grows by them."""
    widest = max(len(label) for label in labels)
    columns = max(1, min(len(labels), int(style.inches * 72 / ((widest * 0.6 + 4.2) * style.text))))
    rows = math.ceil(len(labels) / columns)
    columns = math.ceil(len(labels) / rows)
    figure.set_figheight(figure.get_figheight() + (rows * 1.35 + 0.8) * style.text / 72)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def spread(count: int, width: float) -> np.ndarray:
    """(count,) offsets for the points of so many seeds within a bar's width; no randomness, the same every time."""
    return np.linspace(-0.5, 0.5, count) * 0.6 * width if count > 1 else np.zeros(count)


def seeds_text(frames: Iterable[pd.DataFrame]) -> str:
    """``n = 5 seeds``, or the range where they differ."""
    counts = [
        n
        for frame in frames
        for n in frame.groupby(["task", "protocol", "shots", "encoder"], dropna=False).seed.nunique()
    ]
    low, high = min(counts), max(counts)
    if high == 1:
        return "one seed only, so no spread is shown"
    return f"n = {high} seeds" if low == high else f"n = {low} to {high} seeds"


def looks_text(looks: Iterable[Look]) -> str:
    """What grey, hatches and hollow marks mean, as far as they occur."""
    held = list(looks)
    told = []
    if any(look.baseline for look in held):
        told.append("Grey and hatched: baselines, which no pre-training has gone into")
    if any(look.untrained for look in held):
        told.append("hollow: untrained weights, no models" if told else "Hollow: untrained weights, no models")
    return "; ".join(told) + "." if told else ""


def sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)
