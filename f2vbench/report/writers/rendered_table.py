"""Table that renders itself as LaTeX or Markdown, as `Results.table` returns it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from f2vbench.report.tables.table import Table
from f2vbench.report.writers.latex import tabular
from f2vbench.report.writers.markdown import markdown


@dataclass(frozen=True)
class RenderedTable(Table):
    """Table that renders itself as LaTeX or Markdown."""

    @classmethod
    def from_table(cls, table: Table) -> RenderedTable:
        """Copy the fields of a table."""
        return cls(**{field.name: getattr(table, field.name) for field in fields(Table)})

    def to_latex(self, *, second: bool = False) -> str:
        """Render a ``table`` environment for a document that loads booktabs and graphicx.

        Args:
            second: Underline the second best value of each column.
        """
        return tabular(self, second=second)

    def to_markdown(self, *, second: bool = False) -> str:
        """Render a heading, a pipe table and its notes.

        Args:
            second: Set the second best value of each column in italics.
        """
        return markdown(self, second=second)
