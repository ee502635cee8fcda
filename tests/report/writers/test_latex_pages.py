"""LaTeX tables that are longer or wider than a page."""

from __future__ import annotations

import re
from dataclasses import replace

from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.writers.latex import tabular
from f2vbench.report.writers.latex_pages import split_table


def test_a_table_longer_than_a_page_is_split_by_rows():
    rows = [[Cell(f"m{number:02d}"), Cell("0.9", 0.9)] for number in range(70)]
    table = Table("t", "T", "C", [Column("model", numeric=False), Column("AUROC")], rows, ["a note"])
    parts = tabular(table).split("\\clearpage\n")
    assert [part.count("0.9") for part in parts] == [24, 24, 22]
    assert re.findall(r"m\d\d", "".join(parts)) == [f"m{number:02d}" for number in range(70)]
    assert [re.search(r"\\label{(.*)}", part)[1] for part in parts] == ["tab:t", "tab:t-2", "tab:t-3"]
    assert [part.count("a note") for part in parts] == [0, 0, 1]
    assert r"\textbf{T (2 of 3).}" in parts[1]
    for fitting in (replace(table, rows=rows[:30]), replace(table, rows=[])):
        assert split_table(fitting) == [fitting]


def wide(titles):
    """One row of eight groups of two columns."""
    columns = [Column(title, group=f"{shots} per class") for shots in range(8) for title in titles(shots)]
    row = [Cell(f"v{place}", place, detail="± 0.0360 [0.4755, 0.5387]") for place in range(16)]
    return Table("t", "T", "C", [Column("model", numeric=False), *columns], [[Cell("mine"), *row]])


def test_groups_with_the_same_titles_are_split_by_columns():
    parts = split_table(wide(lambda shots: ["AUROC", "AUPR"]))
    assert len(parts) == 2
    assert [cell.text for part in parts for cell in part.rows[0][1:]] == [f"v{place}" for place in range(16)]
    for part in parts:
        assert (part.columns[0].title, part.rows[0][0].text) == ("model", "mine")
        assert [width for _, width in part.groups[1:]] == [2] * (len(part.columns) // 2)


def test_groups_with_different_titles_stay_together():
    assert len(split_table(wide(lambda shots: [f"p{shots}", "effect"]))) == 1
