"""What the feature store holds, entry by entry."""

from __future__ import annotations

from pathlib import Path

from f2vbench.store.features import features_folder
from f2vbench.store.shard import Shard


def stored_entries() -> dict[tuple[str, bytes], tuple[Path, int]]:
    """File of every entry of all feature sets, and when it was written, by the key of the set and the entry's name."""
    return {
        (path.parent.name, name): (path, path.stat().st_mtime_ns)
        for path in features_folder().rglob("*.safetensors")
        for name, _ in Shard(path).rows()
    }
