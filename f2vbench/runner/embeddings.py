"""Embeddings by image id: read from the feature store, and made where they are absent or damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from f2vbench.data.photographs import entry_name
from f2vbench.encoders.feature_identity import entry_size
from f2vbench.runner.context import Context
from f2vbench.runner.worker_cache import Resources


class StoredEmbeddings:
    """(n, width) float32 embeddings of a task's images by one model.

    Keeps what it has read. Pickled, it takes the run's context along instead, and reads again where it arrives.

    Args:
        resources: of the worker that it is used in; its own by default.
    """

    def __init__(self, context: Context, model: str, task: str, resources: Resources | None = None):
        self._context, self._model, self._task = context, model, task
        self._resources = resources
        self._held: dict[str, np.ndarray] = {}
        self._entries: dict[str, str] = {}

    def __call__(self, images: Sequence[str]) -> np.ndarray:
        """Embeddings of image ids, in their order.

        Raises:
            DataError: an image whose embedding has to be made can't be read any more.
            KeyError: the task has no such image.
        """
        absent = [image for image in images if image not in self._held]
        if absent:
            self._read(absent)
        return np.stack([self._held[image] for image in images])

    def _read(self, images: Sequence[str]) -> None:
        resources = self._resources = self._resources or Resources(self._context)
        if not self._entries:
            size = entry_size("embedding", self._context.settings)
            rows = self._context.tasks[self._task].index.itertuples()
            self._entries = {str(row.image): entry_name(row, size) for row in rows}
        features = resources.feature_set(self._model, "embedding")
        make = resources.maps(self._model, "embedding")
        for image in images:
            found = features.get(self._entries[image])
            vector = make(resources.photograph(self._task, image))[0] if found is None else found["embedding"]
            self._held[image] = vector

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_resources": None, "_held": {}}
