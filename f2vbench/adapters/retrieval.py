"""Retrieval: given one image, find the others of its patient by their embeddings alone; nothing is trained.

All images of a random part of the patients are gallery and queries at once. The query itself and exact copies
(decoded pixels equal) never count: of copies the first by image id stays. Queries without a second image of their
patient are counted and left out; their images stay in the gallery.
"""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError
from f2vbench.store.record_schema import Solution

_ABOUT = ("patient", "modality", "eye", "view")


class Retrieval(TaskAdapter):
    """The same patient's other images among many, by cosine similarity of frozen embeddings."""

    name = "retrieval"
    version = 1
    protocols = ("zero-shot",)
    main_metrics = ("recall@1", "recall@5", "recall@10", "mean_recall")

    def conditions(self, settings: RunSettings) -> list[tuple[Protocol, int | None]]:
        """One place, whatever ``shots`` says, for there is no support set; none where ``protocol`` asks for others."""
        if settings.index != "Flat":
            from f2vbench.metrics.approximate_index import factory_error

            problem = factory_error(settings.index)
            if problem:
                raise SettingsError(
                    f"index={settings.index}: no FAISS index ({problem}): write a factory string such as Flat, "
                    "IVF64,Flat or HNSW32"
                )
        return [("zero-shot", 0)] if settings.protocol is None or "zero-shot" in settings.protocol else []

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        return None if model.kind in ("features", "vector") else "it gives no embedding to compare images by"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        return "embedding"

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        return (*(("precision",) if model.kind == "features" else ()), "index", "pca", "variant")

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        return Episode((), (str(index.image.iloc[0]), str(index.image.iloc[-1])), seed=0), settings

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Rank the gallery for each of its images; the first images found are stored with their similarities."""
        from f2vbench.adapters.retrieval_gallery import measure  # FAISS takes a moment to load

        started = time.perf_counter()
        settings = context.settings
        images = context.index.set_index("image", drop=False)
        gallery = images.loc[list(episode.test)].drop_duplicates("sha256")  # sorted by id, as episodes are
        names = list(gallery.image)
        about = {column: gallery[column].to_numpy(str) for column in _ABOUT}
        for variant in settings.variant:
            _refuse_unknown(variant, about, context.unit.task)
        vectors = _embeddings(context, names)
        if settings.pca is not None:
            outside = images[~images.patient.isin(set(gallery.patient))].drop_duplicates("sha256")
            vectors = _projected(vectors, _embeddings(context, list(outside.image)), settings.pca, context.unit.task)
        prepared = time.perf_counter()
        try:
            found = measure(vectors, about["patient"], names, about, settings.variant, settings.index)
        except ValueError as error:
            raise DataError(
                f"index={settings.index}: FAISS can't index {len(names)} embeddings of {vectors.shape[1]} numbers with "
                f"it ({error}): choose another, or Flat"
            ) from None
        found["counts"]["copies left out"] = len(episode.test) - len(gallery)
        kept = context.store_predictions(found.pop("arrays"))
        timing = {**TIMING, "scored": len(names), "map_bytes": kept["bytes"]}
        timing["score_seconds"] = prepared - started
        timing["measure_seconds"] = time.perf_counter() - prepared
        told = {"gallery": names, "about": {column: list(map(str, values)) for column, values in about.items()}}
        return CompletedUnit(cast(Solution, {**found, **told, "predictions": kept}), timing)


def _embeddings(context: UnitContext, names: list[str]) -> np.ndarray:
    """(n, width) of images, all of them finite."""
    if not names:
        return np.zeros((0, 0), np.float32)
    vectors = context.embedding_reader()(names)
    if not np.isfinite(vectors).all():
        bad = [name for name, row in zip(names, vectors, strict=True) if not np.isfinite(row).all()]
        raise DataError(f"{context.model.name}: the embedding of {', '.join(bad)} holds numbers that are not finite")
    return vectors


def _projected(vectors: np.ndarray, outside: np.ndarray, components: int, task: str) -> np.ndarray:
    """Principal components of the normalised embeddings, fitted on patients that the gallery has not.

    Args:
        vectors: (n, width) of the gallery.
        outside: (m, width) of the other patients.
    """
    from sklearn.decomposition import PCA

    from f2vbench.metrics.exact_neighbours import normalise

    most = min(len(outside) - 1, vectors.shape[1])
    if components > most:
        raise DataError(
            f"{task}: pca={components}, but the {len(outside)} images of patients outside of the gallery allow "
            f"{max(most, 0)} components of embeddings of {vectors.shape[1]} numbers: ask for fewer, or lower "
            "test_fraction in the task card"
        )
    fitted = PCA(components, svd_solver="full").fit(normalise(outside).astype(np.float64))
    return fitted.transform(normalise(vectors).astype(np.float64))


def _refuse_unknown(variant: str, about: dict[str, Any], task: str) -> None:
    from f2vbench.adapters.retrieval_gallery import DIFFERENT

    column = DIFFERENT.get(variant, "modality")
    kinds = set(about[column].tolist()) - {""}
    if len(kinds) < 2:
        held = f"only {kinds.pop()}" if kinds else "none"
        raise DataError(
            f"{task}: variant={variant} compares images by {column}, and the gallery's images have {held}: add a "
            f"column {column} to the data set's table, or leave this variant out"
        )
