"""Images retrieved for a query: a frame around each, and text below it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f2vbench.report.figures.photographs import Picture, show_picture
from f2vbench.report.figures.style import INK, PALE, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAME_PATIENT = "#009E73"
"""Colour of the frames of images of the query's patient."""


@dataclass(frozen=True)
class RetrievedImage:
    """An image of a row: the query, or an image retrieved for it.

    Attributes:
        picture: (height, width, 3) uint8.
        lines: Lines of text below the picture.
        same_patient: Whether it is of the query's patient; None for the query itself.
    """

    picture: Picture
    lines: Sequence[str]
    same_patient: bool | None = None


def similarity_decimals(similarities: Sequence[float]) -> int:
    """Number of decimals, 3 to 6, that distinguishes similarities near 1 from 1; of some encoders all are near 1."""
    distance = 1 - max((value for value in similarities if value < 1), default=0.0)
    return min(6, max(3, 1 - math.floor(math.log10(distance)))) if distance > 0 else 3


def wrap_lines(image: RetrievedImage, style: Style, inches: float) -> list[str]:
    """Wrap the text of an image to the width of its picture in inches."""
    room = max(6, int(inches * 72 / (0.56 * style.text)))
    return [part for line in image.lines for part in textwrap.wrap(line, room)]


def show_retrieved(axis: Axes, image: RetrievedImage, style: Style, inches: float, above: str = "") -> None:
    """Show an image in its frame: green for the query's patient, grey for others, dark for the query.

    Args:
        axis: Panel to draw on.
        image: The image.
        style: Style of the figure.
        inches: Width of the picture.
        above: Text above the picture.
    """
    show_picture(axis, image.picture, style, below="\n".join(wrap_lines(image, style, inches)), above=above)
    for spine in axis.spines.values():
        spine.set(visible=True, **_frame(image.same_patient, style))
    axis.xaxis.label.set_color(SAME_PATIENT if image.same_patient else INK)


def frame_legend(style: Style, others: str = "another patient") -> tuple[list[Any], list[str]]:
    """Handles and labels of a legend of frames.

    Args:
        style: Style of the figure.
        others: Label of grey frames.

    Returns:
        Handles and labels.
    """
    from matplotlib.patches import Patch

    labels: dict[bool | None, str] = {None: "query", True: "the query's patient", False: others}
    frames = [_frame(same_patient, style) for same_patient in labels]
    handles = [Patch(facecolor="white", edgecolor=frame["color"], linewidth=frame["linewidth"]) for frame in frames]
    return handles, list(labels.values())


def _frame(same_patient: bool | None, style: Style) -> dict[str, Any]:
    colour, width = {None: (INK, 1.4), True: (SAME_PATIENT, 3.2), False: (PALE, 0.8)}[same_patient]
    return {"color": colour, "linewidth": width * style.line}
