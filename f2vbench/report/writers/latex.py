"""LaTeX tables with booktabs: environments to include, and a document that compiles without other files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.writers.latex_pages import split_table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "·": r"\textperiodcentered{}",
    "↓": r"\ensuremath{\downarrow}",
    "↑": r"\ensuremath{\uparrow}",
    "→": r"\ensuremath{\rightarrow}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "κ": r"\ensuremath{\kappa}",
    "χ": r"\ensuremath{\chi}",
    "α": r"\ensuremath{\alpha}",
    "√": r"\ensuremath{\surd}",
    "∞": r"\ensuremath{\infty}",
    "²": r"\textsuperscript{2}",
    "…": r"\dots{}",
    "†": r"\textdagger{}",
}
_NOT_SIGNIFICANT = r"\textsuperscript{n.s.}"
_PREAMBLE = r"""\documentclass[10pt]{article}
\title{Written by f2vbench report}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
"""


def escaped(text: str) -> str:
    """Escape all special characters of LaTeX, and replace line breaks by spaces.

    Characters that pdflatex cannot set (alphabets other than Latin, control characters) become question marks.
    """
    return "".join(
        _SPECIAL.get(character, character if _can_be_set(character) else "?") for character in " ".join(text.split())
    )


def tabular(table: Table, *, second: bool = False) -> str:
    """Render a table as one ``table`` environment, or several where it does not fit on a page.

    Args:
        table: The table.
        second: Underline the second best value of each column.

    Returns:
        LaTeX for a document that loads booktabs and graphicx.
    """
    return "\\clearpage\n".join(_environment(part, second) for part in split_table(table))


def document(tables: Iterable[Table], *, second: bool = False) -> str:
    """Render tables as a document that compiles with pdflatex.

    Args:
        tables: The tables.
        second: Underline the second best value of each column.

    Returns:
        A complete LaTeX file.
    """
    body = "\\clearpage\n".join(tabular(table, second=second) for table in tables)
    return f"{_PREAMBLE}{body}\\end{{document}}\n"


def _environment(table: Table, second: bool) -> str:
    layout = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{\textbf{{{escaped(table.title)}.}} {escaped(table.caption)}}}",
        rf"\label{{tab:{_label(table.name)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
    ]
    if table.grouped:
        lines += _group_headings(table)
    lines.append(" & ".join(escaped(column.title) for column in table.columns) + r" \\")
    lines.append(r"\midrule")
    stacked = any(cell.detail for row in table.rows for cell in row)
    end = r" \\[3pt]" if stacked else r" \\"
    lines += [" & ".join(map(_cell, row, table.columns, [second] * len(row))) + end for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\smallskip\footnotesize {escaped(note)}" for note in table.notes]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _group_headings(table: Table) -> list[str]:
    cells, rules, start = [], [], 1
    for title, width in table.groups:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}" if title else " & ".join([""] * width))
        if title:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & ".join(cells) + r" \\", " ".join(rules)]


def _cell(cell: Cell, column: Column, second: bool) -> str:
    """A cell with its detail in small letters below."""
    text = escaped(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second" and second:
        text = rf"\underline{{{text}}}"
    elif cell.muted:
        text = rf"\textit{{{text}}}"
    text += _NOT_SIGNIFICANT if cell.not_significant else ""
    if not cell.detail:
        return text
    alignment, detail = "r" if column.numeric else "l", escaped(cell.detail)
    return rf"\begin{{tabular}}[t]{{@{{}}{alignment}@{{}}}}{text}\\[-2pt]{{\scriptsize {detail}}}\end{{tabular}}"


def _can_be_set(character: str) -> bool:
    """Whether inputenc and the T1 fonts have a character: Latin letters with few exceptions (LaTeX of 2022)."""
    latin = ord(character) <= 0x17F or character in "‘’“”•€"
    return character.isprintable() and latin and character not in "ĦħĸĿŀŉŦŧſ"


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", name)
