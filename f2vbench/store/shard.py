"""Shards of a feature set: safetensors files with the arrays of many entries, written whole and memory-mapped.

A shard of n entries has the tensors

    entries      (n, 32) uint8, names of the entries
    digests      (n, 32) uint8, SHA-256 of each entry's name, array names, dtypes, shapes and values
    0/<array>    (m, …), an array of the first m entries, which have the same names, dtypes and shapes
    1/<array>    the same of the following entries, and so on

Any reader of safetensors files opens them. This module reads the header itself, because the index of a shard is read
often and the arrays are not, and writes it itself, because entries are written without a copy of the whole file.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from f2vbench.utils.files import write_atomically

SUFFIX = ".safetensors"
NAME_BYTES = 32
_FORMAT = {"format": "f2vbench features", "version": "1"}
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}
_ALIGNMENT = 64
_HEADER_LIMIT = 100_000_000

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
_Declared: TypeAlias = tuple[str, str, tuple[int, ...]]
Layout: TypeAlias = tuple[_Declared, ...]
"""Name, code of the dtype, and shape of each array of an entry, sorted by name."""


class Row(NamedTuple):
    """An entry.

    Attributes:
        name: Its name.
        digest: Its checksum.
        layout: Names, dtypes and shapes of its arrays.
        size: Bytes of a shard that it takes.
        arrays: Its arrays, C-contiguous.
    """

    name: bytes
    digest: bytes
    layout: Layout
    size: int
    arrays: Arrays


class ShardError(ValueError):
    """A file is no whole shard."""


def make_row(name: bytes, arrays: Arrays) -> Row:
    """Row of an entry, with its checksum.

    Args:
        name: Name of the entry, 32 bytes.
        arrays: At least one array by name; of any numeric dtype that safetensors files have.

    Raises:
        ValueError: The name has another length, there is no array, or an array has another dtype.
    """
    if len(name) != NAME_BYTES:
        raise ValueError(f"the name of an entry has {NAME_BYTES} bytes, not {len(name)}")
    if not arrays:
        raise ValueError("an entry has at least one array")
    contiguous = {key: np.asarray(arrays[key], order="C") for key in sorted(arrays)}
    layout = layout_of(contiguous)
    return Row(name, _digest(name, repr(layout).encode(), contiguous), layout, _size(layout), contiguous)


def row_digest(name: bytes, arrays: Arrays) -> bytes:
    """SHA-256 of the name of an entry and of its C-contiguous arrays."""
    return _digest(name, repr(layout_of(arrays)).encode(), {key: arrays[key] for key in sorted(arrays)})


def _digest(name: bytes, layout: bytes, arrays: Arrays) -> bytes:
    """`row_digest` of arrays in the order of their names."""
    digest = hashlib.sha256(name + layout)
    for array in arrays.values():
        digest.update(_bytes(array))
    return digest.digest()


def _size(layout: Layout) -> int:
    return 2 * NAME_BYTES + sum(math.prod(shape) * np.dtype(_DTYPES[code]).itemsize for _, code, shape in layout)


def layout_of(arrays: Arrays) -> Layout:
    """Names, dtypes and shapes of arrays."""
    try:
        return tuple((key, _CODES[arrays[key].dtype], arrays[key].shape) for key in sorted(arrays))
    except KeyError as error:
        raise ValueError(f"arrays of the dtype {error.args[0]} can't be stored") from None


def write_shard(folder: Path, rows: Sequence[Row], *, durable: bool = False) -> Path:
    """Write a new shard.

    Args:
        folder: Folder of the feature set.
        rows: Its entries; the names are distinct.
        durable: Wait until the file is on the disk.

    Returns:
        The path; shards that are written later have names that sort after it.

    Raises:
        StoreError: The disk is full or the folder is not writable; no file is left.
    """
    groups: dict[Layout, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.layout, []).append(row)
    path = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}{SUFFIX}"
    write_atomically(path, _chunks(groups), durable=durable)
    return path


def _chunks(groups: Mapping[Layout, Sequence[Row]]) -> Iterator[bytes | memoryview]:
    """Content of a shard, piece by piece."""
    count = sum(len(rows) for rows in groups.values())
    header: dict[str, Any] = {"__metadata__": _FORMAT}
    position = 0
    tensors: list[_Declared] = [("entries", "U8", (count, NAME_BYTES)), ("digests", "U8", (count, NAME_BYTES))]
    tensors += [
        (f"{number}/{key}", code, (len(rows), *shape))
        for number, (layout, rows) in enumerate(groups.items())
        for key, code, shape in _by_item_size(layout)
    ]
    for name, code, shape in tensors:
        end = position + math.prod(shape) * np.dtype(_DTYPES[code]).itemsize
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    yield struct.pack("<Q", len(text)) + text
    yield b"".join(row.name for rows in groups.values() for row in rows)
    yield b"".join(row.digest for rows in groups.values() for row in rows)
    for layout, rows in groups.items():
        for key, *_ in _by_item_size(layout):
            for row in rows:
                yield _bytes(row.arrays[key])


def _by_item_size(layout: Layout) -> list[_Declared]:
    """Arrays with the largest items first, so that few of them are not aligned."""
    return sorted(layout, key=lambda array: (-np.dtype(_DTYPES[array[1]]).itemsize, array[0]))


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


class _Tensor(NamedTuple):
    """Place of a tensor in a shard; ``start`` is counted from the start of the file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


class _Group(NamedTuple):
    """Entries with the same arrays: the first row and the row after the last, and the tensors by array name.

    ``text`` is the layout as it is hashed, ``size`` the bytes of an entry.
    """

    first: int
    last: int
    tensors: dict[str, str]
    layout: Layout
    text: bytes
    size: int


class Shard:
    """A shard that is open for reading.

    Args:
        path: The file.

    Attributes:
        path: The file.
        bytes: Size of the file.

    Raises:
        ShardError: The file is truncated, or is no shard.
        OSError: The file is not readable.
    """

    def __init__(self, path: Path):
        self.path = path
        with path.open("rb") as file:
            self.bytes = file.seek(0, 2)
            file.seek(0)
            self._tensors = _read_header(file.read(8), file.read, self.bytes)
            entries, digests = (self._tensors.pop(name, None) for name in ("entries", "digests"))
            if entries is None or digests is None or not _is_index(entries) or entries.shape != digests.shape:
                raise ShardError("it has no index")
            self._entries, self._digests_place = entries, digests
        self._groups: list[_Group] = []
        self._read_groups()

    def _read_groups(self) -> None:
        """Set the groups of entries with the same arrays."""
        names: dict[int, dict[str, str]] = {}
        for name in self._tensors:
            group, _, key = name.partition("/")
            if not group.isdigit() or not key:
                raise ShardError(f"it has an unknown tensor '{name}'")
            names.setdefault(int(group), {})[key] = name
        first = 0
        for _, arrays in sorted(names.items()):
            counts = {self._tensors[name].shape[:1] for name in arrays.values()}
            if len(counts) != 1 or counts == {()}:
                raise ShardError("its arrays differ in length")
            tensors = dict(sorted(arrays.items()))
            found = {key: self._tensors[name] for key, name in tensors.items()}
            layout = tuple((key, _CODES[tensor.dtype], tensor.shape[1:]) for key, tensor in found.items())
            last = first + counts.pop()[0]
            self._groups.append(_Group(first, last, tensors, layout, repr(layout).encode(), _size(layout)))
            first = last
        if first != len(self):
            raise ShardError("its index and its arrays differ in length")

    def __len__(self) -> int:
        """Number of entries."""
        return self._entries.shape[0]

    @property
    def names(self) -> NDArray[np.bytes_]:
        """(n,) names of the entries, dtype S32; in the mapped file."""
        return self._names_of_rows.reshape(-1).view(f"S{NAME_BYTES}")

    def row(self, number: int) -> Row | None:
        """Copy an entry and verify its checksum; None if it is damaged."""
        for group in self._groups:
            if group.first <= number < group.last:
                name, digest = self._names_of_rows[number].tobytes(), self._digests[number].tobytes()
                arrays = {key: np.array(self._arrays[of][number - group.first]) for key, of in group.tensors.items()}
                is_whole = _digest(name, group.text, arrays) == digest
                return Row(name, digest, group.layout, group.size, arrays) if is_whole else None
        raise IndexError(number)

    def read_array(self, key: str, numbers: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Copy one array of several entries that have the same arrays, and verify their checksums.

        Args:
            key: Name of the array.
            numbers: (n,) numbers of the entries, in any order.

        Returns:
            (n, …) values; and (n,) whether each is undamaged.

        Raises:
            ShardError: The entries differ in the dtype or shape of the array, or lack it.
        """
        parts: list[tuple[NDArray[np.bool_], NDArray[Any], NDArray[np.bool_]]] = []
        for first, last, tensors, *_ in self._groups:
            inside = (numbers >= first) & (numbers < last)
            if not inside.any():
                continue
            if key not in tensors:
                raise ShardError(f"an entry has no array '{key}'")
            chosen = numbers[inside]
            if len(tensors) > 1:
                whole = np.array([self.row(int(number)) is not None for number in chosen])
                values = np.array(self._arrays[tensors[key]][chosen - first])
            else:
                values = np.array(self._arrays[tensors[key]][chosen - first])
                whole = self._undamaged(key, chosen, values)
            parts.append((inside, values, whole))
        if len({(values.dtype, values.shape[1:]) for _, values, _ in parts}) > 1:
            raise ShardError(f"the array '{key}' differs in dtype or shape between entries")
        found = np.empty((len(numbers), *parts[0][1].shape[1:]), parts[0][1].dtype)
        is_whole = np.zeros(len(numbers), bool)
        for inside, values, whole in parts:
            found[inside], is_whole[inside] = values, whole
        return found, is_whole

    def _undamaged(self, key: str, numbers: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether entries with one array are undamaged, as `row` decides, without a dictionary for each."""
        layout = repr(layout_of({key: values[0]})).encode()
        names, expected = self._names_of_rows[numbers], self._digests[numbers]
        flat = values.reshape(len(values), -1).view(np.uint8)
        found = b"".join(
            hashlib.sha256(name.tobytes() + layout + value.data).digest()
            for name, value in zip(names, flat, strict=True)
        )
        digests = np.frombuffer(found, np.uint8).reshape(-1, NAME_BYTES)
        return np.asarray((digests == expected).all(axis=1))

    def rows(self) -> Iterator[tuple[bytes, Row | None]]:
        """Name and row of every entry, whose arrays are in the mapped file; None for a damaged one."""
        names, digests = self._names_of_rows.tobytes(), self._digests.tobytes()
        for group in self._groups:
            count = group.last - group.first
            arrays = {key: self._arrays[of] for key, of in group.tensors.items()}
            rows_of_bytes = [
                array.reshape(count, math.prod(array.shape[1:])).view(np.uint8) for array in arrays.values()
            ]
            for number in range(count):
                place = slice(NAME_BYTES * (group.first + number), NAME_BYTES * (group.first + number + 1))
                name, digest = names[place], hashlib.sha256(names[place] + group.text)
                for values in rows_of_bytes:
                    digest.update(values[number].data)
                if digest.digest() == digests[place]:
                    found = {key: array[number, ...] for key, array in arrays.items()}
                    yield name, Row(name, digests[place], group.layout, group.size, found)
                else:
                    yield name, None

    @cached_property
    def _names_of_rows(self) -> NDArray[np.uint8]:
        """(n, 32) names; those of `names` lose zeros at their end where they are taken out."""
        return self._mapped(self._entries)

    @cached_property
    def _digests(self) -> NDArray[np.uint8]:
        return self._mapped(self._digests_place)

    @cached_property
    def _file(self) -> np.memmap[Any, np.dtype[np.uint8]]:
        return np.memmap(self.path, np.uint8, mode="r")

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {name: self._mapped(tensor) for name, tensor in self._tensors.items()}

    def _mapped(self, tensor: _Tensor) -> NDArray[Any]:
        array: NDArray[Any] = np.ndarray(tensor.shape, tensor.dtype, buffer=self._file.data, offset=tensor.start)
        return array


def _is_index(tensor: _Tensor) -> bool:
    return tensor.dtype == np.uint8 and len(tensor.shape) == 2 and tensor.shape[0] > 0 and tensor.shape[1] == NAME_BYTES


def _read_header(length: bytes, read: Any, size: int) -> dict[str, _Tensor]:
    """Tensors of a safetensors file by name, with places that lie in the file."""
    count = struct.unpack("<Q", length)[0] if len(length) == 8 else 0
    if not 2 <= count <= min(_HEADER_LIMIT, size - 8):
        raise ShardError("it is truncated or not a safetensors file")
    try:
        header = json.loads(read(count))
        metadata = header.pop("__metadata__")
        tensors = {}
        for name, entry in header.items():
            dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(map(int, entry["shape"]))
            start, end = entry["data_offsets"]
            if end - start != math.prod(shape) * dtype.itemsize or not 0 <= start <= end <= size - 8 - count:
                raise ShardError("it is truncated")
            tensors[name] = _Tensor(dtype, shape, 8 + count + start)
    except ShardError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ShardError("its header is damaged") from None
    if metadata != _FORMAT:
        raise ShardError(f"it is no shard of features of version {_FORMAT['version']}")
    return tensors
