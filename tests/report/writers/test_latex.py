"""LaTeX tables: escaping, and a cell for every column."""

from __future__ import annotations

import re

from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.writers.latex import document, escaped, tabular
from tests.report.markup import table_text, unescaped_characters


def test_commands_in_data_are_escaped():
    text = escaped(r"\input{/etc/passwd} 100% & $x_1$ #1 ~ ^ { } | < > " + '"\n\\end{document} 中 λ é κ ±')
    assert not unescaped_characters(text.replace(r"\ensuremath{\pm}", "").replace(r"\ensuremath{\kappa}", ""))
    assert "\\input" not in text
    assert "\\end" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} 100\% \& \$x\_1\$ \#1" in text
    assert text.endswith(r"? ? é \ensuremath{\kappa} \ensuremath{\pm}")
    assert escaped("Ħ ſ ő Ł “x”") == "? ? ő Ł “x”"
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_every_row_of_a_document_has_a_cell_for_every_column(content):
    latex = document(content.tables)
    assert latex.startswith("\\documentclass")
    assert latex.endswith("\\end{document}\n")
    assert latex.count("\\begin{table}") == latex.count("\\end{table}") == latex.count("\\toprule") == 5
    for layout, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", latex, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows
        for row in rows:
            spans = [int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", row)]
            assert len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) == len(layout)
    assert not unescaped_characters(table_text(latex))


def test_details_are_small_below_their_cells():
    rows = [[Cell("a_b", detail="baseline"), Cell("0.9", 0.9, detail="± 0.1", mark="best", not_significant=True)]]
    text = tabular(Table("t", "T", "C", [Column("model", numeric=False), Column("AUROC")], rows))
    assert r"\begin{tabular}[t]{@{}l@{}}a\_b\\[-2pt]{\scriptsize baseline}\end{tabular} & " in text
    best = r"\textbf{0.9}\textsuperscript{n.s.}\\[-2pt]{\scriptsize \ensuremath{\pm} 0.1}"
    assert rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{best}\end{{tabular}} \\[3pt]" in text
