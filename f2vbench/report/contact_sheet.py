"""A contact sheet: an image, and what was found for it, nearest first."""

from __future__ import annotations

from collections.abc import Sequence

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.retrieved_images import Found, frames_legend, lines_below, show_found
from f2vbench.report.figures.style import STYLES

_COLUMNS = 5
_STYLE = STYLES["nature"]
_GAP = 0.07  # inches


def contact_sheet(query: Found, found: Sequence[Found], title: str, others: str) -> DrawnFigure:
    """The query in a column of its own, the others beside it in rows of five.

    Args:
        title: above all.
        others: what a grey frame means; nothing where no patient is known, and no frame is explained.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    width, text = _STYLE.inches, _STYLE.text / 72
    side = width / (_COLUMNS + 1.2)
    size = side - _GAP
    lines = max(len(lines_below(one, _STYLE, size)) for one in (query, *found))
    step = side + (1.2 * lines + 0.8) * text
    rows = -(-len(found) // _COLUMNS)
    head, foot = 2.6 * text, 2.2 * text
    with rc_context(_STYLE.settings()):
        figure = Figure(figsize=(width, rows * step + head + foot))
        total = figure.get_figheight()
        figure.text(_GAP / width, 1 - 1.4 * text / total, title, fontsize=_STYLE.heading, fontweight="bold")

        def draw(one: Found, left: float, row: int) -> None:
            bottom = total - head - row * step - size
            axis = figure.add_axes((left / width, bottom / total, size / width, size / total))
            show_found(axis, one, _STYLE, size)

        draw(query, _GAP, 0)
        for place, one in enumerate(found):
            draw(one, (1.2 + place % _COLUMNS) * side, place // _COLUMNS)
        if others:
            handles, labels = frames_legend(_STYLE, others)
            figure.legend(handles, labels, loc="lower left", ncols=len(labels))
    return DrawnFigure("found", title, "", figure, style=_STYLE)
