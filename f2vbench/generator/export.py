"""A training's generator as a weights file with its card, at its end or from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from f2vbench.encoders.pix2pixhd import global_generator
from f2vbench.errors import StoreError
from f2vbench.generator.checkpoints import check_same_training, export_generator, load_checkpoint
from f2vbench.generator.command import training_command
from f2vbench.generator.distributed import world_size
from f2vbench.generator.models import generator_shape
from f2vbench.generator.settings import TrainSettings
from f2vbench.provenance import machine, software
from f2vbench.words import build

CHECKPOINT = "checkpoint.pt"
SETTINGS = "settings.yaml"
EXPORT = "generator.safetensors"


def made_on(device: torch.device) -> dict[str, Any]:
    """What a training runs on, JSON-able: device, processes, software, machine."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, "processes": world_size(), "software": software(), "machine": machine()}


def generator_card(
    settings: TrainSettings,
    place: Mapping[str, Any],
    data: Mapping[str, Any],
    quality: Mapping[str, float],
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """What is told of an exported generator, JSON-able.

    Args:
        place: how far the training had come: ``epoch``, ``videos``, ``seconds``.
        data: what identifies its data set.
        quality: of the last validation, by metric.
        origin: as `made_on` tells it, of the training.
    """
    return {
        "model": settings.model,
        "architecture": {"name": "pix2pixhd-global", **asdict(generator_shape(settings))},
        "weights": "moving average" if settings.ema else "last step",
        "command": training_command(settings),
        "settings": settings.model_dump(mode="json"),
        "data": dict(data),
        "epochs": place["epoch"],
        "videos": place["videos"],
        "seconds": round(place["seconds"], 1),
        "validation": dict(quality),
        **origin,
    }


def export_checkpoint(folder: Path, out: Path | None = None, *, half: bool = False) -> Path:
    """Export the generator (its moving average, where there is one) of the newest checkpoint in a run folder.

    Args:
        out: the file to write (by default ``generator.safetensors`` in the run folder); its card goes beside it.
        half: store float16.

    Returns:
        the weights file. Its card tells the whole epochs that the generator has seen.

    Raises:
        StoreError: no checkpoint there, a damaged one, one of other settings than the folder's, weights that are not
            finite, or a file that can't be written.
        SettingsError: the settings file of the folder can't be read.
    """
    settings = _settings_of(folder)
    checkpoint = folder / CHECKPOINT
    state = load_checkpoint(checkpoint, torch.device("cpu"))
    check_same_training(checkpoint, state["settings"], settings.decisive())
    generator = global_generator(generator_shape(settings))
    networks = state["networks"]
    if "average" in networks:
        whole = networks["average"].items()
        generator.load_state_dict({key.removeprefix("module."): held for key, held in whole if key != "n_averaged"})
    else:
        generator.load_state_dict(networks["generator"])
    card = generator_card(settings, state["place"], state["data"], state["quality"], state.get("made_on", {}))
    path = out if out is not None else folder / EXPORT
    export_generator(generator, path, card, enlarge=settings.enlarge, phase=settings.phase_of_frame, half=half)
    return path


def _settings_of(folder: Path) -> TrainSettings:
    """The settings that a run folder holds.

    Raises:
        StoreError: it holds no training.
        SettingsError: they are not ones of this version.
    """
    missing = [name for name in (SETTINGS, CHECKPOINT) if not (folder / name).is_file()]
    if missing:
        raise StoreError(
            f"{folder}: no run folder of a training with a checkpoint ({' and '.join(missing)} missing); a checkpoint "
            "is written after each epoch and every save_minutes"
        )
    try:
        values = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no keys")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StoreError(f"{folder / SETTINGS}: can't be read ({' '.join(str(error).split())})") from error
    return build(TrainSettings, values)
