"""Interface between the benchmark and a task family: `TaskAdapter`, and the `UnitContext` that it receives.

A task family (segmentation, classification, …) has one adapter. The adapter says which models the family supports,
which features its units read, which settings affect a result, and it runs the units. `f2vbench.adapters.registry`
looks adapters up by the family in a task card.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from f2vbench.adapters.stored_head import TrainedHead
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Photograph
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError
from f2vbench.store.record_schema import Solution, StoredFile

if TYPE_CHECKING:
    import torch

FeatureKind = Literal["score", "vessel_score", "truth", "video", "pyramid", "embedding"]
"""Features that are computed once for each photograph and stored.

``score``: vessel score map of a training-free filter; ``vessel_score``: what `vessel_score=` reads from the output of a
generator, for the square crop around the field of view; ``truth``: its probability of each class of the simulator's
truth, for the same; ``video``: generated angiogram of a photograph that is black
outside the field of view, as in training; ``pyramid``: feature maps of the square crop; ``embedding``: one vector of
the square crop.
"""

FeatureReader = Callable[[Photograph], list[np.ndarray]]
"""Returns the stored features of a photograph; computes them when they are missing or damaged."""

EmbeddingReader = Callable[[Sequence[str]], NDArray[np.float32]]
"""Returns the (n, width) float32 embeddings of n image ids, in the order of the ids. Picklable."""

TIMING = {
    "prepare_seconds": 0.0,
    "fit_seconds": 0.0,
    "fit_steps": 0,
    "score_seconds": 0.0,
    "measure_seconds": 0.0,
    "scored": 0,
    "map_bytes": 0,
}
"""Timing of a unit, all zero. Later plans estimate their cost from it.

Seconds before the first optimiser step, of fitting, of scoring the test images and of computing the metrics; the number
of optimiser steps and of test images; the bytes of the stored predictions.
"""


class UnitContext(ABC):
    """Data, model and features of one unit, and the storage of its predictions.

    Attributes:
        unit: The unit to run.
        settings: Settings of the run.
    """

    unit: Unit
    settings: RunSettings

    @property
    @abstractmethod
    def model(self) -> ModelSpec:
        """Description of the unit's model."""

    @property
    @abstractmethod
    def task(self) -> TaskData:
        """The task with its card, classes and index."""

    @property
    def index(self) -> DataFrame:
        """The task's validated images, one row per image."""
        return self.task.index

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Device for computation. Imports torch."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """Arithmetic of the encoder, ``float32`` or ``bf16``. Imports torch."""

    @abstractmethod
    def photograph(self, image: str) -> Photograph:
        """Load the photograph of an image id."""

    @abstractmethod
    def encoder(self) -> Any:
        """Load the model.

        Returns:
            For the kind ``features``, the frozen `f2vbench.encoders.base.Encoder` on its device; for other kinds, the
            baseline object, whose methods depend on the kind.
        """

    @abstractmethod
    def feature_reader(self, kind: FeatureKind) -> FeatureReader:
        """Return a reader of one kind of features of the unit's model."""

    def score_map(self, photograph: Photograph) -> np.ndarray:
        """Return the (height, width) float32 score map of a model of kind ``score``."""
        return self.feature_reader("score")(photograph)[0]

    @abstractmethod
    def embedding_readers(self) -> dict[str, EmbeddingReader]:
        """Return a reader for each encoder of a fusion, by name; for other models, one reader."""

    def embedding_reader(self) -> EmbeddingReader:
        """Return the reader of a model that is not a fusion."""
        return self.embedding_readers()[self.unit.encoder]

    @abstractmethod
    def store_map(self, png: bytes) -> StoredFile:
        """Store an image in the run folder.

        Returns:
            The entry for ``result["maps"][image]``; 0 bytes when nothing is stored, as in a timing trial.
        """

    @abstractmethod
    def store_predictions(self, arrays: Mapping[str, np.ndarray]) -> StoredFile:
        """Store arrays in the run folder.

        Returns:
            The entry for ``result["predictions"]``; 0 bytes when nothing is stored, as in a timing trial.
        """

    @abstractmethod
    def store_head(self, head: TrainedHead) -> None:
        """Store the head of the unit in the run folder, where the run keeps heads."""


@dataclass(frozen=True)
class CompletedUnit:
    """Result and timing of a unit.

    Attributes:
        result: Metrics, and what else the task family stores; JSON-able.
        timing: Values for the keys of `TIMING`.
    """

    result: Solution
    timing: dict[str, float]


class TaskAdapter(ABC):
    """Runs the units of one task family with any supported model.

    Common arguments of the methods: ``model`` describes a model; ``protocol`` and ``settings`` are those of the run;
    ``index`` has the task's images, one row per image; ``episode`` has the support, validation and test images of a
    unit.

    Attributes:
        name: Task family, as in task cards.
        version: Part of every unit's fingerprint. Increase it when the same settings give other results.
        protocols: Protocols that the family supports.
        main_metrics: Metrics of the default tables, the most important one first. A metric ``<name>_chance`` is the
            chance level of ``<name>``; tables state it in a note.
        lower_is_better: Metrics for which lower is better; for all others higher is better.
        slow_on_cpu: Whether training with the settings of the paper takes days on a CPU.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    protocols: ClassVar[tuple[Protocol, ...]]
    main_metrics: ClassVar[tuple[str, ...]]
    lower_is_better: tuple[str, ...] = ()
    slow_on_cpu: ClassVar[bool] = False

    def for_card(self, card: TaskCard) -> TaskAdapter:
        """Return the adapter for a task of the family; by default the same for all."""
        return self

    def conditions(self, settings: RunSettings) -> list[tuple[Protocol, int | None]]:
        """Return the (protocol, shots) pairs of a run; by default those that the settings request."""
        return [(protocol, shots) for protocol, shots in settings.grid() if protocol in self.protocols]

    def left_out_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Return why a model does not run under a protocol with these settings, or None if it does.

        A model with its own head runs in zero-shot classification alone.
        """
        if model.outputs and (self.name != "classification" or protocol != "zero-shot"):
            return "it is scored as it is, with its own head: add shots=0 (protocol=zero-shot) in classification"
        return self.unsupported_reason(model, protocol, settings)

    @abstractmethod
    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Return why a model cannot run under a protocol with these settings, or None if it can."""

    def main_metrics_of(self, card: TaskCard) -> tuple[str, ...]:
        """Return the `main_metrics` of a task; the one that its card chooses comes first."""
        return tuple(dict.fromkeys((card.main_metric, *self.main_metrics) if card.main_metric else self.main_metrics))

    @abstractmethod
    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        """Return the kind of stored features that the units read, or None.

        The features of all `required_images` are computed before the units run.
        """

    @abstractmethod
    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the keys of `RunSettings` that affect a unit's result; they are part of its fingerprint."""

    def recorded_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> dict[str, Any]:
        """Return the values of the `fingerprint_settings`, as JSON-compatible values."""
        values = settings.model_dump(mode="json")
        return {name: values[name] for name in self.fingerprint_settings(model, protocol, settings)}

    def metric_networks(self) -> dict[str, str | None]:
        """Return the networks that metrics use: name → SHA-256, or None for one that is not installed.

        They are part of every unit's fingerprint.
        """
        return {}

    def data_problems(self, model: ModelSpec, index: DataFrame) -> list[str]:
        """Return why the data of a task is unusable for a model, one sentence each; checked before any computation."""
        return []

    def input_images(self, index: DataFrame) -> DataFrame:
        """Return the rows of the images that models receive; by default all rows."""
        return index

    def required_images(self, episode: Episode, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the ids of the images of an episode whose features a unit reads."""
        return (*episode.support, *episode.test)

    @abstractmethod
    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Fit on the support images, predict the test images and compute the metrics.

        Metrics are computed from the predictions as stored, so that they can be computed again.

        Args:
            context: Data, model and features of the unit.
            episode: Images of the unit.

        Returns:
            Metrics and timing.

        Raises:
            DataError: The data or the model's features are unusable.
        """

    def runs_jointly(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
        """Return whether units of one protocol and number of shots are passed to `run_units` in one call."""
        return False

    def run_units(self, contexts: Sequence[UnitContext], episodes: Sequence[Episode]) -> Iterator[CompletedUnit]:
        """Run units of one protocol and number of shots.

        Each result is the same as from `run_unit`, and is stored as soon as it is yielded.

        Args:
            contexts: Context of each unit.
            episodes: Episode of each unit.

        Yields:
            The results, in the order of the units.
        """
        for context, episode in zip(contexts, episodes, strict=True):
            yield self.run_unit(context, episode)

    def uses_torch(self, protocol: Protocol) -> bool:
        """Return whether the adapter computes with torch even for a model that does not."""
        return False

    def trains_head(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
        """Return whether units pass a head to `UnitContext.store_head`."""
        return False

    def fit_steps(self, model: ModelSpec, protocol: Protocol, settings: RunSettings, episode: Episode) -> int:
        """Return the number of steps of equal duration in a unit's fit, for cost estimates; usually optimiser steps."""
        return 0

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Return a short version of a unit, to time it: by default one support and one test image.

        Args:
            model: The model to time.
            index: The task's images.
            protocol: Protocol of the unit.
            settings: Settings of the run.
            steps: Number of optimiser steps.

        Returns:
            The episode, and the settings with ``steps`` optimiser steps.
        """
        support = () if protocol == "zero-shot" else (str(index.image.iloc[0]),)
        return Episode(support, (str(index.image.iloc[-1]),), seed=0), settings

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        """Return notes for the plan on how units are run.

        Args:
            units: Model and protocol of each unit.
            settings: Settings of the run.
        """
        return []

    def episode_notes(self, task: TaskData, episodes: Iterable[Episode]) -> list[str]:
        """Return notes for the plan on what the episodes of a task lack.

        Args:
            task: The task.
            episodes: Its episodes.
        """
        return []


_MIN_VARYING = 3  # fewer images may be copies of one picture


def check_finite(model: str, images: Sequence[str], embeddings: np.ndarray) -> None:
    """Check that embeddings have no NaN and no infinite value, and are not all equal.

    Args:
        model: Name of the model, for the message.
        images: n image ids.
        embeddings: (n, width).

    Raises:
        DataError: An embedding contains a value that is not finite (the message names the images), or three embeddings
            or more are all equal.
    """
    bad = [image for image, vector in zip(images, embeddings, strict=True) if not np.isfinite(vector).all()]
    if bad:
        raise DataError(f"{model}: the embedding of {', '.join(bad)} contains values that are not finite")
    if len(images) >= _MIN_VARYING and not np.ptp(embeddings, axis=0).any():
        raise DataError(
            f"{model}: the embeddings of {len(images)} images are all equal: the weights are damaged, or the "
            "images blank"
        )
