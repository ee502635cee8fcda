"""Weights in shards: the safetensors files of one network, and their index in the layout of the Hugging Face Hub.

`generator.safetensors.index.json` replaces a file `generator.safetensors` that would be large. Its `weight_map` names
the shard of each tensor, such as `generator-00001-of-00003.safetensors`, and its `metadata` hold what a whole file has
in its header. f2vbench adds `shards` to them: size and SHA-256 of each shard. Importing this imports no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.errors import WeightsError

INDEX_SUFFIX = ".index.json"
_WHOLE = ".safetensors"
_FILE_NAME = re.compile(r"[^/\\\0]+\.safetensors")  # no folder on any system
_SHARD_NAME = re.compile(r"(?P<stem>.+)-\d{5}-of-\d{5}\.safetensors")


@dataclass(frozen=True)
class ShardFacts:
    """Size and content of a shard, as recorded in the index.

    Attributes:
        size: Bytes.
        sha256: Hex SHA-256 of the file.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class ShardIndex:
    """Content of an index.

    Attributes:
        path: The index.
        weight_map: File name of the shard by tensor name.
        metadata: The entries that a whole file has in its header, such as `seen`.
        facts: What the index records about each shard; empty for an index of another program.
        total_size: Bytes of all tensors, None where the index does not record them.
    """

    path: Path
    weight_map: dict[str, str]
    metadata: dict[str, str]
    facts: dict[str, ShardFacts]
    total_size: int | None = None

    @property
    def names(self) -> list[str]:
        """File names of the shards, sorted."""
        return sorted(set(self.weight_map.values()))

    @property
    def files(self) -> list[Path]:
        """Paths of the shards, sorted; they are in the folder of the index."""
        return [self.path.with_name(name) for name in self.names]

    def tensors_of(self, shard: str) -> set[str]:
        """Names of the tensors that the index assigns to a shard."""
        return {tensor for tensor, name in self.weight_map.items() if name == shard}


def is_index(path: Path) -> bool:
    """Whether a path has the name of an index."""
    return path.name.endswith(_WHOLE + INDEX_SUFFIX)


def is_shard_of(name: str, stem: str) -> bool:
    """Whether a file name is that of a shard of weights `<stem>.safetensors`."""
    found = _SHARD_NAME.fullmatch(name)
    return found is not None and found["stem"] == stem


def index_of(path: Path) -> Path:
    """The index that replaces a file `<name>.safetensors`."""
    return path.with_name(path.name + INDEX_SUFFIX)


def whole_path(path: Path) -> Path:
    """The path `<name>.safetensors` that an index replaces; other paths are returned unchanged."""
    return path.with_name(path.name.removesuffix(INDEX_SUFFIX)) if is_index(path) else path


def description_path(path: Path) -> Path:
    """The JSON file beside exported weights that describes their training."""
    return whole_path(path).with_suffix(".json")


def stored_path(path: str | Path) -> Path:
    """The path to read weights from: the index where it replaces the named file, otherwise the path itself."""
    path = Path(path).expanduser()
    if path.suffix != _WHOLE or path.is_file():
        return path
    index = index_of(path)
    return index if index.is_file() else path


def stored_files(path: str | Path) -> list[Path]:
    """All files of weights: one file, or the index and its shards.

    Args:
        path: The file, the index, or the name that the index replaces.

    Raises:
        WeightsError: As `read_index`.
    """
    path = stored_path(path)
    return [path, *read_index(path).files] if is_index(path) else [path]


def read_index(path: Path) -> ShardIndex:
    """The content of an index. The shards are neither opened nor compared with it.

    Args:
        path: The index.

    Raises:
        WeightsError: The index is missing, truncated or damaged, assigns a tensor to two shards, names a file outside
            its folder, or its record of the shards is incomplete.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror or error}); check the path") from error
    except _RepeatedKeyError as error:
        raise WeightsError(
            f"{path}: contains '{error}' twice, so that it is unknown which shard has it; export or download the "
            "weights again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"no valid JSON: {str(error)[:100]}") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise _damaged(path, "it has no weight_map")
    for name in weight_map.values():
        if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
            raise WeightsError(
                f"{path}: refused, because it names the shard {str(name)[:100]!r}, which is no .safetensors file in "
                "the folder of the index"
            )
    metadata = content.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _damaged(path, "its metadata are no JSON object")
    strings = {key: value for key, value in metadata.items() if isinstance(value, str)}
    facts = _facts(path, metadata.get("shards"), set(weight_map.values()))
    total_size = metadata.get("total_size")
    return ShardIndex(path, weight_map, strings, facts, total_size if isinstance(total_size, int) else None)


def index_content(
    weight_map: Mapping[str, str], metadata: Mapping[str, str], facts: Mapping[str, ShardFacts], total_size: int | None
) -> bytes:
    """The content of an index; equal arguments give equal bytes.

    Args:
        weight_map: File name of the shard by tensor name.
        metadata: Entries for `ShardIndex.metadata`.
        facts: Size and SHA-256 of each shard.
        total_size: Bytes of all tensors, None where they are unknown.
    """
    size = {} if total_size is None else {"total_size": total_size}
    shards = {name: {"size": fact.size, "sha256": fact.sha256} for name, fact in sorted(facts.items())}
    index = {
        "metadata": {**dict(sorted(metadata.items())), "shards": shards, **size},
        "weight_map": dict(sorted(weight_map.items())),
    }
    return json.dumps(index, indent=1, ensure_ascii=False).encode() + b"\n"


class _RepeatedKeyError(ValueError):
    """A JSON object has a key twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(key)
        found[key] = value
    return found


def _facts(path: Path, recorded: Any, names: set[str]) -> dict[str, ShardFacts]:
    """The record of the shards; empty where the index has none.

    Raises:
        WeightsError: It is malformed, or has other shards than the weight map.
    """
    if recorded is None:
        return {}
    try:
        facts = {name: ShardFacts(int(entry["size"]), str(entry["sha256"])) for name, entry in recorded.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its record of the shards needs size and sha256 of each") from error
    if facts.keys() != names:
        raise _damaged(path, "its record of the shards and its weight_map name different files")
    return facts


def _damaged(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path}: no index of weights in shards, or truncated or damaged ({reason}); export or download the weights "
        "again"
    )
