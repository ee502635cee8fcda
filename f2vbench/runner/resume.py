"""Which units of a plan a run folder already holds, and whether its records may share a table with them."""

from __future__ import annotations

from collections.abc import Iterable

from f2vbench.adapters.registry import adapter_for
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.task_cards import card_hash
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import StoreError
from f2vbench.store.record_schema import Identity
from f2vbench.store.runs import RunFolder


def identity_of(settings: RunSettings, task: TaskData, spec: ModelSpec, protocol: Protocol) -> Identity:
    """Everything that decides a unit's result, apart from its place in the grid."""
    values = settings.model_dump(mode="json")
    adapter = adapter_for(task.card.family)
    return {
        "kind": spec.kind,
        "model": spec.identity(),
        "task": card_hash(task.card),
        "data": task.fingerprint,
        "settings": {name: values[name] for name in adapter.fingerprint_settings(spec, protocol, settings)}
        | adapter.metric_networks(),
        "adapter": adapter.version,
    }


def done_units(folder: RunFolder, units: Iterable[Unit]) -> tuple[set[str], dict[str, str]]:
    """Names of the units that are stored whole, and the hash of each model's tensors in the folder.

    Raises:
        StoreError: the folder holds results of other data, settings or weights, which may not share a table
            with these.
    """
    if not folder.exists():
        return set(), {}
    by_name = {unit.name: unit for unit in units}
    expected = {key: unit.identity for unit in by_name.values() for key in _compared(unit)}
    done: set[str] = set()
    weights: dict[str, str] = {}
    clashes: dict[str, None] = {}
    for record in folder.records():
        there = record["identity"]
        unit = Unit(**record["unit"], fingerprint=record["fingerprint"], identity=there)
        for part, key in zip(("data", "settings", "model"), _compared(unit), strict=True):
            if key in expected:
                clashes.update(dict.fromkeys(_differences(unit, part, there, expected[key])))
        if record["provenance"]["weights_sha256"]:
            weights[unit.encoder] = record["provenance"]["weights_sha256"]
        weights |= {name: held for name, held in record["provenance"].get("parts_sha256", {}).items() if held}
        if unit.name in by_name and not folder.files_are_whole(record):
            folder.discard(unit.name, "a file of its predictions is gone or damaged")
        elif unit.name in by_name:
            done.add(unit.name)
    if clashes:
        raise StoreError(
            f"out={folder.path} holds results that may not share a table with this run's; choose another folder "
            f"with out=, or undo the change: {'; '.join(clashes)}"
        )
    return done, weights


def _compared(unit: Unit) -> tuple[tuple[str, ...], ...]:
    """Which units must agree with this one in data, in settings, and in the model."""
    return (
        ("data", unit.task),
        ("settings", unit.task, unit.protocol, unit.identity["kind"]),
        ("model", unit.encoder),
    )


def _differences(unit: Unit, part: str, stored: Identity, planned: Identity) -> list[str]:
    """What differs in one part of two identities, a phrase each."""
    if part == "data":
        versions = {
            "images or labels": (stored["data"], planned["data"]),
            "task card": (stored["task"], planned["task"]),
            "version of the adapter's code": (stored["adapter"], planned["adapter"]),
        }
        return [
            f"{name} of {unit.task} (stored: {old!s:.8}, now: {new!s:.8})"
            for name, (old, new) in versions.items()
            if old != new
        ]
    old, new = (stored["model"], planned["model"]) if part == "model" else (stored["settings"], planned["settings"])
    prefix = f"{unit.encoder}: " if part == "model" else ""
    return [
        f"{prefix}{key} (stored: {old.get(key)}, now: {new.get(key)})"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
