"""The feature sets in the cache: what they hold, whether it is whole, and their removal."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.errors import StoreError
from f2vbench.store.features import KEY_FILE, features_folder, remedy
from f2vbench.store.old_entries import old_files
from f2vbench.store.shard import SUFFIX, Shard, ShardError
from f2vbench.store.shard_folder import living_writers

_REMOVED = ".removed"
_UNKNOWN = "unknown"
"""Model of a set whose identity is damaged or missing."""


@dataclass(frozen=True)
class StoredSet:
    """A feature set in the cache.

    Attributes:
        folder: Its folder; the name is the key.
        identity: Properties of the features; empty where their file is damaged or missing.
        entries: Number of photographs.
        files: Number of shards, and of entries with a file of their own.
        bytes: Size of the folder, with replaced shards that are not yet deleted.
        used: When a process last opened it, in seconds since the epoch.
    """

    folder: Path
    identity: Mapping[str, Any]
    entries: int
    files: int
    bytes: int
    used: float

    @property
    def key(self) -> str:
        """SHA-256 of the identity."""
        return self.folder.name

    @property
    def model(self) -> str:
        """Family, architecture and weights of the model, such as ``timm:resnet18 (hub)``."""
        if not self.identity:
            return _UNKNOWN
        model = self.identity.get("model", {})
        family, architecture = model.get("family", "?"), model.get("architecture", "?")
        name = family if family == architecture else f"{family}:{architecture}"
        weights = model.get("weights") or model.get("weights_sha256", "")[:8]
        return f"{name} ({weights})" if weights and weights != "none" else name

    @property
    def kind(self) -> str:
        """Kind of features."""
        return str(self.identity.get("what", "?"))

    @property
    def preprocessing(self) -> str:
        """Version of the preprocessing, size of the square, arithmetic, requested precision and device, and dtype.

        Those that apply: sets that differ in one of them are different sets.
        """
        if not self.identity:
            return ""
        size, stored = self.identity.get("image_size"), self.identity.get("stored")
        requested = [f"{name}={self.identity[name]}" for name in ("precision", "device") if name in self.identity]
        parts = [
            f"v{self.identity.get('model', {}).get('preprocessing', '?')}",
            f"{size} px" if size else "",
            str(self.identity.get("arithmetic", "")),
            *requested,
            f"stored as {stored}" if stored else "",
        ]
        return ", ".join(part for part in parts if part)

    def is_of(self, name: str) -> bool:
        """Whether a name means its model: the family, the architecture, or both with a colon, without weights.

        Args:
            name: The name; ``unknown`` for sets whose identity is damaged or missing.
        """
        if not self.identity:
            return name == _UNKNOWN
        model = self.identity.get("model", {})
        family, architecture = model.get("family", ""), model.get("architecture", "")
        return name in (family, architecture, f"{family}:{architecture}")

    @property
    def is_in_use(self) -> bool:
        """Whether a process that has written to it is running."""
        return living_writers(self.folder) > 0

    @property
    def is_writable(self) -> bool:
        """Whether this process may change and remove its folder."""
        return all(os.access(folder, os.W_OK) for folder in (self.folder, self.folder.parent))


def stored_sets(root: Path | None = None) -> list[StoredSet]:
    """All feature sets, the one that was used last first; also those whose identity is damaged or missing.

    Args:
        root: Folder of the store; by default in the cache folder.
    """
    folders = [path for path in (root or features_folder()).glob("??/*/") if not path.name.startswith(".")]
    sets = [_stored_set(folder) for folder in folders if _has_features(folder)]
    return sorted(sets, key=lambda each: (-each.used, each.key))


def find_sets(sets: Iterable[StoredSet], *, key: str | None = None, model: str | None = None) -> list[StoredSet]:
    """Feature sets whose key starts with some digits and whose model has a name.

    Args:
        sets: Feature sets.
        key: First digits of the key; None for all.
        model: See `StoredSet.is_of`; None for all.

    Raises:
        StoreError: There is none; the message lists the models of the cache.
    """
    every = list(sets)
    found = [
        each
        for each in every
        if (key is None or each.key.startswith(key.lower())) and (model is None or each.is_of(model))
    ]
    if not found:
        wanted = " ".join(f"{name}={value}" for name, value in (("set", key), ("model", model)) if value is not None)
        known = ", ".join(sorted({each.model for each in every})) or "no features at all"
        raise StoreError(f"{wanted}: no such feature set in {features_folder()}; there is {known}")
    return found


def verify(stored: StoredSet) -> Iterator[str]:
    """Read all entries of a feature set; yields one sentence for each damaged file and entry. Nothing is changed."""
    if not stored.identity:
        path = stored.folder / KEY_FILE
        yield (
            f"{path}: {'damaged' if path.exists() else 'missing'}, so that the model of these features is unknown; "
            f"`f2vbench cache prune set={stored.key[:8]} delete=yes` removes them, and runs that need them compute "
            "them again"
        )
    again = f"it is set aside when it is read, and {remedy(stored.identity)}"
    for path in sorted(stored.folder.glob(f"*{SUFFIX}")):
        try:
            damaged = [name.hex() for name, row in Shard(path).rows() if row is None]
        except FileNotFoundError:
            continue  # merged meanwhile
        except (ShardError, OSError) as error:
            yield f"{path}: damaged ({error}); {again}"
            continue
        for name in damaged:
            yield f"{path}: the entry {name} is damaged; {again}"


def choose_to_remove(
    sets: Sequence[StoredSet], *, unused_days: float | None = None, total_bytes: int | None = None
) -> list[StoredSet]:
    """Feature sets to remove, those that were not used for the longest time first.

    Args:
        sets: Feature sets to choose from.
        unused_days: Leave the sets that were used in so many last days.
        total_bytes: Choose no more sets than needed so that the others of ``sets`` have this size together.
    """
    limit = time.time() - unused_days * 86_400 if unused_days is not None else float("inf")
    oldest_first = sorted((each for each in sets if each.used < limit), key=lambda each: each.used)
    if total_bytes is None:
        return oldest_first
    size, chosen = sum(each.bytes for each in sets), []
    for each in oldest_first:
        if size <= total_bytes:
            break
        size -= each.bytes
        chosen.append(each)
    return chosen


def remove(stored: StoredSet) -> None:
    """Delete a feature set.

    Raises:
        StoreError: A running process has written to it, or the folder is not writable.
    """
    if not stored.is_writable:
        raise StoreError(f"{stored.folder}: can't be removed, because the folder is not writable")
    if stored.is_in_use:
        raise StoreError(f"{stored.folder}: a running process writes to this set; remove it when the run has ended")
    hidden = stored.folder.with_name(f".{stored.key}{_REMOVED}")
    try:
        stored.folder.rename(hidden)  # readers find no half-deleted set
        shutil.rmtree(hidden)
    except OSError as error:
        raise StoreError(f"{stored.folder}: can't be removed ({error.strerror or error})") from error


def _stored_set(folder: Path) -> StoredSet:
    entries = files = 0
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            entries += len(Shard(path))
        except (ShardError, OSError):
            continue  # `verify` names it
        files += 1
    old = len(old_files(folder))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    key = folder / KEY_FILE
    used = (key if key.exists() else folder).stat().st_mtime
    return StoredSet(folder, _identity(key), entries + old, files + old, size, used)


def _identity(path: Path) -> dict[str, Any]:
    """Content of the file with a set's identity; empty if it is damaged or missing."""
    try:
        identity = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    is_whole = isinstance(identity, dict) and isinstance(identity.get("model"), dict)
    return identity if is_whole else {}


def _has_features(folder: Path) -> bool:
    """Whether a folder is a feature set: it has an identity, shards or old entries."""
    is_set = (folder / KEY_FILE).exists() or any(folder.glob(f"*{SUFFIX}"))
    return is_set or bool(old_files(folder))
