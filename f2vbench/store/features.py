"""The feature store: features of photographs, stored by content and never by name.

The key of a feature set is the SHA-256 of the hash of the weights, the architecture, the preprocessing, the layer, the
dtype and the version of the feature code. Within a set, the name of an entry follows from the content of the photograph
and the region that was encoded. A file has a 32-byte SHA-256 and a safetensors block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from f2vbench.utils.files import cache_folder, canonical_json, remove_stale_parts, sha256, write_atomically

FEATURE_CODE_VERSION = 1
"""Version of the feature code. Increase it when an encoder's output for the same photograph changes."""
_DIGEST_BYTES = 32
_SUFFIX = ".features"
_SAMPLED_ENTRIES = 1_000


class FeatureSet:
    """Features of one encoder in one configuration.

    Args:
        declared: Properties of the features that are known before the encoder is loaded; JSON-serialisable.
        loaded: Properties that are known after it is loaded, such as the SHA-256 of its tensors and the arithmetic.
        root: Folder of the store; by default in the cache folder.

    Attributes:
        identity: All properties, with the version of the feature code.
        key: SHA-256 of the identity.
        folder: Folder of the entries.
        set_aside: Messages about damaged files.
    """

    def __init__(self, declared: Mapping[str, Any], loaded: Mapping[str, Any], root: Path | None = None):
        self._root = root or _default_root()
        self.identity = {**declared, **loaded, "feature_code_version": FEATURE_CODE_VERSION}
        self.key = sha256(canonical_json(self.identity))
        self.folder = self._root / self.key[:2] / self.key
        self._loaded = dict(loaded)
        self._alias = _alias(self._root, declared)
        self.set_aside: list[str] = []
        remove_stale_parts(self.folder)

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
            loaded = json.loads(_alias(root or _default_root(), declared).read_bytes())
        except (OSError, ValueError):
            return None
        return cls(declared, loaded, root)

    def has(self, entry: str) -> bool:
        """Whether an entry is stored; its checksum is verified only when it is read."""
        return self._path(entry).exists()

    def put(self, entry: str, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Store the arrays of one photograph.

        Args:
            entry: Name of the entry.
            arrays: Arrays by name.

        Returns:
            Number of bytes written.
        """
        block = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        if not (self.folder / "key.json").exists():
            write_atomically(self.folder / "key.json", canonical_json(self.identity))
            write_atomically(self._alias, canonical_json(self._loaded))
        write_atomically(self._path(entry), hashlib.sha256(block).digest() + block)
        return len(block) + _DIGEST_BYTES

    def get(self, entry: str) -> dict[str, NDArray[Any]] | None:
        """Read the arrays of one photograph.

        A damaged file is renamed to ``*.damaged``, noted in ``set_aside``, and counts as absent.

        Args:
            entry: Name of the entry.

        Returns:
            Arrays by name, or None if the entry is absent.
        """
        path = self._path(entry)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        block = content[_DIGEST_BYTES:]
        if hashlib.sha256(block).digest() != content[:_DIGEST_BYTES]:
            path.replace(path.with_suffix(".damaged"))
            self.set_aside.append(f"{path}: damaged cache file set aside as {path.stem}.damaged and computed again")
            return None
        return load(block)

    def bytes_per_entry(self) -> float | None:
        """Mean file size of up to 1,000 entries; None if there is none."""
        sizes = [file.stat().st_size for file in islice(self.folder.glob(f"*{_SUFFIX}"), _SAMPLED_ENTRIES)]
        return sum(sizes) / len(sizes) if sizes else None

    def _path(self, entry: str) -> Path:
        return self.folder / f"{entry}{_SUFFIX}"


def halved(array: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Convert a float32 array to float16, or return it unchanged where that would overflow."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array


def _default_root() -> Path:
    return cache_folder() / "features"


def _alias(root: Path, declared: Mapping[str, Any]) -> Path:
    return root / "declared" / f"{sha256(canonical_json(declared))}.json"
