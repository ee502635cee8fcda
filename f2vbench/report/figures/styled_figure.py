"""A matplotlib figure that keeps its style when it is saved.

A module of its own, because the class imports matplotlib, which tables and the terminal do not need.
"""

from __future__ import annotations

from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from f2vbench.report.figures.style import Style


class StyledFigure(Figure):
    """A figure whose `savefig` applies its style; matplotlib reads fonts and hatches when it writes a file.

    Args:
        style: Style of the figure.
        arguments: Keyword arguments of ``matplotlib.figure.Figure``.
    """

    def __init__(self, style: Style, **arguments: Any):
        super().__init__(**arguments)
        self._style = style

    def savefig(self, fname: Any, **arguments: Any) -> None:
        """Save the figure in its style, whatever the ``rcParams`` of the caller are.

        Args:
            fname: File, as in ``matplotlib.figure.Figure.savefig``.
            arguments: Further arguments of ``matplotlib.figure.Figure.savefig``.
        """
        with rc_context(self._style.settings()):
            super().savefig(fname, **arguments)
