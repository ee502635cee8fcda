"""The feature store: what an encoder gave for a photograph, found again by content and never by name.

The key of a set of features is the SHA-256 of the weights' hash, the architecture, the preprocessing, the
layer, the dtype and the version of the feature code; within it, an entry is named by the photograph's
content and the part of it that was encoded. A file is a 32-byte SHA-256 and a safetensors block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from f2vbench.utils.files import cache_folder, canonical_json, sha256, sweep, write_atomically

FEATURE_CODE_VERSION = 1
_DIGEST_BYTES = 32
_SUFFIX = ".features"
_ASKED = 1_000


class FeatureSet:
    """Features of one encoder in one configuration.

    Args:
        declared: what is known of the features before the encoder is loaded; JSON-able.
        loaded: what is known after, such as the SHA-256 of its tensors and the arithmetic of the device.
        root: folder of the store; by default in the cache folder.
    """

    def __init__(self, declared: Mapping[str, Any], loaded: Mapping[str, Any], root: Path | None = None):
        self._root = root or _default_root()
        self.identity = {**declared, **loaded, "feature_code_version": FEATURE_CODE_VERSION}
        self.key = sha256(canonical_json(self.identity))
        self.folder = self._root / self.key[:2] / self.key
        self._loaded = dict(loaded)
        self._alias = _alias(self._root, declared)
        self.set_aside: list[str] = []
        sweep(self.folder)

    @classmethod
    def planned(cls, declared: Mapping[str, Any], root: Path | None = None) -> FeatureSet | None:
        """The set that was last made under this declaration, found without loading the encoder; or None."""
        try:
            loaded = json.loads(_alias(root or _default_root(), declared).read_bytes())
        except (OSError, ValueError):
            return None
        return cls(declared, loaded, root)

    def has(self, entry: str) -> bool:
        """Whether an entry is there; its checksum is verified only when it is read."""
        return self._path(entry).exists()

    def put(self, entry: str, arrays: Mapping[str, np.ndarray]) -> int:
        """Store the arrays of one photograph; returns the bytes written."""
        block = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        if not (self.folder / "key.json").exists():
            write_atomically(self.folder / "key.json", canonical_json(self.identity))
            write_atomically(self._alias, canonical_json(self._loaded))
        write_atomically(self._path(entry), hashlib.sha256(block).digest() + block)
        return len(block) + _DIGEST_BYTES

    def get(self, entry: str) -> dict[str, np.ndarray] | None:
        """The arrays of one photograph, or None when absent.

        A damaged or truncated file is set aside (renamed to ``*.damaged``, noted in ``set_aside``) and counts
        as absent, so that it is made again.
        """
        path = self._path(entry)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        block = content[_DIGEST_BYTES:]
        if hashlib.sha256(block).digest() != content[:_DIGEST_BYTES]:
            path.replace(path.with_suffix(".damaged"))
            self.set_aside.append(f"{path}: damaged cache file set aside as {path.stem}.damaged and made again")
            return None
        return load(block)

    def bytes_per_entry(self) -> float | None:
        """Mean size of the entries' files, of a thousand at most; None where there is none."""
        sizes = [file.stat().st_size for file in islice(self.folder.glob(f"*{_SUFFIX}"), _ASKED)]
        return sum(sizes) / len(sizes) if sizes else None

    def _path(self, entry: str) -> Path:
        return self.folder / f"{entry}{_SUFFIX}"


def _default_root() -> Path:
    return cache_folder() / "features"


def _alias(root: Path, declared: Mapping[str, Any]) -> Path:
    return root / "declared" / f"{sha256(canonical_json(declared))}.json"


def halved(array: np.ndarray) -> np.ndarray:
    """float16 of a float32 array, or the array itself where that would overflow."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array
