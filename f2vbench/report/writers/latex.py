"""Tables in LaTeX, with booktabs: a file to include, and one that compiles alone."""

from __future__ import annotations

from collections.abc import Iterable

from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.writers.latex_pages import parts_of

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
    "²": r"\textsuperscript{2}",
    "…": r"\dots{}",
}
_UNSURE = r"\textsuperscript{n.s.}"
_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
"""


def escaped(text: str) -> str:
    """Text in which nothing is a command: specials written out, line breaks as spaces.

    What pdflatex has no sign for (other alphabets than Latin, control characters) becomes a question mark.
    """
    return "".join(_SPECIAL.get(sign, sign if _can_be_set(sign) else "?") for sign in " ".join(text.split()))


def tabular(table: Table, *, second: bool = False) -> str:
    """A ``table`` environment, or several where it has more rows or columns than a page; needs booktabs and graphicx.

    Args:
        second: underline the second best of each column as well.
    """
    return "\\clearpage\n".join(_environment(part, second) for part in parts_of(table))


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
        lines += _groups(table)
    lines.append(" & ".join(escaped(column.title) for column in table.columns) + r" \\")
    lines.append(r"\midrule")
    stacked = any(cell.detail for row in table.rows for cell in row)
    end = r" \\[3pt]" if stacked else r" \\"
    lines += [" & ".join(map(_cell, row, table.columns, [second] * len(row))) + end for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\smallskip\footnotesize {escaped(note)}" for note in table.notes]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def document(tables: Iterable[Table], *, second: bool = False) -> str:
    """A whole file of tables that compiles with pdflatex."""
    body = "\\clearpage\n".join(tabular(table, second=second) for table in tables)
    return f"{_PREAMBLE}{body}\\end{{document}}\n"


def _groups(table: Table) -> list[str]:
    cells, rules, start = [], [], 1
    for title, width in table.groups:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}" if title else " & ".join([""] * width))
        if title:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & ".join(cells) + r" \\", " ".join(rules)]


def _cell(cell: Cell, column: Column, second: bool) -> str:
    """An entry, its detail small below it."""
    text = escaped(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second" and second:
        text = rf"\underline{{{text}}}"
    elif cell.muted:
        text = rf"\textit{{{text}}}"
    text += _UNSURE if cell.unsure else ""
    if not cell.detail:
        return text
    side, below = "r" if column.numeric else "l", escaped(cell.detail)
    return rf"\begin{{tabular}}[t]{{@{{}}{side}@{{}}}}{text}\\[-2pt]{{\scriptsize {below}}}\end{{tabular}}"


def _can_be_set(sign: str) -> bool:
    """Whether inputenc and the T1 fonts have it: Latin letters with few exceptions, tried in LaTeX of 2022."""
    return sign.isprintable() and (ord(sign) <= 0x17F or sign in "‘’“”•€") and sign not in "ĦħĸĿŀŉŦŧſ"


def _label(name: str) -> str:
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign == "-") else "-" for sign in name)
