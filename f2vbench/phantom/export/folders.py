"""A cohort on the disk, in the layouts that benchmark and trainer read (told in the folder's README.txt).

Every eye's images are written by itself and recorded last; links, tables and README follow when all are there.
A stopped call is therefore gone on with by the same call, and any number of processes writes the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import filelock
import numpy as np

from f2vbench.errors import SettingsError, StoreError, did_you_mean
from f2vbench.phantom.anatomy.tree_files import encode_tree
from f2vbench.phantom.cohort import VERSION, Cohort, CohortEye
from f2vbench.phantom.export.tables import PARTS, write_tables
from f2vbench.phantom.imaging.ground_truth import GroundTruth
from f2vbench.utils.files import canonical_json, sealed, sha256, unseal, write_atomically
from f2vbench.utils.png import encode_png
from f2vbench.utils.processes import run_in_workers
from f2vbench.utils.progress import Progress, Silent

HIDDEN = ".phantom"
_SETTINGS, _COMPLETE = "phantom.json", "complete"
_VENOUS_FRAME = 5  # of twelve: the second venous one, arteries and veins full


def write_cohort(
    out: Path,
    cohort: Cohort,
    *,
    parts: Sequence[str] = PARTS,
    jobs: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write a cohort into a folder, or go on with it.

    Args:
        out: a new or empty folder, or one that an earlier call with the same cohort and parts has begun.
        parts: of `PARTS`.
        jobs: processes; the bytes are the same for any number.

    Raises:
        SettingsError: unknown parts, or fewer than one job.
        StoreError: the folder can't be written, or holds something else.
    """
    progress = progress or Silent()
    settings = _settings(cohort, parts, jobs)
    with _locked(_prepare_state_folder(out, settings), progress):
        open_writer = functools.partial(_open_writer, _Task(out, cohort, frozenset(parts)))
        missing = [index for index in range(len(cohort)) if _record(out, cohort[index].name) is None]
        if missing:
            for rest in out.rglob(".*.part"):  # what a killed call left half-written; nobody else writes here now
                rest.unlink()
            progress.begin("simulating eyes", len(missing))
            try:
                for index, _ in run_in_workers(open_writer, missing, jobs, one_thread=True):
                    progress.advance(cohort[index].name)
            finally:
                progress.end()
        records = (_record(out, eye.name) for eye in cohort)
        write_tables(out, cohort, (record for record in records if record is not None), parts)
        write_atomically(out / HIDDEN / _COMPLETE, b"")


def is_complete(out: Path) -> bool:
    """Whether a folder holds a whole cohort."""
    return (out / HIDDEN / _COMPLETE).is_file()


def identity(cohort: Cohort, parts: Sequence[str]) -> dict[str, Any]:
    """Everything that decides what is written."""
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
    """What every eye of a call has in common."""

    out: Path
    cohort: Cohort
    parts: frozenset[str]


def _settings(cohort: Cohort, parts: Sequence[str], jobs: int) -> dict[str, Any]:
    problems = [
        f"parts={part}: there is no such part{did_you_mean(part, PARTS)}; known: {', '.join(PARTS)}"
        for part in parts
        if part not in PARTS
    ]
    if not parts:
        problems.append(f"parts: name at least one of {', '.join(PARTS)}")
    if jobs < 1:
        problems.append(f"jobs={jobs}: at least one process is needed")
    if problems:
        raise SettingsError(problems)
    return identity(cohort, parts)


def _prepare_state_folder(out: Path, settings: dict[str, Any]) -> Path:
    """The hidden folder, after making sure that ``out`` holds nothing else.

    Raises:
        StoreError: a file in the way, another cohort, other files, or no right to write.
    """
    held = _settings_in(out)
    if held is not None and held != settings:
        differences = ", ".join(
            f"{key} is {held.get(key)} there and {settings.get(key)} here"
            for key in sorted(held.keys() | settings.keys())
            if held.get(key) != settings.get(key)
        )
        raise StoreError(f"{out} holds another cohort ({differences}): choose another folder, or delete this one")
    hidden = out / HIDDEN
    try:
        if held is None and out.is_dir() and any(entry.name != HIDDEN for entry in out.iterdir()):
            raise StoreError(f"{out} holds other files: choose a new or empty folder")
        hidden.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{out}: the folder can't be made or used ({error.strerror}): choose another") from error
    write_atomically(out / _SETTINGS, json.dumps(settings, indent=1).encode() + b"\n")
    return hidden


def _settings_in(out: Path) -> dict[str, Any] | None:
    """The settings of the cohort in a folder; None where there is none, or its file is damaged."""
    try:
        held = json.loads((out / _SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) else None


@contextlib.contextmanager
def _locked(hidden: Path, progress: Progress) -> Iterator[None]:
    """Alone in the folder: another process that writes there is waited for."""
    lock = filelock.FileLock(hidden / "lock")
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            progress.note(f"another process is writing to {hidden.parent}: waiting for it")
            lock.acquire()
    except OSError as error:
        raise StoreError(f"{hidden.parent}: can't be written ({error.strerror}): choose another folder") from error
    try:
        yield
    finally:
        lock.release()


def _record(out: Path, name: str) -> dict[str, Any] | None:
    """What is known of an eye whose files are all there, or None."""
    try:
        record: dict[str, Any] = unseal(_record_file(out, name).read_bytes())
    except (OSError, ValueError):
        return None
    return record if all((out / file).is_file() for file in record["files"]) else None


def _record_file(out: Path, name: str) -> Path:
    return out / HIDDEN / "eyes" / f"{name}.json"


@contextlib.contextmanager
def _open_writer(task: _Task) -> Iterator[Callable[[int], None]]:
    """Function of a worker that writes the files of one eye."""
    yield functools.partial(_write_eye, task)


def _write_eye(task: _Task, index: int) -> None:
    """One eye's images, masks and record."""
    eye = task.cohort[index]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as in the worker processes
    try:
        images = dict(_images(eye, task.parts))
        frames = []
        if {"video", "retrieval"} & task.parts:
            angiogram = eye.angiogram()
            kept = range(len(angiogram.frames)) if "video" in task.parts else [_VENOUS_FRAME]
            for number in kept:
                file = f"frames/{eye.name}/{number:02d}.png"
                images[file] = angiogram.frames[number]
                phase, seconds = angiogram.phases[number], float(angiogram.seconds[number])
                frames.append({"file": file, "phase": phase, "seconds": seconds, "venous": number == _VENOUS_FRAME})
        for file, pixels in images.items():
            write_atomically(task.out / file, encode_png(pixels))
    finally:
        cv2.setNumThreads(threads)
    files = list(images)
    if "vessels" in task.parts:
        files.append(f"trees/{eye.name}.npz")
        write_atomically(task.out / files[-1], encode_tree(eye.eye.vessels, eye.camera()))
    labels = asdict(eye.labels)
    record = {"name": eye.name, "patient": eye.patient, "number": eye.number, "eye": eye.side}
    record |= {"labels": labels, "frames": frames, "files": files}
    write_atomically(_record_file(task.out, eye.name), sealed(record), durable=True)


def _images(eye: CohortEye, parts: frozenset[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(file, pixels) of everything but angiograms."""
    photograph = eye.photograph()
    yield f"images/{eye.name}_macula.png", photograph.image
    if "vessels" in parts:
        yield from _masks(eye.name, photograph.truth)
    if "retrieval" in parts:
        yield f"images/{eye.name}_disc.png", eye.photograph("disc").image
        yield f"images/{eye.name}_icg.png", eye.icg()
        yield f"images/{eye.name}_red_free.png", eye.red_free()
        yield f"images/{eye.name}_autofluorescence.png", eye.autofluorescence()


def _masks(name: str, truth: GroundTruth) -> Iterator[tuple[str, np.ndarray]]:
    """Masks are 0 and 255; of arteries and veins, arteries are red, veins blue and crossings green."""
    colours = np.zeros((*truth.vessels.shape, 3), np.uint8)
    colours[truth.arteries], colours[truth.veins] = (255, 0, 0), (0, 0, 255)
    colours[truth.arteries & truth.veins] = (0, 255, 0)
    yield f"masks/arteries_veins/{name}.png", colours
    named = {"vessels": truth.vessels, "field_of_view": truth.field_of_view, "disc": truth.disc, "cup": truth.cup}
    named |= {f"lesions/{kind}": mask for kind, mask in truth.lesions.items()}
    for kind, mask in named.items():
        yield f"masks/{kind}/{name}.png", mask.astype(np.uint8) * 255
