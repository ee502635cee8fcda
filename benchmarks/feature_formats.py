"""File formats for shards of features: time to write, to open 250 shards, to read one and 4,096 entries, and size.

    python -m benchmarks.feature_formats [--width 1024] [--rounds 5]

Each format holds 4,096 float32 vectors in a shard, with the name and the SHA-256 of each, in one process and on one
file system. Every read verifies the checksum of what it returns. The 250 shards are links to 16 different ones. Times
are medians of the processor time of this process, files in the cache of the operating system.

    shards      f2vbench.store.shard: safetensors, memory-mapped by this package
    safetensors the same file with `safetensors.safe_open`
    arrow       Arrow IPC file, memory-mapped, columns of fixed-size binary
    parquet     Parquet without compression
    files       one file an entry, as f2vbench 0.1.0 stored them
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from safetensors import safe_open
from safetensors.numpy import load, save

from f2vbench.store.shard import Shard, make_row, row_digest, write_shard

ROWS, SHARDS, DIFFERENT = 4096, 250, 16
Names = list[bytes]


class Files:
    """One file an entry."""

    def write(self, folder: Path, number: int, names: Names, vectors: np.ndarray) -> None:
        for name, vector in zip(names, vectors, strict=True):
            block = save({"embedding": vector})
            part = folder / f".{name.hex()}.part"
            part.write_bytes(hashlib.sha256(block).digest() + block)
            part.replace(folder / f"{name.hex()}.features")

    def open(self, folder: Path) -> dict[bytes, tuple[Path, int]]:
        with os.scandir(folder) as entries:
            return {bytes.fromhex(entry.name[:64]): (Path(entry.path), 0) for entry in entries}

    def read(self, places: list[tuple[Path, int]]) -> np.ndarray:
        rows = []
        for path, _ in places:
            content = path.read_bytes()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                raise ValueError(path)
            rows.append(load(content[32:])["embedding"])
        return np.stack(rows)


class Shards:
    """Shards of this package."""

    def write(self, folder: Path, number: int, names: Names, vectors: np.ndarray) -> None:
        rows = [make_row(name, {"embedding": vector}) for name, vector in zip(names, vectors, strict=True)]
        write_shard(folder, rows).rename(folder / f"{number}.safetensors")

    def open(self, folder: Path) -> dict[bytes, tuple[Shard, int]]:
        opened = [Shard(path) for path in folder.iterdir()]
        return {name: (shard, row) for shard in opened for row, name in enumerate(shard.names.view("V32").tolist())}

    def read(self, places: list[tuple[Shard, int]]) -> np.ndarray:
        return _by_shard(places, self._rows)

    @staticmethod
    def _rows(shard: Shard, rows: np.ndarray) -> np.ndarray:
        values, whole = shard.read_array("embedding", rows)
        if not whole.all():
            raise ValueError(shard.path)
        return values


class Safetensors(Shards):
    """The same files with the library's reader."""

    def open(self, folder: Path) -> dict[bytes, tuple[object, int]]:
        opened = [safe_open(path, framework="numpy") for path in folder.iterdir()]
        return {
            name.tobytes(): (shard, row) for shard in opened for row, name in enumerate(shard.get_tensor("entries"))
        }

    @staticmethod
    def _rows(shard, rows: np.ndarray) -> np.ndarray:
        entries, digests = shard.get_slice("entries"), shard.get_slice("digests")
        values = shard.get_slice("0/embedding")
        if len(rows) > 64:
            names, expected, vectors = entries[:][rows], digests[:][rows], values[:][rows]
        else:
            names, expected, vectors = (np.stack([t[int(row)] for row in rows]) for t in (entries, digests, values))
        return _checked(names, expected, vectors)


class Arrow:
    """Arrow IPC."""

    def write(self, folder: Path, number: int, names: Names, vectors: np.ndarray) -> None:
        table = _table(names, vectors)
        part = folder / f".{number}.part"
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        part.rename(folder / f"{number}.arrow")

    def open(self, folder: Path) -> dict[bytes, tuple[pa.Table, int]]:
        tables = [pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in folder.iterdir()]
        return {name: (table, row) for table in tables for row, name in enumerate(_names(table))}

    def read(self, places: list[tuple[pa.Table, int]]) -> np.ndarray:
        return _by_shard(places, _rows_of_table)


class Parquet:
    """Parquet."""

    def write(self, folder: Path, number: int, names: Names, vectors: np.ndarray) -> None:
        part = folder / f".{number}.part"
        parquet.write_table(
            _table(names, vectors), part, compression="none", use_dictionary=False, write_statistics=False
        )
        part.rename(folder / f"{number}.parquet")

    def open(self, folder: Path) -> dict[bytes, tuple[Path, int]]:
        return {
            name: (path, row)
            for path in folder.iterdir()
            for row, name in enumerate(_names(parquet.read_table(path, columns=["name"], memory_map=True)))
        }

    def read(self, places: list[tuple[Path, int]]) -> np.ndarray:
        return _by_shard(places, lambda path, rows: _rows_of_table(parquet.read_table(path, memory_map=True), rows))


def _by_shard(places, read: Callable) -> np.ndarray:
    shards: dict[int, tuple[object, list[int], list[int]]] = {}
    for position, (shard, row) in enumerate(places):
        _, positions, rows = shards.setdefault(id(shard), (shard, [], []))
        positions.append(position)
        rows.append(row)
    found = None
    for shard, positions, rows in shards.values():
        values = read(shard, np.array(rows))
        found = np.empty((len(places), values.shape[1]), values.dtype) if found is None else found
        found[positions] = values
    return found


def _table(names: Names, vectors: np.ndarray) -> pa.Table:
    digests = [row_digest(name, {"embedding": vector}) for name, vector in zip(names, vectors, strict=True)]
    width = vectors.shape[1] * vectors.itemsize
    columns = {
        "name": pa.array(names, pa.binary(32)),
        "digest": pa.array(digests, pa.binary(32)),
        "embedding": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), len(names), [None, pa.py_buffer(np.ascontiguousarray(vectors))]
        ),
    }
    return pa.table(columns)


def _names(table: pa.Table) -> Names:
    return table["name"].to_pylist()


def _column(table: pa.Table, name: str, dtype: type) -> np.ndarray:
    chunks = table[name].chunks
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype).reshape(-1, chunk.type.byte_width // np.dtype(dtype).itemsize)[
            chunk.offset : chunk.offset + len(chunk)
        ]
        for chunk in chunks
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _rows_of_table(table: pa.Table, rows: np.ndarray) -> np.ndarray:
    names, digests = _column(table, "name", np.uint8), _column(table, "digest", np.uint8)
    return _checked(names[rows], digests[rows], np.array(_column(table, "embedding", np.float32)[rows]))


def _checked(names: np.ndarray, digests: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    for name, digest, vector in zip(names, digests, vectors, strict=True):
        if row_digest(name.tobytes(), {"embedding": vector}) != digest.tobytes():
            raise ValueError(name)
    return vectors


FORMATS = {"files": Files(), "shards": Shards(), "safetensors": Safetensors(), "arrow": Arrow(), "parquet": Parquet()}


def seconds(function: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return statistics.median(times)


def measure(name: str, folder: Path, width: int, rounds: int) -> dict[str, float]:
    layout, draw = FORMATS[name], np.random.default_rng(0)
    folder.mkdir()
    writes, names = [], []
    for number in range(DIFFERENT):
        of_shard = [draw.bytes(32) for _ in range(ROWS)]
        vectors = draw.normal(size=(ROWS, width)).astype(np.float32)
        started = time.process_time()
        layout.write(folder, number, of_shard, vectors)
        writes.append(time.process_time() - started)
        names += of_shard
    size = sum(path.stat().st_blocks * 512 for path in folder.iterdir()) / len(names)
    places = layout.open(folder)
    if len(places) != len(names):
        raise RuntimeError(f"{name}: {len(places)} of {len(names)} entries")
    chosen = [names[number] for number in draw.integers(0, len(names), 200)]
    many = [[names[number] for number in draw.integers(0, len(names), ROWS)] for _ in range(rounds)]
    for name_ in chosen[:9]:
        layout.read([places[name_]])
    started = time.process_time()
    for name_ in chosen:
        layout.read([places[name_]])
    one = (time.process_time() - started) / len(chosen)
    batches = iter(many)
    found = {"write": statistics.median(writes), "one": one, "bytes": size}
    found["many"] = seconds(lambda: layout.read([places[each] for each in next(batches)]), rounds)
    opened = folder / "opened"
    if name != "files":
        opened.mkdir()
        files = [path for path in folder.iterdir() if path.is_file()]
        for number in range(SHARDS):
            (opened / f"{number}{files[0].suffix}").hardlink_to(files[number % len(files)])
        found["open"] = seconds(lambda: layout.open(opened), rounds)
    else:  # as many entries as the shards
        found["open"] = seconds(lambda: layout.open(folder), rounds) * SHARDS / DIFFERENT
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", default=",".join(FORMATS))
    arguments = parser.parse_args()
    print("format | write 4,096 (s) | open 250 shards (s) | read 1 (ms) | read 4,096 (s) | bytes an entry on disk")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        for name in arguments.formats.split(","):
            found = measure(name, Path(folder) / name, arguments.width, arguments.rounds)
            print(
                f"{name} | {found['write']:.3f} | {found['open']:.2f} | {found['one'] * 1000:.3f} | "
                f"{found['many']:.3f} | {found['bytes']:,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
