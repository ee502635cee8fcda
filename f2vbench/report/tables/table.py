"""A table as the writers take it: HTML, LaTeX, Markdown and CSV show the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Column:
    """A column's title, and what stands above it and its neighbours of the same group."""

    title: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """One entry.

    Attributes:
        text: as shown.
        value: what a reader sorts by and CSV holds; by default the text.
        detail: shown smaller beside it: spread and interval.
        mark: ``best``, or ``second`` of its column.
        unsure: the best does not differ significantly from the second.
        reason: why there is no value.
        muted: of a baseline, or of untrained weights.
    """

    text: str
    value: float | str | None = None
    detail: str = ""
    mark: Literal["", "best", "second"] = ""
    unsure: bool = False
    reason: str = ""
    muted: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows with a title, a caption and notes; ``name`` serves as file name and anchor."""

    name: str
    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    @property
    def groups(self) -> list[tuple[str, int]]:
        """(title, number of columns) of neighbours of one group, in order."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = column.group, found[-1][1] + 1
            else:
                found.append((column.group, 1))
        return found

    @property
    def grouped(self) -> bool:
        return any(column.group for column in self.columns)

    @property
    def frame(self) -> DataFrame:
        """The table's values as a data frame: numbers in full where cells have some, and the text of the others."""
        from pandas import DataFrame

        rows = [[cell.text if cell.value is None else cell.value for cell in row] for row in self.rows]
        return DataFrame(rows, columns=self.headings)

    @property
    def headings(self) -> list[str]:
        """One line of titles, the group before each."""
        return [f"{column.group}: {column.title}" if column.group else column.title for column in self.columns]
