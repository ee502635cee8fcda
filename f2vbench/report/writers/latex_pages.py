"""Tables cut into parts that can be read on a landscape page of A4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from f2vbench.report.tables.table import Cell, Column, Table

# Points of LaTeX at 10 pt: what is free for a table (beside its caption), and what letters and lines take.
_WIDTH, _HEIGHT = 757, 400
_LETTER, _SMALL_LETTER, _BETWEEN = 4.6, 3.4, 12.0
_LINE, _SMALL_LINE = 12.0, 13.0
_NOTE_LINE, _NOTE_LETTERS = 13.0, 170
_SMALLEST = 0.6  # of 10 pt, to which a table is made narrower


def parts_of(table: Table) -> list[Table]:
    """The table itself where it fits, else its groups of columns on several pages, and each of these by rows.

    Columns before the first group are repeated. Only groups of the same columns (one number of shots after another) are
    parted: columns that tell different things of a row stay beside each other.
    """
    parts = [part for narrow in _by_columns(table) for part in _by_rows(narrow)]
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


def _by_columns(table: Table) -> list[Table]:
    widths = [_width(column, [row[place] for row in table.rows]) for place, column in enumerate(table.columns)]
    ends = list(accumulate(number for _, number in table.groups))
    groups = [range(end - number, end) for end, (_, number) in zip(ends, table.groups, strict=True)]
    stub = groups.pop(0) if table.groups and not table.groups[0][0] else range(0)
    room = _WIDTH / _SMALLEST - sum(widths[place] for place in stub)
    alike = len({tuple(table.columns[place].title for place in group) for group in groups}) == 1
    if sum(widths) <= _WIDTH / _SMALLEST or not alike:
        return [table]
    sheets: list[list[int]] = [[]]
    for group in groups:
        if sheets[-1] and sum(widths[place] for place in [*sheets[-1], *group]) > room:
            sheets.append([])
        sheets[-1] += group
    return [
        replace(
            table,
            columns=[table.columns[place] for place in [*stub, *sheet]],
            rows=[[row[place] for place in [*stub, *sheet]] for row in table.rows],
        )
        for sheet in sheets
    ]


def _by_rows(table: Table) -> list[Table]:
    width = sum(_width(column, [row[place] for row in table.rows]) for place, column in enumerate(table.columns))
    line = _LINE + _SMALL_LINE * any(cell.detail for row in table.rows for cell in row)
    notes = _NOTE_LINE * sum(-(-len(note) // _NOTE_LETTERS) for note in table.notes)
    most = max(1, int((_HEIGHT - min(notes, _HEIGHT / 2)) / (line * min(1.0, _WIDTH / width))))
    number = max(1, -(-len(table.rows) // most))
    length = max(1, -(-len(table.rows) // number))
    return [replace(table, rows=table.rows[first : first + length]) for first in range(0, len(table.rows) or 1, length)]


def _width(column: Column, cells: Sequence[Cell]) -> float:
    """Of a column whose details stand below their entries."""
    entries = [max(_LETTER * (len(cell.text) + 3 * cell.unsure), _SMALL_LETTER * len(cell.detail)) for cell in cells]
    return _BETWEEN + max([_LETTER * len(column.title), *entries])
