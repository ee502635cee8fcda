"""Tables as the writers receive them: HTML, LaTeX, Markdown and CSV show the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        title: Heading.
        group: Heading above this column and its neighbours of the same group.
        numeric: Whether the cells are numbers, which are aligned right.
    """

    title: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """Cell of a table.

    Attributes:
        text: Text of the cell.
        value: Value by which readers sort, and which CSV contains; by default the text.
        detail: Smaller text beside it, such as the spread and the interval.
        mark: ``best`` or ``second`` of its column.
        not_significant: Whether the best value is not significantly better than the second.
        reason: Why there is no value.
        muted: Whether the row is of a baseline or of an encoder with random weights.
    """

    text: str
    value: float | str | None = None
    detail: str = ""
    mark: Literal["", "best", "second"] = ""
    not_significant: bool = False
    reason: str = ""
    muted: bool = False


@dataclass(frozen=True)
class Table:
    """Table with a title, a caption and notes.

    Attributes:
        name: Name of the table in files and links.
        title: Title.
        caption: Sentences that explain the columns.
        columns: Columns.
        rows: Rows of cells, one cell per column.
        notes: Sentences below the table.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Title and number of columns of each group, in the order of columns."""
        groups: list[tuple[str, int]] = []
        for column in self.columns:
            if groups and groups[-1][0] == column.group:
                groups[-1] = column.group, groups[-1][1] + 1
            else:
                groups.append((column.group, 1))
        return groups

    @property
    def grouped(self) -> bool:
        """Whether any column has a group."""
        return any(column.group for column in self.columns)

    @property
    def headings(self) -> list[str]:
        """Headings on one line, the group before the title."""
        return [f"{column.group}: {column.title}" if column.group else column.title for column in self.columns]

    @property
    def frame(self) -> DataFrame:
        """Data frame of the values, in full precision, and of the texts of cells without a value."""
        from pandas import DataFrame

        rows = [[cell.text if cell.value is None else cell.value for cell in row] for row in self.rows]
        return DataFrame(rows, columns=self.headings)


def text_columns(*titles: str) -> list[Column]:
    """Columns of text without groups."""
    return [Column(title, numeric=False) for title in titles]


def count_cell(count: int | None, missing: str = "–") -> Cell:
    """Cell of an integer with thousands separators."""
    return Cell(missing if count is None else f"{count:,}", count)
