"""Markdown tables."""

from __future__ import annotations

import re

from f2vbench.report.tables.table import Cell, Column
from f2vbench.report.writers.latex import tabular
from f2vbench.report.writers.markdown import escaped, markdown
from f2vbench.report.writers.rendered_table import RenderedTable


def test_markup_in_names_is_escaped_and_every_row_has_all_columns(content):
    text = markdown(content.conditions[0])
    assert "<script>" not in text
    assert r"&lt;script&gt;alert('x')&lt;/script&gt;" in text
    assert not re.search(r"\\[()\[\]]", text)  # which would start a formula of MathJax
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_a_name_that_looks_like_a_link_is_no_link():
    assert escaped("[a](javascript:b) ![c](d)") == "&#91;a&#93;(javascript:b) \\!&#91;c&#93;(d)"
    assert escaped("[0.91, 0.95] (n = 5)") == "&#91;0.91, 0.95&#93; (n = 5)"


def test_the_best_value_is_bold_and_the_second_is_marked_on_request():
    rows = [
        [Cell("a_b"), Cell("0.9", 0.9, mark="best", not_significant=True)],
        [Cell("c"), Cell("0.8", 0.8, mark="second", muted=True)],
    ]
    table = RenderedTable("t", "T", "C", [Column("model", numeric=False), Column("AUROC")], rows)
    assert r"a\_b & \textbf{0.9}\textsuperscript{n.s.} \\" in table.to_latex()
    assert table.to_latex() == tabular(table)
    assert "underline" not in table.to_latex()
    assert r"\underline{0.8}" in table.to_latex(second=True)
    assert "| **0.9** n.s. |" in table.to_markdown()
    assert "| *0.8* |" in table.to_markdown(second=True)
    assert list(table.frame.AUROC) == [0.9, 0.8]
