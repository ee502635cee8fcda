"""The feature sets in the cache: what they hold, whether it is whole, and their removal."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.errors import StoreError
from f2vbench.store.features import KEY_FILE, features_folder
from f2vbench.store.old_entries import old_files
from f2vbench.store.shard import SUFFIX, Shard, ShardError
from f2vbench.store.shard_folder import living_writers

_REMOVED = ".removed"


@dataclass(frozen=True)
class StoredSet:
    """A feature set in the cache.

    Attributes:
        folder: Its folder; the name is the key.
        identity: Properties of the features; empty where their file is damaged.
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
        """Version of the preprocessing, size of the square, arithmetic and dtype, as far as they apply."""
        size = self.identity.get("image_size")
        parts = [
            f"v{self.identity.get('model', {}).get('preprocessing', '?')}",
            f"{size} px" if size else "",
            str(self.identity.get("arithmetic", "")),
            str(self.identity.get("stored", "")),
        ]
        return ", ".join(dict.fromkeys(part for part in parts if part))

    def is_of(self, name: str) -> bool:
        """Whether a name means its model: the family, the architecture, or both with a colon, without weights."""
        model = self.identity.get("model", {})
        family, architecture = model.get("family", ""), model.get("architecture", "")
        return name in (family, architecture, f"{family}:{architecture}")

    @property
    def is_in_use(self) -> bool:
        """Whether a process that has written to it is running."""
        return living_writers(self.folder) > 0


def stored_sets(root: Path | None = None) -> list[StoredSet]:
    """All feature sets, the one that was used last first.

    Args:
        root: Folder of the store; by default in the cache folder.
    """
    keys = (root or features_folder()).glob(f"??/*/{KEY_FILE}")
    return sorted((_stored_set(path.parent) for path in keys), key=lambda each: (-each.used, each.key))


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
    for path in sorted(stored.folder.glob(f"*{SUFFIX}")):
        try:
            damaged = [name.hex() for name, row in Shard(path).rows() if row is None]
        except FileNotFoundError:
            continue  # merged meanwhile
        except (ShardError, OSError) as error:
            yield f"{path}: damaged ({error}); it is set aside and computed again when it is read"
            continue
        for name in damaged:
            yield f"{path}: the entry {name} is damaged; it is set aside and computed again when it is read"


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
        StoreError: A running process has written to it, or the folder can't be deleted.
    """
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
    try:
        identity = json.loads((folder / KEY_FILE).read_bytes())
    except (OSError, ValueError):
        identity = {}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    used = (folder / KEY_FILE).stat().st_mtime
    return StoredSet(folder, identity if isinstance(identity, dict) else {}, entries + old, files + old, size, used)
