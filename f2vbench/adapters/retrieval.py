"""Task adapter for retrieval: find the other images of a query's patient by their embeddings; nothing is trained.

All images of a random subset of the patients are both gallery and queries. A query does not retrieve itself. Exact
duplicates (equal decoded pixels) do not count: of these, only the first by image id stays. Queries without a second
image of their patient are counted and left out, but stay in the gallery.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext, check_finite
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError
from f2vbench.store.record_schema import Solution

_COLUMNS = ("patient", "modality", "eye", "view")


class Retrieval(TaskAdapter):
    """Retrieval of the other images of a patient, by cosine similarity of frozen embeddings."""

    name = "retrieval"
    version = 1
    protocols = ("zero-shot",)
    main_metrics = ("recall@1", "recall@5", "recall@10", "mean_recall")

    def conditions(self, settings: RunSettings) -> list[tuple[Protocol, int | None]]:
        """Return zero-shot for any ``shots``, because there is no support set, unless ``protocol`` excludes it.

        Raises:
            SettingsError: ``index`` is not a FAISS factory string.
        """
        if settings.index != "Flat":
            from f2vbench.metrics.approximate_index import factory_error

            error = factory_error(settings.index)
            if error:
                raise SettingsError(
                    f"index={settings.index}: not a FAISS factory string ({error}); use a string such as Flat, "
                    "IVF64,Flat or HNSW32"
                )
        return [("zero-shot", 0)] if settings.protocol is None or "zero-shot" in settings.protocol else []

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Refuse models without embeddings."""
        return None if model.kind in ("features", "vector") else "has no embedding for retrieval"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        """Return ``embedding``."""
        return "embedding"

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the settings of the search, and the arithmetic of encoders."""
        return (*(("precision",) if model.kind == "features" else ()), "index", "pca", "variant")

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Return a gallery of two images."""
        return Episode((), (str(index.image.iloc[0]), str(index.image.iloc[-1])), seed=0), settings

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Rank the gallery for each of its images, and store the first ten with their similarities."""
        from f2vbench.adapters.gallery_evaluation import evaluate_gallery  # slow import: loads FAISS

        started = time.perf_counter()
        settings = context.settings
        images = context.index.set_index("image", drop=False)
        gallery = images.loc[list(episode.test)].drop_duplicates("sha256")  # sorted by id, as episodes are
        names = list(gallery.image)
        about = {column: gallery[column].to_numpy(str) for column in _COLUMNS}
        for variant in settings.variant:
            _check_variant(variant, about, context.unit.task)
        vectors = _read_embeddings(context, names)
        if settings.pca is not None:
            other_patients = images[~images.patient.isin(set(gallery.patient))].drop_duplicates("sha256")
            others = _read_embeddings(context, list(other_patients.image))
            vectors = _project(vectors, others, settings.pca, context.unit.task)
        prepared = time.perf_counter()
        try:
            evaluation = evaluate_gallery(vectors, about["patient"], names, about, settings.variant, settings.index)
        except ValueError as error:
            raise DataError(
                f"index={settings.index}: FAISS cannot index {len(names)} embeddings of width {vectors.shape[1]} with "
                f"it ({error}); choose another index, or Flat"
            ) from None
        stored = context.store_predictions(evaluation.arrays)
        timing = {**TIMING, "scored": len(names), "map_bytes": stored["bytes"]}
        timing["score_seconds"] = prepared - started
        timing["measure_seconds"] = time.perf_counter() - prepared
        result: Solution = {
            "metrics": evaluation.metrics,
            "reasons": evaluation.reasons,
            "per_image": evaluation.per_image,
            "counts": {**evaluation.counts, "copies left out": len(episode.test) - len(gallery)},
            "gallery": names,
            "about": {column: [str(value) for value in values] for column, values in about.items()},
            "predictions": stored,
        }
        return CompletedUnit(result, timing)


def _read_embeddings(context: UnitContext, names: list[str]) -> np.ndarray:
    """Read the (n, width) embeddings of images.

    Raises:
        DataError: An embedding contains a value that is not finite.
    """
    if not names:
        return np.zeros((0, 0), np.float32)
    vectors = context.embedding_reader()(names)
    check_finite(context.model.name, names, vectors)
    return vectors


def _project(vectors: np.ndarray, others: np.ndarray, components: int, task: str) -> np.ndarray:
    """Project normalised embeddings on principal components of other patients' embeddings.

    Args:
        vectors: (n, width) embeddings of the gallery.
        others: (m, width) embeddings of patients outside the gallery.
        components: Number of principal components.
        task: Name of the task, for messages.

    Returns:
        (n, components) float64.

    Raises:
        DataError: There are too few other images for so many components.
    """
    from sklearn.decomposition import PCA

    from f2vbench.metrics.exact_neighbours import normalise

    limit = max(min(len(others) - 1, vectors.shape[1]), 0)
    if components > limit:
        raise DataError(
            f"{task}: pca={components}, but the {len(others)} images of patients outside the gallery allow at most "
            f"{limit} components of embeddings of width {vectors.shape[1]}: reduce pca=, or lower test_fraction in the "
            "task card"
        )
    fitted = PCA(components, svd_solver="full").fit(normalise(others).astype(np.float64))
    projected: np.ndarray = fitted.transform(normalise(vectors).astype(np.float64))
    return projected


def _check_variant(variant: str, about: Mapping[str, NDArray[np.str_]], task: str) -> None:
    """Raise DataError if the gallery has fewer than two values of the column that a variant compares."""
    from f2vbench.adapters.gallery_evaluation import VARIANT_COLUMNS

    column = VARIANT_COLUMNS.get(variant, "modality")
    values = set(about[column].tolist()) - {""}
    if len(values) < 2:
        present = f"only {values.pop()}" if values else "none"
        raise DataError(
            f"{task}: variant={variant} compares images by {column}, but the images of the gallery have {present}: add "
            f"a column {column} to the table of the data set, or omit this variant"
        )
