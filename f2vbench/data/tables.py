"""Tables with labels, patients or splits, read as text: CSV, Excel and Parquet files, and lines of JSON."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from f2vbench.data.typed_tables import read_json_rows, read_parquet_rows
from f2vbench.errors import DataError
from f2vbench.utils.text import shortened

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl")
"""Suffixes of the files that `read_table` reads."""

_MAX_BYTES = 200_000_000
"""Size of the largest table that is read (of Excel files unpacked); label tables have a few MB."""

_TYPED = {".parquet": read_parquet_rows, ".jsonl": read_json_rows}
_SEPARATORS = (",", ";", "\t", "|")
_SAVE = "save it as comma-separated UTF-8 text"
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
    """Read a table, from a CSV or Parquet file, the first sheet of an Excel file, or lines of JSON.

    Returns:
        Stripped strings, "" for empty cells; column names are in lower case.

    Raises:
        DataError: The file is unreadable, a heading occurs twice, or a required column (lower case) is missing.
    """
    if path.suffix.lower() not in (".xlsx", *_TYPED):
        return read_csv(path, required)
    cells = read_cells(path)
    head, *body = cells.rows or [[]]
    names = [name.lower() for name in head]
    repeated = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if repeated:
        raise DataError(f"{cells.source}: several columns have the heading {shortened(repeated)}: rename all but one")
    table = DataFrame(body, columns=pd.Index(names, dtype=object))
    return _with_columns(table.loc[:, table.columns != ""], required, cells.source)


def read_csv(path: Path, required: Iterable[str] = ()) -> DataFrame:
    """Read a CSV file. The separator is the comma, semicolon, tab or bar that occurs most often in the headings.

    In a file named ``.tsv`` it is the tab.

    Every row has as many fields as the headings; additional empty fields at the end are ignored.

    Returns:
        Stripped strings, "" for empty cells; column names are in lower case. Empty rows and columns without a heading
        are left out.

    Raises:
        DataError: The file is unreadable or empty, rows have too many or too few fields (their lines are listed), two
            columns have the same heading, a column without a heading has values, or a required column (lower case) is
            missing.
    """
    (_, head), *body = _csv_rows(path) or [(0, [])]
    if not any(head):
        raise DataError(f"{path}: the file has no headings: write the names of the columns into the first row")
    while head and not head[-1]:
        head.pop()
    problems = _ragged_rows(path, head, body)
    names = [name.lower() for name in head]
    problems += [
        f"{path}: {count} columns have the heading '{name}': rename or remove all but one"
        for name, count in Counter(name for name in names if name).items()
        if count > 1
    ]
    if problems:
        raise DataError(limit_problems(problems))
    table = DataFrame([row[: len(names)] for _, row in body], columns=pd.Index(names, dtype=object), dtype=str)
    return _with_columns(table.loc[:, table.columns != ""], required, str(path))


def read_cells(path: Path) -> Cells:
    """Read all cells of a CSV or Parquet file, of lines of JSON, or of the first sheet of an Excel file (.xlsx).

    Numbers become text in their shortest form ("2", "0.5"), dates in ISO format ("2020-01-31"), error values "".

    Raises:
        DataError: The file is damaged or too large, or openpyxl or pyarrow is not installed.
    """
    if path.suffix.lower() == ".xlsx":
        source, rows = _excel_rows(path)
    elif path.suffix.lower() in _TYPED:
        source, rows = str(path), _TYPED[path.suffix.lower()](path, _MAX_BYTES)
    else:
        source, rows = str(path), [row for _, row in _csv_rows(path)]
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


def _csv_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and stripped fields of every row that is not empty; the first row decides on the separator."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: larger than {_MAX_BYTES // 1_000_000} MB: this is no table of labels")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}): {_SAVE}") from None
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error.strerror or error}): {_SAVE}") from None
    if "\0" in text:
        raise DataError(f"{path}: contains zero bytes, as UTF-16 text and damaged files do: {_SAVE}")
    marked = re.match(r"sep=([,;\t|])\r?\n", text)  # Excel's own mark of the separator
    text = text[marked.end() :] if marked else text
    tabs = "\t" if path.suffix.lower() == ".tsv" else None
    separator = marked[1] if marked else tabs or _separator(text.lstrip("\r\n "))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            fields = [cell.strip() for cell in row]
            if any(fields):
                rows.append((reader.line_num + bool(marked), fields))
    except csv.Error as error:
        line = reader.line_num + bool(marked)
        raise DataError(f"{path}, line {line}: {error}: check the quotation marks of this row: {_SAVE}") from None
    return rows


def _separator(text: str) -> str:
    """The separator that occurs most often in the first line outside quotation marks; a comma if there is none."""
    first_line = re.sub(r'"[^"]*"', "", text.splitlines()[0] if text else "")
    return max(_SEPARATORS, key=first_line.count)


def _ragged_rows(path: Path, head: list[str], body: list[tuple[int, list[str]]]) -> list[str]:
    """Rows whose fields don't belong to the headings one by one, one sentence each."""
    problems = []
    for line, row in body:
        unnamed = [cell for name, cell in zip_longest(head, row, fillvalue="") if cell and not name]
        if len(row) < len(head):
            problems.append(
                f"{path}, line {line}: {len(row)} fields for {len(head)} headings ({shortened(row)}): write empty "
                "fields for missing values"
            )
        elif unnamed:
            problems.append(
                f"{path}, line {line}: {len(row)} fields for {len(head)} headings, and no heading for "
                f"'{unnamed[0]}': add the heading, or remove the field (a field that contains the separator needs "
                "quotation marks)"
            )
    return problems


def _excel_rows(path: Path) -> tuple[str, list[list[str]]]:
    """Source and rows of the first sheet that a user sees: charts and hidden sheets are no tables."""
    source = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
                raise ValueError(f"larger than {_MAX_BYTES // 1_000_000} MB when unpacked")
        with pd.ExcelFile(path, engine="openpyxl") as workbook:
            visible = [sheet.title for sheet in workbook.book.worksheets if sheet.sheet_state == "visible"]
            sheet = str(visible[0] if visible else workbook.sheet_names[0])
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
