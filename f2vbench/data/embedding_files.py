"""Files of embeddings with image ids: `.npz` of NumPy, and Parquet (extra `parquet`)."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2vbench.errors import DataError
from f2vbench.utils.files import write_atomically
from f2vbench.utils.text import plural, shortened

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".npz", ".parquet")
_ID_COLUMNS = ("image", "id", "ids", "image_id")


class Embeddings(NamedTuple):
    """Ids of n images, and their (n, width) float32 vectors."""

    ids: list[str]
    vectors: NDArray[np.float32]


def read_embeddings(path: Path, id_column: str | None = None) -> Embeddings:
    """Read a file of embeddings.

    An `.npz` has an array of ids, (n,) text or whole numbers, and an array of vectors, (n, width) numbers. A Parquet
    file has a column of ids, and the vectors in one column of lists or in one column for each number, in their order.

    Args:
        path: The file.
        id_column: Name of the array or column of ids. By default the only one-dimensional array, or the column
            `image`, `id`, `ids` or `image_id`.

    Returns:
        The ids in the order of the file, and the vectors as float32.

    Raises:
        DataError: The file is missing, unreadable or has other contents, a vector has another length or a value that is
            missing, not finite or beyond float32, or an id occurs twice or is empty; all of them are named.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: embeddings are read from files with the suffix {' or '.join(SUFFIXES)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    ids, vectors = (_read_npz if path.suffix.lower() == ".npz" else _read_parquet)(path, id_column)
    if not ids:
        raise DataError(f"{path}: it has no rows")
    if len(ids) != len(vectors):
        raise DataError(f"{path}: {plural(len(ids), 'id')}, but {plural(len(vectors), 'vector')}")
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(vectors, np.float32)
    if not single.shape[1]:
        raise DataError(f"{path}: its vectors have no numbers, shape {single.shape}; store (n, width) numbers")
    problems = []
    bad = [ids[row] for row in np.flatnonzero(~np.isfinite(single).all(axis=1)).tolist()]
    if bad:
        problems.append(
            f"{path}: values that are missing, not finite or beyond float32 in the vectors of {_named(bad)}"
        )
    repeated = [each for each, count in Counter(ids).items() if count > 1]
    if repeated:
        problems.append(f"{path}: ids that occur more than once: {_named(repeated)}; keep one row of each")
    if "" in ids:
        problems.append(f"{path}: row {ids.index('') + 1} has an empty id")
    if problems:
        raise DataError(problems)
    return Embeddings(ids, single)


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write embeddings: an `.npz` with the arrays `ids` and `embeddings`, or Parquet with `image` and `embedding`.

    Raises:
        DataError: The suffix is unknown, or pyarrow is not installed.
        StoreError: The file is not writable.
    """
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npz":
        np.savez(buffer, ids=np.array(embeddings.ids, str), embeddings=embeddings.vectors)
    elif path.suffix.lower() == ".parquet":
        pa, parquet = _pyarrow(path)
        width = embeddings.vectors.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.vectors.ravel()), width)
        parquet.write_table(pa.table({"image": embeddings.ids, "embedding": column}), buffer)
    else:
        raise DataError(f"{path}: embeddings are written to files with the suffix {' or '.join(SUFFIXES)}")
    write_atomically(path, [buffer.getbuffer()])


def _read_npz(path: Path, id_column: str | None) -> tuple[list[str], NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        hint = "; save ids as text, np.array(ids, str)" if "pickle" in str(error) else ""
        raise DataError(f"{path}: unreadable as .npz ({str(error).splitlines()[0]}){hint}") from None
    if id_column is not None and id_column not in arrays:
        raise DataError(f"{path}: there is no array '{id_column}'; there are {', '.join(arrays) or 'none'}")
    flat = [name for name, array in arrays.items() if array.ndim == 1 and (id_column or name) == name]
    wide = [name for name, array in arrays.items() if array.ndim == 2]
    if len(flat) != 1 or len(wide) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise DataError(
            f"{path}: an .npz of embeddings has one array of ids, (n,), and one of vectors, (n, width); its arrays are "
            f"{found}"
        )
    ids, vectors = arrays[flat[0]], arrays[wide[0]]
    if ids.dtype.kind not in "UiuS":
        raise DataError(f"{path}: '{flat[0]}' has the type {ids.dtype}; ids are text or whole numbers")
    if vectors.dtype.kind not in "fiu":
        raise DataError(f"{path}: '{wide[0]}' has the type {vectors.dtype}; vectors are numbers")
    return [each.decode() if isinstance(each, bytes) else str(each) for each in ids.tolist()], vectors


def _read_parquet(path: Path, id_column: str | None) -> tuple[list[str], NDArray[Any]]:
    pa, parquet = _pyarrow(path)
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: unreadable as Parquet ({str(error).splitlines()[0]})") from None
    columns = [name for name in table.column_names if not name.startswith("__index_level_")]
    known = [id_column] if id_column is not None else list(_ID_COLUMNS)
    found = [name for name in columns if name in known]
    if len(found) != 1:
        raise DataError(
            f"{path}: a column of ids is needed, named {' or '.join(known)} (ids=<column> names another); its columns "
            f"are {shortened(columns)}"
        )
    ids = ["" if value is None else str(value) for value in table[found[0]].to_pylist()]
    return ids, _vectors_of_table(path, table.select([name for name in columns if name != found[0]]), ids)


def _vectors_of_table(path: Path, table: pyarrow.Table, ids: Sequence[str]) -> NDArray[Any]:
    """Vectors of the columns of a table: one column of lists, or one column for each number."""
    from pyarrow import types

    lists = [field.name for field in table.schema if _is_list(field.type)]
    numbers = [field.name for field in table.schema if types.is_floating(field.type) or types.is_integer(field.type)]
    others = [name for name in table.column_names if name not in lists + numbers]
    if others:
        raise DataError(f"{path}: columns that are no numbers: {shortened(others)}; leave them out")
    if len(lists) > 1 or (lists and numbers) or not (lists or numbers):
        raise DataError(
            f"{path}: the vectors are one column of lists, or one column for each number; there are "
            f"{plural(len(lists), 'column')} of lists and {len(numbers)} of numbers"
        )
    if numbers:
        return np.stack([table[name].to_numpy() for name in numbers], axis=1)
    column = table[lists[0]].combine_chunks()
    lengths = np.array(column.value_lengths().fill_null(0))
    if not lengths.any():
        raise DataError(f"{path}: it has no rows with a vector")
    width = int(np.bincount(lengths[lengths > 0]).argmax())
    bad = [ids[row] for row in np.flatnonzero(lengths != width).tolist()]
    if bad:
        raise DataError(f"{path}: most vectors have the length {width}, but not those of {_named(bad)}")
    values = column.flatten()
    if not (types.is_floating(values.type) or types.is_integer(values.type)):
        raise DataError(f"{path}: '{lists[0]}' has lists of {values.type}; vectors are numbers")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, width)


def _is_list(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f'{path}: pyarrow, which Parquet files need, is not installed: pip install "f2vbench[parquet]", or use .npz'
        ) from None
    return pyarrow, parquet


def _named(ids: Sequence[str]) -> str:
    return f"{plural(len(ids), 'image')} ({shortened(ids)})"
