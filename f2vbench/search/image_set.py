"""Images that a search covers: those of a folder, or of the retrieval tasks of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from f2vbench.config.run import Cut, Pooling
from f2vbench.data.file_facts import add_file_facts, data_fingerprint
from f2vbench.data.folder_scan import images_in, inner_folders
from f2vbench.data.index_rows import COLUMNS, FAMILY_COLUMNS, Row, index_from_rows, safe_id
from f2vbench.data.layouts import retrieval_table
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.encoders.weights_argument import WeightsArgument
from f2vbench.errors import DataError, StoreError
from f2vbench.store.runs import RunFolder
from f2vbench.utils.files import sha256
from f2vbench.utils.progress import Progress

TASK = "search"
"""Task name of the images in the run that encodes them."""

_TABLE = "retrieval.csv"
_BATCH = 32
_MAX_LISTED = 3


@dataclass(frozen=True)
class ImageSet:
    """Images that a search covers.

    Attributes:
        folder: Folder of the images, or run folder.
        images: One row per readable image, with the columns of a retrieval index and of `add_file_facts`.
        notes: Images that are left out, and why.
        models: Model arguments of the run; empty for a folder of images.
        weights: Weights argument of the run.
        cut: Layer at which a pix2pixHD generator's encoder ends, as in the run.
        pooling: Pooling of a pix2pixHD generator's maps, as in the run.
    """

    folder: Path
    images: DataFrame
    notes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    weights: WeightsArgument = None
    cut: Cut | None = None
    pooling: Pooling = "levels"

    def task(self) -> TaskData:
        """Return the images as a retrieval task, so that the runner can encode them."""
        user = "the user's own"
        card = TaskCard(
            name=TASK,
            title="Search",
            family="retrieval",
            layout="retrieval_table",
            labels=user,
            source=user,
            terms=user,
            citation=user,
            obtain=user,
        )
        return TaskData(card, self.folder, self.images, data_fingerprint(self.images))


def open_image_set(folder: Path, progress: Progress) -> ImageSet:
    """Read the images of a folder, or of a run's retrieval tasks.

    Args:
        folder: Folder of images, with or without a table ``retrieval.csv``, or run folder.
        progress: Receives the progress of reading the images.

    Raises:
        DataError: The folder does not exist, or no image in it is readable.
        StoreError: The run has no retrieval task.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise DataError(f"index={folder}: no such folder; set index= to a folder of images, or to a run folder")
    run = RunFolder(folder)
    if run.exists():
        return _images_of_run(run, progress)
    if (folder / _TABLE).is_file():
        return _readable_images(retrieval_table.read(folder, {}), folder, progress)
    note = f"patients and modalities are unknown; to add them, write {folder / _TABLE} (image, patient, modality)"
    return _readable_images(index_from_rows(image_rows(folder)), folder, progress, note)


def image_row(path: Path) -> Any:
    """Return the index row of a single image, as a named tuple.

    Raises:
        DataError: The image is unreadable.
    """
    index = index_from_rows([Row(safe_id(path.stem), path, modality="")])
    row = next(add_file_facts(_index_columns(index)).itertuples())
    if row.problem:
        raise DataError(str(row.problem))
    return row


def _images_of_run(run: RunFolder, progress: Progress) -> ImageSet:
    call = run.last_call()
    families = {record["unit"]["task"]: record.get("family") for record in run.records()}
    tasks = [task for task, family in families.items() if family == "retrieval"]
    if call is None or not tasks:
        raise StoreError(f"index={run.path}: this run has no completed unit of a retrieval task")
    folders = {task: call["data"][task]["folder"] for task in tasks}
    indexes = [open_task(task, folder, progress).index for task, folder in folders.items()]
    images = pd.concat(indexes, ignore_index=True).drop_duplicates("sha256").reset_index(drop=True)
    images["image"] = [f"{number:06}-{name}" for number, name in enumerate(images["image"])]
    settings = call["settings"]
    models, weights, cut = tuple(settings["model"]), settings["weights"], settings["cut"]
    pooling = settings.get("pooling", "mean")  # runs before this setting
    return ImageSet(run.path, images, models=models, weights=weights, cut=cut, pooling=pooling)


def image_rows(folder: Path) -> Iterator[Row]:
    """Yield all images below a folder; ids that are not unique get the hash of the path as a suffix.

    Args:
        folder: The folder.
    """
    ids: set[str] = set()
    for subfolder in (folder, *inner_folders(folder)):
        for path in images_in(subfolder).values():
            image_id = safe_id(path.relative_to(folder).with_suffix("").as_posix())
            if image_id.lower() in ids:
                image_id = f"{image_id}-{sha256(str(path.relative_to(folder)).encode())[:8]}"
            ids.add(image_id.lower())
            yield Row(image_id, path, modality="")


def _readable_images(index: DataFrame, folder: Path, progress: Progress, *notes: str) -> ImageSet:
    """Return the readable images without exact duplicates, with notes on the others."""
    if index.empty:
        raise DataError(f"index={folder}: there is no image in this folder")
    with_facts = read_file_facts(index, folder.name, progress)
    unreadable = with_facts[with_facts.problem != ""]
    images = with_facts[with_facts.problem == ""].drop_duplicates("sha256").reset_index(drop=True)
    duplicates = len(with_facts) - len(unreadable) - len(images)
    all_notes = [*notes]
    if len(unreadable):
        more = f"; and {len(unreadable) - _MAX_LISTED} more" if len(unreadable) > _MAX_LISTED else ""
        listed = "; ".join(unreadable.problem.iloc[:_MAX_LISTED]) + more
        all_notes.append(f"{len(unreadable)} images are unreadable and left out: {listed}")
    if images.empty:
        raise DataError([f"index={folder}: none of its images is readable", *all_notes])
    if duplicates:
        all_notes.append(f"{duplicates} exact duplicates of other images are left out")
    return ImageSet(folder, images, tuple(all_notes))


def read_file_facts(index: DataFrame, name: str, progress: Progress) -> DataFrame:
    """Read images and add the columns of `add_file_facts`, with progress messages.

    Args:
        index: One row for each image, with the columns of a retrieval index.
        name: Name of the images in messages.
        progress: Receives the messages.
    """
    index = _index_columns(index)
    starts = range(0, len(index), _BATCH)
    progress.begin(f"reading {name}", len(starts))
    batches = []
    for start in starts:
        batches.append(add_file_facts(index.iloc[start : start + _BATCH]))
        progress.advance(f"{min(start + _BATCH, len(index))} of {len(index)} images")
    progress.end()
    return pd.concat(batches, ignore_index=True)


def _index_columns(index: DataFrame) -> DataFrame:
    return index[COLUMNS + FAMILY_COLUMNS["retrieval"]]
