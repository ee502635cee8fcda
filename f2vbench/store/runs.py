"""The run folder: units' records, their score maps, and who asked for them.

units/<unit>.<fingerprint>.json   a finished unit: settings, episode, metrics, timing, provenance; sealed
maps/<ab>/<sha256>.png            score maps, named by their content and so shared between units
predictions/<ab>/<sha256>.safetensors  arrays of families that predict no maps, such as the images found
costs/<model>.<features>.json     what encoding with a model costs: parameters, multiply-adds, speed, memory, disk
calls/<time>-<process>.json       settings and provenance of every call
claims/                           locks of the units in work; the system drops them when a process dies
set-aside/                        damaged files, kept for a look
results.csv                       the tidy table, rewritten at the end of each call
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
from filelock import FileLock, Timeout
from safetensors.numpy import load, save

from f2vbench.errors import StoreError
from f2vbench.store.record_schema import SCHEMA_VERSION, CallRecord, CostRecord, StoredFile, UnitRecord
from f2vbench.utils.files import sealed, sha256, sweep, unseal, write_atomically


class RunFolder:
    """A folder that several processes may write to at once.

    Args:
        path: the folder; made by `open_for_writing`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.set_aside: list[str] = []

    def open_for_writing(self) -> None:
        """Make the folder and see that it can be written.

        Raises:
            StoreError: it can't, or a file is in its place.
        """
        try:
            for part in ("units", "maps", "predictions", "calls", "claims"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"out={self.path}: the run folder can't be made ({error.strerror or error}); choose another with out="
            ) from error
        for folder in (self.path / "units", *(self.path / "maps").iterdir(), *(self.path / "predictions").iterdir()):
            sweep(folder)
        if not os.access(self.path / "units", os.W_OK):
            raise StoreError(f"out={self.path}: no permission to write there; choose another with out=")

    def exists(self) -> bool:
        return (self.path / "units").is_dir()

    def has(self, name: str) -> bool:
        """Whether a record of that name is there, whole (a damaged one is set aside)."""
        return self.read(name) is not None

    def read(self, name: str) -> UnitRecord | None:
        """Record of a unit, or None if it is absent; a damaged file is moved to ``set-aside`` and counts as absent.

        Raises:
            StoreError: A newer version of f2vbench wrote the record.
        """
        path = self._unit_path(name)
        try:
            record = unseal(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._put_aside(path, str(error))
            return None
        version = record.get("schema_version", 1) if isinstance(record, dict) else 1
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path}: the record has schema version {version}, and this f2vbench reads versions up to "
                f"{SCHEMA_VERSION}; update f2vbench"
            )
        return cast(UnitRecord, record)

    def write(self, name: str, record: UnitRecord) -> None:
        """Store a finished unit in one step."""
        write_atomically(self._unit_path(name), sealed(record), durable=True)

    def records(self) -> Iterator[UnitRecord]:
        """All whole records, by name; damaged ones are set aside."""
        for path in sorted((self.path / "units").glob("*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record

    def write_cost(self, name: str, cost: CostRecord) -> None:
        """Store what encoding costs, a model and kind of features."""
        write_atomically(self._cost_path(name), sealed(cost))

    def read_cost(self, name: str) -> CostRecord | None:
        """What was stored under a name, or None where it is absent or damaged."""
        return _unsealed(self._cost_path(name))

    def costs(self) -> list[CostRecord]:
        """All that can be read, by name; none in folders of an older version."""
        found = map(_unsealed, sorted((self.path / "costs").glob("*.json")))
        return [cost for cost in found if cost is not None]

    def put_map(self, png: bytes) -> str:
        """Store a score map unless it is there already, undamaged; returns its SHA-256."""
        name = sha256(png)
        path = self._map_path(name)
        if not path.exists() or path.read_bytes() != png:
            write_atomically(path, png)
        return name

    def get_map(self, name: str) -> bytes:
        """A score map by its SHA-256.

        Raises:
            StoreError: it is absent or damaged (then set aside); the next run makes it again.
        """
        return self._content(self._map_path(name), name, "score map")

    def put_predictions(self, arrays: Mapping[str, np.ndarray]) -> StoredFile:
        """Store arrays unless they are there already, undamaged; returns their entry for a unit's record."""
        block = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        name = sha256(block)
        path = self._predictions_path(name)
        if not path.exists() or path.read_bytes() != block:
            write_atomically(path, block)
        return {"sha256": name, "bytes": len(block)}

    def get_predictions(self, name: str) -> dict[str, np.ndarray]:
        """Stored arrays by their SHA-256.

        Raises:
            StoreError: they are absent or damaged (then set aside); the next run makes them again.
        """
        return load(self._content(self._predictions_path(name), name, "predictions"))

    def files_are_whole(self, record: UnitRecord) -> bool:
        """Whether every score map and array file that a record names is there in its full size."""
        result = record["result"]
        named = [(self._map_path(entry["sha256"]), entry["bytes"]) for entry in result.get("maps", {}).values()]
        if "predictions" in result:
            entry = result["predictions"]
            named.append((self._predictions_path(entry["sha256"]), entry["bytes"]))
        return all(_size(path) == size for path, size in named)

    def discard(self, name: str, why: str) -> None:
        """Set a record aside, so that its unit is missing again."""
        self._put_aside(self._unit_path(name), why)

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Hold a unit while working on it; yields False at once when another process holds it."""
        lock = FileLock(self.path / "claims" / f"{_safe(name)}.lock")
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
        """Keep the settings and provenance of one call."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        write_atomically(self.path / "calls" / f"{stamp}-{os.getpid()}.json", sealed(call))

    def calls(self) -> Iterator[CallRecord]:
        """All calls that can be read, the newest first."""
        for path in sorted((self.path / "calls").glob("*.json"), reverse=True):
            with contextlib.suppress(ValueError, OSError):
                yield unseal(path.read_bytes())

    def last_call(self) -> CallRecord | None:
        """The newest call that can be read, or None."""
        return next(self.calls(), None)

    def _content(self, path: Path, name: str, what: str) -> bytes:
        """A file named by its content, verified."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"{path}: the file of this {what} is gone; run again to have its units redone") from None
        if sha256(content) != name:
            self._put_aside(path, "its checksum does not fit its content")
            raise StoreError(f"{path}: damaged {what}, set aside; run again to have its units redone")
        return content

    def _put_aside(self, path: Path, why: str) -> None:
        target = self.path / "set-aside" / f"{path.name}.{time.time_ns()}"
        target.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            path.replace(target)
            self.set_aside.append(f"{path}: set aside in {target.parent} because {why}")

    def _unit_path(self, name: str) -> Path:
        return self.path / "units" / f"{_safe(name)}.json"

    def _cost_path(self, name: str) -> Path:
        return self.path / "costs" / f"{_safe(name)}.json"

    def _map_path(self, name: str) -> Path:
        return self.path / "maps" / name[:2] / f"{name}.png"

    def _predictions_path(self, name: str) -> Path:
        return self.path / "predictions" / name[:2] / f"{name}.safetensors"


def runs_below(root: Path) -> list[tuple[Path, int, float]]:
    """(folder, finished units, time of the last one) of every run folder below ``root``, the newest first."""
    found = []
    for folder in sorted(root.glob("**/units")):
        changed = [record.stat().st_mtime for record in folder.glob("*.json")]
        if changed:
            found.append((folder.parent, len(changed), max(changed)))
    return sorted(found, key=lambda run: -run[2])


def _unsealed(path: Path) -> CostRecord | None:
    try:
        return unseal(path.read_bytes())
    except (OSError, ValueError):
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _safe(name: str) -> str:
    """A file name from a unit's name: nothing in it can leave the folder."""
    return re.sub(r"[^A-Za-z0-9_.+@-]", "-", name)
