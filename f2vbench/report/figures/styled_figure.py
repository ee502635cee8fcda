"""A matplotlib figure that is written in the style it was drawn in, whoever writes it."""

from __future__ import annotations

from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from f2vbench.report.figures.style import Style


class HouseFigure(Figure):
    """Fonts, hatches and how letters are embedded are looked up on writing, so `savefig` enters the style.

    Args:
        style: that of the figure.
        words: of ``matplotlib.figure.Figure``.
    """

    def __init__(self, style: Style, **words: Any):
        super().__init__(**words)
        self._style = style

    def savefig(self, fname: Any, **words: Any) -> None:
        """As ``matplotlib.figure.Figure.savefig``, whatever the ``rcParams`` of the caller are."""
        with rc_context(self._style.settings()):
            super().savefig(fname, **words)
