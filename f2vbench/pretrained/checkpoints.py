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
from typing import TYPE_CHECKING, Any

from f2vbench.errors import WeightsError
from f2vbench.utils.files import Memo

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK_BYTES = 1 << 22
# A file that changes twice within one tick of the clock keeps its time stamp: hashes of so recent files aren't stored.
_RECENT_SECONDS = 2.0
_WRAPPER_KEYS = ("state_dict", "model_state_dict", "model", "netG", "net_G", "generator", "teacher")
_MAX_LISTED = 5
_ZIP_START = b"PK\x03\x04"  # torch's format since version 1.6, the only one that can be memory-mapped
_PICKLE_START = b"\x80"


def file_sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file, stored in the cache so that a checkpoint of 4 GB is read only once.

    `hashes.jsonl` of the cache folder stores it under path, size and time of modification. Where the cache is not
    writable, the file is read again each time.

    Args:
        path: The file.

    Raises:
        WeightsError: The file does not exist, is unreadable, or changes while it is read.
    """
    path = Path(path).expanduser().absolute()
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

    Reads `.safetensors` files, and PyTorch's own files with `weights_only=True`. A state dict under one usual top-level
    key (`state_dict`, `model`, `netG`, …) is unwrapped, and `module.` is removed where all keys start with it.

    Args:
        path: The file.

    Raises:
        WeightsError: The file does not exist, is empty, truncated or damaged, needs code to be run, or contains no
            state dict or several.
    """
    path = Path(path).expanduser()
    _check_is_file(path)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    state = _unwrap(content, path)
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def read_metadata(path: str | Path) -> dict[str, str]:
    """Metadata in the header of a safetensors file; empty for other files.

    Args:
        path: The file.

    Raises:
        WeightsError: The file does not exist, is empty or damaged.
    """
    path = Path(path).expanduser()
    _check_is_file(path)
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
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
        raise WeightsError(f"{path}: no such weights file; check the path")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: the file is empty; download or copy it again")


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
