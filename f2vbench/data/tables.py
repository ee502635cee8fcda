"""Tables with labels, patients or splits, read as text: CSV and Excel files."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from f2vbench.errors import DataError

_MAX_BYTES = 200_000_000
"""Unpacked size of the largest Excel file that is read; label tables have a few MB."""

_MIDNIGHT = " 00:00:00"
_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Cells:
    """All cells of a table as text, headings included.

    Attributes:
        source: The file and, of an Excel file, the sheet, for messages.
        rows: Stripped text; all rows have the same length, and empty rows are left out.
    """

    source: str
    rows: list[list[str]]


def read_table(path: Path, required: Iterable[str] = ()) -> DataFrame:
    """Read a table with one row of headings, from a CSV file or the first sheet of an Excel file.

    Returns:
        Stripped strings, "" for empty cells; column names are in lower case.

    Raises:
        DataError: The file is unreadable, a heading occurs twice, or a required column (lower case) is missing.
    """
    if path.suffix.lower() != ".xlsx":
        return read_csv(path, required)
    cells = read_cells(path)
    head, *body = cells.rows or [[]]
    table = DataFrame(body, columns=pd.Index([name.lower() for name in head], dtype=object))
    return _with_columns(table.loc[:, table.columns != ""], required, cells.source)


def read_csv(path: Path, required: Iterable[str] = ()) -> DataFrame:
    """Read a CSV file; the separator is detected.

    Returns:
        Stripped strings, "" for empty cells; column names are in lower case.

    Raises:
        DataError: The file is unreadable, a heading occurs twice, or a required column (lower case) is missing.
    """
    try:
        # With header=0, pandas renames the second of two equal headings.
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=None, engine="python", header=None
        )
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: unreadable ({error}): save it as comma-separated UTF-8 text") from None
    headings = [str(heading).strip().lower() for heading in table.iloc[0]]
    table.columns = pd.Index([heading or f"unnamed: {number}" for number, heading in enumerate(headings)])
    table = table.iloc[1:].reset_index(drop=True)
    return _with_columns(table, required, str(path)).apply(lambda column: column.str.strip())


def read_cells(path: Path) -> Cells:
    """Read all cells of a CSV file, or of the first sheet of an Excel file (.xlsx).

    Numbers become text in their shortest form ("2", "0.5"), dates in ISO format ("2020-01-31"), error values "".

    Raises:
        DataError: The file is damaged or too large, or openpyxl is not installed.
    """
    source, rows = _excel_rows(path) if path.suffix.lower() == ".xlsx" else (str(path), _csv_rows(path))
    rows = [[cell.strip() for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    width = max(map(len, rows), default=0)
    return Cells(source, [row + [""] * (width - len(row)) for row in rows])


def find_listed_image(table: Path, row: int, name: str, problems: list[str]) -> Path | None:
    """The image file that a table lists, relative to the table's folder.

    Args:
        table: The file of the table, for messages and paths.
        row: Row of the table, from 0 below the headings.
        name: The path as the table writes it.
        problems: Receives a sentence if the path is invalid or there is no such file.

    Returns:
        The file, or None if there is a problem.
    """
    where = f"{table}, row {row + 2}"
    path = table.parent / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        problems.append(f"{where}: '{name}' must be the path of an image below the table's folder")
    elif not path.is_file():
        problems.append(f"{where}: file '{name}' not found")
    else:
        return path
    return None


def limit_problems(problems: list[str]) -> list[str]:
    """The first ten problems, and the number of further ones."""
    more = len(problems) - _MAX_PROBLEMS
    return problems if more <= 0 else [*problems[:_MAX_PROBLEMS], f"… and {more} more"]


def _with_columns(table: DataFrame, required: Iterable[str], source: str) -> DataFrame:
    repeated = [str(name) for name in dict.fromkeys(table.columns[table.columns.duplicated()]) if name]
    if repeated:
        raise DataError(
            f"{source}: the heading {' and '.join(map(repr, repeated))} occurs more than once (capitals do not count); "
            "rename or remove all but one of these columns"
        )
    missing = [column for column in required if column not in table]
    if missing:
        columns = ", ".join(map(str, table.columns)) or "none"
        raise DataError(f"{source}: column {' and '.join(missing)} not found; columns are {columns}")
    return table


def _csv_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return list(csv.reader(lines))


def _excel_rows(path: Path) -> tuple[str, list[list[str]]]:
    """Source and rows of the first sheet."""
    source = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
                raise ValueError(f"larger than {_MAX_BYTES // 1_000_000} MB when unpacked")
        with pd.ExcelFile(path, engine="openpyxl") as workbook:
            sheet = str(workbook.sheet_names[0])
            source = f"{path}, sheet '{sheet}'"
            frame = pd.read_excel(workbook, sheet_name=sheet, header=None, dtype=str, na_filter=False)
    except ImportError:
        raise DataError(
            f'{path}: openpyxl, which reads Excel files, is not installed: pip install "f2vbench[excel]", or save the '
            "sheet as CSV"
        ) from None
    except Exception as error:  # openpyxl raises many kinds of exceptions on damaged files
        raise DataError(f"{source}: unreadable as .xlsx ({error}): download it again, or save it as CSV") from error
    rows = frame.fillna("").to_numpy().tolist()
    return source, [[cell.removesuffix(_MIDNIGHT) for cell in row] for row in rows]
