"""The feature store: features of photographs, stored by content and never by name.

The key of a feature set is the SHA-256 of the hash of the weights, the architecture, the preprocessing, the layer, the
dtype and the version of the feature code. Within a set, the name of an entry follows from the content of the photograph
and the region that was encoded. Entries are packed into shards, see `f2vbench.store.shard`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from f2vbench.errors import StoreError
from f2vbench.store.old_entries import pack_old_entries
from f2vbench.store.row_index import Names
from f2vbench.store.shard import NAME_BYTES, Arrays, Row, ShardError, make_row
from f2vbench.store.shard_folder import WRITER_LOCK, ShardFolder, is_full
from f2vbench.utils.files import cache_folder, canonical_json, sha256, write_atomically

FEATURE_CODE_VERSION = 1
"""Version of the feature code. Increase it when an encoder's output for the same photograph changes."""

KEY_FILE = "key.json"
"""Identity of a set, in its folder; its time of change is that of the last use."""


_IMPORTED = "embeddings"
"""Family of models whose features were imported from a file."""


class FeatureSet:
    """Features of one encoder in one configuration, which several processes may write to at the same time.

    Args:
        declared: Properties of the features that are known before the encoder is loaded; JSON-serialisable.
        loaded: Properties that are known after it is loaded, such as the SHA-256 of its tensors and the arithmetic.
        root: Folder of the store; by default in the cache folder.

    Attributes:
        identity: All properties, with the version of the feature code.
        key: SHA-256 of the identity.
        folder: Folder of the entries.
    """

    def __init__(self, declared: Mapping[str, Any], loaded: Mapping[str, Any], root: Path | None = None):
        self._root = root or features_folder()
        self.identity = {**declared, **loaded, "feature_code_version": FEATURE_CODE_VERSION}
        self.key = sha256(canonical_json(self.identity))
        self.folder = self._root / self.key[:2] / self.key
        self._loaded = dict(loaded)
        self._alias = _alias(self._root, declared)
        self._shards = ShardFolder(self.folder, remedy(self.identity))
        self._waiting: dict[bytes, Row] = {}
        self._waiting_bytes = 0
        self._writing = 0
        self._writer: FileLock | None = None
        self._access = threading.RLock()
        with contextlib.suppress(OSError):
            os.utime(self.folder / KEY_FILE)
        pack_old_entries(self._shards)

    @classmethod
    def planned(cls, declared: Mapping[str, Any], root: Path | None = None) -> FeatureSet | None:
        """Find the set that was last written with these declared properties, without loading the encoder.

        Args:
            declared: Properties that are known before the encoder is loaded.
            root: Folder of the store.

        Returns:
            The set, or None if there is none.
        """
        try:
            loaded = json.loads(_alias(root or features_folder(), declared).read_bytes())
        except (OSError, ValueError):
            return None
        return cls(declared, loaded, root)

    @classmethod
    def of_identity(cls, identity: Mapping[str, Any], root: Path | None = None) -> FeatureSet:
        """The set with all these properties, for reading.

        Args:
            identity: `FeatureSet.identity` of a set of this version of the feature code.
            root: Folder of the store.

        Raises:
            StoreError: Another version of the feature code wrote the set.
        """
        version = identity.get("feature_code_version")
        if version != FEATURE_CODE_VERSION:
            raise StoreError(f"version {version} of the feature code wrote these features, not {FEATURE_CODE_VERSION}")
        return cls({key: value for key, value in identity.items() if key != "feature_code_version"}, {}, root)

    @property
    def set_aside(self) -> list[str]:
        """Messages about damaged entries and about entries of an earlier version; callers may clear it."""
        return self._shards.set_aside

    def report_set_aside(self, report: Callable[[str], None]) -> None:
        """Pass on the messages of ``set_aside``, each once.

        Args:
            report: Receives each message.
        """
        while self.set_aside:
            report(self.set_aside.pop(0))

    def has(self, entry: str) -> bool:
        """Whether an entry is stored; its checksum is verified only when it is read."""
        return bool(self.has_many([entry])[0])

    def has_many(self, entries: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each of several entries is stored, (n,)."""
        names = _names(entries)
        with self._access:
            stored = self._shards.find(names)[0] >= 0
            if self._waiting and not stored.all():
                stored |= np.array([name in self._waiting for name in _split(names)], bool)
        return stored

    def put(self, entry: str, arrays: Arrays) -> int:
        """Store the arrays of one photograph; on the disk at once, or at the end of a block of `writing`.

        An entry that is stored already is replaced.

        Args:
            entry: Name of the entry, 64 hexadecimal digits.
            arrays: Arrays by name.

        Returns:
            Number of bytes that it takes.

        Raises:
            StoreError: The disk is full or the folder is not writable.
        """
        row = make_row(bytes.fromhex(entry), arrays)
        with self._access:
            if self._waiting and is_full(len(self._waiting), self._waiting_bytes + row.size):
                self._flush()
            self._waiting[row.name] = row
            self._waiting_bytes += row.size
            if not self._writing:
                self._flush()
        return row.size

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Collect the entries that are put while the block runs, and write them as one shard at its end.

        A process that is killed loses the entries of the block at most; an error in the block loses none.
        """
        with self._access:
            self._writing += 1
        try:
            yield
        finally:
            with self._access:
                self._writing -= 1
                if not self._writing:
                    self._flush()

    def get(self, entry: str) -> dict[str, NDArray[Any]] | None:
        """Read the arrays of one photograph.

        A damaged entry is set aside with a message, and counts as absent.

        Args:
            entry: Name of the entry.

        Returns:
            Arrays by name, or None if the entry is absent.
        """
        names = _names([entry])
        with self._access:
            waiting = self._waiting.get(bytes.fromhex(entry))
            if waiting is not None:
                return {key: array.copy() for key, array in waiting.arrays.items()}
            while True:
                shard, row = (int(each[0]) for each in self._shards.find(names))
                if shard < 0:
                    return None
                found = self._shards.shard(shard).row(row)
                if found is not None:
                    return dict(found.arrays)
                self._shards.rewrite(shard)

    def get_many(self, entries: Sequence[str], array: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read one array of many photographs at once.

        Damaged entries are set aside as by `get`.

        Args:
            entries: Names of n entries, whose arrays of this name have the same shape and dtype.
            array: Name of the array.

        Returns:
            (n, …) values, of which those of absent entries are undefined, or an empty array if all are absent; and
            (n,) whether each entry is stored.

        Raises:
            StoreError: The arrays differ in shape or dtype.
        """
        names = _names(entries)
        with self._access:
            self._flush()
            values: NDArray[Any] | None = None
            stored = np.zeros(len(names), bool)
            for shard, indices, rows in self._places(names):
                try:
                    found, is_whole = self._shards.shard(shard).read_array(array, rows)
                except ShardError as error:
                    raise StoreError(f"{self._shards.shard(shard).path}: {error}") from None
                if values is None:
                    values = np.empty((len(names), *found.shape[1:]), found.dtype)
                if (values.dtype, values.shape[1:]) != (found.dtype, found.shape[1:]):
                    raise StoreError(
                        f"{self.folder}: '{array}' has the shapes {values.shape[1:]} and {found.shape[1:]}"
                    )
                values[indices], stored[indices] = found, is_whole
                if not is_whole.all():
                    self._shards.rewrite(shard)
        return np.zeros((0,), np.float32) if values is None else values, stored

    def merge(self) -> None:
        """Merge all shards that are not full; sets of many small work items are read faster then.

        Raises:
            StoreError: The disk is full or the folder is not writable.
        """
        with self._access:
            self._flush()
            self._shards.refresh()
            self._shards.merge(every=True)

    def close(self) -> None:
        """Write the entries that wait, and let other processes remove the set; a later `put` opens it again."""
        with self._access:
            self._flush()
            if self._writer is not None:
                self._writer.release()
                Path(self._writer.lock_file).unlink(missing_ok=True)
                self._writer = None

    def bytes_per_entry(self) -> float | None:
        """Mean size of the entries; None if there is none."""
        with self._access:
            shards = self._shards.shards()
        entries = sum(map(len, shards))
        return sum(shard.bytes for shard in shards) / entries if entries else None

    def _places(self, names: Names) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Each shard that has some of the entries, with the indices of these and their rows in it."""
        shards, rows = self._shards.find(names)
        order = np.argsort(shards, kind="stable")
        numbers, starts = np.unique(shards[order], return_index=True)
        for number, indices in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
            if number >= 0:
                yield number, indices, rows[indices]

    def _flush(self) -> None:
        """Write the entries that wait."""
        if not self._waiting:
            return
        rows, self._waiting, self._waiting_bytes = list(self._waiting.values()), {}, 0
        if not (self.folder / KEY_FILE).exists():
            write_atomically(self.folder / KEY_FILE, canonical_json(self.identity))
            write_atomically(self._alias, canonical_json(self._loaded))
        if self._writer is None:
            name = WRITER_LOCK.replace("*", f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
            self._writer = FileLock(self.folder / name, thread_local=False)
            with contextlib.suppress(OSError):
                self._writer.acquire(timeout=0)
        self._shards.add(rows)


def halved(array: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Convert a float32 array to float16, or return it unchanged where that would overflow."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array


def remedy(identity: Mapping[str, Any]) -> str:
    """How damaged features of a set come back: computed again, or imported again where no model computes them.

    Args:
        identity: `FeatureSet.identity`, or an empty one where it is not known.
    """
    model = identity.get("model")
    if isinstance(model, Mapping) and model.get("family") == _IMPORTED:
        name = model.get("architecture", "<name>")
        return f"import the vectors again: f2vbench cache import <file> name={name} task=<task>"
    return "the features are computed again when a run needs them"


def features_folder() -> Path:
    """Folder of the feature sets in the cache folder."""
    return cache_folder() / "features"


def _names(entries: Sequence[str]) -> Names:
    """Names of entries, (n,)."""
    joined = bytes.fromhex("".join(entries))
    if len(joined) != NAME_BYTES * len(entries):
        raise ValueError("the names of entries have 64 hexadecimal digits")
    return np.frombuffer(joined, f"S{NAME_BYTES}") if entries else np.zeros(0, f"S{NAME_BYTES}")


def _split(names: Names) -> list[bytes]:
    """Names as bytes, with the zeros at their end."""
    joined = names.tobytes()
    return [joined[start : start + NAME_BYTES] for start in range(0, len(joined), NAME_BYTES)]


def _alias(root: Path, declared: Mapping[str, Any]) -> Path:
    return root / "declared" / f"{sha256(canonical_json(declared))}.json"
