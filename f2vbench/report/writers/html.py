"""HTML report as one page that needs neither the network nor other files."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from f2vbench.report.content import ReportContent
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.tables.table import Cell

_CONDITIONS_SHOWN = 12  # further ones are folded
_LARGEST_SVG = 400_000  # bytes; larger figures, such as photographs, are smaller as WebP
_MOST_ARTISTS = 2_000  # lines and texts; with more of them the SVG is larger than the PNG, and slow to write
_WEBP_QUALITY = 90
_WEBP_DPI = 200
_PIXELS_PER_INCH = 134  # on the page, where letters of 7 pt are 13 px high


@dataclass(frozen=True)
class PageFigure:
    """Figure of a page.

    Attributes:
        name: Name of the figure.
        title: Title.
        caption: Caption.
        source: Image as a data URI.
        width: Width in CSS pixels.
    """

    name: str
    title: str
    caption: str
    source: str
    width: int


def page(
    content: ReportContent,
    figures: Iterable[PageFigure] = (),
    missing_figures: Mapping[str, str] | None = None,
    skipped: Mapping[str, str] | None = None,
) -> str:
    """Render the HTML page of a report. Every string that comes from data is escaped.

    Args:
        content: Content of the report.
        figures: Figures of the page.
        missing_figures: Name of each figure without data in these results → reason.
        skipped: Name of each figure whose stored data is missing or damaged → reason.

    Returns:
        HTML.
    """
    style, script = page_asset(__package__, "page.css"), page_asset(__package__, "page.js")
    return page_template("report/writers", "page.html.j2").render(
        content=content,
        figures=list(figures),
        missing_figures=dict(missing_figures or {}),
        skipped=dict(skipped or {}),
        shown=_CONDITIONS_SHOWN,
        version=version("f2vbench"),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
    )


def page_figure(drawn: DrawnFigure) -> PageFigure:
    """Convert a figure for a page: SVG with letters as outlines, or WebP at 200 dpi where that is smaller."""
    many_artists = len(drawn.figure.findobj()) > _MOST_ARTISTS
    svg = None if many_artists else _round_paths(drawn.content("svg", outlines=True))
    if svg is None or len(svg) > _LARGEST_SVG:
        source = _data_uri("image/webp", _webp(drawn.content("png", _WEBP_DPI)))
    else:
        source = _data_uri("image/svg+xml", svg)
    width = round(float(drawn.figure.get_figwidth()) * _PIXELS_PER_INCH)
    return PageFigure(drawn.name, drawn.title, drawn.caption, source, width)


def _round_paths(svg: bytes) -> bytes:
    """Round the coordinates of SVG paths to 1/100 of a point: the file is a fifth smaller, without visible change."""
    digits = re.compile(rb"(\.\d\d)\d+")
    return re.sub(rb'(?<= d=")[^"]*', lambda path: digits.sub(rb"\1", path[0]), svg)


def _webp(png: bytes) -> bytes:
    output = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(output, "WEBP", quality=_WEBP_QUALITY)
    return output.getvalue()


@cache
def page_template(folder: str, name: str) -> Template:
    """Load the template of a page; what it inserts is escaped.

    Args:
        folder: Folder in the package.
        name: File name.
    """
    environment = Environment(
        loader=PackageLoader("f2vbench", folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"anchor": _anchor, "sort_value": _sort_value, "is_code": _is_hash}
    return environment.get_template(name)


@cache
def page_asset(package: str, name: str) -> str:
    """Read a style sheet or script of a page.

    Args:
        package: Import path of its folder.
        name: File name.
    """
    return files(package).joinpath(name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """Hash for the Content-Security-Policy, which allows no other script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _anchor(name: str) -> str:
    return "table-" + re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _sort_value(cell: Cell) -> str:
    """Value by which the page sorts; empty for cells without a value."""
    if cell.value is not None:
        return repr(float(cell.value)) if isinstance(cell.value, int | float) else cell.value
    return "" if cell.reason or cell.text == "–" else cell.text


def _is_hash(text: str) -> bool:
    """Whether a text consists of hashes, which are set in a monospaced font."""
    return re.fullmatch(r"[0-9a-f]{16,64}(, [0-9a-f]{16,64})*", text) is not None
