"""A figure with what is said of it, and its files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from f2vbench.errors import SettingsError
from f2vbench.report.figures.style import STYLES, Style
from f2vbench.utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["pdf", "svg", "png"]
# Dates and versions would make equal figures unequal files.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "f2vbench"},
    "svg": {"Date": None, "Creator": "f2vbench"},
    "png": {"Software": "f2vbench"},
}


@dataclass(frozen=True)
class DrawnFigure:
    """A figure.

    Attributes:
        name: of its files, such as ``few-shot`` or ``roc-aptos2019``.
        title: a few words.
        caption: sentences that say what is shown, what spread and marks mean, and how many seeds there are.
        kind: name in the catalogue.
        style: that it was drawn in.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    kind: str = ""
    style: Style = STYLES["nature"]

    def content(self, format: Format, dpi: int = 300, *, outlines: bool = False) -> bytes:
        """The file of a format; equal figures give equal bytes.

        Args:
            outlines: draw the letters of SVG, for readers that may lack the font.
        """
        from matplotlib import rc_context

        held = io.BytesIO()
        letters = {"svg.fonttype": "path"} if outlines else {}
        with rc_context(self.style.settings() | letters):  # fonts and hatches are looked up when a figure is written
            layout = self.figure.get_layout_engine()
            if layout is not None:  # found once, not anew for each format
                layout.execute(self.figure)
                self.figure.set_layout_engine("none")
            self.figure.canvas.print_figure(held, format=format, dpi=dpi, metadata=_METADATA[format])
        return held.getvalue()


def save(
    figure: DrawnFigure, folder: str | Path, formats: Sequence[Format] = ("pdf", "svg", "png"), dpi: int = 300
) -> list[Path]:
    """Write a figure as ``<folder>/<name>.<format>``, each file whole or not at all; returns the paths.

    Args:
        dpi: of PNG, and of photographs within PDF and SVG.

    Raises:
        SettingsError: another format.
        StoreError: a file can't be written.
    """
    unknown = [name for name in formats if name not in get_args(Format)]
    if unknown:
        raise SettingsError(f"format={','.join(unknown)}: figures are written as {', '.join(get_args(Format))}")
    paths = []
    for name in formats:
        path = Path(folder) / f"{figure.name}.{name}"
        write_atomically(path, figure.content(name, dpi))
        paths.append(path)
    return paths
