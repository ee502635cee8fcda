"""Read the parts of drawn figures in tests."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from f2vbench import Results
from f2vbench.report.figures.catalogue import draw_figures
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.style import Style
from f2vbench.stats.intervals import MeanInterval


def draw_one(
    results: Results, name: str, style: str | Style = "nature", interval: MeanInterval = "crossed"
) -> DrawnFigure:
    """Draw a figure of which there is exactly one."""
    (drawn,) = draw_figures(results, [name], style, interval)
    return drawn


def legend_handles(drawn: DrawnFigure) -> dict[str, Any]:
    """Label → patch or line of the figure's legend."""
    (legend,) = drawn.figure.legends
    return dict(zip((text.get_text() for text in legend.get_texts()), legend.legend_handles, strict=True))


def point_values(axis: Axes) -> list[float]:
    """Sorted values of the points of seeds; whiskers end in markers of another kind."""
    points = [line for line in axis.lines if line.get_linestyle() == "None" and line.get_marker() != "_"]
    return sorted(value for line in points for value in line.get_ydata())


def bar_heights(axis: Axes) -> list[float]:
    """Sorted heights of the bars."""
    return sorted(patch.get_height() for patch in axis.patches)
