"""A cohort as a data set on disk, in the layouts that benchmark and trainer read (see its README.txt).

Each eye's files are written first and its record last. Links, tables and README are written when all eyes are
complete. Repeating an interrupted call therefore continues it, and the bytes do not depend on the number of processes.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from f2vbench.errors import SettingsError, StoreError, did_you_mean
from f2vbench.phantom.cohort import VERSION, Cohort
from f2vbench.phantom.export.eye_files import HIDDEN, read_record, write_eye
from f2vbench.phantom.export.tables import DEFAULT_PARTS, PARTS, write_tables
from f2vbench.utils.files import canonical_json, sha256, write_atomically
from f2vbench.utils.processes import run_in_workers
from f2vbench.utils.progress import Progress, Silent

_SETTINGS, _COMPLETE = "phantom.json", "complete"


def write_cohort(
    out: Path,
    cohort: Cohort,
    *,
    parts: Sequence[str] = DEFAULT_PARTS,
    jobs: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write a cohort to a folder, or continue an interrupted call.

    Args:
        out: A new or empty folder, or the folder of an earlier call with the same cohort and parts.
        cohort: The cohort.
        parts: Parts of the data set, of `f2vbench.phantom.export.tables.PARTS`.
        jobs: Number of worker processes; the bytes do not depend on it.
        progress: Receives the progress of the simulation.

    Raises:
        SettingsError: Parts are unknown, or ``jobs`` is less than 1.
        StoreError: The folder is not writable, or contains other data.
    """
    progress = progress or Silent()
    settings = _settings(cohort, parts, jobs)
    with _locked(_prepare_state_folder(out, settings), progress):
        open_writer = functools.partial(_open_writer, _Task(out, cohort, frozenset(parts)))
        missing = [index for index in range(len(cohort)) if read_record(out, cohort[index].name) is None]
        if missing:
            for partial in out.rglob(".*.part"):  # incomplete files of a killed call; the lock excludes other writers
                partial.unlink()
            progress.begin("simulating eyes", len(missing))
            try:
                for index, _ in run_in_workers(open_writer, missing, jobs, one_thread=True):
                    progress.advance(cohort[index].name)
            finally:
                progress.end()
        records = (read_record(out, eye.name) for eye in cohort)
        write_tables(out, cohort, (record for record in records if record is not None), parts)
        write_atomically(out / HIDDEN / _COMPLETE, b"")


def is_complete(out: Path) -> bool:
    """Whether a folder contains a complete cohort."""
    return (out / HIDDEN / _COMPLETE).is_file()


def identity(cohort: Cohort, parts: Sequence[str]) -> dict[str, Any]:
    """Settings that determine the bytes of the data set, as stored in phantom.json."""
    return {
        "simulator": VERSION,
        "seed": cohort.seed,
        "patients": cohort.patients,
        "size": cohort.size,
        "diseases": list(cohort.diseases) if cohort.diseases is not None else None,
        "effect": cohort.effect,
        "parts": [part for part in PARTS if part in parts],
    }


def identity_hash(cohort: Cohort, parts: Sequence[str]) -> str:
    """SHA-256 (hex) of `identity`."""
    return sha256(canonical_json(identity(cohort, parts)))


@dataclass(frozen=True)
class _Task:
    """Arguments of a call that are the same for every eye."""

    out: Path
    cohort: Cohort
    parts: frozenset[str]


def _settings(cohort: Cohort, parts: Sequence[str], jobs: int) -> dict[str, Any]:
    problems = [
        f"parts={part}: unknown part{did_you_mean(part, PARTS)}; known: {', '.join(PARTS)}"
        for part in parts
        if part not in PARTS
    ]
    if not parts:
        problems.append(f"parts: the list is empty; name at least one of {', '.join(PARTS)}")
    if jobs < 1:
        problems.append(f"jobs={jobs}: must be at least 1")
    if problems:
        raise SettingsError(problems)
    return identity(cohort, parts)


def _prepare_state_folder(out: Path, settings: dict[str, Any]) -> Path:
    """Create the hidden folder, after checking that ``out`` contains no other data.

    Raises:
        StoreError: ``out`` is a file, contains another cohort or other files, or is not writable.
    """
    stored = _settings_in(out)
    if stored is not None and stored != settings:
        differences = ", ".join(
            f"{key} is {stored.get(key)} in the folder, {settings.get(key)} requested"
            for key in sorted(stored.keys() | settings.keys())
            if stored.get(key) != settings.get(key)
        )
        raise StoreError(f"{out}: contains another cohort ({differences}); choose another folder, or delete this one")
    hidden = out / HIDDEN
    try:
        if stored is None and out.is_dir() and any(entry.name != HIDDEN for entry in out.iterdir()):
            raise StoreError(f"{out}: contains other files; choose a new or empty folder")
        hidden.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{out}: cannot create or use the folder ({error.strerror}); choose another one") from error
    write_atomically(out / _SETTINGS, json.dumps(settings, indent=1).encode() + b"\n")
    return hidden


def _settings_in(out: Path) -> dict[str, Any] | None:
    """Return the settings of the cohort in a folder; None if the file is missing or damaged."""
    try:
        stored = json.loads((out / _SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None


@contextlib.contextmanager
def _locked(hidden: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of the folder; wait while another process writes to it."""
    lock = filelock.FileLock(hidden / "lock")
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            progress.note(f"waiting: another process is writing to {hidden.parent}")
            lock.acquire()
    except OSError as error:
        raise StoreError(f"{hidden.parent}: cannot write ({error.strerror}); choose another folder") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _open_writer(task: _Task) -> Iterator[Callable[[int], None]]:
    """Yield the function with which a worker writes the files of one eye, by its index."""

    def write(index: int) -> None:
        write_eye(task.out, task.cohort[index], task.parts)

    yield write
