"""Embeddings by image id, read from the feature store, or computed where they are absent or damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.photographs import entry_name
from f2vbench.encoders.feature_identity import entry_size
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources


class StoredEmbeddings:
    """Embeddings of the images of a task by one model.

    Vectors that were read are kept. A pickled object carries the context of the run instead, and reads again.

    Args:
        context: Tasks, models and settings of the run.
        model: Name of the model.
        task: Name of the task.
        resources: Resources of the worker; by default new ones.
    """

    def __init__(self, context: Context, model: str, task: str, resources: Resources | None = None):
        self._context, self._model, self._task = context, model, task
        self._resources = resources
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._entries: dict[str, str] = {}

    def __call__(self, images: Sequence[str]) -> NDArray[np.float32]:
        """Return embeddings, (n, width) float32.

        Args:
            images: Ids of n images.

        Raises:
            DataError: An image whose embedding has to be computed is not readable any more.
            KeyError: The task has no such image.
        """
        missing = [image for image in images if image not in self._vectors]
        if missing:
            self._read(missing)
        return np.stack([self._vectors[image] for image in images])

    def _read(self, images: Sequence[str]) -> None:
        resources = self._resources = self._resources or Resources(self._context)
        if not self._entries:
            size = entry_size("embedding", self._context.settings)
            rows = self._context.tasks[self._task].index.itertuples()
            self._entries = {str(row.image): entry_name(row, size) for row in rows}
        features = resources.feature_set(self._model, "embedding")
        compute = resources.feature_reader(self._model, "embedding")
        for image in images:
            stored = features.get(self._entries[image])
            if stored is None:
                self._vectors[image] = compute(resources.photograph(self._task, image))[0]
            else:
                self._vectors[image] = stored["embedding"]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_resources": None, "_vectors": {}}
