"""Split tables into parts that fit on a landscape A4 page of a LaTeX document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from f2vbench.report.tables.table import Cell, Column, Table

# LaTeX points at a font size of 10 pt: space for a table below its caption, and sizes of letters and lines.
_PAGE_WIDTH, _PAGE_HEIGHT = 757, 400
_LETTER, _SMALL_LETTER, _COLUMN_GAP = 4.6, 3.4, 12.0
_LINE, _SMALL_LINE = 12.0, 13.0
_NOTE_LINE, _NOTE_LETTERS = 13.0, 170
_SMALLEST_SCALE = 0.6


def split_table(table: Table) -> list[Table]:
    """Split a table that does not fit on a page, first by groups of columns and then by rows.

    Columns before the first group are repeated in each part. Groups are separated only where all have the same titles
    (one group per number of shots), so that different values of a row stay together.

    Args:
        table: The table.

    Returns:
        The table itself where it fits, else its parts with numbered names and titles.
    """
    parts = [part for narrow in _split_columns(table) for part in _split_rows(narrow)]
    if len(parts) == 1:
        return parts
    return [
        replace(
            part,
            name=table.name if number == 1 else f"{table.name}-{number}",
            title=f"{table.title} ({number} of {len(parts)})",
            caption=table.caption if number == 1 else "",
            notes=table.notes if number == len(parts) else (),
        )
        for number, part in enumerate(parts, 1)
    ]


def _split_columns(table: Table) -> list[Table]:
    widths = _column_widths(table)
    ends = list(accumulate(count for _, count in table.groups))
    groups = [range(end - count, end) for end, (_, count) in zip(ends, table.groups, strict=True)]
    repeated = groups.pop(0) if table.groups and not table.groups[0][0] else range(0)
    room = _PAGE_WIDTH / _SMALLEST_SCALE - sum(widths[index] for index in repeated)
    same_titles = len({tuple(table.columns[index].title for index in group) for group in groups}) == 1
    if sum(widths) <= _PAGE_WIDTH / _SMALLEST_SCALE or not same_titles:
        return [table]
    pages: list[list[int]] = [[]]
    for group in groups:
        if pages[-1] and sum(widths[index] for index in [*pages[-1], *group]) > room:
            pages.append([])
        pages[-1] += group
    return [
        replace(
            table,
            columns=[table.columns[index] for index in [*repeated, *page]],
            rows=[[row[index] for index in [*repeated, *page]] for row in table.rows],
        )
        for page in pages
    ]


def _split_rows(table: Table) -> list[Table]:
    line_height = _LINE + _SMALL_LINE * any(cell.detail for row in table.rows for cell in row)
    notes_height = _NOTE_LINE * sum(-(-len(note) // _NOTE_LETTERS) for note in table.notes)
    scale = min(1.0, _PAGE_WIDTH / sum(_column_widths(table)))
    most = max(1, int((_PAGE_HEIGHT - min(notes_height, _PAGE_HEIGHT / 2)) / (line_height * scale)))
    pages = max(1, -(-len(table.rows) // most))
    length = max(1, -(-len(table.rows) // pages))
    starts = range(0, len(table.rows) or 1, length)
    return [replace(table, rows=table.rows[start : start + length]) for start in starts]


def _column_widths(table: Table) -> list[float]:
    return [_column_width(column, [row[index] for row in table.rows]) for index, column in enumerate(table.columns)]


def _column_width(column: Column, cells: Sequence[Cell]) -> float:
    """Width in points, with details below the texts of the cells."""
    widths = [
        max(_LETTER * (len(cell.text) + 3 * cell.not_significant), _SMALL_LETTER * len(cell.detail)) for cell in cells
    ]
    return _COLUMN_GAP + max([_LETTER * len(column.title), *widths])
