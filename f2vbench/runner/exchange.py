"""Import of embeddings from files into the feature store, and export of stored ones, by the image ids of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from f2vbench.config.run import RunSettings
from f2vbench.data.embedding_files import Embeddings, read_embeddings
from f2vbench.data.photographs import entry_names
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.feature_identity import declared
from f2vbench.encoders.imported_embeddings import (
    FAMILY,
    NAME,
    ImportedEmbeddings,
    describe_import,
    model_of_import,
    record_import,
)
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.store.features import FeatureSet
from f2vbench.utils.text import plural, shortened

_KIND = "embedding"
_NO_SETTINGS = RunSettings(task=["none"])
"""Settings of a run, on which the features of models without a network do not depend."""


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        embeddings: Description of the imported embeddings.
        duplicates: Number of images with the same pixels as another one, whose vector they have now.
        left_out: Number of ids in the file that no task has.
    """

    embeddings: ImportedEmbeddings
    duplicates: int
    left_out: int


def import_embeddings(
    file: Path,
    name: str,
    tasks: Mapping[str, TaskData],
    *,
    ids: str | None = None,
    leave_out_unknown: bool = False,
    replace: bool = False,
) -> Imported:
    """Import embeddings of all images of tasks; `model=embeddings:<name>` is a model then.

    Args:
        file: `.npz` or Parquet file, see `f2vbench.data.embedding_files.read_embeddings`.
        name: Name of the model.
        tasks: Tasks by name. The ids of the file are their image ids.
        ids: Array or column of ids in the file.
        leave_out_unknown: Leave out rows whose ids no task has, instead of refusing them.
        replace: Replace earlier embeddings of this name that come from another file.

    Raises:
        SettingsError: The name is not valid, or is that of embeddings from another file.
        DataError: The file is not usable, or ids are missing, unknown or in several tasks; they are named.
        StoreError: The cache is not writable.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(f"name={name}: use up to 64 letters, digits, dots, underscores and hyphens")
    content = file_sha256(file) if file.is_file() else ""
    earlier = describe_import(name)
    if earlier is not None and earlier.sha256 != content and not replace:
        raise SettingsError(
            f"name={name}: embeddings of this name were imported from {earlier.source} ({earlier.sha256[:8]}), whose "
            "content differs; choose another name, or add replace=yes (runs with them can't be continued then)"
        )
    found = read_embeddings(file, ids)
    row_of = {each: row for row, each in enumerate(found.ids)}
    left_out = _check_ids(file, row_of, tasks, leave_out_unknown)
    known = earlier.tasks if earlier is not None and earlier.sha256 == content else ()
    names = tuple(dict.fromkeys((*known, *tasks)))
    images = sum(len(task.index) for task in tasks.values())
    imported = ImportedEmbeddings(name, content, found.vectors.shape[1], images, names, file.name)
    features = FeatureSet(_declared(model_of_import(imported)), {})
    stored: dict[str, str] = {}
    with features.writing():
        for task in tasks.values():
            for image, entry in zip(task.index["image"], _entries(task), strict=True):
                if entry not in stored:
                    stored[entry] = image
                    features.put(entry, {_KIND: found.vectors[row_of[image]]})
    features.close()
    record_import(imported)
    return Imported(imported, images - len(stored), left_out)


def export_embeddings(
    identity: Mapping[str, Any], task: TaskData, report: Callable[[str], None]
) -> tuple[Embeddings, list[str]]:
    """Read the stored embeddings of a task's images.

    Args:
        identity: Identity of the feature set.
        task: The task.
        report: Receives the messages of the feature set about damaged embeddings.

    Returns:
        The embeddings in the order of the task's index, and the ids of the images without one.

    Raises:
        StoreError: No image of the task has an embedding in this set.
    """
    features = FeatureSet.of_identity(identity)
    ids = task.index["image"].astype(str).to_numpy()
    vectors, stored = features.get_many(_entries(task), _KIND)
    features.report_set_aside(report)
    if not stored.any():
        raise StoreError(f"{features.folder}: it has no embedding of an image of {task.card.name}")
    return Embeddings(ids[stored].tolist(), np.asarray(vectors[stored], np.float32)), ids[~stored].tolist()


def import_problems(model: ModelSpec, task: TaskData, report: Callable[[str], None]) -> list[str]:
    """Why imported embeddings can't be used in a task: images without a vector; empty for other models.

    Args:
        model: The model.
        task: The task.
        report: Receives the messages of the feature sets about damaged vectors.
    """
    problems = []
    for part in model.parts or (model,):
        if part.family != FAMILY:
            continue
        features = FeatureSet.planned(_declared(part))
        stored = np.zeros(len(task.index), bool) if features is None else features.has_many(_entries(task))
        if features is not None:
            features.report_set_aside(report)  # damaged shards are found when entries are looked up
        if not stored.all():
            missing = task.index["image"][~stored].astype(str).tolist()
            problems.append(
                f"{part.name}: {len(missing):,} of {plural(len(task.index), 'image')} have no imported vector "
                f"({shortened(missing)}); import them with `f2vbench cache import <file> name={part.architecture} "
                f"task={task.card.name}{'' if task.card.phantom else f' data={task.folder}'}`"
            )
    return problems


def _check_ids(file: Path, row_of: Mapping[str, int], tasks: Mapping[str, TaskData], leave_out_unknown: bool) -> int:
    """Refuse files without a vector for each image of the tasks; returns the number of rows that are left out."""
    problems = []
    of_task = {name: task.index["image"].astype(str).tolist() for name, task in tasks.items()}
    for name, images in of_task.items():
        missing = [image for image in images if image not in row_of]
        if missing:
            problems.append(
                f"{file}: no vector for {len(missing):,} of {plural(len(images), 'image')} of {name} "
                f"({shortened(missing)}); the ids of the file are {shortened(list(row_of)[:3])}, …"
            )
    known: dict[str, str] = {}
    for name, images in of_task.items():
        both = [image for image in images if known.setdefault(image, name) != name]
        if both:
            problems.append(
                f"{name} and {known[both[0]]} have the same ids ({shortened(both)}); import a file for each, "
                "with names of their own"
            )
    unknown = [each for each in row_of if each not in known]
    if unknown and not leave_out_unknown:
        names = " or ".join(tasks)
        problems.append(
            f"{file}: {plural(len(unknown), 'id')} that {names} does not have ({shortened(unknown)}); remove these "
            "rows, or add unknown=leave-out"
        )
    if problems:
        raise DataError(problems)
    return len(unknown)


def _entries(task: TaskData) -> Sequence[str]:
    return entry_names(task.index, 0)


def _declared(model: ModelSpec) -> dict[str, object]:
    return declared(model.identity(), model.is_network, _KIND, _NO_SETTINGS)
