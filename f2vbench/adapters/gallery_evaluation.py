"""Evaluation of a retrieval gallery: each image is a query, and the other images of its patient are relevant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.episodes import RECALL_CUTOFF
from f2vbench.metrics import retrieval as metric
from f2vbench.metrics.approximate_index import EXACT, recall_against_exact, search_approximate
from f2vbench.metrics.exact_neighbours import find_nearest, normalise, rank_relevant
from f2vbench.metrics.names import CHANCE
from f2vbench.metrics.ragged_array import Float32Array, Float64Array, Int64Array, RaggedArray, group_members

CUTOFFS = (1, 5, 10)
VARIANT_COLUMNS = {"cross-modal": "modality", "other-view": "view", "other-eye": "eye"}
"""Variant → column in which relevant images differ from the query."""

_METRICS = (*(f"recall@{k}" for k in CUTOFFS), "mean_recall", *(f"precision@{k}" for k in CUTOFFS), "map")
_NO_QUERY = "no query has a second image of its patient"
_NO_RANKING = "an approximate index returns the first images only, not a ranking of the whole gallery"

Columns = dict[str, Float64Array]
"""Metric → (queries,) values."""


@dataclass
class GalleryEvaluation:
    """Metrics of a gallery.

    Attributes:
        metrics: Name → value or None.
        reasons: Name → why the value is None.
        per_image: Id of a query → metrics of this query.
        counts: Number of images, patients and queries.
        arrays: ``queries`` (positions of the queries with relevant images), ``found`` (positions of their first ten
            images, -1 where there are fewer) and ``similarity`` (cosine similarity of these).
    """

    metrics: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    per_image: dict[str, dict[str, float | None]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.int32] | NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Search:
    """Queries, the images that they search, and which of these are relevant.

    Attributes:
        queries: Positions of the queries among all images.
        gallery: Positions of the searched images, in ascending order.
        relevant: For each query, the relevant positions in ``gallery``.
        excluded: For each query, positions in ``gallery`` that do not count, such as the query itself.
    """

    queries: Int64Array
    gallery: Int64Array
    relevant: RaggedArray
    excluded: RaggedArray

    def with_relevant(self) -> _Search:
        """Drop the queries without relevant images."""
        rows = np.flatnonzero(self.relevant.lengths > 0)
        return _Search(self.queries[rows], self.gallery, self.relevant.take(rows), self.excluded.take(rows))


@dataclass(frozen=True)
class _Ranking:
    """Result of a search: metrics by query, and positions and similarities of the first images."""

    columns: Columns
    first: Int64Array
    similarity: Float64Array


def evaluate_gallery(
    vectors: NDArray[np.floating],
    patients: NDArray[np.str_],
    names: Sequence[str],
    about: Mapping[str, NDArray[np.str_]] | None = None,
    variants: Sequence[str] = (),
    index: str = EXACT,
) -> GalleryEvaluation:
    """Compute all metrics of a gallery of distinct images, which are also the queries.

    Args:
        vectors: (n, width) embeddings.
        patients: (n,) patient of each image.
        names: n image ids, in the order that breaks ties.
        about: ``modality``, ``view`` and ``eye`` of each image, "" where unknown; needed for variants.
        variants: Keys of `VARIANT_COLUMNS`, or ``modality-pairs``. Their metrics are named like
            ``recall@1:cross-modal`` and ``recall@1:CF-to-FFA``.
        index: FAISS factory string.

    Raises:
        ValueError: The index cannot be built for these vectors, or ``about`` lacks a column.
    """
    unit_vectors = normalise(vectors)
    evaluation = GalleryEvaluation(counts={"gallery": len(names), "patients": len(set(patients.tolist()))})
    whole_gallery = _whole_gallery(patients)
    _evaluate(evaluation, "", whole_gallery, unit_vectors, names, index)
    for variant in variants:
        if variant in VARIANT_COLUMNS:
            search = _differing(whole_gallery, _column(about, VARIANT_COLUMNS[variant]))
            _evaluate(evaluation, f":{variant}", search, unit_vectors, names, index)
        else:
            for pair, search in _modality_pairs(patients, _column(about, "modality")).items():
                _evaluate(evaluation, f":{pair}", search, unit_vectors, names, index, store_images=False)
    return evaluation


def _column(about: Mapping[str, NDArray[np.str_]] | None, name: str) -> NDArray[np.str_]:
    if about is None or name not in about:
        raise ValueError(f"the {name} of the images is missing")
    return about[name]


def _whole_gallery(patients: NDArray[np.str_]) -> _Search:
    """Search all images for those of the query's patient, without the query."""
    positions = np.arange(len(patients))
    same_patient = group_members(patients, patients)
    is_query = same_patient.values == same_patient.row_indices
    return _Search(positions, positions, same_patient.where(~is_query), same_patient.where(is_query))


def _differing(search: _Search, values: NDArray[np.str_]) -> _Search:
    """Restrict relevant images to those with another known value than the query; exclude the patient's others."""
    relevant = search.relevant
    found, query = values[relevant.values], values[relevant.row_indices]
    differs = (found != query) & (found != "") & (query != "")
    excluded, same = search.excluded, relevant.where(~differs)
    all_excluded = RaggedArray.from_pairs(
        np.concatenate([excluded.row_indices, same.row_indices]),
        np.concatenate([excluded.values, same.values]),
        len(relevant),
    )
    return _Search(search.queries, search.gallery, relevant.where(differs), all_excluded)


def _modality_pairs(patients: NDArray[np.str_], modality: NDArray[np.str_]) -> dict[str, _Search]:
    """Return a search of the images of each modality among those of each modality, by ``<query>-to-<gallery>``."""
    modalities = sorted(set(modality.tolist()) - {""})
    searches = {}
    for of_query in modalities:
        for of_gallery in modalities:
            queries, gallery = np.flatnonzero(modality == of_query), np.flatnonzero(modality == of_gallery)
            same_patient = group_members(patients[queries], patients[gallery])
            is_query = gallery[same_patient.values] == queries[same_patient.row_indices]
            relevant, excluded = same_patient.where(~is_query), same_patient.where(is_query)
            searches[f"{of_query}-to-{of_gallery}"] = _Search(queries, gallery, relevant, excluded)
    return searches


def _evaluate(
    evaluation: GalleryEvaluation,
    suffix: str,
    all_queries: _Search,
    unit_vectors: Float32Array,
    names: Sequence[str],
    index: str,
    store_images: bool = True,
) -> None:
    """Add the metrics of a search to an evaluation.

    Args:
        evaluation: Receives the metrics.
        suffix: Suffix of the names of metrics and counts.
        all_queries: The search, with queries that have no relevant image.
        unit_vectors: (n, width) normalised embeddings of all images.
        names: n image ids.
        index: FAISS factory string.
        store_images: Whether to add metrics by query and the arrays.
    """
    search = all_queries.with_relevant()
    ranking = _rank(search, unit_vectors, index)
    count, left_out = len(search.queries), len(all_queries.queries) - len(search.queries)
    evaluation.counts |= {f"queries{suffix}": count, f"queries left out{suffix}": left_out}
    for name in (*_METRICS, *(["index_recall"] if "index_recall" in ranking.columns else [])):
        value = evaluation.metrics[name + suffix] = _mean(ranking.columns.get(name))
        if value is None:
            no_ranking = name == "map" and index != EXACT and count > 0
            evaluation.reasons[name + suffix] = _NO_RANKING if no_ranking else _NO_QUERY
    for name, values in _chance_levels(search).items():
        value = evaluation.metrics[name + suffix + CHANCE] = _mean(values)
        if value is None:
            evaluation.reasons[name + suffix + CHANCE] = _NO_QUERY
    if not store_images:
        return
    by_query = {name + suffix: values.tolist() for name, values in ranking.columns.items()}
    for row, query in enumerate(search.queries.tolist()):
        evaluation.per_image.setdefault(names[query], {}).update({name: each[row] for name, each in by_query.items()})
    positions = np.where(ranking.first >= 0, search.gallery[ranking.first], -1)
    evaluation.arrays |= {
        f"queries{suffix}": search.queries.astype(np.int32),
        f"found{suffix}": positions.astype(np.int32),
        f"similarity{suffix}": ranking.similarity.astype(np.float32),
    }


def _rank(search: _Search, unit_vectors: Float32Array, index: str) -> _Ranking:
    """Rank the gallery for each query, exactly or with an approximate index."""
    queries, gallery = unit_vectors[search.queries], unit_vectors[search.gallery]
    content = search.queries, search.gallery
    first, similarity = find_nearest(queries, gallery, RECALL_CUTOFF, *content, search.excluded)
    if index == EXACT:
        ranks = rank_relevant(queries, gallery, search.relevant, *content, search.excluded)
        return _Ranking(_cutoff_metrics(ranks) | {"map": metric.average_precision(ranks)}, first, similarity)
    if not len(queries):
        return _Ranking({}, first, similarity)
    found = search_approximate(queries, gallery, RECALL_CUTOFF, index, search.excluded)
    columns = _cutoff_metrics(_ranks_in_lists(found, search.relevant))
    columns["index_recall"] = recall_against_exact(found, first)
    return _Ranking(columns, found, _similarity(queries, gallery, found))


def _cutoff_metrics(ranks: RaggedArray) -> Columns:
    recalls = {f"recall@{k}": metric.recall_at(ranks, k) for k in CUTOFFS}
    precisions = {f"precision@{k}": metric.precision_at(ranks, k) for k in CUTOFFS}
    return recalls | {"mean_recall": _mean_of_columns(recalls)} | precisions


def _chance_levels(search: _Search) -> Columns:
    """Return the expected metrics of each query for a random ranking."""
    relevant, gallery = search.relevant.lengths, len(search.gallery) - search.excluded.lengths
    distinct, row = np.unique(np.stack([relevant, gallery]), axis=1, return_inverse=True)

    def by_query(expected: Callable[..., float], *k: int) -> Float64Array:
        return np.array([expected(int(r), int(n), *k) for r, n in distinct.T], np.float64)[row.reshape(-1)]

    recalls = {f"recall@{k}": by_query(metric.chance_recall, k) for k in CUTOFFS}
    precisions = {f"precision@{k}": by_query(metric.chance_precision, k) for k in CUTOFFS}
    mean_recall, average = _mean_of_columns(recalls), by_query(metric.chance_average_precision)
    return recalls | {"mean_recall": mean_recall} | precisions | {"map": average}


def _ranks_in_lists(found: Int64Array, relevant: RaggedArray) -> RaggedArray:
    """Return the ranks, from 1, of the relevant positions that are in the lists ``found``, (queries, k)."""
    width = int(max(found.max(initial=0), relevant.values.max(initial=0))) + 1
    rows = np.repeat(np.arange(len(found)), found.shape[1])
    hits = (found.ravel() >= 0) & np.isin(rows * width + found.ravel(), relevant.row_indices * width + relevant.values)
    ranks = np.tile(np.arange(1, found.shape[1] + 1), len(found))
    return RaggedArray.from_pairs(rows[hits], ranks[hits], len(found))


def _similarity(queries: Float32Array, gallery: Float32Array, found: Int64Array) -> Float64Array:
    """Return the cosine similarity of queries and found images, (queries, k), NaN for missing images."""
    values = np.einsum("qw,qkw->qk", queries.astype(np.float64), gallery[np.maximum(found, 0)], optimize=True)
    return np.where(found >= 0, values, np.nan)


def _mean_of_columns(columns: Columns) -> Float64Array:
    means: Float64Array = np.mean(list(columns.values()), axis=0)
    return means


def _mean(values: Float64Array | None) -> float | None:
    return float(values.mean()) if values is not None and len(values) else None
