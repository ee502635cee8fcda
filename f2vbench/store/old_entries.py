"""Entries of feature sets that f2vbench 0.1.0 stored, one file each: packed into shards.

A file ``<entry>.features`` has the 32 bytes of a SHA-256, and the safetensors block that it was computed from.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from f2vbench.errors import StoreError
from f2vbench.store.shard import NAME_BYTES, Row, make_row
from f2vbench.store.shard_folder import ShardFolder, is_full, locked

_DIGEST_BYTES = 32
_SUFFIX = ".features"
_LOCK, _LOCK_SECONDS = ".pack.lock", 3600.0


def pack_old_entries(shards: ShardFolder) -> None:
    """Write the entries of single files as shards, and remove the files; another process that does it is waited for.

    Damaged files are renamed to ``*.damaged``. A message of what happened is added to ``set_aside`` of the shards.

    Args:
        shards: Shards of the feature set.

    Raises:
        StoreError: The disk is full or the folder is not writable.
    """
    if not old_files(shards.path):
        return
    with locked(shards.path / _LOCK, timeout=_LOCK_SECONDS) as is_locked:
        if not is_locked:
            raise StoreError(
                f"{shards.path}: its features have one file each, as f2vbench 0.1.0 stored them, and the folder is not "
                "writable, or another process has been packing them for an hour; make it writable, or set "
                "F2VBENCH_CACHE to another folder"
            )
        files = old_files(shards.path)
        packed = sum(_pack(shards, group) for group in _groups(files))
    if files:
        shards.set_aside.append(f"{shards.path}: features of {packed:,} photographs packed, which had one file each")


def old_files(folder: Path) -> list[Path]:
    """Files of entries that are not packed, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.name.endswith(_SUFFIX))
    except OSError:
        return []


def _groups(files: list[Path]) -> list[list[Path]]:
    """Files that fit into one shard."""
    groups: list[list[Path]] = []
    size = 0
    for file in files:
        size += file.stat().st_size
        if not groups or is_full(len(groups[-1]), size):
            groups.append([])
            size = file.stat().st_size
        groups[-1].append(file)
    return groups


def _pack(shards: ShardFolder, files: list[Path]) -> int:
    """Write the undamaged entries of files as one shard, and remove these files; returns their number."""
    rows = {file: _read(file) for file in files}
    whole = [row for row in rows.values() if row is not None]
    if whole:
        shards.add(whole)
    for file, row in rows.items():
        with contextlib.suppress(OSError):
            if row is None:
                file.replace(file.with_suffix(".damaged"))
            else:
                file.unlink()
    return len(whole)


def _read(file: Path) -> Row | None:
    """The entry of a file; None if it is damaged."""
    content = file.read_bytes()
    block = content[_DIGEST_BYTES:]
    if hashlib.sha256(block).digest() != content[:_DIGEST_BYTES]:
        return None
    try:
        name = bytes.fromhex(file.stem)
        return make_row(name, load(block)) if len(name) == NAME_BYTES else None
    except (SafetensorError, ValueError):
        return None
