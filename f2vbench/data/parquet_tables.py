"""Tables in Parquet files as rows of text."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.errors import DataError

if TYPE_CHECKING:
    import pyarrow

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
    kept = [name for name in table.column_names if not name.startswith("__index_level_")]
    problems = [
        f"{path}: column '{name}' has values of the type {table.schema.field(name).type}, not text or numbers: leave "
        "the column out of the table, and name image files in it"
        for name in kept
        if not _is_plain(table.schema.field(name).type)
    ]
    if problems:
        raise DataError(problems)
    columns = [[_text(value) for value in table.column(name).to_pylist()] for name in kept]
    return [[name.strip() for name in kept], *map(list, zip(*columns, strict=True))]


def _is_plain(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    accepted = (
        types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating,
        types.is_decimal, types.is_boolean, types.is_date, types.is_timestamp, types.is_null,
    )  # fmt: skip
    return any(accepts(kind) for accepts in accepted)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    return str(value).strip()
