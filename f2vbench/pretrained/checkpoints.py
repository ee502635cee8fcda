"""Safe reading of weights files from any source: code in a file is never run. Importing this imports no torch."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from f2vbench.errors import WeightsError
from f2vbench.pretrained.shards import ShardIndex, index_of, is_index, is_shard_of, read_index, stored_path
from f2vbench.utils.files import Memo, canonical_json, sha256

if TYPE_CHECKING:
    from torch import Tensor

_Value = TypeVar("_Value")

_BLOCK_BYTES = 1 << 22
# A file that changes twice within one tick of the clock keeps its time stamp: hashes of so recent files aren't stored.
_RECENT_SECONDS = 2.0
_WRAPPER_KEYS = ("state_dict", "model_state_dict", "model", "netG", "net_G", "generator", "teacher")
_MAX_LISTED = 5
_ZIP_START = b"PK\x03\x04"  # torch's format since version 1.6, the only one that can be memory-mapped
_PICKLE_START = b"\x80"


def file_sha256(path: str | Path) -> str:
    """Hex SHA-256 that identifies weights, stored in the cache so that a checkpoint of 4 GB is read only once.

    Of one file it is the SHA-256 of the file. Of weights in shards it is the SHA-256 of the canonical JSON
    `{"metadata": {…}, "shards": […]}` with the metadata of the index (`ShardIndex.metadata`) and the sorted SHA-256 of
    all shards: it covers every byte of every shard, and not the names of the files, so that renamed weights keep it.

    `hashes.jsonl` of the cache folder stores the hash of each file under path, size and time of modification. Where the
    cache is not writable, the files are read again each time.

    Args:
        path: The file, an index, or the name that an index replaces.

    Raises:
        WeightsError: A file does not exist, is unreadable, or changes while it is read; or as `check_shards`.
    """
    path = stored_path(path)
    if not is_index(path):
        return _hash(path)
    index = read_index(path)
    digests = check_shards(index)
    return sha256(canonical_json({"metadata": index.metadata, "shards": sorted(digests.values())}))


def check_shards(index: ShardIndex) -> dict[str, str]:
    """Compare the shards of an index with its record of them; without a record, only their presence is checked.

    Args:
        index: The index.

    Returns:
        Hex SHA-256 of each shard.

    Raises:
        WeightsError: A shard is missing, truncated, unreadable or of another export; all problems are listed.
    """
    problems, digests = [], {}
    for number, file in enumerate(index.files, 1):
        what = f"{file}: shard {number} of {len(index.names)} of {index.path.name}"
        recorded = index.facts.get(file.name)
        if not file.is_file():
            problems.append(f"{what} is missing; put it beside the index: copy or download it, or export again")
            continue
        if recorded is not None and (size := file.stat().st_size) != recorded.size:
            problems.append(
                f"{what} has {size:,} bytes, the index records {recorded.size:,}: it is truncated or of another "
                "export; copy or download it again, or export again"
            )
            continue
        digests[file.name] = _hash(file)
        if recorded is not None and digests[file.name] != recorded.sha256:
            problems.append(
                f"{what} is damaged or of another export (its SHA-256 is {digests[file.name][:12]}…, the index records "
                f"{recorded.sha256[:12]}…); copy or download all shards of one export, or export again"
            )
    if problems:
        raise WeightsError(problems)
    return digests


def _hash(path: Path) -> str:
    """Hex SHA-256 of one file, from the cache where it is known."""
    path = path.absolute()
    try:
        before = path.stat()
        memo = Memo("hashes.jsonl")
        known = memo.get(path)
        if isinstance(known, str):
            return known
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        after = path.stat()
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{path}: can't be read ({reason}); check the path and its permissions") from error
    check_unchanged(path, before, after)
    if time.time() - after.st_mtime > _RECENT_SECONDS:
        memo.put(path, digest.hexdigest())
    return digest.hexdigest()


def check_unchanged(path: Path, before: os.stat_result, after: os.stat_result) -> None:
    """Check that a file has the same size and time of modification before and after reading.

    Raises:
        WeightsError: It has not.
    """
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise WeightsError(f"{path}: changed while it was read; try again when it is completely written")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a weights file by name, on the CPU; large files are memory-mapped where the format allows it.

    Reads `.safetensors` files, whole or in shards, and PyTorch's own files with `weights_only=True`. A state dict under
    one usual top-level key (`state_dict`, `model`, `netG`, …) is unwrapped, and `module.` is removed where all keys
    start with it.

    Args:
        path: The file, an index, or the name that an index replaces.

    Raises:
        WeightsError: The file does not exist, is empty, truncated or damaged, needs code to be run, or contains no
            state dict or several; it is a single shard; or a shard of an index is missing or not the index's.
    """
    path = stored_path(path)
    _check_is_file(path)
    if is_index(path):
        content: Any = _read_shards(read_index(path))
    elif path.suffix == ".safetensors":
        _check_is_no_shard(path)
        content = _read_safetensors(path)
    else:
        content = _read_pickle(path)
    return _without_wrapper_prefix(_unwrap(content, path))


def read_tensor_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a weights file by name, as `read_state_dict` names them.

    Of a safetensors file only the header is read, without torch.

    Args:
        path: The file, an index, or the name that an index replaces.

    Raises:
        WeightsError: As `read_state_dict`.
    """
    path = stored_path(path)
    _check_is_file(path)
    if path.suffix != ".safetensors":
        return {name: tuple(tensor.shape) for name, tensor in read_state_dict(path).items()}
    _check_is_no_shard(path)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return _without_wrapper_prefix(shapes)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Metadata in the header of a safetensors file, or in the index of shards; empty for other files.

    Args:
        path: The file, an index, or the name that an index replaces.

    Raises:
        WeightsError: The file does not exist, is empty or damaged.
    """
    path = stored_path(path)
    _check_is_file(path)
    if is_index(path):
        return read_index(path).metadata
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def can_be_mapped(path: Path) -> bool:
    """Whether `read_state_dict` maps the file into memory instead of copying it."""
    return _first_bytes(path) == _ZIP_START


def list_names(names: Iterable[str]) -> str:
    """The first names of a list and how many more there are, for messages."""
    names = list(names)
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        stem = path.name.removesuffix(".safetensors")
        if path.parent.is_dir() and any(is_shard_of(file.name, stem) for file in path.parent.iterdir()):
            raise WeightsError(
                f"{path}: there are shards of these weights, but their index {index_of(path).name} is missing; copy or "
                "download it, or export again"
            )
        raise WeightsError(f"{path}: no such weights file; check the path")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: the file is empty; download or copy it again")


def _check_is_no_shard(path: Path) -> None:
    """Raise a WeightsError for one shard of several, which has only a part of the tensors."""
    for index in path.parent.glob("*.safetensors.index.json"):
        if is_shard_of(path.name, index.name.partition(".safetensors")[0]):
            raise WeightsError(f"{path}: a single shard, with a part of the tensors; name its index {index.name}")


def _read_shards(index: ShardIndex) -> dict[str, Tensor]:
    """The tensors of all shards; each shard must have exactly the tensors that the index assigns to it."""
    check_shards(index)
    state: dict[str, Tensor] = {}
    for file in index.files:
        found, expected = _read_safetensors(file), index.tensors_of(file.name)
        if missing := sorted(expected - found.keys()):
            raise WeightsError(
                f"{file}: {list_names(missing)} missing, which {index.path.name} assigns to this shard; copy or "
                "download all files of one export, or export again"
            )
        if others := sorted(found.keys() - expected):
            kind = "is assigned to another shard" if others[0] in index.weight_map else "is not named"
            raise WeightsError(
                f"{file}: contains {list_names(others)}, and {others[0]} {kind} by {index.path.name}; copy or download "
                "all files of one export, or export again"
            )
        state |= found
    return state


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _read_pickle(path: Path) -> Any:
    import torch

    first_bytes = _first_bytes(path)
    try:
        # Training scripts commonly save their options beside the weights; a Namespace runs no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=first_bytes == _ZIP_START)
    except pickle.UnpicklingError as error:
        names = re.search(r"GLOBAL ([\w.]+)|function (.+)|got <class '([\w.]+)'>", str(error))
        if names is None and not first_bytes.startswith(_PICKLE_START):
            raise _damaged(path, error) from error
        needed = next((f" (it needs {name})" for name in names.groups() if name), "") if names else ""
        raise WeightsError(
            f"{path}: refused, because loading it could run code from the file{needed}. If you trust its source, "
            "load it there, save only the tensors with safetensors.torch.save_file, and use that .safetensors file"
        ) from error
    except Exception as error:  # errors of damaged files have no common class
        if "TorchScript" in str(error):
            raise WeightsError(
                f"{path}: a TorchScript program, whose code is not run; save the state_dict() of the network instead"
            ) from error
        raise _damaged(path, error) from error


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_ZIP_START))


def _damaged(path: Path, error: Exception) -> WeightsError:
    operand = re.search(r"Unsupported operand \d+", str(error))
    reason = operand[0] if operand else (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return WeightsError(
        f"{path}: not a weights file, or truncated or damaged ({path.stat().st_size:,} bytes; {reason}); "
        "compare its size and SHA-256 with the source, and download or copy it again"
    )


def _without_wrapper_prefix(state: dict[str, _Value]) -> dict[str, _Value]:
    """Remove the prefix of a data-parallel wrapper, where all names have it."""
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in the content of a file: the whole content, or the value of exactly one usual key."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: contains a {type(content).__name__}, not a state dict; save model.state_dict()")
    wrapped = [key for key in _WRAPPER_KEYS if _tensors(content.get(key))]
    if len(wrapped) > 1:
        raise WeightsError(f"{path}: contains several state dicts ({', '.join(wrapped)}); save only the one to load")
    state = _tensors(content[wrapped[0]] if wrapped else content)
    if not state:
        raise WeightsError(
            f"{path}: contains no tensors under the keys {list_names(map(str, content))}; save a state dict"
        )
    return state


def _tensors(content: Any) -> dict[str, Tensor]:
    import torch

    if not isinstance(content, Mapping):
        return {}
    return {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
