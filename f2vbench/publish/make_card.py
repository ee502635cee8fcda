"""Weights with a card from the run folder of a completed training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from f2vbench.config import parsing
from f2vbench.config.base import flatten
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import known_families
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.shards import INDEX_SUFFIX, description_path, stored_path
from f2vbench.pretrained.weights_cards import Measure, Training, WeightsCard, defaults_in
from f2vbench.pretrained.weights_writing import renamed_weights, write_weights
from f2vbench.publish.settings import MakeSettings
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import NOT_IN_IDENTITY, TrainSettings
from f2vbench.utils.existing_outputs import check_output_file, has_key
from f2vbench.utils.files import canonical_json, sha256, write_atomically
from f2vbench.utils.yaml_text import load_yaml

_OUR_CITATION = "f2vbench; CITATION.cff of its repository"


@dataclass(frozen=True)
class Export:
    """Exported weights of a training.

    Attributes:
        file: The weights, or the index of their shards.
        facts: Content of the JSON file beside them, which describes the training.
    """

    file: Path
    facts: dict[str, Any]


def read_export(folder: Path) -> Export:
    """The weights that a completed training exported into its run folder.

    Args:
        folder: The run folder.

    Raises:
        WeightsError: No exported weights or several, a damaged description, a file that differs from it, or a training
            that is not complete.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder}: no such run folder; give the out= of a training")
    found = [*folder.glob("*.safetensors"), *folder.glob(f"*.safetensors{INDEX_SUFFIX}")]
    files = [file for file in sorted(found) if description_path(file).is_file()]
    if len(files) != 1:
        names = ", ".join(file.name for file in files)
        raise WeightsError(
            f"{folder}: several exported weights ({names}); keep one of them with its .json"
            if files
            else f"{folder}: no exported weights (a .safetensors file with its .json); a training exports at its end"
        )
    description = description_path(files[0])
    try:
        facts = json.loads(description.read_text(encoding="utf-8"))
        digest, epochs, minutes = facts["sha256"], facts["settings"]["epochs"], facts["settings"].get("minutes")
        # Descriptions of earlier versions have no `completed`, and those trainings no `minutes`.
        completed = facts.get("completed", facts["epochs"] >= epochs)
        done = f"{facts['epochs']} of {epochs} epochs"
        if minutes is not None:
            done = f"{facts['seconds'] / 60:.1f} of {minutes:g} minutes"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{description}: no description of a training, or damaged ({type(error).__name__}: {error})"
        ) from error
    if file_sha256(files[0]) != digest:
        raise WeightsError(f"{files[0]}: not the file of {description.name}; export it again (f2vbench export)")
    if not completed:
        raise WeightsError(
            f"{folder}: this training is incomplete ({done}); continue it with the same command, then make its weights"
        )
    return Export(files[0], facts)


def card_of(export: Export, settings: MakeSettings) -> tuple[WeightsCard, dict[str, bytes]]:
    """The card of a training's weights, and their files under the name of the card.

    Args:
        export: The exported weights.
        settings: Name and other entries of the card.

    Returns:
        The card, and content by file name as of `renamed_weights`.

    Raises:
        SettingsError: The name is a model family's, the training data is neither known nor named, or the file of
            measured values is not valid.
        WeightsError: The description of the training is incomplete.
    """
    facts = export.facts
    family, problems = str(facts.get("model")), []
    if settings.name in known_families():
        problems.append(f"name={settings.name}: a model family has this name; add to it, as in {settings.name}-mini")
    training_data = settings.training_data or _simulated_data(facts)
    if training_data is None:
        problems.append("training_data: required, because this training did not use simulated eyes; name its data")
    measures, measure_problems = read_measures(settings.quality) if settings.quality is not None else ([], [])
    if problems or measure_problems:
        raise SettingsError([*problems, *measure_problems])
    description, files = description_path(export.file), renamed_weights(export.file, settings.name)
    try:
        card = WeightsCard(
            name=settings.name,
            title=settings.title or _title(settings.name, family, facts),
            used_for=f"model={settings.name}" + (f" and model={family}" if settings.default else ""),
            kind="shipped",
            source=settings.source,
            file=list(files)[-1],
            sha256=facts["sha256"],
            size=sum(map(len, files.values())),
            licence=settings.licence,
            architecture=_architecture(facts),
            preprocessing=facts.get("preprocessing") or _preprocessing(facts["settings"]),
            training_data=training_data,
            citation=facts.get("citation") or _OUR_CITATION,
            family=family,
            default_of=family if settings.default else None,
            network=facts["architecture"],
            training=_training(facts),
            quality=[*measures, *_validation_measures(facts)],
        )
    except KeyError as error:
        raise WeightsError(
            f"{description}: {error} is missing; export it again with this version (f2vbench export)"
        ) from error
    except ValidationError as error:
        raise WeightsError([f"{description}: {problem}" for problem in _problems_of(error)]) from error
    return card, files


def make_weights(folder: Path, settings: MakeSettings) -> WeightsCard:
    """Write `<name>.safetensors` (or its shards and index) and `<name>.yaml` of a training into `settings.out`.

    The weights are loaded first, so that what is written can be read.

    Args:
        folder: The run folder of the training.
        settings: Name and other entries of the card.

    Returns:
        The card that was written.

    Raises:
        WeightsError: As `read_export`, the file is no such model, another card of the folder is the family's default,
            or other weights have this name.
        SettingsError: As `card_of`.
        StoreError: The folder is not writable.
    """
    export = read_export(folder)
    card, files = card_of(export, settings)
    build(parse_model(f"{card.family}:{export.file}"))
    others = [name for name in defaults_in(settings.out, card.default_of or "") if name != card.name]
    if others:
        raise WeightsError(
            f"{settings.out / others[0]}.yaml is already the default of {card.default_of}: remove its default_of, or "
            "leave out default=yes"
        )
    weights = stored_path(settings.out / f"{card.name}.safetensors")
    if weights.is_file() and not settings.replace and file_sha256(weights) != card.sha256:
        raise WeightsError(f"{weights}: other weights have this name; choose another name, or write replace=yes")
    check_output_file(settings.out / f"{card.name}.yaml", "name", has_key("used_for"))
    write_weights(settings.out, files)
    write_atomically(settings.out / f"{card.name}.yaml", card_text(card))
    return card


def card_text(card: WeightsCard) -> bytes:
    """The YAML text of a card in the order of its keys, without keys that have their default."""
    values = card.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=118).encode()


def read_measures(path: Path) -> tuple[list[Measure], list[str]]:
    """Measured values in a file.

    Args:
        path: YAML or JSON list of mappings with the keys of `Measure`.

    Returns:
        The valid values, and one message for each problem.
    """
    try:
        rows = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [], [f"quality={path}: can't be read ({' '.join(str(error).split())})"]
    if not isinstance(rows, list):
        return [], [f"quality={path}: must be a list of measured values, each with data, metric and value"]
    measures, problems = [], []
    for number, values in enumerate(rows, 1):
        try:
            measures.append(Measure.model_validate(values))
        except ValidationError as error:
            problems += [f"quality={path}, entry {number}: {problem}" for problem in _problems_of(error)]
    return measures, problems


def _problems_of(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False)
    return [f"{'.'.join(map(str, item['loc'])) or 'entry'}: {item['msg']}" for item in found]


def _title(name: str, family: str, facts: Mapping[str, Any]) -> str:
    data = "simulated eyes" if _simulated_data(facts) else "pairs of images"
    return f"{name}: {family} trained on {data} by f2vbench"


def _simulated_data(facts: Mapping[str, Any]) -> str | None:
    """Training data of a training on phantoms; None for other data."""
    if facts["settings"].get("data") != "phantom":
        return None
    return (
        f"simulated eyes alone (f2vbench phantoms, seed {facts['settings']['seed']}): {facts['videos']:,} views in "
        f"{facts['epochs']} epochs; no image of a person"
    )


def _architecture(facts: Mapping[str, Any]) -> str:
    shape = dict(facts["architecture"])
    name = shape.pop("name")
    values = ", ".join(f"{key} {value}" for key, value in shape.items())
    return f"{name} ({values}), {facts['parameters']:,} parameters, {facts['weights']}"


def _preprocessing(settings: Mapping[str, Any]) -> str:
    side, factor, crop = settings["image_size"], settings.get("enlarge", 1), settings.get("crop")
    picture = "RGB photograph without its shading" if settings.get("photograph") == "normalised" else "RGB photograph"
    scaling = "with ImageNet's mean and sd" if settings["model"] == "mae" else "in [−1, 1]"
    enlarged = f", enlarged {factor} times" if factor > 1 else ""
    crops = f", in crops of {crop}" if crop else ""
    return f"{picture} {scaling}, cut to the field of view; trained at {side} × {side} pixels{enlarged}{crops}"


def _training(facts: Mapping[str, Any]) -> Training:
    settings = facts["settings"]
    decisive = {key: value for key, value in flatten(settings).items() if key not in NOT_IN_IDENTITY}
    return Training(
        command=facts.get("command") or training_command(parsing.build(TrainSettings, settings)),
        settings_sha256=sha256(canonical_json(decisive)),
        seed=settings["seed"],
        epochs=facts["epochs"],
        seconds=facts["seconds"],
        machine=_machine(facts),
        software=_software(facts["software"]),
    )


def _machine(facts: Mapping[str, Any]) -> str:
    machine, device = facts["machine"], facts["device"]
    processor = machine["processor"] if device == "cpu" else f"{device}, {machine['processor']}"
    threads = f", {facts['settings']['threads']} used" if device == "cpu" and "threads" in facts["settings"] else ""
    processes = f", {facts['processes']} processes" if facts["processes"] > 1 else ""
    return f"{processor}, {machine['cores']} cores{threads}{processes}"


def _software(facts: Mapping[str, Any]) -> dict[str, str]:
    git = {"git": facts["git"]} if facts.get("git") else {}
    return {"f2vbench": facts["f2vbench"], **git, "python": facts["python"], "torch": facts["libraries"]["torch"]}


def _validation_measures(facts: Mapping[str, Any]) -> list[Measure]:
    data = "validation eyes of the training" if _simulated_data(facts) else "validation cases of the training"
    return [Measure(data=data, metric=name, value=value) for name, value in facts.get("validation", {}).items()]
