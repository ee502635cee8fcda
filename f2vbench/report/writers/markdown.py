"""Markdown tables, for issues, wikis and READMEs."""

from __future__ import annotations

import re

from f2vbench.report.tables.table import Cell, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]#+!|~$<>&])")


def escaped(text: str) -> str:
    """Escape all markup: a backslash before special characters, entities for < > & [ ], no line breaks.

    A backslash before a bracket or parenthesis would start a formula of MathJax.
    """
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "[": "&#91;", "]": "&#93;"}
    return _SPECIAL.sub(lambda match: entities.get(match[1], f"\\{match[1]}"), " ".join(text.split()))


def markdown(table: Table, *, second: bool = False) -> str:
    """Render a table as a heading, a caption, a pipe table and notes.

    Args:
        table: The table.
        second: Set the second best value of each column in italics.

    Returns:
        Markdown that ends with a line break.
    """
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [f"### {escaped(table.title)}", "", escaped(table.caption), ""]
    lines += [_line([escaped(title) for title in table.headings]), _line(rule)]
    lines += [_line([_cell(cell, second) for cell in row]) for row in table.rows]
    lines += [line for note in table.notes for line in ("", escaped(note))]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, second: bool) -> str:
    text = escaped(cell.text)
    emphasis = "**" if cell.mark == "best" else "*" if second and cell.mark == "second" else ""
    parts = [f"{emphasis}{text}{emphasis}", "n.s." if cell.not_significant else "", escaped(cell.detail)]
    return " ".join(part for part in parts if part)
