"""Embeddings by image id, read from the feature store, or computed where they are absent or damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.photographs import entry_names
from f2vbench.encoders.feature_identity import entry_size
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources

_ABSENT = -1


class StoredEmbeddings:
    """Embeddings of the images of a task by one model.

    Vectors that were read are kept, in blocks of those that were read together. A pickled object carries the context of
    the run instead, and reads again.

    Args:
        context: Tasks, models and settings of the run.
        model: Name of the model.
        task: Name of the task.
        resources: Resources of the worker; by default new ones.
    """

    def __init__(self, context: Context, model: str, task: str, resources: Resources | None = None):
        self._context, self._model, self._task = context, model, task
        self._resources = resources
        self._forget()

    def __call__(self, images: Sequence[str]) -> NDArray[np.float32]:
        """Return embeddings, (n, width) float32.

        Args:
            images: Ids of n images, at least one.

        Raises:
            DataError: An image whose embedding has to be computed is not readable any more.
            KeyError: The task has no such image.
        """
        resources = self._resources = self._resources or Resources(self._context)
        rows = resources.row_numbers(self._task, images)
        missing = np.unique(rows[self._block[rows] == _ABSENT])
        if len(missing):
            self._blocks.append(self._read(resources, missing))
            self._block[missing], self._position[missing] = len(self._blocks) - 1, np.arange(len(missing))
        vectors = np.empty((len(rows), self._blocks[0].shape[1]), np.float32)
        for number in np.unique(self._block[rows]):
            inside = self._block[rows] == number
            vectors[inside] = self._blocks[number][self._position[rows[inside]]]
        return vectors

    def _read(self, resources: Resources, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read the embeddings of rows of the index; those that are not stored are computed."""
        index = self._context.tasks[self._task].index
        features = resources.feature_set(self._model, "embedding")
        entries = entry_names(index.iloc[rows], entry_size("embedding", self._context.settings))
        vectors, stored = features.get_many(entries, "embedding")
        if stored.all():
            return vectors
        compute = resources.feature_reader(self._model, "embedding")
        with features.writing():
            for number in np.flatnonzero(~stored):
                image = str(index["image"].iloc[rows[number]])
                vector = compute(resources.photograph(self._task, image))[0]
                if not len(vectors):
                    vectors = np.empty((len(rows), len(vector)), np.float32)
                vectors[number] = vector
        return vectors

    def _forget(self) -> None:
        images = len(self._context.tasks[self._task].index)
        self._blocks: list[NDArray[np.float32]] = []
        self._block = np.full(images, _ABSENT, np.int32)
        self._position = np.zeros(images, np.int32)

    def __getstate__(self) -> dict[str, Any]:
        return {"_context": self._context, "_model": self._model, "_task": self._task}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _resources=None)
        self._forget()
