"""Sizes, fonts and colours of figures for a publication style."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from f2vbench.errors import SettingsError, did_you_mean

MILLIMETRE = 1 / 25.4
"""One millimetre in inches."""
INK, PALE, GRID = "#222222", "#BDBDBD", "#E4E4E4"
"""Colours of text and axes, of less important marks, and of grid lines."""
TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE = "#009E73", "#D55E00", "#56B4E9"
"""Colours of correct, missed and false detections."""
_FONTS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_TITLE_CHARACTER = 1.6
"""Average width in mm of a bold character of 8 points."""


@dataclass(frozen=True)
class Style:
    """Sizes of the figures of one medium.

    Attributes:
        name: Value of the key ``style``.
        width: Width of a figure in mm.
        single: Width of one text column in mm.
        text: Font size of text in points.
        heading: Font size of headings in points.
        line: Scale of line widths in points.
    """

    name: str
    width: float
    single: float
    text: float
    heading: float
    line: float

    @property
    def column(self) -> Style:
        """The same style, one text column wide."""
        return replace(self, width=self.single)

    @property
    def inches(self) -> float:
        """Width of a figure in inches."""
        return self.width * MILLIMETRE

    def columns(self, panels: int, least: float = 42, titles: Iterable[str] = ()) -> int:
        """Number of panels in a row, chosen so that all rows are about equally full.

        Args:
            panels: Number of panels.
            least: Smallest width of a panel in mm, for text of 7 points.
            titles: Titles of the panels; a panel is at least as wide as its title.

        Returns:
            A number from 1 to ``panels``.
        """
        width = max([least, *(_TITLE_CHARACTER * (len(title) + 3) for title in titles)])  # "a  " precedes each title
        fitting = max(1, min(panels, int(self.width // (width * self.text / 7))))
        return math.ceil(panels / math.ceil(panels / fitting))

    def square(self, columns: int, extra: float = 1) -> float:
        """Height of a row of square panels in mm, for text of 7 points; at most 76 mm and ``extra``.

        Args:
            columns: Number of panels in a row.
            extra: Height of titles and labels minus the width of labels beside a panel, in mm.
        """
        return min(76.0, self.width / columns * 7 / self.text) + extra

    def height(self, millimetres: float) -> float:
        """Convert a height in mm, for text of 7 points, to inches for the text size of this style."""
        return millimetres * MILLIMETRE * self.text / 7

    def settings(self) -> dict[Any, Any]:
        """Settings for ``matplotlib.rc_context``.

        PDF files embed fonts as TrueType, and text in SVG files remains text.
        """
        return {
            "font.family": "sans-serif",
            "font.sans-serif": _available_fonts(),
            "mathtext.default": "regular",
            "font.size": self.text,
            "axes.titlesize": self.text,
            "axes.labelsize": self.text,
            "xtick.labelsize": self.text,
            "ytick.labelsize": self.text,
            "legend.fontsize": self.text,
            "figure.titlesize": self.heading,
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "axes.titlepad": 0.6 * self.text,
            "axes.linewidth": 0.8 * self.line,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.labelpad": 0.4 * self.text,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.major.width": 0.8 * self.line,
            "ytick.major.width": 0.8 * self.line,
            "xtick.major.size": 0.4 * self.text,
            "ytick.major.size": 0.4 * self.text,
            "lines.linewidth": 1.5 * self.line,
            "lines.markersize": 0.6 * self.text,
            "patch.linewidth": self.line,
            "hatch.linewidth": 0.8 * self.line,
            "grid.color": GRID,
            "grid.linewidth": 0.7 * self.line,
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "legend.columnspacing": 1.4,
            "legend.labelspacing": 0.35,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "none",
            "svg.hashsalt": "f2vbench",
            "pdf.compression": 6,
            "text.parse_math": False,  # names may contain a dollar sign
        }


STYLES = {
    "nature": Style("nature", 183, 89, 7, 8, 0.7),
    "lncs": Style("lncs", 122, 58, 7, 8, 0.7),
    "slides": Style("slides", 300, 145, 14, 16, 1.3),
}


def style_named(name: str | Style) -> Style:
    """Find a style by its name.

    Args:
        name: ``nature`` (183 mm, one column 89 mm; text of 7, headings of 8 points), ``lncs`` (122 and 58 mm; 7 and
            8 points), ``slides`` (300 mm; 14 and 16 points), or a style, which is returned as it is.

    Raises:
        SettingsError: No style has this name.
    """
    if isinstance(name, Style):
        return name
    if name not in STYLES:
        raise SettingsError(f"style={name}: no such style; choose from {', '.join(STYLES)}{did_you_mean(name, STYLES)}")
    return STYLES[name]


@cache
def _available_fonts() -> list[str]:
    """Fonts of the style that are installed; DejaVu Sans comes with matplotlib."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in installed]
