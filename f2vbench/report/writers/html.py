"""The report as one HTML page that needs nothing but itself: no network, no other file."""

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
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from f2vbench.report.content import Content
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.tables.table import Cell

_SHOWN_PLACES = 12
_LARGEST_DRAWING = 400_000  # bytes of SVG; pictures with photographs in them are smaller as WebP
_MOST_PARTS = 2_000  # lines, texts and the like; the SVG of so many is surely larger, and takes seconds to write
_QUALITY = 90
_DPI = 200
_PIXELS_AN_INCH = 134  # on the page: letters of 7 pt in print are 13 px high


@dataclass(frozen=True)
class PageFigure:
    """A figure as the page holds it; ``source`` is a data URI, ``width`` in CSS pixels."""

    name: str
    title: str
    caption: str
    source: str
    width: int


def page(content: Content, figures: Iterable[PageFigure] = (), missing_figures: Mapping[str, str] | None = None) -> str:
    """The HTML of a report. Every string from data is escaped.

    Args:
        missing_figures: name → why there is no such figure.
    """
    style, script = _asset("page.css"), _asset("page.js")
    return _template().render(
        content=content,
        figures=list(figures),
        missing_figures=dict(missing_figures or {}),
        shown=_SHOWN_PLACES,
        version=version("f2vbench"),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def page_figure(drawn: DrawnFigure) -> PageFigure:
    """A figure as the page holds it: drawings as SVG with letters as outlines, larger pictures as WebP of 200 dpi."""
    many = len(drawn.figure.findobj()) > _MOST_PARTS
    drawing = None if many else _rounded(drawn.content("svg", outlines=True))
    if drawing is None or len(drawing) > _LARGEST_DRAWING:
        source = _data_uri("image/webp", _webp(drawn.content("png", _DPI)))
    else:
        source = _data_uri("image/svg+xml", drawing)
    width = round(float(drawn.figure.get_figwidth()) * _PIXELS_AN_INCH)
    return PageFigure(drawn.name, drawn.title, drawn.caption, source, width)


def _rounded(drawing: bytes) -> bytes:
    """SVG whose paths are told to 1/100 of a point: a fifth less to carry, and no difference to be seen."""
    digits = re.compile(rb"(\.\d\d)\d+")
    return re.sub(rb'(?<= d=")[^"]*', lambda path: digits.sub(rb"\1", path[0]), drawing)


def _webp(png: bytes) -> bytes:
    held = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(held, "WEBP", quality=_QUALITY)
    return held.getvalue()


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("f2vbench", "report/writers"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"anchor": _anchor, "sort_value": _sort_value, "is_code": _is_code}
    return environment.get_template("page.html.j2")


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy has it: no other script or style than this is run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _anchor(name: str) -> str:
    return "table-" + re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _sort_value(cell: Cell) -> str:
    """What the page sorts by; empty for what has no value."""
    if cell.value is not None:
        return repr(float(cell.value)) if isinstance(cell.value, int | float) else cell.value
    return "" if cell.reason or cell.text == "–" else cell.text


def _is_code(text: str) -> bool:
    """Whether a text is a hash, which is set in a typewriter's letters."""
    return re.fullmatch(r"[0-9a-f]{16,64}(, [0-9a-f]{16,64})*", text) is not None
