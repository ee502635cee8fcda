"""Loading of state dicts into modules: every tensor matches, or nothing is loaded. Importing this imports no torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from f2vbench.errors import WeightsError, WeightsNote
from f2vbench.pretrained.checkpoints import can_be_mapped, check_unchanged, list_names, read_state_dict
from f2vbench.pretrained.shards import stored_files, stored_path

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")

TRANSFORMER_NAMES = ("patch_embed.proj.weight", "pos_embed", "norm.weight", "blocks.0.mlp.fc2.weight")
"""Tensors that tell a vision transformer, for `without_prefix`."""

_ANCHORS = 3  # names whose prefixes are tried
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
        hint = _reason(extra, is_complete=not missing and not reshaped)
        raise WeightsError(
            f"{path}: {hint or 'made for another architecture'}. Of the {len(expected)} tensors needed, "
            f"{len(expected) - len(missing) - len(reshaped)} match; {differences}. Nothing is loaded: "
            "name the model that these weights belong to"
        )


def _reason(extra: Iterable[str], *, is_complete: bool) -> str:
    """What the additional tensors of a file say about it, "" for nothing."""
    names = list(extra)
    if any(name.startswith("fc_norm.") for name in names):
        return (
            "a fine-tuned classifier: fc_norm replaces the final norm in its fine-tuning; use the pre-trained weights, "
            "or save the encoder with its norm.* and without fc_norm.* and the head"
        )
    if is_complete and names:
        return "contains more than the encoder, such as the head of a fine-tuned classifier; save it without that"
    return ""


def without_prefix(
    state: Mapping[str, T], expected: Collection[str], path: str | Path, silent: Container[str] = ()
) -> dict[str, T]:
    """Tensors of a file without the common prefix of their names, such as `_orig_mod.`, `netG.` or `model.`.

    Args:
        state: Tensors of the file, or their shapes, by name.
        expected: Names of tensors of the architecture, all or some that occur in it only.
        path: The file, for messages.
        silent: Prefixes that are usual in the file and not mentioned.

    Returns:
        The tensors; unchanged where the expected names occur as they are, or under no prefix.

    Raises:
        WeightsError: The names occur under several prefixes, as in a file with several networks.

    Warns:
        WeightsNote: A prefix was removed.
    """
    plain = sum(name in state for name in expected)
    if plain == len(expected):
        return dict(state)
    anchors = sorted(expected, key=len)[-_ANCHORS:]
    prefixes = {key[: -len(name)] for key in state for name in anchors if key.endswith(f".{name}")}
    counts = {prefix: sum(f"{prefix}{name}" in state for name in expected) for prefix in prefixes}
    most = max(counts.values(), default=0)
    if most <= plain:
        return dict(state)
    best = sorted(prefix for prefix, count in counts.items() if count == most)
    if len(best) > 1:
        raise WeightsError(f"{path}: contains several such networks, {list_names(best)}; save only the one to load")
    stripped = {key.removeprefix(best[0]): tensor for key, tensor in state.items()}
    if len(stripped) < len(state):
        raise WeightsError(f"{path}: contains tensors with and without {best[0]}; save only the network to load")
    if best[0] not in silent:
        warnings.warn(f"{path}: {best[0]} is removed from the names of its tensors", WeightsNote, stacklevel=2)
    return stripped


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
        WeightsError: As `compare_state_dict`, or a tensor contains values that are not finite, or integers in place of
            floating-point numbers, or all matrices are zero.
    """
    expected = module.state_dict()
    compare_state_dict(expected, state, path, ignore)
    _check_values(expected, state, path)
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
        _check_type(key, tensor, state[key], path)
        copies[key] = state[key].to(tensor.dtype, copy=True)
        read_bytes += copies[key].nbytes
    del state
    _check_values(expected, copies, path)
    for file, status in before.items():
        check_unchanged(file, status, file.stat())
    module.load_state_dict(copies, strict=True, assign=True)


def _check_type(key: str, expected: Tensor, tensor: Tensor, path: str | Path) -> None:
    if expected.is_floating_point() and not tensor.is_floating_point():
        raise WeightsError(f"{path}: {key} has the type {tensor.dtype}, not floating point; export unquantised weights")


def _check_values(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: str | Path) -> None:
    for key, tensor in expected.items():
        _check_type(key, tensor, state[key], path)
    matrices = [state[key] for key in expected if state[key].ndim > 1]
    if matrices and not any(matrix.any() for matrix in matrices):
        raise WeightsError(f"{path}: all its matrices are zero, so that every photograph has the same features")
    broken = [key for key in expected if state[key].is_floating_point() and not state[key].isfinite().all()]
    if broken:
        raise WeightsError(
            f"{path}: {len(broken)} tensors contain NaN or infinity: {list_names(broken)}; the training diverged, use "
            "an earlier checkpoint"
        )
