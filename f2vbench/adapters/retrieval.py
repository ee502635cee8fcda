"""Retrieval: given one image, find the others of its patient by their embeddings alone; nothing is trained.

All images of a random part of the patients are gallery and queries at once. The query itself and exact copies
(decoded pixels equal) never count: of copies the first by image id stays. Queries without a second image of their
patient are counted and left out; their images stay in the gallery.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, Family, Feature, Model, Place, Solved, Tools
from f2vbench.data.episodes import RETRIEVED, Episode
from f2vbench.errors import DataError
from f2vbench.settings import Protocol, RunSettings

_CUTS = (1, 5, 10)
_NO_QUERY = "no query has a second image of its patient"

Values = dict[str, float | None]


class Retrieval(Family):
    """The same patient's other images among many, by cosine similarity of frozen embeddings."""

    name = "retrieval"
    version = 1
    protocols = ("zero-shot",)
    main_metrics = ("recall@1", "recall@5", "recall@10", "mean_recall")

    def places(self, settings: RunSettings) -> list[Place]:
        """One place, whatever ``shots`` says, for there is no support set; none where ``protocol`` asks for others."""
        return [("zero-shot", 0)] if settings.protocol is None or "zero-shot" in settings.protocol else []

    def refusal(self, model: Model, protocol: Protocol) -> str | None:
        return None if model.kind in ("features", "vector") else "it gives no embedding to compare images by"

    def feature(self, model: Model, protocol: Protocol, settings: RunSettings) -> Feature | None:
        return "embedding"

    def deciding_settings(self, model: Model, protocol: Protocol) -> tuple[str, ...]:
        return ("precision",) if model.kind == "features" else ()

    def rehearsal(
        self, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        return Episode((), (str(index.image.iloc[0]), str(index.image.iloc[-1])), seed=0), settings

    def solve(self, tools: Tools, episode: Episode) -> Solved:
        """Rank the gallery for each of its images; the first images found are stored with their similarities."""
        started = time.perf_counter()
        gallery = tools.index.set_index("image", drop=False).loc[list(episode.test)]
        gallery = gallery.drop_duplicates("sha256")  # sorted by id, as episodes are
        names = list(gallery.image)
        vectors = tools.embeddings()(names)
        if not np.isfinite(vectors).all():
            bad = [name for name, row in zip(names, vectors, strict=True) if not np.isfinite(row).all()]
            raise DataError(f"{tools.model.name}: the embedding of {', '.join(bad)} holds numbers that are not finite")
        prepared = time.perf_counter()
        found = measure(vectors, gallery.patient.to_numpy(str), names)
        ranked = {key: found.pop(key) for key in ("queries", "found", "similarity")}
        found["counts"]["copies left out"] = len(episode.test) - len(gallery)
        kept = tools.keep_predictions(ranked)
        timing = {**TIMING, "scored": len(names), "map_bytes": kept.get("bytes", 0)}
        timing["score_seconds"] = prepared - started
        timing["measure_seconds"] = time.perf_counter() - prepared
        return Solved({**found, "gallery": names, "predictions": kept}, timing)


def measure(vectors: np.ndarray, patients: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """All metrics of a gallery whose images, none of them twice, are its queries.

    Args:
        vectors: (n, width) embeddings.
        patients: (n,) names.
        names: (n,) image ids, in the order that breaks ties.

    Returns:
        ``metrics``, ``reasons`` and ``per_image`` as `f2vbench.adapters.base.Solved` has them, ``counts``, and arrays:
        ``queries`` (positions of those that count), ``found`` (their first ten) and ``similarity``.
    """
    from f2vbench.metrics import retrieval as metric  # FAISS takes a moment to load

    unit = metric.normalised(vectors)
    content = np.arange(len(names))
    others = [np.flatnonzero(patients == patient) for patient in patients]
    relevant = [mine[mine != position] for position, mine in enumerate(others)]
    queries = np.array([position for position, mine in enumerate(relevant) if len(mine)], np.int64)
    found, similarity = metric.nearest(unit[queries], unit, RETRIEVED, content[queries], content)
    ranks = metric.ranks_of_relevant(unit[queries], unit, [relevant[q] for q in queries], content[queries], content)
    per_image: dict[str, Values] = {}
    chance: list[Values] = []
    for query, mine in zip(queries, ranks, strict=True):
        values: Values = {f"recall@{k}": metric.recall_at(mine, k) for k in _CUTS}
        values["mean_recall"] = _mean(list(values.values()))
        values |= {f"precision@{k}": metric.precision_at(mine, k) for k in _CUTS}
        values["map"] = metric.average_precision(mine)
        per_image[names[query]] = values
        among = len(mine), len(names) - 1
        expected: Values = {f"recall@{k}": metric.chance_recall(*among, k) for k in _CUTS}
        expected["mean_recall"] = _mean(list(expected.values()))
        expected |= {f"precision@{k}": metric.chance_precision(*among, k) for k in _CUTS}
        expected["map"] = metric.chance_average_precision(*among)
        chance.append(expected)
    metrics = _means(list(per_image.values()))
    metrics |= {f"{name}_chance": value for name, value in _means(chance).items()}
    return {
        "metrics": metrics,
        "reasons": {name: _NO_QUERY for name, value in metrics.items() if value is None},
        "per_image": per_image,
        "counts": {
            "gallery": len(names),
            "patients": len(set(patients)),
            "queries": len(queries),
            "queries left out": len(names) - len(queries),
        },
        "queries": queries.astype(np.int32),
        "found": found.astype(np.int32),
        "similarity": similarity.astype(np.float32),
    }


def _means(rows: Sequence[Values]) -> Values:
    names = [f"recall@{k}" for k in _CUTS] + ["mean_recall"] + [f"precision@{k}" for k in _CUTS] + ["map"]
    return {name: _mean([row[name] for row in rows]) for name in names}


def _mean(values: Sequence[float | None]) -> float | None:
    return float(np.mean([value for value in values if value is not None])) if values else None
