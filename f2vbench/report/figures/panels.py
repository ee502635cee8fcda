"""Shared parts of figures: sheets of panels, legends, chance lines, and sentences of captions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.analysis.frames import CONDITION, PRETRAINED_MARK
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.published_results import Published, published_label
from f2vbench.report.figures.style import INK, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE_LINE: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (5, 3)), "zorder": 2.5}
"""Keyword arguments of chance lines."""
PUBLISHED_MARK: dict[str, Any] = {
    "marker": "*",
    "markerfacecolor": "#FFD92F",
    "markeredgecolor": INK,
    "markeredgewidth": 0.6,
    "linestyle": "none",
}
"""Keyword arguments of the stars of published values."""


def create_sheet(style: Style, panels: int, *, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Create a figure with a grid of panels; the last row is filled from the left.

    Args:
        style: Style of the figure.
        panels: Number of panels.
        columns: Number of panels in a row.
        height: Height of a row in mm, for text of 7 points.

    Returns:
        The figure and its panels, row by row.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from f2vbench.report.figures.styled_figure import StyledFigure

    rows = math.ceil(panels / columns)
    pad = 0.35 * style.text / 72
    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0.02, hspace=0.03)
    figure = StyledFigure(style, figsize=(style.inches, style.height(height) * rows), layout=layout)
    grid = figure.add_gridspec(rows, columns)
    return figure, [figure.add_subplot(grid[i // columns, i % columns]) for i in range(panels)]


def draw_chance_line(axis: Axes, level: float | None) -> None:
    """Draw a horizontal line at a chance level above 0."""
    if level is not None and level > 0:
        axis.axhline(level, **CHANCE_LINE)


def letter_panels(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Set the titles of panels, each after a letter where there are several panels."""
    for i, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        axis.set_title(f"{chr(97 + i % 26)}  {title}".rstrip() if len(axes) > 1 else title)


def title_with_encoder(axis: Axes, encoder: EncoderStyle, style: Style, columns: int) -> None:
    """Set the name of an encoder as the title of a panel, on two lines where the panel is narrow."""
    room = int(0.8 * style.inches * 72 / columns / (0.6 * style.text))
    axis.set_title(break_name(encoder.label, room), fontweight="normal")


def break_name(name: str, room: int) -> str:
    """Break a name of more than ``room`` characters into two lines, after a separator if it has one."""
    if len(name) <= room:
        return name
    cut = max(name.rfind(separator, 1, room) for separator in ":-_+ ")
    return f"{name[: cut + 1]}\n{name[cut + 1 :]}" if cut > 0 else name


def abbreviate(text: str, room: int) -> str:
    """Replace underscores by spaces, and shorten to at most ``room`` characters."""
    spaced = text.replace("_", " ")
    return spaced if len(spaced) <= room else f"{spaced[: room - 1].rstrip()}…"


def encoder_legend(
    figure: Figure,
    style: Style,
    encoders: Sequence[EncoderStyle],
    *,
    kind: Literal["bar", "line", "point"] = "bar",
    chance: bool = False,
    published: Sequence[Published] = (),
) -> None:
    """Add a legend of encoders below all panels.

    Args:
        figure: The figure.
        style: Its style.
        encoders: Encoders in the order of the legend.
        kind: How the figure draws encoders.
        chance: Whether to explain the chance line.
        published: Values that are drawn as stars.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for encoder in encoders:
        if kind != "bar":
            handles.append(Line2D([], [], **(encoder.line() if kind == "line" else encoder.points())))
        else:
            patch = Patch(**encoder.bar())
            outline = {"markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": style.line}
            point = Line2D([], [], **(encoder.points() | outline), markersize=0.45 * style.text)
            handles.append(patch if encoder.baseline else (patch, point))
    labels = [encoder.label for encoder in encoders]
    if chance:
        handles.append(Line2D([], [], **CHANCE_LINE))
        labels.append("chance")
    if published:
        handles.append(Line2D([], [], markersize=style.text, **PUBLISHED_MARK))
        labels.append(published_label(published))
    legend_below(figure, style, handles, labels)


def legend_below(figure: Figure, style: Style, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Add a legend below all panels, in as many rows as the width needs; the figure becomes higher by these rows."""
    widest = max(len(label) for label in labels)
    columns = max(1, min(len(labels), int(style.inches * 72 / ((widest * 0.6 + 4.2) * style.text))))
    rows = math.ceil(len(labels) / columns)
    columns = math.ceil(len(labels) / rows)
    figure.set_figheight(figure.get_figheight() + (rows * 1.35 + 0.8) * style.text / 72)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def spread_points(count: int, width: float) -> NDArray[np.float64]:
    """Horizontal offsets, (count,), of the points of seeds within a bar of some width; equally spaced, not random."""
    return np.linspace(-0.5, 0.5, count) * 0.6 * width if count > 1 else np.zeros(count)


def describe_seeds(frames: Iterable[pd.DataFrame]) -> str:
    """Number of seeds in some tidy frames as text: ``n = 5 seeds``, or a range."""
    counts = [n for frame in frames for n in frame.groupby([*CONDITION, "encoder"], dropna=False).seed.nunique()]
    low, high = min(counts), max(counts)
    if high == 1:
        return "one seed only, so no spread over seeds is shown"
    return describe_count(low, high)


def describe_count(low: int, high: int) -> str:
    """Smallest and largest number of seeds as text: ``n = 5 seeds``, ``n = 1 seed`` or ``n = 3 to 5 seeds``."""
    count = f"n = {high}" if low == high else f"n = {low} to {high}"
    return f"{count} seed{'s' if high > 1 else ''}"


def describe_encoders(encoders: Iterable[EncoderStyle]) -> str:
    """Explain hatched and hollow marks, and models that were trained on the data, as far as they occur."""
    drawn = list(encoders)
    parts = []
    if any(encoder.baseline for encoder in drawn):
        parts.append("grey and hatched: baselines, without retinal pre-training")
    if any(encoder.untrained for encoder in drawn):
        parts.append("hollow: untrained (random) weights")
    seen = [f"{encoder.name}: {', '.join(encoder.pretrained)}" for encoder in drawn if encoder.pretrained]
    if seen:
        parts.append(f"{PRETRAINED_MARK} trained on images of these data sets ({'; '.join(seen)})")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def join_sentences(*parts: str) -> str:
    """Join sentences with spaces, without empty ones."""
    return " ".join(part for part in parts if part)
