"""The run folder: records of units, their predictions, and the calls that computed them.

units/<unit>.<fingerprint>.json   record of a completed unit, with a checksum; see `f2vbench.store.record_schema`
maps/<ab>/<sha256>.png            score maps, named by their content and therefore shared between units
predictions/<ab>/<sha256>.safetensors  arrays of task families without score maps, such as probabilities
heads/<condition>/seed-<n>.safetensors trained heads of runs with `keep_heads`; see `f2vbench.adapters.stored_head`
costs/<model>.<features>.json     cost of encoding: parameters, multiply-adds, speed, memory, disk
calls/<time>-<process>.json       settings and provenance of every call
claims/                           locks of the units in work; the system releases them when a process dies
set-aside/                        damaged files, for inspection
slurm/                            submissions and logs of the tasks of engine=slurm
results.csv                       the tidy table, rewritten at the end of each call
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors.numpy import load, save

from f2vbench.errors import StoreError
from f2vbench.store.record_schema import SCHEMA_VERSION, CallRecord, CostRecord, StoredFile, UnitCoordinates, UnitRecord
from f2vbench.utils.existing_outputs import check_output_folder
from f2vbench.utils.files import remove_stale_parts, sealed, sha256, unseal, write_atomically


class RunFolder:
    """A run folder, which several processes may write to at the same time.

    Args:
        path: The folder; `open_for_writing` creates it.

    Attributes:
        path: The folder.
        set_aside: Messages about damaged files.
    """

    def __init__(self, path: Path):
        self.path = path
        self.set_aside: list[str] = []

    def check_no_other_files(self) -> None:
        """Refuse a folder that is not a run folder and has files of others, such as a data set or a training.

        Raises:
            StoreError: The folder has other files.
        """
        check_output_folder(self.path, "out", (), [] if self._has_foreign_units() else ["units"])

    def open_for_writing(self) -> None:
        """Create the folder.

        Raises:
            StoreError: The folder has other files, can't be created, or is not writable.
        """
        self.check_no_other_files()
        try:
            for part in ("units", "maps", "predictions", "calls", "claims"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"out={self.path}: can't create the run folder ({error.strerror or error}); choose another with out="
            ) from error
        for folder in (self.path / "units", *(self.path / "maps").iterdir(), *(self.path / "predictions").iterdir()):
            remove_stale_parts(folder)
        for folder in (self.path / "heads").glob("*/"):
            remove_stale_parts(folder)
        if not os.access(self.path / "units", os.W_OK):
            raise StoreError(f"out={self.path}: no permission to write; choose another folder with out=")

    def exists(self) -> bool:
        """Whether the folder is a run folder."""
        return (self.path / "units").is_dir()

    def _has_foreign_units(self) -> bool:
        """Whether the folder ``units`` has something else than records."""
        try:
            return any(
                not (entry.name.endswith(".json") or entry.name.startswith("."))
                for entry in (self.path / "units").iterdir()
            )
        except OSError:
            return False

    def has(self, name: str) -> bool:
        """Whether an undamaged record of a unit is stored; a damaged one is set aside."""
        return self.read(name) is not None

    def read(self, name: str) -> UnitRecord | None:
        """Read the record of a unit.

        Args:
            name: Name of the unit.

        Returns:
            The record, or None if it is absent or damaged; a damaged file is moved to ``set-aside``.

        Raises:
            StoreError: A newer version of f2vbench wrote the record.
        """
        path = self._unit_path(name)
        try:
            record = unseal(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._set_aside(path, str(error))
            return None
        version = record.get("schema_version", 1) if isinstance(record, dict) else 1
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path}: the record has schema version {version}, and this f2vbench reads versions up to "
                f"{SCHEMA_VERSION}; update f2vbench"
            )
        return cast(UnitRecord, record)

    def write(self, name: str, record: UnitRecord) -> None:
        """Store the record of a completed unit, in one step."""
        write_atomically(self._unit_path(name), sealed(record), durable=True)

    def records(self) -> Iterator[UnitRecord]:
        """All undamaged records, by name; damaged ones are set aside."""
        for path in sorted((self.path / "units").glob("*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record

    def count(self) -> int:
        """Number of records, damaged ones included."""
        return sum(1 for _ in (self.path / "units").glob("*.json"))

    def write_cost(self, name: str, cost: CostRecord) -> None:
        """Store the cost of encoding with one model and kind of features."""
        write_atomically(self._cost_path(name), sealed(cost))

    def read_cost(self, name: str) -> CostRecord | None:
        """Read a cost by its name; None if it is absent or damaged."""
        return _read_cost(self._cost_path(name))

    def costs(self) -> list[CostRecord]:
        """All undamaged costs, by name; folders of older versions have none."""
        costs = map(_read_cost, sorted((self.path / "costs").glob("*.json")))
        return [cost for cost in costs if cost is not None]

    def put_map(self, png: bytes) -> str:
        """Store a score map, unless an undamaged file of this content exists; returns its SHA-256."""
        name = sha256(png)
        path = self._map_path(name)
        if not path.exists() or path.read_bytes() != png:
            write_atomically(path, png)
        return name

    def get_map(self, name: str) -> bytes:
        """Read a score map by its SHA-256.

        Raises:
            StoreError: It is absent or damaged (and then set aside); the next run computes it again.
        """
        return self._read_content(self._map_path(name), name, "score map")

    def put_predictions(self, arrays: Mapping[str, NDArray[Any]]) -> StoredFile:
        """Store arrays, unless an undamaged file of this content exists; returns the entry for a record."""
        block = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        name = sha256(block)
        path = self._predictions_path(name)
        if not path.exists() or path.read_bytes() != block:
            write_atomically(path, block)
        return {"sha256": name, "bytes": len(block)}

    def get_predictions(self, name: str) -> dict[str, NDArray[Any]]:
        """Read stored arrays by the SHA-256 of their file.

        Raises:
            StoreError: The file is absent or damaged (and then set aside); the next run computes it again.
        """
        return load(self._read_content(self._predictions_path(name), name, "predictions"))

    def put_head(self, unit: UnitCoordinates, block: bytes) -> None:
        """Store the head of a unit; see `head_path`."""
        write_atomically(self.head_path(unit), block)

    def head_path(self, unit: UnitCoordinates) -> Path:
        """File of the head of a unit, in a folder with those of its other seeds.

        Args:
            unit: Encoder, task, protocol, shots and seed.
        """
        shots = f"-{unit['shots']}" if unit["shots"] else ""
        condition = f"{unit['encoder']}.{unit['task']}.{unit['protocol']}{shots}"
        return self.path / "heads" / _safe_name(condition) / f"seed-{unit['seed']}.safetensors"

    def files_are_whole(self, record: UnitRecord) -> bool:
        """Whether every score map and array file of a record exists in its full size."""
        return all(_size(path) == size for path, size in self._prediction_files(record))

    def take_unit(self, name: str) -> dict[str, bytes] | None:
        """Read the files of a completed unit, to store them in another run folder.

        Args:
            name: Name of the unit.

        Returns:
            Content of its predictions and its head by path relative to the folder, the record last; None without an
            undamaged record.
        """
        record = self.read(name)
        if record is None:
            return None
        head = self.head_path(record["unit"])
        heads = [head] if head.is_file() else []
        paths = [*(path for path, _ in self._prediction_files(record)), *heads, self._unit_path(name)]
        return {path.relative_to(self.path).as_posix(): path.read_bytes() for path in paths}

    def put_unit(self, files: Mapping[str, bytes]) -> None:
        """Store the files of a unit of another run folder; its record appears last, in one step.

        Args:
            files: Files of `take_unit`.

        Raises:
            StoreError: The disk is full or the folder is not writable; the record is not stored then.
        """
        *predictions, record = files
        for name in predictions:
            path = self.path / name
            if _size(path) != len(files[name]) or path.read_bytes() != files[name]:
                write_atomically(path, files[name])
        write_atomically(self.path / record, files[record], durable=True)

    def _prediction_files(self, record: UnitRecord) -> list[tuple[Path, int]]:
        """Score maps and array file of a record, with their sizes in bytes."""
        result = record["result"]
        files = [(self._map_path(entry["sha256"]), entry["bytes"]) for entry in result.get("maps", {}).values()]
        if "predictions" in result:
            predictions = result["predictions"]
            files.append((self._predictions_path(predictions["sha256"]), predictions["bytes"]))
        return files

    def discard(self, name: str, reason: str) -> None:
        """Set a record aside, so that its unit counts as missing."""
        self._set_aside(self._unit_path(name), reason)

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Lock a unit for this process while the block runs; yields False if another process has it locked."""
        lock = FileLock(self.path / "claims" / f"{_safe_name(name)}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def log_call(self, call: CallRecord) -> None:
        """Store the settings and provenance of one call."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        write_atomically(self.path / "calls" / f"{stamp}-{os.getpid()}.json", sealed(call))

    def calls(self) -> Iterator[CallRecord]:
        """All readable calls, the newest first."""
        for path in sorted((self.path / "calls").glob("*.json"), reverse=True):
            with contextlib.suppress(ValueError, OSError):
                yield unseal(path.read_bytes())

    def last_call(self) -> CallRecord | None:
        """The newest readable call, or None."""
        return next(self.calls(), None)

    def _read_content(self, path: Path, name: str, kind: str) -> bytes:
        """Read a file that is named by its content, and verify it."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"{path}: the {kind} file is missing; run again to compute its units again") from None
        if sha256(content) != name:
            self._set_aside(path, "its checksum does not match its content")
            raise StoreError(f"{path}: damaged {kind} file, set aside; run again to compute its units again")
        return content

    def _set_aside(self, path: Path, reason: str) -> None:
        target = self.path / "set-aside" / f"{path.name}.{time.time_ns()}"
        target.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process moved it first
            path.replace(target)
            self.set_aside.append(f"{path}: set aside in {target.parent}, because {reason}")

    def _unit_path(self, name: str) -> Path:
        return self.path / "units" / f"{_safe_name(name)}.json"

    def _cost_path(self, name: str) -> Path:
        return self.path / "costs" / f"{_safe_name(name)}.json"

    def _map_path(self, name: str) -> Path:
        return self.path / "maps" / name[:2] / f"{name}.png"

    def _predictions_path(self, name: str) -> Path:
        return self.path / "predictions" / name[:2] / f"{name}.safetensors"


class RunSummary(NamedTuple):
    """A run folder, its number of completed units, and the time of the last one in seconds since the epoch."""

    folder: Path
    units: int
    changed: float


def runs_below(root: Path) -> list[RunSummary]:
    """Find all run folders with completed units below a folder, the most recent first."""
    runs = []
    for units in sorted(root.glob("**/units")):
        changed = [record.stat().st_mtime for record in units.glob("*.json")]
        if changed:
            runs.append(RunSummary(units.parent, len(changed), max(changed)))
    return sorted(runs, key=lambda run: -run.changed)


def _read_cost(path: Path) -> CostRecord | None:
    try:
        return cast(CostRecord, unseal(path.read_bytes()))
    except (OSError, ValueError):
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _safe_name(name: str) -> str:
    """File name of a unit; other characters are replaced, so that no path leaves the folder."""
    return re.sub(r"[^A-Za-z0-9_.+@-]", "-", name)
