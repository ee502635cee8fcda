"""The one command that repeats a training. Importing this module does not import torch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from f2vbench.config.base import Settings, flatten, overlay
from f2vbench.training.presets import ABLATIONS, MODELS, presets_of
from f2vbench.training.settings import TrainSettings

_LOCAL = {"out", "device", "workers", "save_minutes", "samples", "compile", "checkpointing"}
"""Keys that tell where and how it ran, not what was learnt."""

_PLACES = ("data", "loss.vgg", "start")


def training_command(settings: TrainSettings) -> str:
    """``f2vbench train …`` with every key that differs from what preset, model and ablation set.

    Files and folders are told by their last name alone: a card is public, and where they lie is nobody's business.
    """
    head: dict[str, Any] = {"model": settings.model, "preset": settings.preset, "seed": settings.seed}
    if settings.ablation != "all":
        head["ablation"] = settings.ablation
    usual = _usual(settings)
    mine = flatten(settings.in_use())
    words = {key: mine[key] for key in mine if key not in head and key not in _LOCAL and mine[key] != usual[key]}
    words |= {key: Path(words[key]).name for key in _PLACES if key in words}
    told = [f"{key}={_text(value)}" for key, value in {**head, **words}.items()]
    return " ".join(["f2vbench train", *map(shlex.quote, told)])


def _usual(settings: TrainSettings) -> dict[str, Any]:
    """What every key would be if only preset, model and ablation were given, flat."""
    known = {name: field.default for name, field in TrainSettings.model_fields.items()}
    values = {key: held.model_dump() if isinstance(held, Settings) else held for key, held in known.items()}
    for changes in (presets_of(settings.model)[settings.preset], MODELS[settings.model], ABLATIONS[settings.ablation]):
        values = overlay(values, changes)
    return flatten(values)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ",".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
