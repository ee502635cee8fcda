"""Tables in Markdown, for issues, wikis and READMEs."""

from __future__ import annotations

import re

from f2vbench.report.tables.table import Cell, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$<>&])")


def escaped(text: str) -> str:
    """Text in which nothing is markup: specials behind a backslash, < > & as entities, on one line."""
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    return _SPECIAL.sub(lambda found: entities.get(found[1], f"\\{found[1]}"), " ".join(text.split()))


def markdown(table: Table, *, second: bool = False) -> str:
    """A heading, a pipe table and its notes.

    Args:
        second: set the second best of each column in italics.
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
    around = "**" if cell.mark == "best" else "*" if second and cell.mark == "second" else ""
    parts = [f"{around}{text}{around}", "n.s." if cell.unsure else "", escaped(cell.detail)]
    return " ".join(part for part in parts if part)
