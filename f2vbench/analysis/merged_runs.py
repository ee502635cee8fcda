"""Merge the records of many runs by the fingerprints of their units, also where models or settings differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from f2vbench.analysis.load_runs import missing_keys, shorten_conflicts
from f2vbench.errors import StoreError
from f2vbench.store.record_schema import CallRecord, UnitRecord
from f2vbench.store.runs import RunFolder
from f2vbench.utils.text import plural

_TOLERANCE = 1e-4  # absolute and relative; other processors and libraries may change the last digits


@dataclass(frozen=True)
class MergedRuns:
    """Units of several run folders, each fingerprint once.

    Attributes:
        records: Unit records.
        sources: Run folder of each record, the first that has it.
        calls: Calls of all folders, the newest of each folder first.
        folders: The run folders.
        notes: Folders that are no runs, damaged files, and units that several folders share.
    """

    records: list[UnitRecord] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merge_runs(folders: Sequence[str | Path]) -> MergedRuns:
    """Read run folders, complete or incomplete, and keep each fingerprint once.

    A fingerprint covers the model, its weights, the task, the data and the settings of a unit. Units that differ in any
    of these are kept side by side, unlike in `load_runs`, whose records must share a table.

    Args:
        folders: Folders; those that are no run folders, such as trainings, are noted and left out.

    Returns:
        The units.

    Raises:
        StoreError: A folder is missing, none is a run folder with a completed unit, a record lacks keys, or two folders
            have different results of one fingerprint. All conflicts are listed.
    """
    merged = MergedRuns()
    units: dict[str, tuple[UnitRecord, Path]] = {}
    problems: list[str] = []
    conflicts: list[str] = []
    repeated = 0
    for path in dict.fromkeys(map(Path, folders)):
        if not path.exists():
            raise StoreError(f"{path}: there is no such folder; `f2vbench list runs` lists the run folders")
        run = RunFolder(path)
        if not run.exists():
            merged.notes.append(f"{path}: left out, it is not the folder of a benchmark run")
            continue
        merged.folders.append(path)
        for record in run.records():
            if missing := missing_keys(record):
                problems.append(
                    f"{path}: the record of a unit lacks {', '.join(missing)}; run the unit again in a new folder"
                )
            elif record["fingerprint"] not in units:
                units[record["fingerprint"]] = record, path
            else:
                repeated += 1
                conflicts += _conflicts(*units[record["fingerprint"]], record, path)
        merged.calls.extend(run.calls())
        merged.notes.extend(run.set_aside)
    if problems or conflicts:
        raise StoreError([*problems, *shorten_conflicts(conflicts)])
    if not units:
        raise StoreError(
            [f"{', '.join(map(str, folders))}: no completed unit; start a run with `f2vbench run`", *merged.notes]
        )
    if repeated:
        merged.notes.append(f"{plural(repeated, 'unit')} in more than one folder, with equal results: each counts once")
    merged.records.extend(record for record, _ in units.values())
    merged.sources.extend(path for _, path in units.values())
    return merged


def _conflicts(first: UnitRecord, first_path: Path, second: UnitRecord, second_path: Path) -> list[str]:
    """Report two records of one fingerprint with different results."""
    ours, theirs = first["result"]["metrics"], second["result"]["metrics"]
    for metric in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(metric), theirs.get(metric)
        if one == other or (
            one is not None and other is not None and math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        ):
            continue
        name = " · ".join(str(value) for value in second["unit"].values() if value is not None)
        return [
            f"{first_path} and {second_path} both contain the unit {second['fingerprint']:.12} ({name}) with different "
            f"results ({metric} {one} and {other}); leave one of the folders out"
        ]
    return []
