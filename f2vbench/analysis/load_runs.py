"""Load the records of one or several run folders, and refuse records that cannot share a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from f2vbench.errors import StoreError
from f2vbench.store.record_schema import CallRecord, CostRecord, UnitRecord
from f2vbench.store.runs import RunFolder

_REQUIRED_KEYS = ("unit", "fingerprint", "identity", "weights", "floor", "result", "provenance")
_MOST_CONFLICTS = 8
_IDENTITY_NAMES = {
    "data": "data",
    "task": "task card",
    "model": "weights",
    "kind": "kind of model",
    "adapter": "adapter version",
}


@dataclass(frozen=True)
class LoadedRuns:
    """Contents of run folders.

    Attributes:
        records: Unit records, each unit once.
        sources: Run folder of each record.
        calls: Settings and provenance of the calls that made the records, the newest of each folder first.
        notes: Damaged files that were set aside.
        costs: Encoding costs of each model and kind of features.
    """

    records: list[UnitRecord] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    costs: list[CostRecord] = field(default_factory=list)


def load_runs(folders: Sequence[str | Path]) -> LoadedRuns:
    """Load run folders, complete or incomplete.

    Args:
        folders: Run folders; a folder that is listed twice is read once.

    Returns:
        Their records, calls, notes and costs.

    Raises:
        StoreError: A folder is not a run folder, no unit is completed, a record lacks required keys, or two folders
            contain the same unit or model with different data, settings or weights. All conflicts are listed.
    """
    loaded = LoadedRuns()
    units: dict[tuple[object, ...], tuple[UnitRecord, Path]] = {}
    weights: dict[str, tuple[str, Path]] = {}
    conflicts: dict[str, None] = {}
    malformed: list[str] = []
    for path in dict.fromkeys(map(Path, folders)):
        run = RunFolder(path)
        if not run.exists():
            raise StoreError(f"{path}: not a run folder; `f2vbench list runs` lists the run folders")
        for record in run.records():
            missing = missing_keys(record)
            if missing:
                malformed.append(
                    f"{path}: the record of a unit lacks {', '.join(missing)}; run the unit again in a new folder"
                )
                continue
            conflicts.update(dict.fromkeys(_weights_conflicts(record, path, weights)))
            unit = tuple(record["unit"].values())
            if unit in units:
                conflicts.update(dict.fromkeys(_unit_conflicts(unit, *units[unit], record, path)))
                continue
            units[unit] = record, path
        loaded.calls.extend(run.calls())
        loaded.notes.extend(run.set_aside)
        loaded.costs.extend(run.costs())
    if malformed or conflicts:
        raise StoreError([*malformed, *shorten_conflicts(list(conflicts))])
    if not units:
        empty = f"{', '.join(map(str, folders))}: no completed unit; start or resume the run with `f2vbench run`"
        raise StoreError([empty, *loaded.notes] if loaded.notes else empty)
    for record, path in units.values():
        loaded.records.append(record)
        loaded.sources.append(path)
    return loaded


def missing_keys(record: object) -> list[str]:
    """Keys that the record of a unit lacks.

    Args:
        record: A record as it was read.
    """
    return [key for key in _REQUIRED_KEYS if not isinstance(record, dict) or key not in record]


def _weights_conflicts(record: UnitRecord, path: Path, weights: dict[str, tuple[str, Path]]) -> list[str]:
    """Report a model name that has two sets of weights; new names are added to ``weights``."""
    name, sha256 = record["unit"]["encoder"], record["provenance"].get("weights_sha256")
    if not sha256:
        return []
    first_sha256, first_path = weights.setdefault(name, (sha256, path))
    if first_sha256 == sha256:
        return []
    return [
        f"{first_path} and {path} both contain a model named {name} with different weights ({first_sha256:.12} and "
        f"{sha256:.12}); report them separately"
    ]


def _unit_conflicts(
    unit: tuple[object, ...], first: UnitRecord, first_path: Path, second: UnitRecord, second_path: Path
) -> list[str]:
    """Report a unit that two folders contain with different fingerprints."""
    if first["fingerprint"] == second["fingerprint"]:
        return []
    identities = dict(first["identity"]), dict(second["identity"])
    keys = sorted(identities[0].keys() | identities[1].keys())
    differing = [key for key in keys if identities[0].get(key) != identities[1].get(key)]
    names = ", ".join(_IDENTITY_NAMES.get(key, key) for key in differing) or "settings"
    name = " · ".join(str(value) for value in unit if value is not None)
    return [f"{first_path} and {second_path} both contain {name} with different {names}; report them separately"]


def shorten_conflicts(conflicts: list[str]) -> list[str]:
    """The first conflicts, and how many more there are.

    Args:
        conflicts: Messages.
    """
    more = len(conflicts) - _MOST_CONFLICTS
    return conflicts if more <= 0 else [*conflicts[:_MOST_CONFLICTS], f"and {more} more conflicting units"]
