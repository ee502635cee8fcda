"""Loading of state dicts into modules: every tensor matches, or nothing is loaded. Importing this imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import can_be_mapped, check_unchanged, list_names, read_state_dict
from f2vbench.pretrained.shards import stored_files, stored_path

if TYPE_CHECKING:
    from torch import Tensor, nn

_MAPPED_BYTES = 1 << 28  # of a memory-mapped file that are read before it is mapped again


def compare_state_dict(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: str | Path, ignore: Iterable[str] = ()
) -> None:
    """Check that a file contains exactly the tensors of an architecture; copies nothing.

    Args:
        expected: Tensors of the architecture by name; they may be on the meta device.
        state: Tensors of the file by name.
        path: The file, for messages.
        ignore: Shell-style patterns of additional names that the file may contain, such as `head.*`.

    Raises:
        WeightsError: Tensors are missing, have another shape, or are not part of the architecture; with the number
            and the first names of each kind.
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
        differences = "; ".join(f"{len(keys)} {kind}: {list_names(keys)}" for kind, keys in kinds if keys)
        raise WeightsError(
            f"{path}: made for another architecture. Of the {len(expected)} tensors needed, "
            f"{len(expected) - len(missing) - len(reshaped)} match; {differences}. Nothing is loaded: "
            "name the model that these weights belong to"
        )


def match_state_dict(
    module: nn.Module, state: Mapping[str, Tensor], path: str | Path, ignore: Iterable[str] = ()
) -> None:
    """Copy the tensors of a file into a module, all or nothing.

    Args:
        module: The network.
        state: Tensors of the file by name.
        path: The file, for messages.
        ignore: As for `compare_state_dict`.

    Raises:
        WeightsError: As `compare_state_dict`, or a tensor contains values that are not finite.
    """
    expected = module.state_dict()
    compare_state_dict(expected, state, path, ignore)
    _check_finite(expected, state, path)
    module.load_state_dict({key: state[key] for key in expected}, strict=True)


def load_in_parts(
    module: nn.Module,
    path: str | Path,
    translate: Callable[[dict[str, Tensor]], Mapping[str, Tensor]],
    ignore: Iterable[str] = (),
) -> None:
    """Load a module on the meta device from a file that may contain much more, all or nothing.

    Pages of a memory-mapped file stay in memory as long as it is mapped. The file is therefore mapped again after each
    part, so that the peak is the module's own memory and that of one part.

    Args:
        module: The network, on the meta device.
        path: The file, an index of shards, or the name that an index replaces.
        translate: Maps the result of `read_state_dict` to the module's names (and shapes, where tensors are resized).
            It is called once for each part and must read few tensors.
        ignore: As for `compare_state_dict`.

    Raises:
        WeightsError: As `match_state_dict`, or the file changes during the loading.
    """
    path = stored_path(path)
    expected = module.state_dict()
    state = translate(read_state_dict(path))
    before = {file: file.stat() for file in stored_files(path)}
    compare_state_dict(expected, state, path, ignore)
    copies: dict[str, Tensor] = {}
    read_bytes = 0
    for key, tensor in expected.items():
        if read_bytes > _MAPPED_BYTES and can_be_mapped(path):
            del state
            state, read_bytes = translate(read_state_dict(path)), 0
        copies[key] = state[key].to(tensor.dtype, copy=True)
        read_bytes += copies[key].nbytes
    del state
    _check_finite(expected, copies, path)
    for file, status in before.items():
        check_unchanged(file, status, file.stat())
    module.load_state_dict(copies, strict=True, assign=True)


def _check_finite(expected: Iterable[str], state: Mapping[str, Tensor], path: str | Path) -> None:
    broken = [key for key in expected if state[key].is_floating_point() and not state[key].isfinite().all()]
    if broken:
        raise WeightsError(
            f"{path}: {len(broken)} tensors contain NaN or infinity: {list_names(broken)}; the training diverged, use "
            "an earlier checkpoint"
        )
