"""A contact sheet: an image, and what was found for it, nearest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from f2vbench.report.retrieval_figures import INK, STYLE, WIDTH, Shown, draw_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 5
_GAP = 0.07
_LINE = 0.115


def contact_sheet(query: Shown, found: Sequence[Shown], title: str) -> Figure:
    """The query in a column of its own, the others beside it in rows of five.

    Args:
        title: above all.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    side = WIDTH / (_COLUMNS + 1.25)
    rows = -(-len(found) // _COLUMNS)
    lines = max(shown.label.count("\n") + 1 for shown in (query, *found))
    step = side + _LINE * lines + 0.14
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, rows * step + 0.32))
        total = figure.get_figheight()
        figure.text(_GAP / WIDTH, 1 - 0.17 / total, title, fontsize=8, fontweight="bold", color=INK)

        def draw(shown: Shown, left: float, row: int) -> None:
            bottom = total - 0.26 - row * step - (side - _GAP)
            size = side - _GAP
            draw_picture(figure.add_axes((left / WIDTH, bottom / total, size / WIDTH, size / total)), shown)

        draw(query, _GAP, 0)
        for place, shown in enumerate(found):
            draw(shown, _GAP + (1.2 + place % _COLUMNS) * side, place // _COLUMNS)
    return figure
