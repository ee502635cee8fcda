"""Base of the adapters whose labels are numbers: frozen embeddings of support and test images, and what reads them."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext, check_finite
from f2vbench.adapters.stored_head import TrainedHead
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.encoders.spec import ModelSpec
from f2vbench.store.record_schema import Solution

Floats = NDArray[np.float64]

_HEAD_PROTOCOLS = ("few-shot", "supervised")


@dataclass(frozen=True)
class SupportAndTest:
    """Embeddings of the support and test images of a unit.

    Attributes:
        support: (m, width), not scaled; None for a model that does not look at images.
        test: (n, width), not scaled; None for such a model.
    """

    support: NDArray[np.float32] | None
    test: NDArray[np.float32] | None


@dataclass(frozen=True)
class Measured:
    """Predictions of a unit with their metrics.

    Attributes:
        metrics: Metric → value.
        reasons: Reason of each value that is None.
        per_image: Values of each test image by metric.
        arrays: What is stored, by name.
    """

    metrics: dict[str, float | None]
    reasons: dict[str, str]
    per_image: dict[str, dict[str, float | None]]
    arrays: dict[str, NDArray[Any]]


class NumericTask(TaskAdapter):
    """Adapter of a family whose labels are numbers. Encoders are frozen, and nothing is trained by steps."""

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Refuse models without embeddings, fusions, and training of encoders."""
        if model.kind == "constant":
            return None if protocol in _HEAD_PROTOCOLS else "looks at no image, so only few-shot and supervised apply"
        if model.kind == "fusion":
            return f"a fusion is trained for classification, not for {self.name}"
        if model.kind not in ("features", "vector"):
            return f"has no embedding for {self.name}"
        if settings.finetune == "full" and model.kind == "features" and protocol in _HEAD_PROTOCOLS:
            return f"finetune=full trains encoders for classification alone: omit finetune=full for {self.name}"
        return None

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        """Return ``embedding``, or None for a model that does not look at images."""
        return None if model.kind == "constant" else "embedding"

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the settings of the encoder, and the number of neighbours."""
        names: tuple[str, ...] = ("precision",) if model.kind == "features" else ()
        return (*names, "neighbours") if protocol == "knn" else names

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Return a unit of up to eight support and two test images."""
        images = index.image.astype(str).tolist()
        return Episode(tuple(images[:8]), tuple(images[-2:]), seed=0), settings

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        """Say that the settings of the classification head are not used, where they were changed."""
        if settings.head.recipe == "mlp" and not settings.head.model_fields_set - {"recipe"}:
            return []
        return [f"head: not used in {self.name}, whose head has a closed form."]

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Fit on the support images and predict the test images."""
        started = time.perf_counter()
        data = _load(context, episode)
        prepared = time.perf_counter()
        predictions = self.predict(context, episode, data)
        predicted = time.perf_counter()
        measured = self.measure(context, episode, predictions)
        stored = context.store_predictions(measured.arrays)
        if data.support is not None and self.trains_head(context.model, context.unit.protocol, context.settings):
            context.store_head(self.head(context, episode, data.support))
        card = context.task.card
        result: Solution = {
            "images": list(episode.test),
            "unit_of_numbers": card.unit,
            "metrics": measured.metrics,
            "reasons": measured.reasons,
            "per_image": measured.per_image,
            "predictions": stored,
        }
        if card.horizon is not None:
            result["horizon"] = card.horizon
        timing = {
            **TIMING,
            "prepare_seconds": prepared - started,
            "fit_seconds": predicted - prepared,
            "measure_seconds": time.perf_counter() - predicted,
            "scored": len(episode.test),
            "map_bytes": stored["bytes"],
        }
        return CompletedUnit(result, timing)

    def trains_head(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
        """Return True for few-shot and supervised units of models that look at images."""
        return protocol in _HEAD_PROTOCOLS and model.kind != "constant"

    @abstractmethod
    def head(self, context: UnitContext, episode: Episode, support: NDArray[np.float32]) -> TrainedHead:
        """Return the head of a few-shot or supervised unit for storage.

        Args:
            context: Context of the unit.
            episode: Its episode.
            support: (m, width) embeddings of the support images.
        """

    @abstractmethod
    def predict(self, context: UnitContext, episode: Episode, data: SupportAndTest) -> Floats:
        """Fit on the support images, and return the predictions of the n test images, (n, …)."""

    @abstractmethod
    def measure(self, context: UnitContext, episode: Episode, predictions: Floats) -> Measured:
        """Compute the metrics of the predictions."""


def read_column(context: UnitContext, column: str, images: tuple[str, ...]) -> Floats:
    """Numbers of a column of the index for some images, (n,).

    Args:
        context: Context of the unit.
        column: ``value``, ``time`` or ``event``.
        images: Image ids.
    """
    by_image = dict(zip(context.index.image, context.index[column], strict=True))
    return np.array([float(by_image[image]) for image in images])


def read_patients(context: UnitContext, images: tuple[str, ...]) -> NDArray[Any]:
    """Patient of each image, (n,).

    Args:
        context: Context of the unit.
        images: Image ids.
    """
    by_image = dict(zip(context.index.image, context.index.patient, strict=True))
    return np.array([by_image[image] for image in images])


def _load(context: UnitContext, episode: Episode) -> SupportAndTest:
    if context.model.kind == "constant":
        return SupportAndTest(None, None)
    read = context.embedding_reader()
    embeddings = []
    for images in (episode.support, episode.test):
        of_images = read(images)
        check_finite(context.unit.encoder, images, of_images)
        embeddings.append(of_images)
    return SupportAndTest(*embeddings)
