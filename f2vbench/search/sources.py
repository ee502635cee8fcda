"""What is searched: the images of a folder, or those of a run's retrieval tasks, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from f2vbench.data.file_facts import add_file_facts, data_fingerprint
from f2vbench.data.folder_scan import folders_in, images_in
from f2vbench.data.index_rows import COLUMNS, FAMILY_COLUMNS, Row, index_from_rows, safe_id
from f2vbench.data.layouts import retrieval_table
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.errors import DataError, StoreError
from f2vbench.store.runs import RunFolder
from f2vbench.utils.files import sha256
from f2vbench.utils.progress import Progress

NAME = "search"
_TABLE = "retrieval.csv"
_AT_ONCE = 32
_OWN = "the user's own"


@dataclass(frozen=True)
class Source:
    """Images to be searched.

    Attributes:
        images: one row an image that can be read, described.
        models: words for the models of a run; empty for a folder.
        weights, cut: what the run was given beside them.
        notes: images that were left out, and why.
    """

    folder: Path
    images: DataFrame
    models: tuple[str, ...]
    weights: str | dict[str, str] | None
    cut: int
    notes: tuple[str, ...]

    def task(self) -> TaskData:
        """As the engine wants it, to encode its images."""
        told = dict.fromkeys(("labels", "source", "terms", "citation", "obtain"), _OWN)
        card = TaskCard(name=NAME, title="Search", family="retrieval", layout="retrieval_table", **told)  # type: ignore[arg-type]
        return TaskData(card, self.folder, self.images, data_fingerprint(self.images))


def open_source(folder: Path, progress: Progress) -> Source:
    """Read a folder's images, or those of the run that it is.

    Raises:
        DataError: no such folder, or no image in it can be read.
        StoreError: a run without a retrieval task.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise DataError(f"index={folder}: there is no such folder; name one with images, or a run")
    run = RunFolder(folder)
    if run.exists():
        return _of_run(run, progress)
    notes: list[str] = []
    if (folder / _TABLE).is_file():
        raw = retrieval_table.read(folder, {})
    else:
        raw = index_from_rows(_rows(folder))
        notes.append(f"patients and modalities are not known: {folder / _TABLE} (image, patient, modality) tells them")
    if raw.empty:
        raise DataError(f"index={folder}: there is no image in this folder")
    return Source(folder, *_readable(raw, folder, notes, progress))


def described_image(path: Path) -> Any:
    """The described row of one image file.

    Raises:
        DataError: it can't be read.
    """
    row = next(add_file_facts(_columns(index_from_rows([Row(safe_id(path.stem), path, modality="")]))).itertuples())
    if row.problem:
        raise DataError(str(row.problem))
    return row


def _of_run(run: RunFolder, progress: Progress) -> Source:
    call = run.last_call()
    families = {record["unit"]["task"]: record.get("family") for record in run.records()}
    tasks = [task for task, family in families.items() if family == "retrieval"]
    if call is None or not tasks:
        raise StoreError(f"index={run.path}: this run has no finished unit of a retrieval task to search in")
    folders = {task: call["data"][task]["folder"] for task in tasks}
    frames = [open_task(task, folder, progress).index for task, folder in folders.items()]
    images = pd.concat(frames, ignore_index=True).drop_duplicates("sha256").reset_index(drop=True)
    images["image"] = [f"{place:06}-{name}" for place, name in enumerate(images["image"])]
    settings = call["settings"]
    return Source(run.path, images, tuple(settings["model"]), settings["weights"], settings["cut"], ())


def _rows(folder: Path) -> Iterator[Row]:
    """All images below a folder; two of one stem are told apart by their path's hash."""
    seen: set[str] = set()
    for place in _below(folder):
        for path in images_in(place).values():
            name = safe_id(path.relative_to(folder).with_suffix("").as_posix())
            if name.lower() in seen:
                name = f"{name}-{sha256(str(path.relative_to(folder)).encode())[:8]}"
            seen.add(name.lower())
            yield Row(name, path, modality="")


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    for inner in folders_in(folder):
        yield from _below(inner)


def _readable(
    raw: DataFrame, folder: Path, notes: list[str], progress: Progress
) -> tuple[DataFrame, tuple[str, ...], None, int, tuple[str, ...]]:
    """What `Source` holds beside the folder; images that can't be read are left out and told."""
    index = _columns(raw)
    starts = range(0, len(index), _AT_ONCE)
    progress.begin(f"reading {folder.name}", len(starts))
    parts = []
    for start in starts:
        parts.append(add_file_facts(index.iloc[start : start + _AT_ONCE]))
        progress.advance(f"{min(start + _AT_ONCE, len(index))} of {len(index)} images")
    progress.end()
    described = pd.concat(parts, ignore_index=True)
    bad = described[described.problem != ""]
    if len(bad):
        told = "; ".join(bad.problem.iloc[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
        notes.append(f"{len(bad)} images can't be read and are left out: {told}")
    if len(bad) == len(described):
        raise DataError([f"index={folder}: none of its images can be read", *notes])
    images = described[described.problem == ""].drop_duplicates("sha256").reset_index(drop=True)
    copies = len(described) - len(bad) - len(images)
    if copies:
        notes.append(f"{copies} images are copies of others, pixel by pixel, and are left out")
    return images, (), None, 19, tuple(notes)


def _columns(raw: DataFrame) -> DataFrame:
    return raw[COLUMNS + FAMILY_COLUMNS["retrieval"]]
