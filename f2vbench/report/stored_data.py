"""What run folders, data folders and the feature store hold for the records of some results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.config.run import RunSettings
from f2vbench.data.external_validation import external_task_name, join_tasks
from f2vbench.data.photographs import Photograph, entry_name, entry_names
from f2vbench.data.square_crop import SquareView
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.encoders.feature_identity import declared, entry_size
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import F2VBenchError, StoreError
from f2vbench.store.features import FeatureSet
from f2vbench.store.record_schema import CallRecord, UnitRecord
from f2vbench.store.runs import RunFolder
from f2vbench.store.score_maps import decode
from f2vbench.utils.progress import Silent

_EMBEDDING, _VIDEO = "embedding", "video"


class NotStored(StoreError):
    """Something that a figure or table needs is not stored; the message says what and why."""


class StoredData:
    """Predictions, score maps, photographs and embeddings of stored units, read on request.

    Each task is opened once. No encoder is loaded.

    Args:
        records: Records of the units.
        sources: Run folder of each record; empty for records that do not come from a run folder.
        calls: Settings and provenance of the calls that made the records, the newest of each folder first.
    """

    def __init__(self, records: Sequence[UnitRecord], sources: Sequence[Path], calls: Sequence[CallRecord]):
        self._records, self._sources, self._calls = records, sources, calls
        self._tasks: dict[str, TaskData | NotStored] = {}

    def predictions(self, record: UnitRecord) -> dict[str, np.ndarray]:
        """Load the arrays stored with a unit.

        Raises:
            NotStored: The unit stores no predictions, or its run folder is unknown.
            StoreError: The file is missing or damaged.
        """
        entry = record["result"].get("predictions")
        if not entry:
            raise NotStored("its units store no predictions")
        return self._folder(record).get_predictions(entry["sha256"])

    def score_map(self, record: UnitRecord, image: str, class_name: str = "") -> NDArray[np.float32]:
        """Load a unit's score map of one image, (height, width) at the resolution of the photograph.

        Args:
            record: Record of the unit.
            image: Id of the image.
            class_name: The class, for tasks with ``mask_classes``.

        Raises:
            NotStored: The unit stores no map of this image, or its run folder is unknown.
            StoreError: The file is missing or damaged.
        """
        entry = record["result"].get("maps", {}).get(image)
        if entry is None:
            raise NotStored(f"no score map of {image} is stored")
        values = decode(self._folder(record).get_map(entry["sha256"]), entry)
        if "planes" in entry:
            maps = values.reshape(entry["planes"], -1, values.shape[1])
            values = maps[record["result"]["mask_classes"].index(class_name)]
        return SquareView(**entry["view"]).restore(values) if entry["view"] else values

    def task_data(self, task: str) -> TaskData:
        """Open a task's images in the folder that the run read them from.

        Raises:
            NotStored: The images are missing or have changed since the run.
        """
        if task not in self._tasks:
            try:
                self._tasks[task] = self._open_task(task)
            except NotStored as error:
                self._tasks[task] = error
        opened = self._tasks[task]
        if isinstance(opened, NotStored):
            raise opened
        return opened

    def embeddings(self, task: str, encoder: str) -> tuple[list[str], NDArray[np.float32]] | None:
        """Read the embeddings that an encoder has computed for a task's images from the feature store.

        Returns:
            Image ids and their (n, width) embeddings, without damaged entries; None where the feature store holds none
            of them (runs of another machine, or an emptied cache).

        Raises:
            NotStored: As `task_data`.
        """
        index = self.task_data(task).index
        for features, size in self._feature_sets(encoder, _EMBEDDING):
            vectors, stored = features.get_many(entry_names(index, size), _EMBEDDING)
            if stored.any():
                return index["image"][stored].astype(str).tolist(), vectors[stored]
        return None

    def has_video(self, encoder: str, row: pd.Series) -> bool:
        """Whether the feature store has the frames that a generator has generated from a photograph.

        Args:
            encoder: Name of the generator.
            row: Row of the photograph in the task's index.
        """
        return any(features.has(entry_name(row, size)) for features, size in self._feature_sets(encoder, _VIDEO))

    def video(self, encoder: str, photograph: Photograph) -> NDArray[Any] | None:
        """Read the frames that a generator has generated from a photograph from the feature store.

        Returns:
            (t, s, s) in [0, 1], on the square around the field of view; None where the feature store does not hold
            them (runs of another machine, or an emptied cache).
        """
        for features, size in self._feature_sets(encoder, _VIDEO):
            arrays = features.get(photograph.entry(size))
            if arrays is not None:
                return next(iter(arrays.values()))
        return None

    def frames_argument(self, name: str) -> str | None:
        """The argument ``frames:<folder>`` of a call that gave a model its name; None if no call did.

        Raises:
            F2VBenchError: The folder is missing.
        """
        arguments = [str(argument) for call in self._calls for argument in call["settings"]["model"]]
        folders = [argument for argument in dict.fromkeys(arguments) if argument.startswith("frames:")]
        return next((argument for argument in folders if parse_model(argument).name == name), None)

    def _feature_sets(self, encoder: str, kind: str) -> list[tuple[FeatureSet, int]]:
        """Sets of features that an encoder's units may have read, with the image size, the newest call's first."""
        identity = next((record["identity"] for record in self._records if record["unit"]["encoder"] == encoder), None)
        if identity is None:
            return []
        feature_sets = []
        for call in self._calls:
            settings = RunSettings.model_construct(**call["settings"])
            features = FeatureSet.planned(declared(identity["model"], identity["kind"] == "features", kind, settings))
            if features is not None:
                feature_sets.append((features, entry_size(kind, settings)))
        return feature_sets

    def _open_task(self, task: str) -> TaskData:
        fingerprints = {record["identity"]["data"] for record in self._records if record["unit"]["task"] == task}
        calls = [call for call in self._calls if task in call.get("data", {})]
        reason = "the run folder does not record their folder"
        for folder, call in {call["data"][task]["folder"]: call for call in reversed(calls)}.items():
            try:
                data = _open_as_in(call, task, folder)
            except F2VBenchError as error:
                reason = str(error)
                continue
            if data.fingerprint in fingerprints:
                return data
            reason = f"the images in {folder} have changed since the run"
        raise NotStored(f"the photographs of {task} are not available: {reason}")

    def _folder(self, record: UnitRecord) -> RunFolder:
        folder = self._folders.get(id(record))
        if folder is None:
            raise NotStored("these results do not come from a run folder; load them with Results.load")
        return RunFolder(folder)

    @cached_property
    def _folders(self) -> dict[int, Path]:
        """Run folder by the identity of the record object."""
        return {id(record): folder for record, folder in zip(self._records, self._sources, strict=False)}


def _open_as_in(call: CallRecord, task: str, folder: str) -> TaskData:
    """Open a task of a call: in external validation, the data sets for training and testing."""
    settings = call["settings"]
    train = settings.get("train")
    test = next((name for name in settings.get("test") or [] if external_task_name(str(train), name) == task), None)
    if train is None or test is None:
        return open_task(task, folder, Silent())
    data, split = ({} if value is None else value for value in (settings.get("data"), settings.get("split")))
    sides = [
        open_task(name, place, Silent(), split.get(name) if isinstance(split, dict) else split)
        for name, place in ((train, folder), (test, data.get(test) if isinstance(data, dict) else None))
    ]
    return join_tasks(sides[0], sides[1], settings.get("near_copies", "refuse"))
