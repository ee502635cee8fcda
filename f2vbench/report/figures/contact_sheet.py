"""Contact sheet of a search: the query, and the images found for it, nearest first."""

from __future__ import annotations

from collections.abc import Sequence

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.retrieved_images import RetrievedImage, frame_legend, show_retrieved, wrap_lines
from f2vbench.report.figures.style import STYLES

_COLUMNS = 5
_STYLE = STYLES["nature"]
_GAP = 0.07
"""Gap between pictures in inches."""


def draw_contact_sheet(query: RetrievedImage, found: Sequence[RetrievedImage], title: str, others: str) -> DrawnFigure:
    """Draw the query in a column of its own, and the found images beside it in rows of five.

    Args:
        query: The query.
        found: Images found for it, nearest first.
        title: Title above the pictures.
        others: Label of grey frames; empty if patients are unknown, and then frames have no legend.

    Returns:
        The figure.
    """
    from matplotlib import rc_context

    from f2vbench.report.figures.styled_figure import StyledFigure

    width, text = _STYLE.inches, _STYLE.text / 72
    side = width / (_COLUMNS + 1.2)
    size = side - _GAP
    lines = max(len(wrap_lines(image, _STYLE, size)) for image in (query, *found))
    row_height = side + (1.2 * lines + 0.8) * text
    rows = -(-len(found) // _COLUMNS)
    head, foot = 2.6 * text, 2.2 * text
    height = rows * row_height + head + foot
    with rc_context(_STYLE.settings()):
        figure = StyledFigure(_STYLE, figsize=(width, height))
        figure.text(_GAP / width, 1 - 1.4 * text / height, title, fontsize=_STYLE.heading, fontweight="bold")

        def draw(image: RetrievedImage, left: float, row: int) -> None:
            bottom = height - head - row * row_height - size
            axis = figure.add_axes((left / width, bottom / height, size / width, size / height))
            show_retrieved(axis, image, _STYLE, size)

        draw(query, _GAP, 0)
        for i, image in enumerate(found):
            draw(image, (1.2 + i % _COLUMNS) * side, i // _COLUMNS)
        if others:
            handles, labels = frame_legend(_STYLE, others)
            figure.legend(handles, labels, loc="lower left", ncols=len(labels))
    return DrawnFigure("found", title, "", figure, style=_STYLE)
