"""Checkpoints of a training, and the generator it exports."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from f2vbench.errors import StoreError
from f2vbench.utils.files import canonical_json, sha256, write_atomically

_LISTED = 5


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all: after a full disk the file before is still there.

    Raises:
        StoreError: it can't be written.
    """
    content = io.BytesIO()
    torch.save(dict(state), content)
    write_atomically(path, content.getvalue(), durable=True)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote; no code in it is run.

    Raises:
        StoreError: damaged, or no checkpoint of a training.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not {"settings", "data", "place", "networks", "optimisers"} <= set(state):
            raise ValueError("it holds something else")
    except Exception as error:  # what a damaged file makes the reader stumble over has no common class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise StoreError(
            f"{path}: no checkpoint of a training, or damaged ({reason}); remove it to begin again, or choose another "
            "folder with out="
        ) from error
    return state


def check_same_training(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a checkpoint of other settings or data.

    Raises:
        StoreError: with the keys that differ and both values.
    """
    keys = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if keys:
        told = "; ".join(f"{key} was {then.get(key)}, is {now.get(key)}" for key in keys[:_LISTED])
        more = f"; and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
        raise StoreError(
            f"{path}: a training with other settings ({told}{more}); choose another folder with out=, or give the same "
            "settings to go on"
        )


def export_generator(
    generator: nn.Module,
    path: Path,
    card: Mapping[str, Any],
    *,
    seen: Mapping[str, str] | None = None,
    half: bool = False,
    prefix: str = "model.",
) -> Path:
    """Write a generator as safetensors, and its card beside it as JSON.

    Args:
        path: ends on ``.safetensors``; the card gets ``.json``.
        card: anything JSON can hold; ``file``, ``sha256``, ``bytes`` and ``parameters`` are added.
        seen: how photographs were shown to it and what it makes of them: ``enlarge``, ``photograph`` and, of a
            generator of a single frame, ``phase``, as in the settings; kept in the file's metadata, where the encoder
            finds it.
        half: store float16.
        prefix: of all keys; with the default those of a generator are pix2pixHD's, ``model.{i}.*``.

    Returns:
        the path of the card.

    Raises:
        StoreError: a weight is not finite (in half precision), or the file can't be written.
    """
    kind = torch.float16 if half else torch.float32
    tensors: dict[str, Tensor] = {}
    for key, value in generator.state_dict().items():
        stored = value.detach().to("cpu", kind).contiguous()
        if not stored.isfinite().all():
            raise StoreError(f"{path}: {prefix}{key} holds NaN or infinity; nothing was exported")
        tensors[f"{prefix}{key}"] = stored
    # One note, because several would be written in any order.
    content = save(tensors, {"seen": canonical_json(dict(seen)).decode()} if seen else None)
    facts = {
        "file": path.name,
        "sha256": sha256(content),
        "bytes": len(content),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
    }
    write_atomically(path, content)
    written = path.with_suffix(".json")
    write_atomically(written, json.dumps({**facts, **card}, indent=1, ensure_ascii=False).encode() + b"\n")
    return written
