"""Records of one or several run folders as one, or a refusal that names what doesn't belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from f2vbench.errors import StoreError
from f2vbench.store.record_schema import CallRecord, CostRecord, UnitRecord
from f2vbench.store.runs import RunFolder

_PARTS = ("unit", "fingerprint", "identity", "weights", "floor", "result", "provenance")
_NAMED_AT_MOST = 8
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Merged:
    """What run folders hold together.

    Attributes:
        records: each unit once.
        sources: the folder of each record.
        calls: settings and provenance of the calls that made them, the newest of each folder first.
        notes: damaged files that were set aside.
        costs: of encoding, a model and kind of features of each folder.
    """

    records: list[UnitRecord] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    costs: list[CostRecord] = field(default_factory=list)


def merged(folders: Sequence[str | Path]) -> Merged:
    """Read run folders.

    Raises:
        StoreError: a folder is no run, nothing is finished, a record lacks its parts, or two folders hold the same
            unit, or the same model, made with other data, settings or weights. All of a kind are told at once.
    """
    found = Merged()
    held: dict[Place, tuple[UnitRecord, Path]] = {}
    models: dict[str, tuple[str, Path]] = {}
    clashes: dict[str, None] = {}
    incomplete: list[str] = []
    for path in dict.fromkeys(map(Path, folders)):
        run = RunFolder(path)
        if not run.exists():
            raise StoreError(f"{path}: not a run folder; `f2vbench list runs` shows those there are")
        for record in run.records():
            lacking = [part for part in _PARTS if part not in record] if isinstance(record, dict) else _PARTS
            if lacking:
                incomplete.append(f"{path}: a unit's record lacks {', '.join(lacking)}; run it again in a new folder")
                continue
            _check_model(record, path, models, clashes)
            place = tuple(record["unit"].values())
            if place in held:
                clashes.update(dict.fromkeys(_clash(place, *held[place], record, path)))
                continue
            held[place] = record, path
        found.calls.extend(run.calls())
        found.notes.extend(run.set_aside)
        found.costs.extend(run.costs())
    if incomplete or clashes:
        raise StoreError([*incomplete, *_shortened(list(clashes))])
    if not held:
        nothing = f"{', '.join(map(str, folders))}: no finished unit yet; start or resume it with `f2vbench run`"
        raise StoreError([nothing, *found.notes] if found.notes else nothing)
    for record, path in held.values():
        found.records.append(record)
        found.sources.append(path)
    return found


def _check_model(record: UnitRecord, path: Path, models: dict[str, tuple[str, Path]], clashes: dict[str, None]) -> None:
    """One name in a table is one set of weights."""
    name, weights = record["unit"]["encoder"], record["provenance"].get("weights_sha256")
    if not weights:
        return
    known, there = models.setdefault(name, (weights, path))
    if known != weights:
        clashes[
            f"{there} and {path} both have a model called {name}, with other weights ({known:.12} and {weights:.12}): "
            "report them apart"
        ] = None


def _clash(place: Place, held: UnitRecord, there: Path, record: UnitRecord, path: Path) -> list[str]:
    if held["fingerprint"] == record["fingerprint"]:
        return []
    mine, other = held["identity"], record["identity"]
    differing = [key for key in sorted(mine.keys() | other.keys()) if mine.get(key) != other.get(key)]
    told = ", ".join(_NAMES.get(key, key) for key in differing) or "settings"
    where = " · ".join(str(part) for part in place if part is not None)
    return [f"{there} and {path} both hold {where}, made with other {told}: report them apart"]


_NAMES = {"data": "data", "task": "task card", "model": "weights", "kind": "kind of model", "adapter": "adapter code"}


def _shortened(clashes: list[str]) -> list[str]:
    more = len(clashes) - _NAMED_AT_MOST
    return clashes if more <= 0 else [*clashes[:_NAMED_AT_MOST], f"and {more} more units that clash"]
