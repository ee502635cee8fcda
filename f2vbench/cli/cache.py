"""The verb `f2vbench cache`: the feature sets in the cache, whether they are whole, packing and removing them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from f2vbench.cli.cache_settings import CacheListSettings, CacheSettings, PruneSettings
from f2vbench.store.feature_sets import StoredSet, choose_to_remove, find_sets, remove, stored_sets, verify
from f2vbench.store.features import features_folder, remedy
from f2vbench.store.old_entries import pack_old_entries
from f2vbench.store.shard_folder import ShardFolder
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import duration, layout, plural

_KEY_DIGITS = 8
_DAY = 86_400


def list_sets(settings: CacheListSettings) -> str:
    """Table of the feature sets: model, kind, preprocessing, photographs, size and last use."""
    sets = _chosen(settings)
    if settings.format == "json":
        return json.dumps([_as_json(each) for each in sets], indent=1)
    if not sets:
        return f"no features in {features_folder()}"
    rows = [
        [
            each.key[:_KEY_DIGITS],
            each.model,
            each.kind,
            each.preprocessing,
            f"{each.entries:,}",
            str(each.files),
            size_text(each.bytes),
            _age(each),
        ]
        for each in sets
    ]
    header = ["set", "model", "features", "preprocessing", "photographs", "files", "size", "last use"]
    total = f"{plural(len(sets), 'feature set')} with {size_text(sum(each.bytes for each in sets))}"
    return f"{layout(header, rows)}\n\n{total} in {features_folder()}"


def verify_sets(settings: CacheSettings, progress: Progress) -> tuple[str, bool]:
    """Verify the checksum of every entry.

    Args:
        settings: Which feature sets.
        progress: Receives the feature sets as they are verified.

    Returns:
        A sentence for each damaged file or entry and the totals, and whether all is undamaged.
    """
    sets = _chosen(settings)
    findings: list[str] = []
    progress.begin("verifying feature sets", len(sets))
    for each in sets:
        findings += verify(each)
        progress.advance(f"{each.model}, {each.kind}")
    progress.end()
    counts = f"{plural(sum(each.entries for each in sets), 'photograph')} in "
    counts += plural(len(sets), "feature set")
    summary = f"{counts}: {plural(len(findings), 'problem')}" if findings else f"{counts}: all undamaged"
    return "\n".join([*findings, summary]), not findings


def pack_sets(settings: CacheSettings, progress: Progress) -> str:
    """Merge small shards into full ones, and pack entries that earlier versions stored one file each.

    Args:
        settings: Which feature sets.
        progress: Receives the feature sets as they are packed.

    Raises:
        StoreError: The disk is full, or a folder is not writable.
    """
    sets = _chosen(settings)
    notes: list[str] = []
    before = sum(each.files for each in sets)
    progress.begin("packing feature sets", len(sets))
    for each in sets:
        shards = ShardFolder(each.folder, remedy(each.identity))
        pack_old_entries(shards)
        shards.refresh()
        shards.merge(every=True)
        notes += shards.set_aside
        progress.advance(f"{each.model}, {each.kind}")
    progress.end()
    after = sum(each.files for each in _chosen(settings))
    notes.append(f"{plural(len(sets), 'feature set')}: {before:,} files before, {after:,} after")
    if after < before:
        notes.append(
            "the files that were replaced stay for ten minutes, for processes that read them; a later `f2vbench cache "
            "pack` deletes them"
        )
    return "\n".join(notes)


def prune(settings: PruneSettings) -> str:
    """Remove feature sets, or list those that would be removed.

    Sets that a running process writes to, and those in folders that are not writable, stay.

    Raises:
        StoreError: A folder can't be removed.
    """
    sets = _chosen(settings)
    chosen: list[StoredSet] = []
    lines: list[str] = []
    for each in choose_to_remove(sets, unused_days=settings.unused, total_bytes=settings.to):
        if not each.is_writable:
            lines.append(f"kept, its folder is not writable: {_line(each)}, {each.folder}")
        elif each.is_in_use:
            lines.append(f"kept, a running process writes to it: {_line(each)}")
        else:
            chosen.append(each)
    size = size_text(sum(each.bytes for each in chosen))
    if not settings.delete:
        lines += [f"would be removed: {_line(each)}" for each in chosen]
        more = "; add delete=yes to remove them" if chosen else ""
        return "\n".join([*lines, f"{plural(len(chosen), 'feature set')} with {size} to remove{more}"])
    for each in chosen:
        remove(each)
        lines.append(f"removed: {_line(each)}")
    return "\n".join([*lines, f"{plural(len(chosen), 'feature set')} with {size} removed"])


def size_text(size: float) -> str:
    """A number of bytes: ``0.3 MB``, ``12 MB``, ``1.5 GB``."""
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def _chosen(settings: CacheSettings) -> Sequence[StoredSet]:
    sets = stored_sets()
    if settings.model is None and settings.set is None:
        return sets
    return find_sets(sets, key=settings.set, model=settings.model)


def _as_json(stored: StoredSet) -> dict[str, object]:
    return {
        "set": stored.key,
        "model": stored.model,
        "features": stored.kind,
        "photographs": stored.entries,
        "files": stored.files,
        "bytes": stored.bytes,
        "last_use": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stored.used)),
        "identity": dict(stored.identity),
        "folder": str(stored.folder),
    }


def _line(stored: StoredSet) -> str:
    what = f"{stored.key[:_KEY_DIGITS]} {stored.model}, {stored.kind}"
    return f"{what}, {plural(stored.entries, 'photograph')}, {size_text(stored.bytes)}, last use {_age(stored)}"


def _age(stored: StoredSet) -> str:
    seconds = max(time.time() - stored.used, 0)
    return f"{seconds / _DAY:.0f} days ago" if seconds > 2 * _DAY else f"{duration(seconds)} ago"
