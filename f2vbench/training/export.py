"""A training's generator as a weights file with its card, at its end or from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from f2vbench.config.parsing import build
from f2vbench.errors import StoreError
from f2vbench.training.checkpoints import check_same_training, export_generator, load_checkpoint
from f2vbench.training.distributed import world_size
from f2vbench.training.learners import Learner, learner_of
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from f2vbench.utils.system import machine, software

CHECKPOINT = "checkpoint.pt"
SETTINGS = "settings.yaml"
EXPORT = "generator.safetensors"


def made_on(device: torch.device) -> dict[str, Any]:
    """What a training runs on, JSON-able: device, processes, software, machine."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, "processes": world_size(), "software": software(), "machine": machine()}


def export(
    learner: Learner,
    settings: TrainSettings,
    path: Path,
    state: Mapping[str, Any],
    *,
    half: bool,
) -> Path:
    """Write what a training exports, its moving average where there is one, and its card.

    Args:
        learner: whose networks are exported.
        path: the weights file; the card gets ``.json``.
        state: as a checkpoint holds it: ``place`` (``epoch``, ``videos``, ``seconds``), ``data`` (what identifies the
            data set), ``quality`` (of the last validation, by metric), ``made_on``.
        half: store float16.

    Raises:
        StoreError: weights that are not finite, or a file that can't be written.
    """
    place = state["place"]
    card = {
        "model": settings.model,
        "architecture": dict(learner.architecture()),
        "weights": "moving average" if settings.ema else "last step",
        "command": training_command(settings),
        "settings": settings.in_use(),
        "data": dict(state["data"]),
        "epochs": place["epoch"],
        "videos": place["videos"],
        "seconds": round(place["seconds"], 1),
        "validation": dict(state["quality"]),
        **state.get("made_on", {}),
    }
    export_generator(learner.networks.best, path, card, seen=settings.seen(), half=half, prefix=learner.prefix)
    return path


def export_checkpoint(folder: Path, out: Path | None = None, *, half: bool = False) -> Path:
    """Export from the newest checkpoint in a run folder.

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
    learner = learner_of(settings, torch.device("cpu"), bf16=False)
    learner.networks.load_state(state)
    return export(learner, settings, out if out is not None else folder / EXPORT, state, half=half)


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
