"""Export of a trained network with its card, at the end of a training or from its newest checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from f2vbench.config.parsing import build
from f2vbench.errors import StoreError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.shards import description_path
from f2vbench.pretrained.weights_writing import encode_weights, write_weights
from f2vbench.training.checkpoints import CHECKPOINT, TrainingStatus, load_checkpoint
from f2vbench.training.distributed import world_size
from f2vbench.training.methods import TrainingMethod, build_method
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from f2vbench.utils.files import canonical_json, write_atomically
from f2vbench.utils.system import machine, software

SETTINGS = "settings.yaml"
EXPORT = "generator.safetensors"


def training_environment(device: torch.device) -> dict[str, Any]:
    """Device, number of processes, software and machine of this training, JSON-serialisable."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, "processes": world_size(), "software": software(), "machine": machine()}


def export_training(
    method: TrainingMethod, settings: TrainSettings, path: Path, status: TrainingStatus, *, half: bool
) -> Path:
    """Write the trained network (its moving average, where there is one) and its card.

    Args:
        method: ``method.networks.best`` is exported.
        settings: Of the training.
        path: The weights file; the card has the suffix ``.json``.
        status: Progress and provenance, for the card.
        half: Store float16.

    Returns:
        As `export_network`.

    Raises:
        StoreError: A weight is not finite, or a file can't be written.
    """
    card = {
        "model": settings.model,
        "architecture": dict(method.architecture()),
        "weights": "moving average" if settings.ema else "last step",
        "command": training_command(settings),
        "settings": settings.used(),
        "data": dict(status.data),
        "epochs": status.position.epoch,
        "videos": status.position.videos,
        "seconds": round(status.position.seconds, 1),
        "completed": status.position.completed,
        "validation": dict(status.validation),
        **status.environment,
    }
    network, metadata = method.networks.best, settings.input_metadata()
    return export_network(network, path, card, input_metadata=metadata, half=half, prefix=method.prefix)


def export_checkpoint(folder: Path, out: Path | None = None, *, half: bool = False) -> Path:
    """Export the network of the newest checkpoint in a run folder.

    Args:
        folder: The run folder.
        out: The weights file (default: ``generator.safetensors`` in the run folder); the card is written beside it.
        half: Store float16.

    Returns:
        As `export_network`. The card has the number of complete epochs.

    Raises:
        StoreError: There is no checkpoint, it is damaged, it has other settings than the folder, a weight is not
            finite, or a file can't be written.
        SettingsError: The settings file of the folder is invalid.
    """
    settings = _read_settings(folder)
    path = folder / CHECKPOINT
    checkpoint = load_checkpoint(path, torch.device("cpu"))
    checkpoint.check_same_training(path, settings.identity(), checkpoint.status.data)
    method = build_method(settings, torch.device("cpu"), bf16=False)
    method.networks.load(checkpoint)
    exported = out if out is not None else folder / EXPORT
    return export_training(method, settings, exported, checkpoint.status, half=half)


def export_network(
    network: nn.Module,
    path: Path,
    card: Mapping[str, Any],
    *,
    input_metadata: Mapping[str, str] | None = None,
    half: bool = False,
    prefix: str = "model.",
) -> Path:
    """Write a network as safetensors, and its card beside it as JSON.

    Above 15 MB the weights are written in shards with an index (`f2vbench.pretrained.weights_writing`), which is read
    under the name ``path`` too.

    Args:
        network: Its state dictionary is written.
        path: Ends with ``.safetensors``; the card has the suffix ``.json``.
        card: Any JSON-serialisable content; ``file``, ``sha256``, ``bytes`` (of all files) and ``parameters`` are
            added.
        input_metadata: `TrainSettings.input_metadata`. It is stored in the metadata of the file, or of the index, where
            the encoder reads it.
        half: Store float16.
        prefix: Of all keys; with the default, a generator has pix2pixHD's keys ``model.{i}.*``.

    Returns:
        ``path``, or the index of its shards.

    Raises:
        StoreError: A weight is not finite (in half precision), or a file can't be written.
    """
    dtype = torch.float16 if half else torch.float32
    tensors: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        stored = value.detach().to("cpu", dtype).contiguous()
        if not stored.isfinite().all():
            raise StoreError(f"{path}: {prefix}{key} contains NaN or infinity; nothing was exported")
        tensors[f"{prefix}{key}"] = stored
    # A single metadata entry, because safetensors writes several in random order.
    metadata = {"seen": canonical_json(dict(input_metadata)).decode()} if input_metadata else None
    files = encode_weights(tensors, path.stem, metadata)
    written = write_weights(path.parent, files)
    facts = {
        "file": written.name,
        "sha256": file_sha256(written),
        "bytes": sum(map(len, files.values())),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
    }
    card_text = json.dumps({**facts, **card}, indent=1, ensure_ascii=False)
    write_atomically(description_path(written), card_text.encode() + b"\n")
    return written


def _read_settings(folder: Path) -> TrainSettings:
    """The settings of a run folder.

    Raises:
        StoreError: The folder is not a run folder with a checkpoint, or the settings can't be read.
        SettingsError: The settings are invalid in this version.
    """
    missing = [name for name in (SETTINGS, CHECKPOINT) if not (folder / name).is_file()]
    if missing:
        raise StoreError(
            f"{folder}: not a run folder with a checkpoint ({' and '.join(missing)} missing); a training writes a "
            "checkpoint after each epoch and every save_minutes"
        )
    try:
        values = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it has no keys")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StoreError(f"{folder / SETTINGS}: can't be read ({' '.join(str(error).split())})") from error
    return build(TrainSettings, values)
