"""The shards of one feature set: found, opened, and merged while other processes read and write.

A writer adds shards of its own and changes none, so that writers need no lock. Shards of a few entries are merged, by
the process that gets the lock, into shards of 4,096 entries or 256 MiB. A replaced shard is moved to the folder
``retired`` and deleted ten minutes later: processes and nodes that have it mapped can read on, and look for new shards
every minute.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from f2vbench.errors import StoreError
from f2vbench.store.row_index import Names, Places, RowIndex
from f2vbench.store.shard import SUFFIX, Row, Shard, ShardError, write_shard
from f2vbench.utils.files import remove_stale_parts

ROWS_PER_SHARD = 4096
BYTES_PER_SHARD = 256 << 20
_FULL_ROWS, _FULL_BYTES = ROWS_PER_SHARD // 2, BYTES_PER_SHARD // 8
"""Shards of this size are not merged."""
_MERGED_AT_ONCE = 16
_RETIRED_SECONDS, _CLEANING_SECONDS = 600.0, 60.0
_RECHECK_SECONDS = 60.0
_CLOCK_SECONDS, _RELIST_SECONDS = 2.0, 0.2
"""A folder that changed less than the first time before it was listed may have changed since in the same tick of the
file system's clock. Until then it is listed again, at most once in the second time."""
_LOCK, _LOCK_SECONDS = ".merge.lock", 60.0
_RETIRED, _DAMAGED = "retired", ".damaged"
WRITER_LOCK = ".writer-*.lock"
"""Lock files of the processes that write to a set."""


class ShardFolder:
    """Shards in a folder.

    Args:
        path: The folder; it may not exist yet.
        remedy: How damaged features come back, for messages; see `f2vbench.store.features.remedy`.

    Attributes:
        path: The folder.
        set_aside: Messages about damaged shards and entries.
    """

    def __init__(self, path: Path, remedy: str):
        self.path = path
        self._remedy = remedy
        self.set_aside: list[str] = []
        self._index = RowIndex()
        self._shards: dict[int, Shard] = {}
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._listed_change, self._is_settled, self._listed = -1, False, -math.inf
        self._checked = self._cleaned = -math.inf
        self._unreadable: set[str] = set()
        remove_stale_parts(path)

    def find(self, names: Names) -> tuple[Places, Places]:
        """Find entries; the folder is listed again if one is absent and the folder has changed.

        Args:
            names: (n,) names of entries.

        Returns:
            (n,) numbers of their shards, and (n,) rows in them; −1 for entries that are absent.
        """
        if time.monotonic() - self._checked > _RECHECK_SECONDS:
            self._list_if_changed()
        shards, rows = self._index.find(names)
        if (shards < 0).any() and self._list_if_changed():
            shards, rows = self._index.find(names)
        return shards, rows

    def shard(self, number: int) -> Shard:
        """The shard that `find` gave a number."""
        return self._shards[number]

    def shards(self) -> list[Shard]:
        """All shards, the oldest first."""
        self.refresh()
        return [self._shards[number] for _, number in sorted(self._numbers.items())]

    def add(self, rows: Sequence[Row]) -> None:
        """Write entries as a new shard, and merge small shards if there are many.

        Args:
            rows: At most as many as a shard has, see `is_full`; with distinct names.

        Raises:
            StoreError: The disk is full or the folder is not writable.
        """
        self._open([write_shard(self.path, rows).name])
        self.merge()

    def merge(self, *, every: bool = False) -> None:
        """Merge small shards of similar size, unless another process is doing it.

        Args:
            every: Merge all shards that are not full, instead of only those of which there are 16 of a similar size.
                Also delete shards that were replaced ten minutes ago or earlier.

        Raises:
            StoreError: The disk is full or the folder is not writable.
        """
        if every:
            self._remove_retired()
        fewest = 2 if every else _MERGED_AT_ONCE
        if not any(len(shards) >= fewest for shards in self._small_shards(every=every)):
            return
        with locked(self.path / _LOCK) as is_locked:
            if not is_locked:
                return
            self._remove_retired()
            self.refresh()
            for shards in self._small_shards(every=every):
                if len(shards) >= fewest:
                    self._replace(shards)

    def rewrite(self, number: int) -> None:
        """Set a shard with damaged entries aside, and write its undamaged entries as a new one.

        Args:
            number: Number of the shard.

        Raises:
            StoreError: The disk is full or the folder is not writable.
        """
        shard = self._shards[number]
        with locked(self.path / _LOCK, timeout=_LOCK_SECONDS):
            if shard.path.exists():
                self._replace([shard])
        self._forget([shard.path.name])

    def refresh(self) -> None:
        """Find the shards that are in the folder now."""
        self._checked = self._listed = time.monotonic()
        started = time.time_ns()
        try:
            changed = self.path.stat().st_mtime_ns
            present = {name for name in os.listdir(self.path) if name.endswith(SUFFIX) and not name.startswith(".")}  # noqa: PTH208
        except OSError:
            present, changed = set(), -1
        self._listed_change, self._is_settled = changed, started - changed > _CLOCK_SECONDS * 1e9
        self._forget(self._numbers.keys() - present)
        self._open(sorted(present - self._numbers.keys() - self._unreadable))

    def _list_if_changed(self) -> bool:
        """List the folder unless it is as it was; returns whether it was listed."""
        self._checked = time.monotonic()
        try:
            changed = self.path.stat().st_mtime_ns
        except OSError:
            return False
        is_recent = self._is_settled or self._checked - self._listed < _RELIST_SECONDS
        if changed == self._listed_change and is_recent:
            return False
        self.refresh()
        return True

    def _open(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                shard = Shard(self.path / name)
            except FileNotFoundError:
                continue  # merged meanwhile
            except ShardError as error:
                self._put_away(self.path / name, f"damaged shard of features set aside: {error}")
                self._unreadable.add(name)
                continue
            except OSError as error:
                raise StoreError(f"{self.path / name}: not readable ({error.strerror or error})") from error
            self._numbers[name], self._shards[self._count] = self._count, shard
            self._index.add(self._count, shard.names)
            self._count += 1

    def _forget(self, names: Iterable[str]) -> None:
        numbers = {self._numbers.pop(name) for name in list(names) if name in self._numbers}
        self._index.drop(numbers)
        for number in numbers:
            del self._shards[number]

    def _small_shards(self, *, every: bool) -> list[list[Shard]]:
        """Shards that are not full; those of a similar size together unless ``every``."""
        by_level: dict[int, list[Shard]] = {}
        for name in sorted(self._numbers):
            shard = self._shards[self._numbers[name]]
            if len(shard) < _FULL_ROWS and shard.bytes < _FULL_BYTES:
                fill = max(len(shard) / ROWS_PER_SHARD, shard.bytes / BYTES_PER_SHARD)
                level = 0 if every else int(-math.log(fill, _MERGED_AT_ONCE))
                by_level.setdefault(level, []).append(shard)
        return list(by_level.values())

    def _replace(self, shards: Sequence[Shard]) -> None:
        """Write the undamaged entries of shards as new ones, and retire the old ones; of equal names the newest stays.

        Damaged entries are noted, and their shards are kept as ``*.damaged``.
        """
        (self.path / _RETIRED).mkdir(exist_ok=True)
        written: list[Path] = []
        waiting: list[Row] = []
        size = 0
        names: set[bytes] = set()
        damaged: Counter[str] = Counter()
        for shard in reversed(shards):
            for name, row in shard.rows():
                if row is None:
                    damaged[shard.path.name] += 1
                elif name not in names:
                    names.add(name)
                    if is_full(len(waiting), size + row.size):
                        written.append(write_shard(self.path, waiting, durable=True))
                        waiting, size = [], 0
                    waiting.append(row)
                    size += row.size
        if waiting:
            written.append(write_shard(self.path, waiting, durable=True))
        for shard in shards:
            if shard.path.name in damaged:
                found = f"damaged features of {damaged[shard.path.name]} of {len(shard)} photographs"
                self._put_away(shard.path, f"{found} set aside")
            else:
                _retire(shard.path)
        self._open(path.name for path in written)
        self._forget([shard.path.name for shard in shards])

    def _put_away(self, path: Path, reason: str) -> None:
        try:
            path.replace(path.with_name(path.name + _DAMAGED))
        except FileNotFoundError:
            pass  # another process did it first
        except OSError as error:
            failure = f"damaged, and can't be set aside ({error.strerror or error})"
            self.set_aside.append(f"{path}: {failure}; {self._remedy}")
        else:
            self.set_aside.append(f"{path}: {reason} as {path.name}{_DAMAGED}; {self._remedy}")

    def _remove_retired(self) -> None:
        """Delete what no process needs any more: shards that were replaced, and locks of writers that ended."""
        if time.monotonic() - self._cleaned < _CLEANING_SECONDS:
            return
        self._cleaned = time.monotonic()
        for path in (self.path / _RETIRED).glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _RETIRED_SECONDS:
                    path.unlink()
        living_writers(self.path)


def is_full(rows: int, size: int) -> bool:
    """Whether a shard of so many rows may not grow to so many bytes."""
    return rows >= ROWS_PER_SHARD or (rows > 0 and size > BYTES_PER_SHARD)


@contextlib.contextmanager
def locked(path: Path, timeout: float = 0) -> Iterator[bool]:
    """Hold a lock file while the block runs; yields False if another process holds it, or the folder is not writable.

    Args:
        path: The lock file.
        timeout: Seconds to wait for it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except (Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def living_writers(folder: Path) -> int:
    """Number of processes that have written to a feature set and are running; lock files of others are removed."""
    count = 0
    for path in folder.glob(WRITER_LOCK):
        with locked(path) as is_locked:
            if is_locked:
                path.unlink(missing_ok=True)
            else:
                count += 1
    return count


def _retire(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process did it first
        os.utime(path)
        path.replace(path.parent / _RETIRED / path.name)
