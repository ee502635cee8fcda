"""Reading weights files that nobody vouches for: no code in them is ever run, and nothing is matched silently.

Importing this module does not import torch.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.errors import WeightsError
from f2vbench.utils.files import Memo

if TYPE_CHECKING:
    from torch import Tensor, nn

_BLOCK_BYTES = 1 << 22
# A file changed twice within one tick of the clock keeps its time stamp, so a hash of so young a file isn't kept.
_YOUNG_SECONDS = 2.0
_WRAPPERS = ("state_dict", "model_state_dict", "model", "netG", "net_G", "generator", "teacher")
_LISTED = 5
_ZIP = b"PK\x03\x04"  # torch's format since 1.6; only this one can be mapped into memory
_MAPPED_AT_ONCE = 1 << 28  # bytes of a mapped file brought into memory before it is mapped anew
_PICKLE = b"\x80"


def file_sha256(path: str | Path) -> str:
    """Hex sha256 of a file's content, remembered so that a 4 GB checkpoint is read once.

    Remembered in ``hashes.jsonl`` of the cache folder under path, size and time of change. A cache that can't be
    written costs time, nothing else.

    Raises:
        WeightsError: the file is missing, can't be read, or is being written.
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
        raise WeightsError(f"{path}: can't be read ({reason}); check the path and its rights") from error
    _check_unchanged(path, before, after)
    if time.time() - after.st_mtime > _YOUNG_SECONDS:
        memo.put(path, digest.hexdigest())
    return digest.hexdigest()


def _check_unchanged(path: Path, before: os.stat_result, after: os.stat_result) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise WeightsError(f"{path}: changed while it was read; try again when it is completely written")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a weights file by name, on the CPU; large files are mapped, not copied, where the format allows.

    Reads ``.safetensors``, and PyTorch's own files with ``weights_only=True``. A state dict below one usual top key
    (``state_dict``, ``model``, ``netG``, …) is taken out, and a ``module.`` before every key is removed.

    Raises:
        WeightsError: missing, empty, cut short or damaged; would need code to be run; holds no state dict, or
            several.
    """
    path = Path(path).expanduser()
    _check_is_file(path)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    state = _unwrapped(content, path)
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def read_metadata(path: str | Path) -> dict[str, str]:
    """The notes in a safetensors file's head; none in files of other kinds.

    Raises:
        WeightsError: missing, empty or damaged.
    """
    path = Path(path).expanduser()
    _check_is_file(path)
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


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

    start = _start(path)
    try:
        # Training scripts commonly save their options beside the weights; a Namespace only holds them.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=start == _ZIP)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)|function (.+)|got <class '([\w.]+)'>", str(error))
        if wanted is None and not start.startswith(_PICKLE):
            raise _damaged(path, error) from error
        asked = next((f" (it asks for {name})" for name in wanted.groups() if name), "") if wanted else ""
        raise WeightsError(
            f"{path}: refused, because loading it could run code from the file{asked}. If you trust its source, "
            "load it there, save the tensors alone with safetensors.torch.save_file, and give that .safetensors file"
        ) from error
    except Exception as error:  # what a damaged file makes the reader stumble over has no common class
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    told = re.search(r"Unsupported operand \d+", str(error))
    reason = told[0] if told else (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return WeightsError(
        f"{path}: not a weights file, or cut short or damaged ({path.stat().st_size:,} bytes; {reason}); "
        "compare its size and sha256 with the source, and download or copy it again"
    )


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file held: the whole, or what stands below exactly one usual key."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not a state dict; save model.state_dict()")
    wrapped = [key for key in _WRAPPERS if _tensors(content.get(key))]
    if len(wrapped) > 1:
        raise WeightsError(f"{path}: holds several state dicts ({', '.join(wrapped)}); save the wanted one alone")
    state = _tensors(content[wrapped[0]] if wrapped else content)
    if not state:
        raise WeightsError(f"{path}: holds no tensors under the keys {_first(map(str, content))}; save a state dict")
    return state


def _tensors(content: Any) -> dict[str, Tensor]:
    import torch

    if not isinstance(content, Mapping):
        return {}
    return {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}


def compare_state_dict(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: str | Path, ignore: Iterable[str] = ()
) -> None:
    """Check that a file's tensors are exactly those an architecture has; copies nothing (``expected`` may be meta).

    Args:
        ignore: shell-style patterns of keys that the file may have beyond the expected ones, such as ``head.*``.

    Raises:
        WeightsError: keys missing, of another shape, or left over, with counts and the first of each.
    """
    patterns = tuple(ignore)
    missing = [key for key in expected if key not in state]
    reshaped = [
        f"{key} is {tuple(state[key].shape)}, needs {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    extra = [key for key in state if key not in expected and not any(fnmatchcase(key, p) for p in patterns)]
    if missing or reshaped or extra:
        kinds = (("missing", missing), ("of another shape", reshaped), ("not part of it", extra))
        told = "; ".join(f"{len(keys)} {kind}: {_first(keys)}" for kind, keys in kinds if keys)
        raise WeightsError(
            f"{path}: made for another architecture. Of the {len(expected)} tensors needed, "
            f"{len(expected) - len(missing) - len(reshaped)} match; {told}. Nothing was loaded: "
            "give the model that these weights belong to"
        )


def match_state_dict(
    module: nn.Module, state: Mapping[str, Tensor], path: str | Path, ignore: Iterable[str] = ()
) -> None:
    """Copy a file's tensors into a module, all or nothing.

    Raises:
        WeightsError: as ``compare_state_dict``, or a needed tensor holds values that are not finite.
    """
    expected = module.state_dict()
    compare_state_dict(expected, state, path, ignore)
    broken = list(_not_finite(expected, state))
    if broken:
        raise _diverged(path, broken)
    module.load_state_dict({key: state[key] for key in expected}, strict=True)


def load_in_parts(
    module: nn.Module,
    path: str | Path,
    translated: Callable[[dict[str, Tensor]], Mapping[str, Tensor]],
    ignore: Iterable[str] = (),
) -> None:
    """Give a module on the meta device the tensors of a file that may hold far more than those, all or nothing.

    Pages of a mapped file stay in memory for as long as it is mapped. So it is copied from in parts and mapped anew
    for each, and what is needed at most is the module's own memory and one part's.

    Args:
        translated: gives the tensors of `read_state_dict` the module's names (and shapes, where they are resized);
            called once a part, it must touch few of them.

    Raises:
        WeightsError: as `match_state_dict`, or the file was changed meanwhile.
    """
    path = Path(path).expanduser()
    expected = module.state_dict()
    state = translated(read_state_dict(path))
    before = path.stat()
    compare_state_dict(expected, state, path, ignore)
    copies: dict[str, Tensor] = {}
    taken = 0
    for key, tensor in expected.items():
        if taken > _MAPPED_AT_ONCE and _start(path) == _ZIP:
            del state
            state, taken = translated(read_state_dict(path)), 0
        copies[key] = state[key].to(tensor.dtype, copy=True)
        taken += copies[key].nbytes
    del state
    broken = list(_not_finite(expected, copies))
    if broken:
        raise _diverged(path, broken)
    _check_unchanged(path, before, path.stat())
    module.load_state_dict(copies, strict=True, assign=True)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_ZIP))


def _diverged(path: str | Path, broken: list[str]) -> WeightsError:
    return WeightsError(
        f"{path}: {len(broken)} tensors hold NaN or infinity: {_first(broken)}; the training that wrote them "
        "diverged, take an earlier checkpoint"
    )


def _not_finite(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    for key in expected:
        if state[key].is_floating_point() and not state[key].isfinite().all():
            yield key


def _first(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
