"""What a family's `solve` works with: one unit's data, model and features, and a place for its predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import Embeddings, Feature
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec
from f2vbench.runner.worker_cache import Resources
from f2vbench.store.record_schema import StoredFile
from f2vbench.store.runs import RunFolder

_NOT_STORED: StoredFile = {"sha256": "", "bytes": 0}


class UnitTools:
    """`f2vbench.adapters.base.Tools` of one unit.

    Args:
        embeddings: of the unit's task, by model: its own, or those of its parts.
        folder: where predictions are stored; None in a rehearsal, which stores none.
    """

    def __init__(
        self,
        unit: Unit,
        settings: RunSettings,
        resources: Resources,
        embeddings: Mapping[str, Embeddings],
        folder: RunFolder | None,
    ):
        self.unit, self.settings = unit, settings
        self._resources, self._embeddings, self._folder = resources, embeddings, folder

    @property
    def model(self) -> ModelSpec:
        return self._resources.context.models[self.unit.encoder]

    @property
    def task(self) -> TaskData:
        return self._resources.context.tasks[self.unit.task]

    @property
    def index(self) -> DataFrame:
        return self.task.index

    @property
    def device(self) -> Any:
        return self._resources.device

    @property
    def precision(self) -> str:
        return self._resources.precision

    def photograph(self, image: str) -> Photograph:
        return self._resources.photograph(self.unit.task, image)

    def encoder(self) -> Any:
        return self._resources.encoder(self.unit.encoder)

    def maps(self, what: Feature) -> Callable[[Photograph], list[np.ndarray]]:
        return self._resources.maps(self.unit.encoder, what)

    def scores(self, photograph: Photograph) -> np.ndarray:
        return self._resources.maps(self.unit.encoder, "score")(photograph)[0]

    def embeddings(self) -> Embeddings:
        return self._embeddings[self.unit.encoder]

    def embeddings_by_part(self) -> dict[str, Embeddings]:
        return dict(self._embeddings)

    def keep_map(self, png: bytes) -> StoredFile:
        if self._folder is None:
            return _NOT_STORED.copy()
        return {"sha256": self._folder.put_map(png), "bytes": len(png)}

    def keep_predictions(self, arrays: Mapping[str, np.ndarray]) -> StoredFile:
        return _NOT_STORED.copy() if self._folder is None else self._folder.put_predictions(arrays)
