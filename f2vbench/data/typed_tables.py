"""Tables whose cells have types, in Parquet files and in lines of JSON, as rows of text."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.errors import DataError

if TYPE_CHECKING:
    import pyarrow

_MAX_PROBLEMS = 10
_NO_PYARROW = (
    '{path}: pyarrow, which reads Parquet files, is not installed: pip install "f2vbench[parquet]", or save the table '
    "as CSV"
)


def read_parquet_rows(path: Path, max_bytes: int) -> list[list[str]]:
    """The headings and the cells of a Parquet file as text.

    Whole numbers are written without a fraction (a column of integers with missing values is one of floats), true and
    false as 1 and 0, dates in ISO format, missing values as "". The stored index of a DataFrame is left out.

    Args:
        path: The file.
        max_bytes: Size of the largest table that is read, uncompressed.

    Raises:
        DataError: pyarrow is not installed, the file is damaged or too large, or a column has other values than text,
            numbers, dates, true and false.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(_NO_PYARROW.format(path=path)) from None
    try:
        with pq.ParquetFile(path) as file:
            groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > max_bytes:
                raise DataError(f"{path}: larger than {max_bytes // 1_000_000} MB: this is no table of labels")
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: unreadable as Parquet ({reason}): download it again, or save it as CSV") from error
    kept = [field for field in enumerate(table.schema) if not field[1].name.startswith("__index_level_")]
    problems = [
        f"{path}: column '{field.name}' has values of the type {field.type}, not text or numbers: leave the column "
        "out of the table, and name image files in it"
        for _, field in kept
        if not _is_plain(field.type)
    ]
    if problems:
        raise DataError(problems)
    columns = [[cell_text(value) for value in table.column(position).to_pylist()] for position, _ in kept]
    return [[field.name.strip() for _, field in kept], *map(list, zip(*columns, strict=True))]


def read_json_rows(path: Path, max_bytes: int) -> list[list[str]]:
    """The keys and the values of a file with one JSON object a line (``metadata.jsonl`` of an image folder) as text.

    A key that an object lacks is an empty cell. Values are written as by `read_parquet_rows`.

    Args:
        path: The file.
        max_bytes: Size of the largest table that is read.

    Raises:
        DataError: The file is unreadable or too large, or lines are no objects of text, numbers, true and false.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise DataError(f"{path}: larger than {max_bytes // 1_000_000} MB: this is no table of labels")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: unreadable ({error}): save it as UTF-8 text, one JSON object a line") from None
    objects: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            problems.append(f"{path}, line {number}: not valid JSON ({error}): write one object a line")
            continue
        if not isinstance(found, dict):
            problems.append(f'{path}, line {number}: not an object: write {{"file_name": …, "label": …}}')
        elif nested := [key for key, value in found.items() if isinstance(value, dict | list)]:
            problems.append(f"{path}, line {number}: the value of '{nested[0]}' is not text or a number: leave it out")
        else:
            objects.append(found)
    if problems:
        more = len(problems) - _MAX_PROBLEMS
        raise DataError([*problems[:_MAX_PROBLEMS], *([f"… and {more} more"] if more > 0 else [])])
    keys = list(dict.fromkeys(key for found in objects for key in found))
    return [[key.strip() for key in keys], *([cell_text(found.get(key)) for key in keys] for found in objects)]


def _is_plain(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    accepted = (
        types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating,
        types.is_decimal, types.is_boolean, types.is_date, types.is_timestamp, types.is_null,
    )  # fmt: skip
    return any(accepts(kind) for accepts in accepted)


def cell_text(value: Any) -> str:
    """A value as text: see `read_parquet_rows`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    return str(value).strip()
