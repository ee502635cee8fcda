"""The encoder of stored heads: found again, and refused where it is not the one that the heads were trained with."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from f2vbench.adapters.stored_head import HeadFacts
from f2vbench.config.run import RunSettings
from f2vbench.data.field_of_view import FIELD_OF_VIEW_VERSION
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.model_argument import parse_only_model
from f2vbench.encoders.registry import find_family
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import F2VBenchError, StoreError
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources
from f2vbench.utils.files import cache_folder

# Of weights, the SHA-256 of the loaded tensors decides; files and random streams of the same tensors may differ.
_OF_WEIGHTS = ("weights", "weights_sha256", "init", "init_seed", "torch")


def find_encoder(facts: HeadFacts, model: str | None = None, weights: str | None = None) -> ModelSpec:
    """The encoder of a head, from its weights file, or by its name where that is gone.

    Args:
        facts: Facts about the head.
        model: Model argument instead of the stored one.
        weights: Weights file instead of the stored one.

    Raises:
        StoreError: The encoder is not found, or is another one.
        SettingsError: The model argument is not valid, or its model does not use the weights file.
        WeightsError: The weights file is missing or damaged.
    """
    spec = _stored_spec(facts) if model is None and weights is None else None
    if spec is None:
        try:
            spec = parse_only_model(model or facts.encoder, weights)
        except F2VBenchError as error:
            if model is not None or weights is not None:
                raise
            raise StoreError(
                f"the heads read embeddings of {facts.encoder}, whose weights ({facts.weights}) are not found: "
                f"set model= and weights= ({'; '.join(error.problems)})"
            ) from None
    differences = _differences(facts, spec)
    if differences:
        raise StoreError(
            f"the heads were trained on embeddings of another encoder than {spec.name}, so their outputs have no "
            f"meaning: {'; '.join(differences)}"
        )
    return spec


def open_encoder(facts: HeadFacts, spec: ModelSpec, task: TaskData | None, device: str, jobs: int | str) -> Resources:
    """Load the encoder of a head, with the arithmetic of its training.

    Args:
        facts: Facts about the head.
        spec: The encoder, by `find_encoder`.
        task: Photographs to encode; None for photographs that are no files.
        device: Device to compute on.
        jobs: Number of worker processes.

    Raises:
        StoreError: The tensors are not those of the heads' encoder.
        WeightsError: The weights are missing or damaged.
    """
    names = [] if task is None else [task.card.name]
    settings = RunSettings(task=names or ["none"], model=[spec.name], device=device, jobs=jobs)
    if spec.is_network:
        from f2vbench.utils.device import arithmetic, torch_device

        # Where precision=auto gives this arithmetic anyway, features that a run has stored are read.
        if arithmetic("auto", torch_device(device)) != facts.precision:
            settings = settings.model_copy(update={"precision": facts.precision})
    tasks = {} if task is None else {task.card.name: task}
    resources = Resources(Context(settings, tasks, {spec.name: spec}, cache_folder() / "predict"))
    if spec.is_network:
        resources.encoder(spec.name)
        found = resources.weights[spec.name]
        if found != facts.weights_sha256:
            raise StoreError(
                f"the heads were trained on embeddings of {facts.encoder} with other weights (SHA-256 of the tensors: "
                f"{facts.weights_sha256 or 'none'!s:.8}, now {found:.8}), so their outputs have no meaning: use the "
                "weights of the run, or run it again"
            )
    return resources


def _stored_spec(facts: HeadFacts) -> ModelSpec | None:
    """The `ModelSpec` of the run; None if its weights file is gone, or another version of f2vbench wrote it."""
    known = {field.name for field in fields(ModelSpec)}
    if facts.spec.keys() - known or facts.spec.get("parts"):
        return None
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in facts.spec.items()
    }
    try:
        spec = ModelSpec(**values)
    except TypeError:
        return None
    file = spec.weights_file
    return spec if file is None or file.is_file() else None


def _differences(facts: HeadFacts, spec: ModelSpec) -> list[str]:
    """What decides the embeddings beside the weights, and differs; one phrase each."""
    libraries = {name.replace("-", "_") for name in find_family(spec.family).libraries}
    ignored = {*_OF_WEIGHTS, *libraries}
    stored, now = facts.identity, spec.identity()
    found = [
        f"{key} (stored: {stored.get(key)}, now: {now.get(key)})"
        for key in sorted((stored.keys() | now.keys()) - ignored)
        if stored.get(key) != now.get(key)
    ]
    if facts.field_of_view != FIELD_OF_VIEW_VERSION:
        found.append(f"version of the field of view (stored: {facts.field_of_view}, now: {FIELD_OF_VIEW_VERSION})")
    return found


def library_note(facts: HeadFacts, spec: ModelSpec) -> str:
    """A note on libraries of the encoder that have another version than at the training; "" for none."""
    now = spec.identity()
    names = [name.replace("-", "_") for name in find_family(spec.family).libraries]
    changed = [
        f"{name} {now.get(name)} (training: {facts.identity.get(name)})"
        for name in names
        if now.get(name) != facts.identity.get(name)
    ]
    return f"libraries of the encoder have changed: {', '.join(changed)}" if changed else ""
