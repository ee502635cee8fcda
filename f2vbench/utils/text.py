"""Text for people: aligned columns, shortened lists, p-values, durations, counts."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"–|[<+-]?\d[\d.]*( .*)?|")


def layout(header: Sequence[str], rows: Iterable[Sequence[str]], wrap: int | None = None) -> str:
    """Format a table with aligned columns: text to the left, numbers to the right.

    Args:
        header: Column titles.
        rows: Cells of each row.
        wrap: Maximum number of characters in the last column; longer text is wrapped.
    """
    cells = [list(map(str, row)) for row in rows]
    right = [bool(cells) and all(_NUMBER.fullmatch(row[i]) for row in cells) for i in range(len(header))]
    if wrap is not None:
        right[-1] = False  # sentences, which may start with a number
        cells = [[*line] for row in cells for line in _wrap_last(row, wrap)]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in [header, *cells]
    ]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _wrap_last(row: list[str], width: int) -> list[list[str]]:
    """Wrap the last cell of a row; the other cells of the additional rows are empty."""
    first, *more = textwrap.wrap(row[-1], width, break_long_words=False, break_on_hyphens=False) or [""]
    return [[*row[:-1], first], *([""] * (len(row) - 1) + [line] for line in more)]


_NAMES_IN_SENTENCE = 5


def shortened(names: Sequence[str]) -> str:
    """Join names for a sentence, at most five of them: ``a, b, c, d, e and 7 more``."""
    more = f" and {len(names) - _NAMES_IN_SENTENCE} more" if len(names) > _NAMES_IN_SENTENCE else ""
    return ", ".join(names[:_NAMES_IN_SENTENCE]) + more


def p_value(p: float | None, *, equation: bool = False) -> str:
    """Format a p-value with four decimals: ``0.0312``, ``<0.0001``, or a dash for None and NaN.

    Args:
        p: The p-value.
        equation: Return ``p = 0.0312`` or ``p < 0.0001``.
    """
    if p is None or math.isnan(p):
        return "–"
    if p < 1e-4:
        return "p < 0.0001" if equation else "<0.0001"
    return f"p = {p:.4f}" if equation else f"{p:.4f}"


def duration(seconds: float) -> str:
    """Format a duration: ``40 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: ``1 image``, ``1,200 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def is_utf8(text: str) -> bool:
    """Whether a text can be written; names of files in another encoding contain surrogates, which can't."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
