"""The command that repeats a training. Importing this module does not import torch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from f2vbench.config.base import Settings, flatten, overlay
from f2vbench.training.presets import ABLATIONS, MODELS, OWN_DATA, presets_of
from f2vbench.training.settings import TrainSettings

_EXECUTION_KEYS = {"out", "device", "workers", "save_minutes", "samples", "compile", "checkpointing"}
"""Keys that describe where and how a training ran, and not its result."""

_PATH_KEYS = ("data", "loss.vgg", "start")


def training_command(settings: TrainSettings) -> str:
    """The command ``f2vbench train …`` with every key that differs from preset, model, ablation and kind of data.

    Files and folders are reduced to their names, because a card is public and local paths are private.

    Args:
        settings: Of the training.
    """
    first: dict[str, Any] = {"model": settings.model, "preset": settings.preset, "seed": settings.seed}
    if settings.ablation != "all":
        first["ablation"] = settings.ablation
    defaults, values = _default_values(settings), flatten(settings.used())
    changed = {
        key: value
        for key, value in values.items()
        if key not in first and key not in _EXECUTION_KEYS and value != defaults[key]
    }
    changed |= {key: Path(changed[key]).name for key in _PATH_KEYS if key in changed}
    arguments = [f"{key}={_text(value)}" for key, value in {**first, **changed}.items()]
    return " ".join(["f2vbench train", *map(shlex.quote, arguments)])


def _default_values(settings: TrainSettings) -> dict[str, Any]:
    """The value of every dotted key that preset, model, ablation and the kind of data set."""
    defaults = {name: field.default for name, field in TrainSettings.model_fields.items()}
    values = {key: value.model_dump() if isinstance(value, Settings) else value for key, value in defaults.items()}
    for changes in (presets_of(settings.model)[settings.preset], MODELS[settings.model], ABLATIONS[settings.ablation]):
        values = overlay(values, changes)
    if settings.data != "phantom":
        values = overlay(values, OWN_DATA)
    return flatten(values)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
