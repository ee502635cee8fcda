"""Pictures found for a query: framed, with what is known of them below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f2vbench.report.figures.pictures import Picture, show
from f2vbench.report.figures.style import GOOD, INK, PALE, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Found:
    """One picture of a row.

    Attributes:
        picture: (height, width, 3) uint8.
        told: lines below it.
        hit: of the query's patient; None for the query.
    """

    picture: Picture
    told: Sequence[str]
    hit: bool | None = None


def decimals(similarities: Sequence[float]) -> int:
    """3 to 6, so many that similarities near 1 are told from 1: those of some encoders hardly fall below it."""
    from_one = 1 - max((value for value in similarities if value < 1), default=0.0)
    return min(6, max(3, 1 - math.floor(math.log10(from_one)))) if from_one > 0 else 3


def lines_below(found: Found, style: Style, inches: float) -> list[str]:
    """What is told of a picture, broken to the width of a picture of so many inches."""
    room = max(6, int(inches * 72 / (0.56 * style.text)))
    return [line for told in found.told for line in textwrap.wrap(told, room)]


def show_found(axis: Axes, found: Found, style: Style, inches: float, above: str = "") -> None:
    """A picture in its frame: thick and green for the query's patient, thin and grey for others, dark for the query.

    Args:
        inches: width of the picture.
    """
    show(axis, found.picture, style, below="\n".join(lines_below(found, style, inches)), above=above)
    for spine in axis.spines.values():
        spine.set(visible=True, **_frame(found.hit, style))
    axis.xaxis.label.set_color(GOOD if found.hit else INK)


def frames_legend(style: Style, others: str = "another patient") -> tuple[list[Any], list[str]]:
    """Handles and labels of what frames mean; ``others`` is what the grey ones do."""
    from matplotlib.patches import Patch

    shown: list[tuple[bool | None, str]] = [(None, "query"), (True, "the query's patient"), (False, others)]
    handles = []
    for hit, _ in shown:
        frame = _frame(hit, style)
        handles.append(Patch(facecolor="white", edgecolor=frame["color"], linewidth=frame["linewidth"]))
    return handles, [label for _, label in shown]


def _frame(hit: bool | None, style: Style) -> dict[str, Any]:
    colour, weight = {None: (INK, 1.4), True: (GOOD, 3.2), False: (PALE, 0.8)}[hit]
    return {"color": colour, "linewidth": weight * style.line}
