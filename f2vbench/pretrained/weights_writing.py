"""Writing of weights as safetensors: one file, or above 15 MB shards with an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from f2vbench.pretrained.shards import (
    ShardFacts,
    index_content,
    index_of,
    is_index,
    is_shard_of,
    read_index,
    whole_path,
)
from f2vbench.utils.files import sha256, write_together

if TYPE_CHECKING:
    from torch import Tensor

MAX_FILE_BYTES = 15_000_000
"""Size up to which weights are one file, and of each shard; only a single larger tensor makes a larger shard."""

_OFFSET = 10**15  # longer than any offset in a header


def encode_weights(
    tensors: Mapping[str, Tensor], stem: str, metadata: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The files of weights by name: `<stem>.safetensors`, or above `MAX_FILE_BYTES` the shards and last their index.

    Equal arguments give equal bytes, if there is at most one entry of metadata: safetensors writes several in random
    order. The index has the metadata, and the shards have none, as huggingface_hub writes them.

    Args:
        tensors: By name, contiguous, on the CPU, none of them sharing memory.
        stem: Name of the weights without suffix.
        metadata: For the header of the file.
    """
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save

    size = sum(tensor.nbytes for tensor in tensors.values())
    if size <= MAX_FILE_BYTES:
        whole = save(dict(tensors), dict(metadata) if metadata else None)
        if len(whole) <= MAX_FILE_BYTES:
            return {f"{stem}.safetensors": whole}
    room = max(1, MAX_FILE_BYTES - _header_bound(tensors))
    split = split_torch_state_dict_into_shards(dict(tensors), max_shard_size=room)
    if not split.is_sharded:  # a single tensor
        return {f"{stem}.safetensors": save(dict(tensors), dict(metadata) if metadata else None)}
    files, weight_map = {}, {}
    for number, keys in enumerate(split.filename_to_tensors.values(), 1):
        name = _shard_name(stem, number, len(split.filename_to_tensors))
        files[name] = save({key: tensors[key] for key in keys})
        weight_map.update(dict.fromkeys(keys, name))
    return files | _index(stem, files, weight_map, metadata or {}, size)


def renamed_weights(path: Path, stem: str) -> dict[str, bytes]:
    """The files of stored weights under another name, in the order of `encode_weights`.

    `file_sha256` of the renamed weights is that of the stored ones.

    Args:
        path: The stored file, or the index.
        stem: The other name without suffix.

    Raises:
        WeightsError: As `read_index`.
    """
    if not is_index(path):
        return {f"{stem}.safetensors": path.read_bytes()}
    index = read_index(path)
    names = {name: _shard_name(stem, number, len(index.names)) for number, name in enumerate(index.names, 1)}
    files = {names[file.name]: file.read_bytes() for file in index.files}
    weight_map = {tensor: names[name] for tensor, name in index.weight_map.items()}
    return files | _index(stem, files, weight_map, index.metadata, index.total_size)


def write_weights(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of weights into a folder, all or none, in place of earlier weights of this name.

    Shards are found by their index alone. It is removed before the first file changes, and appears last: a process that
    is killed leaves the earlier weights, none, or the new ones.

    Args:
        folder: The folder, created if it does not exist.
        files: Of `encode_weights` or `renamed_weights`.

    Returns:
        The path to read the weights from: the file, or the index.

    Raises:
        StoreError: The disk is full or the folder is not writable.
    """
    path = folder / list(files)[-1]
    whole = whole_path(path)
    write_together(
        {folder / name: content for name, content in files.items()},
        removed=[index_of(whole), *([whole] if is_index(path) else [])],
    )
    for file in folder.iterdir():
        if is_shard_of(file.name, whole.stem) and file.name not in files:
            file.unlink(missing_ok=True)
    return path


def _shard_name(stem: str, number: int, count: int) -> str:
    return f"{stem}-{number:05d}-of-{count:05d}.safetensors"


def _index(
    stem: str,
    files: Mapping[str, bytes],
    weight_map: Mapping[str, str],
    metadata: Mapping[str, str],
    total_size: int | None,
) -> dict[str, bytes]:
    """Name and content of the index of shards."""
    facts = {name: ShardFacts(len(content), sha256(content)) for name, content in files.items()}
    return {index_of(Path(f"{stem}.safetensors")).name: index_content(weight_map, metadata, facts, total_size)}


def _header_bound(tensors: Mapping[str, Tensor]) -> int:
    """At least the bytes of a safetensors file beside its tensors: its length field and header, padded to 8 bytes."""
    header = {
        key: {"dtype": "F8_E4M3FNUZ", "shape": list(tensor.shape), "data_offsets": [_OFFSET, _OFFSET]}
        for key, tensor in tensors.items()
    }
    return 8 + len(json.dumps(header)) + 8
