"""Comparison of run folders, without timing and provenance, and the check of their records against the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from f2vbench.store.record_schema import (
    CallRecord,
    CostRecord,
    EpisodeRecord,
    Identity,
    MapEntry,
    Provenance,
    TaskRecord,
    UnitCoordinates,
    UnitRecord,
    UnitResult,
)
from f2vbench.store.runs import RunFolder

_COMPARED = ("unit", "family", "fingerprint", "identity", "result", "weights", "floor")


def comparable_records(out: Path) -> dict[str, dict[str, Any]]:
    """Records of a run folder by file name, without timing and provenance."""
    records = {path.name: json.loads(path.read_bytes())["payload"] for path in (out / "units").glob("*.json")}
    return {name: {key: record[key] for key in _COMPARED} for name, record in sorted(records.items())}


def comparable_files(out: Path) -> dict[str, bytes]:
    """Files of a run folder by name: the tidy table, all score maps, and the records as in `comparable_records`."""
    files = {"results.csv": (out / "results.csv").read_bytes()}
    files |= {path.name: path.read_bytes() for path in (out / "maps").rglob("*.png")}
    return files | {name: json.dumps(record).encode() for name, record in comparable_records(out).items()}


def check_records(out: Path) -> None:
    """Check that the records of a run folder have the keys of `f2vbench.store.record_schema`."""
    folder = RunFolder(out)
    for record in folder.records():
        _check_keys(record, UnitRecord)
        _check_keys(record["unit"], UnitCoordinates)
        _check_keys(record["identity"], Identity)
        _check_keys(record["result"], UnitResult)
        _check_keys(record["result"]["episode"], EpisodeRecord)
        _check_keys(record["provenance"], Provenance)
        for entry in record["result"].get("maps", {}).values():
            _check_keys(entry, MapEntry)
    for call in folder.calls():
        _check_keys(call, CallRecord)
        for task in call["data"].values():
            _check_keys(task, TaskRecord)
    for cost in folder.costs():
        _check_keys(cost, CostRecord)


def _check_keys(record: Mapping[str, Any], schema: type) -> None:
    annotations = {key: hint.__forward_arg__ for key, hint in schema.__annotations__.items()}
    required = {key for key, hint in annotations.items() if not hint.startswith("NotRequired")}
    assert required <= set(record) <= set(annotations), f"{schema.__name__}: {sorted(set(record) ^ required)}"
