"""Units of a plan that a run folder has already, and whether its other records are comparable with them."""

from __future__ import annotations

from collections.abc import Iterable

from f2vbench.adapters.base import TaskAdapter
from f2vbench.adapters.registry import adapter_of
from f2vbench.adapters.stored_head import read_head
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.task_cards import card_hash
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import StoreError
from f2vbench.runner.context import Context
from f2vbench.store.record_schema import Identity
from f2vbench.store.runs import RunFolder


def unit_identity(settings: RunSettings, task: TaskData, spec: ModelSpec, protocol: Protocol) -> Identity:
    """Everything that decides the result of a unit except its protocol, shots and seed."""
    adapter = adapter_of(task.card)
    return {
        "kind": spec.kind,
        "model": spec.identity(),
        "task": card_hash(task.card),
        "data": task.fingerprint,
        "settings": adapter.recorded_settings(spec, protocol, settings) | adapter.metric_networks(),
        "adapter": adapter.version,
    }


def lacks_head(folder: RunFolder, unit: Unit, adapter: TaskAdapter, spec: ModelSpec, settings: RunSettings) -> bool:
    """Whether a completed unit has to run again, because its head is to be kept and is not stored, or damaged.

    Args:
        folder: The run folder.
        unit: The unit.
        adapter: Adapter of its task.
        spec: Its model.
        settings: Settings of the run.
    """
    if not settings.keep_heads or not adapter.trains_head(spec, unit.protocol, settings):
        return False
    try:
        return read_head(folder.head_path(unit.coordinates())).facts.fingerprint != unit.fingerprint
    except StoreError:
        return True


def is_complete(folder: RunFolder, unit: Unit, context: Context) -> bool:
    """Whether the record of a unit is stored, and its head where that is to be kept.

    Args:
        folder: The run folder.
        unit: The unit.
        context: Tasks, models and settings of the run.
    """
    adapter, model = context.adapter(unit.task), context.models[unit.encoder]
    return folder.has(unit.name) and not lacks_head(folder, unit, adapter, model, context.settings)


def find_done_units(folder: RunFolder, units: Iterable[Unit]) -> tuple[set[str], dict[str, str]]:
    """Find the units whose records and prediction files are stored.

    Args:
        folder: The run folder.
        units: Units of the plan.

    Returns:
        The names of these units, and model → SHA-256 of the tensors that produced its units.

    Raises:
        StoreError: The folder has results of other data, settings or weights, which are not comparable.
    """
    if not folder.exists():
        return set(), {}
    by_name = {unit.name: unit for unit in units}
    planned = {key: unit.identity for unit in by_name.values() for key in _comparison_keys(unit)}
    done: set[str] = set()
    weights: dict[str, str] = {}
    differences: dict[str, None] = {}
    for record in folder.records():
        stored = record["identity"]
        unit = Unit(**record["unit"], fingerprint=record["fingerprint"], identity=stored)
        for aspect, key in zip(("data", "settings", "model"), _comparison_keys(unit), strict=True):
            if key in planned:
                differences.update(dict.fromkeys(_differences(unit, aspect, stored, planned[key])))
        hashes = {unit.encoder: record["provenance"]["weights_sha256"]}
        hashes |= record["provenance"].get("parts_sha256", {})
        weights |= {model: sha256 for model, sha256 in hashes.items() if sha256}
        if unit.name in by_name and not folder.files_are_whole(record):
            folder.discard(unit.name, "a file of its predictions is missing or damaged")
        elif unit.name in by_name:
            done.add(unit.name)
    if differences:
        raise StoreError(
            f"out={folder.path}: the run folder has results of other data, settings or weights, which can't share a "
            f"table with these; choose another folder with out=, or undo the change: {'; '.join(differences)}"
        )
    return done, weights


def _comparison_keys(unit: Unit) -> tuple[tuple[str, ...], ...]:
    """Keys of the units whose data, settings and model have to be the same as those of this unit."""
    return (
        ("data", unit.task),
        ("settings", unit.task, unit.protocol, unit.identity["kind"]),
        ("model", unit.encoder),
    )


def _differences(unit: Unit, aspect: str, stored: Identity, planned: Identity) -> list[str]:
    """Differences between two identities in one aspect, one phrase each."""
    if aspect == "data":
        versions = {
            "images or labels": (stored["data"], planned["data"]),
            "task card": (stored["task"], planned["task"]),
            "version of the adapter": (stored["adapter"], planned["adapter"]),
        }
        return [
            f"{name} of {unit.task} (stored: {old!s:.8}, now: {new!s:.8})"
            for name, (old, new) in versions.items()
            if old != new
        ]
    before, after = stored["settings"], planned["settings"]
    if aspect == "model":
        before, after = stored["model"], planned["model"]
    prefix = f"{unit.encoder}: " if aspect == "model" else ""
    return [
        f"{prefix}{key} (stored: {before.get(key)}, now: {after.get(key)})"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
