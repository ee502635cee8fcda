"""Measuring a gallery: every image is a query, and its patient's others are what it should find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.episodes import RECALL_CUTOFF
from f2vbench.metrics import retrieval as metric
from f2vbench.metrics.approximate_index import EXACT, recall_against_exact, search_approximate
from f2vbench.metrics.exact_neighbours import find_nearest, normalise, rank_relevant
from f2vbench.metrics.names import CHANCE
from f2vbench.metrics.ragged_array import Float32Array, Int64Array, RaggedArray, group_members

CUTS = (1, 5, 10)
DIFFERENT = {"cross-modal": "modality", "other-view": "view", "other-eye": "eye"}
"""Variant → the column in which what is to be found differs from the query."""
PAIRS = "modality-pairs"

_NO_QUERY = "no query has a second image of its patient"
_NO_ORDER = "an approximate index gives the first images only, no whole order"

Columns = dict[str, NDArray[np.float64]]
Values = dict[str, float | None]


@dataclass(frozen=True)
class Question:
    """Which images ask, among which, for which.

    Attributes:
        queries: positions in the gallery.
        among: positions that are searched, rising.
        relevant, skip: places in ``among``, by query; the query itself is in ``skip`` where it is searched.
    """

    queries: Int64Array
    among: Int64Array
    relevant: RaggedArray
    skip: RaggedArray

    def answerable(self) -> Question:
        """Without the queries that have nothing to find."""
        rows = np.flatnonzero(self.relevant.lengths > 0)
        return Question(self.queries[rows], self.among, self.relevant.take(rows), self.skip.take(rows))


def measure(
    vectors: NDArray[np.floating],
    patients: NDArray[np.str_],
    names: Sequence[str],
    about: Mapping[str, NDArray[np.str_]] | None = None,
    variants: Sequence[str] = (),
    index: str = EXACT,
) -> dict[str, Any]:
    """All metrics of a gallery whose images, none of them twice, are its queries.

    Args:
        vectors: (n, width) embeddings.
        patients: (n,) names.
        names: (n,) image ids, in the order that breaks ties.
        about: ``modality``, ``view`` and ``eye`` of each image, "" where it isn't known; for variants.
        variants: keys of `DIFFERENT`, and `PAIRS`; their metrics stand beside the others, as
            ``recall@1:cross-modal`` and ``recall@1:CF-to-FFA``.
        index: FAISS factory string.

    Returns:
        ``metrics``, ``reasons`` and ``per_image`` as `f2vbench.adapters.base.CompletedUnit` has them, ``counts``, and
        ``arrays``: ``queries`` (positions of those that count), ``found`` (their first ten) and ``similarity``.

    Raises:
        ValueError: the index can't be made for these vectors.
    """
    unit = normalise(vectors)
    found: dict[str, Any] = {"metrics": {}, "reasons": {}, "per_image": {}, "counts": {}, "arrays": {}}
    everything = _everything(patients)
    found["counts"] = {"gallery": len(names), "patients": len(set(patients.tolist()))}
    _answer(found, "", everything, unit, names, index)
    for variant in variants:
        if variant in DIFFERENT:
            question = _differing(everything, _column(about, DIFFERENT[variant]))
            _answer(found, f":{variant}", question, unit, names, index)
        else:
            for pair, question in _modality_pairs(patients, _column(about, "modality")).items():
                _answer(found, f":{pair}", question, unit, names, index, by_image=False)
    return found


def _column(about: Mapping[str, NDArray[np.str_]] | None, name: str) -> NDArray[np.str_]:
    if about is None or name not in about:
        raise ValueError(f"the {name} of the images is not told")
    return about[name]


def _everything(patients: NDArray[np.str_]) -> Question:
    """Each image asks among all others for those of its patient."""
    every = np.arange(len(patients))
    own = group_members(patients, patients)
    itself = own.values == own.row_indices
    return Question(every, every, own.where(~itself), own.where(itself))


def _differing(everything: Question, values: NDArray[np.str_]) -> Question:
    """Of its patient's images those that differ from the query in something; the others of its patient are skipped."""
    own = everything.relevant
    other = (
        (values[own.values] != values[own.row_indices]) & (values[own.values] != "") & (values[own.row_indices] != "")
    )
    itself, same = everything.skip, own.where(~other)
    skip = RaggedArray.from_pairs(
        np.concatenate([itself.row_indices, same.row_indices]), np.concatenate([itself.values, same.values]), len(own)
    )
    return Question(everything.queries, everything.among, own.where(other), skip)


def _modality_pairs(patients: NDArray[np.str_], modality: NDArray[np.str_]) -> dict[str, Question]:
    """Images of one modality ask among those of another, or of their own."""
    kinds = sorted(set(modality.tolist()) - {""})
    questions = {}
    for asking in kinds:
        for asked in kinds:
            queries, among = np.flatnonzero(modality == asking), np.flatnonzero(modality == asked)
            own = group_members(patients[queries], patients[among])
            itself = among[own.values] == queries[own.row_indices]
            questions[f"{asking}-to-{asked}"] = Question(queries, among, own.where(~itself), own.where(itself))
    return questions


def _answer(
    found: dict[str, Any],
    suffix: str,
    asked: Question,
    unit: Float32Array,
    names: Sequence[str],
    index: str,
    by_image: bool = True,
) -> None:
    """Put a question's metrics beside those that were found."""
    question = asked.answerable()
    queries, gallery = unit[question.queries], unit[question.among]
    contents = question.queries, question.among
    first, similarity = find_nearest(queries, gallery, RECALL_CUTOFF, *contents, question.skip)
    columns, reasons = {}, {}
    if index == EXACT:
        ranks = rank_relevant(queries, gallery, question.relevant, *contents, question.skip)
        columns = _measured(ranks) | {"map": metric.average_precision(ranks)}
    elif len(queries):
        given = search_approximate(queries, gallery, RECALL_CUTOFF, index, question.skip)
        columns = _measured(_ranks_in(given, question.relevant)) | {"index_recall": recall_against_exact(given, first)}
        first, similarity = given, _similarity(queries, gallery, given)
        reasons["map"] = _NO_ORDER
    expected = _expected(question.relevant.lengths, len(question.among) - question.skip.lengths)
    metrics: Values = {name: _mean(columns.get(name)) for name in (*_NAMES, *(["index_recall"] if columns else []))}
    if index == EXACT:
        metrics.pop("index_recall", None)
    metrics |= {name + CHANCE: _mean(values) for name, values in expected.items()}
    for name, value in metrics.items():
        plain = name.removesuffix(CHANCE)
        full = plain + suffix + name[len(plain) :]
        found["metrics"][full] = value
        if value is None:
            found["reasons"][full] = reasons.get(name, _NO_QUERY) if len(queries) else _NO_QUERY
    found["counts"] |= {
        f"queries{suffix}": len(queries),
        f"queries left out{suffix}": len(asked.queries) - len(queries),
    }
    if not by_image:
        return
    keys = [f"{name}{suffix}" for name in columns]
    rows = zip(*(values.tolist() for values in columns.values()), strict=True) if columns else ()
    for query, values in zip(question.queries.tolist(), rows, strict=bool(columns)):
        found["per_image"].setdefault(names[query], {}).update(zip(keys, values, strict=True))
    positions = np.where(first >= 0, question.among[first], -1)
    found["arrays"] |= {
        f"queries{suffix}": question.queries.astype(np.int32),
        f"found{suffix}": positions.astype(np.int32),
        f"similarity{suffix}": similarity.astype(np.float32),
    }


_NAMES = (*(f"recall@{k}" for k in CUTS), "mean_recall", *(f"precision@{k}" for k in CUTS), "map")


def _measured(ranks: RaggedArray) -> Columns:
    recalls = {f"recall@{k}": metric.recall_at(ranks, k) for k in CUTS}
    precisions = {f"precision@{k}": metric.precision_at(ranks, k) for k in CUTS}
    return recalls | {"mean_recall": _row_means(recalls)} | precisions


def _expected(relevant: Int64Array, gallery: Int64Array) -> Columns:
    """What a random order of so many images is expected to reach, by query."""
    pairs, which = np.unique(np.stack([relevant, gallery]), axis=1, return_inverse=True)
    cases = [(int(r), int(n)) for r, n in pairs.T]

    def of(function: Any, *k: int) -> NDArray[np.float64]:
        return np.array([function(r, n, *k) for r, n in cases], np.float64)[which.reshape(-1)]

    recalls = {f"recall@{k}": of(metric.chance_recall, k) for k in CUTS}
    precisions = {f"precision@{k}": of(metric.chance_precision, k) for k in CUTS}
    return recalls | {"mean_recall": _row_means(recalls)} | precisions | {"map": of(metric.chance_average_precision)}


def _ranks_in(found: Int64Array, relevant: RaggedArray) -> RaggedArray:
    """Places, from 1, of the relevant images in lists of found ones."""
    width = int(max(found.max(initial=0), relevant.values.max(initial=0))) + 1
    rows = np.repeat(np.arange(len(found)), found.shape[1])
    hits = (found.ravel() >= 0) & np.isin(rows * width + found.ravel(), relevant.row_indices * width + relevant.values)
    places = np.tile(np.arange(1, found.shape[1] + 1), len(found))
    return RaggedArray.from_pairs(rows[hits], places[hits], len(found))


def _similarity(queries: Float32Array, gallery: Float32Array, found: Int64Array) -> NDArray[np.float64]:
    values = np.einsum("qw,qkw->qk", queries.astype(np.float64), gallery[np.maximum(found, 0)], optimize=True)
    return np.where(found >= 0, values, np.nan)


def _row_means(columns: Columns) -> NDArray[np.float64]:
    return np.mean(list(columns.values()), axis=0)


def _mean(values: NDArray[np.float64] | None) -> float | None:
    return float(values.mean()) if values is not None and len(values) else None
