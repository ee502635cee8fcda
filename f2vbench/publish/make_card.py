"""From a finished training's run folder to weights with a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from f2vbench.config import parsing as words
from f2vbench.config.base import flatten
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import known_families
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import Measure, Training, WeightsCard, defaults_in
from f2vbench.publish.settings import MakeSettings
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import NOT_IN_IDENTITY, TrainSettings
from f2vbench.utils.files import canonical_json, sha256, write_atomically

_OUR_CITATION = "f2vbench; CITATION.cff of its repository"


@dataclass(frozen=True)
class Export:
    """What a training left: its weights file and what is told beside it, as JSON."""

    file: Path
    facts: dict[str, Any]


def read_export(folder: Path) -> Export:
    """The weights that a finished training exported into its run folder.

    Raises:
        WeightsError: no exported weights or several, a damaged card, a file that is not the card's, or a training
            that has not come to its end.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder}: no such run folder; give the out= of a training")
    files = [file for file in sorted(folder.glob("*.safetensors")) if file.with_suffix(".json").is_file()]
    if len(files) != 1:
        told = ", ".join(file.name for file in files)
        raise WeightsError(
            f"{folder}: several exported weights ({told}); keep one of them with its .json"
            if files
            else f"{folder}: no exported weights (a .safetensors file with its .json); a training exports at its end"
        )
    held = files[0].with_suffix(".json")
    try:
        facts = json.loads(held.read_text(encoding="utf-8"))
        told, wanted = facts["sha256"], facts["settings"]["epochs"]
        come = facts["epochs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{held}: no card of a training, or damaged ({type(error).__name__}: {error})") from error
    if file_sha256(files[0]) != told:
        raise WeightsError(f"{files[0]}: not the file that {held.name} tells; export it again (f2vbench export)")
    if come < wanted:
        raise WeightsError(
            f"{folder}: this training is unfinished ({come} of {wanted} epochs); go on with the same command, then "
            "make its weights"
        )
    return Export(files[0], facts)


def card_of(export: Export, settings: MakeSettings) -> WeightsCard:
    """The card of a training's weights.

    Raises:
        SettingsError: the name is a family's; what it was trained on is not known and not given; the file of
            measured numbers can't be read.
        WeightsError: the card of the training lacks a fact.
    """
    facts = export.facts
    family, problems = str(facts.get("model")), []
    if settings.name in known_families():
        problems.append(f"name={settings.name}: a model family has this name; add to it, as in {settings.name}-mini")
    data = settings.training_data or _simulated(facts)
    if data is None:
        problems.append("training_data: required, for this training was not on simulated eyes; say on what")
    measures, troubles = read_measures(settings.quality) if settings.quality is not None else ([], [])
    if problems or troubles:
        raise SettingsError([*problems, *troubles])
    try:
        return WeightsCard(
            name=settings.name,
            title=settings.title or _title(settings.name, family, facts),
            used_for=f"model={settings.name}" + (f" and model={family}" if settings.default else ""),
            kind="shipped",
            source=settings.source,
            file=f"{settings.name}.safetensors",
            sha256=facts["sha256"],
            size=export.file.stat().st_size,
            licence=settings.licence,
            architecture=_architecture(facts),
            preprocessing=facts.get("preprocessing") or _preprocessing(facts["settings"]),
            training_data=data,
            citation=facts.get("citation") or _OUR_CITATION,
            family=family,
            default_of=family if settings.default else None,
            network=facts["architecture"],
            training=Training(
                command=facts.get("command") or training_command(words.build(TrainSettings, facts["settings"])),
                settings_sha256=sha256(canonical_json(_decisive(facts["settings"]))),
                seed=facts["settings"]["seed"],
                epochs=facts["epochs"],
                seconds=facts["seconds"],
                machine=_machine(facts),
                software=_software(facts["software"]),
            ),
            quality=[*measures, *_validation(facts)],
        )
    except KeyError as error:
        held = export.file.with_suffix(".json")
        raise WeightsError(f"{held}: lacks {error}; export it again with this version (f2vbench export)") from error
    except ValidationError as error:
        held = export.file.with_suffix(".json")
        raise WeightsError([f"{held}: {sentence}" for sentence in _sentences(error)]) from error


def make_weights(folder: Path, settings: MakeSettings) -> WeightsCard:
    """Write ``<name>.safetensors`` and ``<name>.yaml`` of a finished training into ``settings.out``.

    The weights are opened as their family first, so that what is written can be read.

    Raises:
        WeightsError: as `read_export`; the file is no such model; another card of the folder is the family's
            default, or the name has other weights already.
        SettingsError: as `card_of`.
        StoreError: the folder can't be written.
    """
    export = read_export(folder)
    card = card_of(export, settings)
    build(parse_model(f"{card.family}:{export.file}"))
    others = [name for name in defaults_in(settings.out, card.default_of or "") if name != card.name]
    if others:
        raise WeightsError(
            f"{settings.out / others[0]}.yaml is the default of {card.default_of} already: remove its default_of, or "
            "leave out default=yes"
        )
    weights, written = settings.out / card.file, settings.out / f"{card.name}.yaml"
    if weights.is_file() and file_sha256(weights) != card.sha256 and not settings.replace:
        raise WeightsError(f"{weights}: other weights have this name; choose another, or replace=yes")
    write_atomically(weights, export.file.read_bytes())
    write_atomically(written, card_text(card))
    return card


def card_text(card: WeightsCard) -> bytes:
    """The YAML of a card, in the order of its keys, without those that say nothing."""
    held = card.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return yaml.safe_dump(held, sort_keys=False, allow_unicode=True, width=118).encode()


def read_measures(path: Path) -> tuple[list[Measure], list[str]]:
    """Measured numbers of a YAML or JSON file, and what is wrong with it, a sentence each."""
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [], [f"quality={path}: can't be read ({' '.join(str(error).split())})"]
    if not isinstance(held, list):
        return [], [f"quality={path}: must be a list of numbers, each with data, metric and value"]
    measures, problems = [], []
    for row, values in enumerate(held, 1):
        try:
            measures.append(Measure.model_validate(values))
        except ValidationError as error:
            problems += [f"quality={path}, entry {row}: {sentence}" for sentence in _sentences(error)]
    return measures, problems


def _sentences(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False)
    return [f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in found]


def _decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flatten(settings).items() if key not in NOT_IN_IDENTITY}


def _title(name: str, family: str, facts: Mapping[str, Any]) -> str:
    return f"{name}: {family} trained on {'simulated eyes' if _simulated(facts) else 'pairs of images'} by f2vbench"


def _simulated(facts: Mapping[str, Any]) -> str | None:
    """What a training on phantoms has seen; None for other data."""
    if facts["settings"].get("data") != "phantom":
        return None
    return (
        f"simulated eyes alone (f2vbench phantoms, seed {facts['settings']['seed']}): {facts['videos']:,} views in "
        f"{facts['epochs']} epochs; no image of a person"
    )


def _architecture(facts: Mapping[str, Any]) -> str:
    shape = dict(facts["architecture"])
    name = shape.pop("name")
    told = ", ".join(f"{key} {value}" for key, value in shape.items())
    return f"{name} ({told}), {facts['parameters']:,} parameters, {facts['weights']}"


def _preprocessing(settings: Mapping[str, Any]) -> str:
    side = settings["image_size"]
    shown = "RGB photograph without its shading" if settings.get("photograph") == "normalised" else "RGB photograph"
    times = settings.get("enlarge", 1)
    larger = f", shown {times} times as large" if times > 1 else ""
    crops = f", in crops of {settings['crop']}" if settings.get("crop") else ""
    numbers = "with ImageNet's mean and sd" if settings["model"] == "mae" else "in [−1, 1]"
    return f"{shown} {numbers}, cut to the field of view; trained at {side} × {side} pixels{larger}{crops}"


def _machine(facts: Mapping[str, Any]) -> str:
    machine, device = facts["machine"], facts["device"]
    what = machine["processor"] if device == "cpu" else f"{device}, {machine['processor']}"
    threads = f", {facts['settings']['threads']} used" if device == "cpu" and "threads" in facts["settings"] else ""
    several = f", {facts['processes']} processes" if facts["processes"] > 1 else ""
    return f"{what}, {machine['cores']} cores{threads}{several}"


def _software(facts: Mapping[str, Any]) -> dict[str, str]:
    git = {"git": facts["git"]} if facts.get("git") else {}
    return {"f2vbench": facts["f2vbench"], **git, "python": facts["python"], "torch": facts["libraries"]["torch"]}


def _validation(facts: Mapping[str, Any]) -> list[Measure]:
    data = "validation eyes of the training" if _simulated(facts) else "validation cases of the training"
    return [Measure(data=data, metric=name, value=value) for name, value in facts.get("validation", {}).items()]
