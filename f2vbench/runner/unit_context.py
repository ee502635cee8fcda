"""Unit context of a worker: loads data, models and features, and stores predictions in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, cast

from numpy.typing import NDArray

from f2vbench.adapters.base import EmbeddingReader, FeatureKind, FeatureReader, UnitContext
from f2vbench.adapters.stored_head import HeadFacts, TrainedHead, head_block
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.field_of_view import FIELD_OF_VIEW_VERSION
from f2vbench.data.photographs import Photograph
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec
from f2vbench.runner.worker_cache import Resources
from f2vbench.store.record_schema import StoredFile
from f2vbench.store.runs import RunFolder

if TYPE_CHECKING:
    import torch

_NOT_STORED: StoredFile = {"sha256": "", "bytes": 0}


class WorkerUnitContext(UnitContext):
    """A unit's context, backed by the resources of a worker.

    Args:
        unit: The unit to run.
        settings: Settings of the run.
        resources: Models, photographs and features of the worker.
        embeddings: Embedding readers by encoder: one, or one for each encoder of a fusion.
        folder: Run folder that stores predictions; None in a timing trial, which stores nothing.
    """

    def __init__(
        self,
        unit: Unit,
        settings: RunSettings,
        resources: Resources,
        embeddings: Mapping[str, EmbeddingReader],
        folder: RunFolder | None,
    ):
        self.unit, self.settings = unit, settings
        self._resources, self._embeddings, self._folder = resources, embeddings, folder

    @property
    def model(self) -> ModelSpec:
        """Description of the unit's model."""
        return self._resources.context.models[self.unit.encoder]

    @property
    def task(self) -> TaskData:
        """The task with its card, classes and index."""
        return self._resources.context.tasks[self.unit.task]

    @property
    def device(self) -> torch.device:
        """Device for computation."""
        return self._resources.device

    @property
    def precision(self) -> str:
        """Arithmetic of the encoder."""
        return self._resources.precision

    def photograph(self, image: str) -> Photograph:
        """Load the photograph of an image id."""
        return self._resources.photograph(self.unit.task, image)

    def encoder(self) -> Any:
        """Load the model."""
        return self._resources.encoder(self.unit.encoder)

    def feature_reader(self, kind: FeatureKind) -> FeatureReader:
        """Return a reader of one kind of features of the unit's model."""
        return self._resources.feature_reader(self.unit.encoder, kind)

    def embedding_readers(self) -> dict[str, EmbeddingReader]:
        """Return embedding readers by encoder."""
        return dict(self._embeddings)

    def store_map(self, png: bytes) -> StoredFile:
        """Store an image in the run folder."""
        if self._folder is None:
            return _NOT_STORED.copy()
        return {"sha256": self._folder.put_map(png), "bytes": len(png)}

    def store_predictions(self, arrays: Mapping[str, NDArray[Any]]) -> StoredFile:
        """Store arrays in the run folder."""
        return _NOT_STORED.copy() if self._folder is None else self._folder.put_predictions(arrays)

    def store_head(self, head: TrainedHead) -> None:
        """Store the head of the unit in the run folder, with the facts about its encoder."""
        if self._folder is None or not self.settings.keep_heads:
            return
        model, card = self.model, self.task.card
        facts = HeadFacts(
            method=head.method,
            outputs=head.outputs,
            multi_label=head.multi_label,
            width=len(head.arrays["mean"]) if "mean" in head.arrays else head.arrays["support"].shape[1],
            family=cast(Literal["classification", "regression", "survival"], card.family),
            unit_of_numbers=card.unit,
            modality=card.modality,
            horizon=card.horizon,
            task=self.unit.task,
            protocol=self.unit.protocol,
            shots=self.unit.shots,
            seed=self.unit.seed,
            fingerprint=self.unit.fingerprint,
            encoder=self.unit.encoder,
            spec=asdict(model),
            identity=model.identity(),
            weights=model.weights_label,
            weights_sha256=self._resources.weights.get(self.unit.encoder),
            precision="bf16" if model.is_network and self.precision == "bf16" else "float32",
            field_of_view=FIELD_OF_VIEW_VERSION,
            software=metadata.version("f2vbench"),
        )
        self._folder.put_head(self.unit.coordinates(), head_block(head, facts))
