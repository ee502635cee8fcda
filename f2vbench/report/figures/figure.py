"""A drawn figure with its title and caption, and its files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from f2vbench.errors import SettingsError
from f2vbench.report.figures.style import STYLES, Style
from f2vbench.utils.existing_outputs import check_output_file, has_mark
from f2vbench.utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["pdf", "svg", "png"]
_NO_LAYOUT = {"figure.autolayout": False, "figure.constrained_layout.use": False}
# No dates or versions, so that equal figures are equal files.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "f2vbench"},
    "svg": {"Date": None, "Creator": "f2vbench"},
    "png": {"Software": "f2vbench"},
}


@dataclass(frozen=True)
class DrawnFigure:
    """A figure with its title and caption.

    Attributes:
        name: File name without its ending, such as ``few-shot`` or ``roc-aptos2019``.
        title: Short title.
        caption: Sentences that say what the figure shows, what spread and marks mean, and the number of seeds.
        figure: The matplotlib figure.
        kind: Name of the figure in the catalogue.
        style: Style in which it is drawn.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    kind: str = ""
    style: Style = STYLES["nature"]

    def content(self, format: Format, dpi: int = 300, *, outlines: bool = False) -> bytes:
        """Encode the figure; equal figures give equal bytes.

        Args:
            format: File format.
            dpi: Resolution of PNG, and of photographs within PDF and SVG.
            outlines: Whether to write the letters of SVG as paths, for readers that may lack the font.

        Returns:
            Content of the file.
        """
        from matplotlib import rc_context

        buffer = io.BytesIO()
        letters = {"svg.fonttype": "path"} if outlines else {}
        with rc_context(self.style.settings() | letters | _NO_LAYOUT):  # matplotlib reads fonts when it writes
            layout = self.figure.get_layout_engine()
            if layout is not None:  # compute the layout once, not for each format
                layout.execute(self.figure)
                # With an engine of any kind, "none" included, matplotlib draws a figure twice for each file.
                self.figure.set_layout_engine(None)
            self.figure.canvas.print_figure(buffer, format=format, dpi=dpi, metadata=_METADATA[format])
        return buffer.getvalue()


def save_figure(
    figure: DrawnFigure, folder: str | Path, formats: Sequence[Format] = ("pdf", "svg", "png"), dpi: int = 300
) -> list[Path]:
    """Write a figure as ``<folder>/<name>.<format>``; each file is written atomically.

    Args:
        figure: The figure.
        folder: Folder of the files.
        formats: File formats.
        dpi: Resolution of PNG, and of photographs within PDF and SVG.

    Returns:
        Paths of the files.

    Raises:
        SettingsError: A format is unknown.
        StoreError: A file can't be written.
    """
    unknown = [name for name in formats if name not in get_args(Format)]
    if unknown:
        raise SettingsError(f"format={','.join(unknown)}: figures can be written as {', '.join(get_args(Format))}")
    paths = []
    for name in formats:
        path = Path(folder) / f"{figure.name}.{name}"
        check_output_file(path, "out", has_mark)
        write_atomically(path, figure.content(name, dpi))
        paths.append(path)
    return paths
