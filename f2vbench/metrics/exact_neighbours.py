"""Nearest images by cosine similarity, exactly, and the ranks of given ones; in batches, for galleries of a million.

The order of a gallery for a query is that of the cosine similarity, summed in float64 from normalised float32
vectors; of equal similarities the image that stands earlier in the gallery comes first. The order depends on nothing
else: not on batches, threads, or the arithmetic with which candidates are found. Galleries may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
from numpy.typing import NDArray

from f2vbench.metrics.bf16_candidates import candidates as rough_candidates
from f2vbench.metrics.ragged_array import Float32Array, Float64Array, Int64Array, RaggedArray, group_members

# Pairs whose vectors are gathered at once: 2,048 pairs of width 1,024 take 16 MiB in float64.
_PAIRS = 2048
_QUERIES = 256
# Rows of the gallery that are compared at once.
_CHUNK = 1 << 14
# Similarities of single precision that are told apart in double precision: beyond this part of them all are computed
# in double precision.
_MANY = 1 / 16
# Candidates beyond k, so that most queries are done with the first search.
_MARGIN = 6


def normalise(vectors: NDArray[np.floating]) -> Float32Array:
    """(n, width) float32 rows of length 1; a row of zeros stays one, and is as far from everything.

    Raises:
        ValueError: a number is not finite.
    """
    unit = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _CHUNK):
        wide = np.asarray(vectors[start : start + _CHUNK], np.float64)
        if not np.isfinite(wide).all():
            raise ValueError("an embedding holds numbers that are not finite")
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        unit[start : start + _CHUNK] = wide / np.where(lengths > 0, lengths, 1)
    return unit


def similarities(queries: Float32Array, gallery: Float32Array, rows: Int64Array, positions: Int64Array) -> Float64Array:
    """(n,) inner products of pairs in float64; a pair's value does not depend on the other pairs.

    Args:
        rows, positions: (n,) of ``queries`` and of ``gallery``.
    """
    values = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        values[part] = (queries[rows[part]].astype(np.float64) * gallery[positions[part]]).sum(axis=1)
    return values


def find_nearest(
    queries: Float32Array,
    gallery: Float32Array,
    k: int,
    query_content: Int64Array,
    gallery_content: Int64Array,
    skip: RaggedArray | None = None,
) -> tuple[Int64Array, Float64Array]:
    """The first k of the gallery for each query, exactly.

    Of many queries in a large gallery `rough.candidates` gives few that hold the first k, where it can. Else FAISS
    finds candidates by float32 inner products. They are taken as complete when the first one that was left out is
    farther from the k-th than rounding can explain (|error| ≤ width · 2⁻²⁴ for vectors of length 1, Higham, Accuracy
    and Stability of Numerical Algorithms, §3.1); else more are asked for, and then in double precision.

    Args:
        queries, gallery: normalised vectors.
        query_content, gallery_content: images of equal numbers are the same image and never found for one another.
        skip: further positions, by query, that are passed over.

    Returns:
        positions in the gallery, (queries, k) int64, -1 where fewer images are left; and their similarities, NaN there.
    """
    skipped = _skipped(query_content, gallery_content, skip)
    keys = np.sort(skipped.row_indices * len(gallery) + skipped.values)
    found = np.full((len(queries), k), -1, np.int64)
    values = np.full((len(queries), k), np.nan)
    least = k + int(skipped.lengths.max(initial=0))
    few = rough_candidates(queries, gallery, least)
    if few is not None:
        return _first(queries, gallery, k, few, keys)
    left, asked, double = np.arange(len(queries)), least + _MARGIN, False
    first_asked = asked
    while len(left):
        asked = min(asked, len(gallery))
        unfinished = []
        for group in _groups(left, asked):
            last, candidates = (_searched_double if double else _searched)(queries[group], gallery, asked)
            rows = np.repeat(group, asked)
            exact = similarities(queries, gallery, rows, candidates.ravel())
            exact[np.isin(rows * len(gallery) + candidates.ravel(), keys)] = -np.inf
            exact = exact.reshape(candidates.shape)
            order = np.lexsort((candidates, -exact), axis=1)[:, :k]
            ordered = np.take_along_axis(exact, order, axis=1)
            there = np.isfinite(ordered)
            enough = there.sum(axis=1) == k
            kth = ordered[:, -1] if ordered.shape[1] == k else np.full(len(group), -np.inf)
            complete = enough & (kth > last + 2 * _tolerance(gallery.shape[1], double))
            if asked == len(gallery):
                complete[:] = True
            done, width = group[complete], ordered.shape[1]
            positions = np.where(there, np.take_along_axis(candidates, order, axis=1), -1)
            found[done, :width] = positions[complete]
            values[done, :width] = np.where(there, ordered, np.nan)[complete]
            unfinished.append(group[~complete])
        left, double = np.concatenate(unfinished), asked > first_asked
        asked *= 4
    return found, values


def _first(
    queries: Float32Array, gallery: Float32Array, k: int, candidates: RaggedArray, keys: Int64Array
) -> tuple[Int64Array, Float64Array]:
    """What `nearest` gives, where all of the first k are among some candidates.

    Args:
        keys: query · gallery size + position of what is passed over.
    """
    candidates = candidates.where(~np.isin(candidates.row_indices * len(gallery) + candidates.values, keys))
    exact = similarities(queries, gallery, candidates.row_indices, candidates.values)
    order = np.lexsort((candidates.values, -exact, candidates.row_indices))
    rows, places = candidates.row_indices, candidates.column_indices
    found, values = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.nan)
    early = places < k
    found[rows[early], places[early]] = candidates.values[order][early]
    values[rows[early], places[early]] = exact[order][early]
    return found, values


def rank_relevant(
    queries: Float32Array,
    gallery: Float32Array,
    relevant: RaggedArray,
    query_content: Int64Array,
    gallery_content: Int64Array,
    skip: RaggedArray | None = None,
) -> RaggedArray:
    """For each query the ranks (from 1, rising) of its relevant gallery positions, exactly.

    Args:
        relevant: positions by query, without any that are passed over.
        skip: as in `nearest`; what is passed over takes no rank.
    """
    skipped = _skipped(query_content, gallery_content, skip)
    wanted = similarities(queries, gallery, relevant.row_indices, relevant.values)
    thresholds = RaggedArray(relevant.offsets, wanted).padded(np.nan)
    own = relevant.padded(-1)
    before = np.zeros(thresholds.shape, np.int64)
    for start in range(0, len(queries), _QUERIES):
        block = np.arange(start, min(start + _QUERIES, len(queries)))
        passed = skipped.take(block)
        for at in range(0, len(gallery), _CHUNK):
            chunk = gallery[at : at + _CHUNK]
            inside = (passed.values >= at) & (passed.values < at + len(chunk))
            hidden = passed.row_indices[inside], passed.values[inside] - at
            before[block] += _before(queries[block], chunk, hidden, thresholds[block], own[block] - at)
    ranks = before[relevant.row_indices, relevant.column_indices] + 1
    return RaggedArray.from_pairs(relevant.row_indices, ranks, len(relevant))


def _before(
    queries: Float32Array,
    chunk: Float32Array,
    hidden: tuple[Int64Array, Int64Array],
    thresholds: Float64Array,
    own: Int64Array,
) -> Int64Array:
    """How many of a chunk's images stand before each relevant one.

    Args:
        hidden: (rows, columns) that are passed over.
        thresholds: (queries, r) exact similarities of the relevant images, NaN where there are fewer.
        own: (queries, r) their positions, counted from the chunk's start.
    """
    for double in (False, True):
        kind = np.float64 if double else np.float32
        rough = queries.astype(kind, copy=False) @ chunk.astype(kind, copy=False).T
        rough[hidden] = -np.inf
        reach = _tolerance(chunk.shape[1], double)
        high = np.nextafter((thresholds + reach).astype(kind), kind(np.inf))
        low = np.nextafter((thresholds - reach).astype(kind), kind(-np.inf))
        counts = np.zeros(thresholds.shape, np.int64)
        unsure = np.zeros(rough.shape, bool)
        for j in range(thresholds.shape[1]):
            above = rough > high[:, j, None]
            counts[:, j] = np.count_nonzero(above, axis=1)
            unsure |= (rough >= low[:, j, None]) & ~above
        if np.count_nonzero(unsure) <= _MANY * unsure.size:
            break
    rows, columns = np.nonzero(unsure)
    if not len(rows):
        return counts
    exact, near = similarities(queries, chunk, rows, columns), rough[rows, columns]
    for j in range(thresholds.shape[1]):
        wanted = thresholds[rows, j]
        closer = (exact > wanted) | ((exact == wanted) & (columns < own[rows, j]))
        closer &= (near >= low[rows, j]) & (near <= high[rows, j])
        counts[:, j] += np.bincount(rows[closer], minlength=len(counts))
    return counts


def _skipped(query_content: Int64Array, gallery_content: Int64Array, skip: RaggedArray | None) -> RaggedArray:
    """Positions that are passed over: copies of the query, and what the caller names."""
    copies = group_members(query_content, gallery_content)
    if skip is None:
        return copies
    width = len(gallery_content)
    pairs = np.union1d(copies.row_indices * width + copies.values, skip.row_indices * width + skip.values)
    return RaggedArray.from_pairs(pairs // width, pairs % width, len(copies))


def _groups(left: Int64Array, asked: int) -> Iterator[Int64Array]:
    """Queries in groups whose candidates fit into memory."""
    size = max(1, min(4 * _QUERIES, (1 << 23) // asked))
    for start in range(0, len(left), size):
        yield left[start : start + size]


def _searched(queries: Float32Array, gallery: Float32Array, asked: int) -> tuple[Float64Array, Int64Array]:
    """Similarity of the last of the ``asked`` nearest of each query, and their positions, in single precision."""
    rough, candidates = faiss.knn(queries, gallery, asked, metric=faiss.METRIC_INNER_PRODUCT)
    return rough[:, -1].astype(np.float64), candidates


def _searched_double(queries: Float32Array, gallery: Float32Array, asked: int) -> tuple[Float64Array, Int64Array]:
    """As `_searched`, in double precision."""
    wide = queries.astype(np.float64)
    held, positions = np.zeros((len(queries), 0)), np.zeros((len(queries), 0), np.int64)
    for at in range(0, len(gallery), _CHUNK):
        rough = wide @ gallery[at : at + _CHUNK].astype(np.float64).T
        here = np.broadcast_to(np.arange(at, at + rough.shape[1]), rough.shape)
        held, positions = np.hstack([held, rough]), np.hstack([positions, here])
        if held.shape[1] > asked:
            best = np.argpartition(-held, asked - 1, axis=1)[:, :asked]
            held, positions = np.take_along_axis(held, best, axis=1), np.take_along_axis(positions, best, axis=1)
    return held.min(axis=1), positions


def _tolerance(width: int, double: bool) -> float:
    """How far an inner product of vectors of length 1 may be off."""
    return (width + 2) * (2.0**-52 if double else 2.0**-24)
