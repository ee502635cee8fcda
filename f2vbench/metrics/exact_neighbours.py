"""Exact nearest neighbours by cosine similarity, and exact ranks of given images, for galleries of up to millions.

The order of a gallery for a query is that of the cosine similarity, summed in float64 from float32 unit vectors; images
of equal similarity are ordered by their position in the gallery. The order does not depend on batches, threads, or the
arithmetic of the candidate search. Galleries may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
from numpy.typing import NDArray

from f2vbench.metrics.bf16_candidates import find_candidates
from f2vbench.metrics.ragged_array import Float32Array, Float64Array, Int64Array, RaggedArray, group_members

# Pairs whose vectors are gathered at once: 2,048 pairs of width 1,024 take 16 MiB in float64.
_PAIR_BATCH = 2048
_QUERY_BATCH = 256
# Gallery rows that are compared at once.
_CHUNK_ROWS = 1 << 14
# If single precision leaves more than this share of the comparisons undecided, double precision is used for all.
_MAX_UNDECIDED = 1 / 16
# Candidates beyond k, so that most queries need one search only.
_EXTRA_CANDIDATES = 6
_CANDIDATES_IN_MEMORY = 1 << 23


def normalise(vectors: NDArray[np.floating]) -> Float32Array:
    """Scale vectors to length 1.

    Args:
        vectors: (n, width).

    Returns:
        (n, width) float32 unit vectors; a zero vector stays zero and has similarity 0 to every image.

    Raises:
        ValueError: A value is not finite.

    Example:
        >>> normalise(np.array([[3.0, 4.0], [0.0, 0.0]])).round(4).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    unit = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _CHUNK_ROWS):
        wide = np.asarray(vectors[start : start + _CHUNK_ROWS], np.float64)
        if not np.isfinite(wide).all():
            raise ValueError("an embedding contains values that are not finite")
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        unit[start : start + _CHUNK_ROWS] = wide / np.where(lengths > 0, lengths, 1)
    return unit


def similarities(queries: Float32Array, gallery: Float32Array, rows: Int64Array, positions: Int64Array) -> Float64Array:
    """Inner products of pairs in float64. The value of a pair does not depend on the other pairs.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors.
        rows: (pairs,) row of ``queries`` of each pair.
        positions: (pairs,) row of ``gallery`` of each pair.

    Returns:
        (pairs,) in [−1, 1].

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
        >>> similarities(vectors, vectors, np.array([0, 0]), np.array([0, 1])).tolist()
        [1.0, 0.5]
    """
    values = np.empty(len(rows))
    for start in range(0, len(rows), _PAIR_BATCH):
        batch = slice(start, start + _PAIR_BATCH)
        values[batch] = (queries[rows[batch]].astype(np.float64) * gallery[positions[batch]]).sum(axis=1)
    return values


def find_nearest(
    queries: Float32Array,
    gallery: Float32Array,
    k: int,
    query_content: Int64Array,
    gallery_content: Int64Array,
    skip: RaggedArray | None = None,
) -> tuple[Int64Array, Float64Array]:
    """Find the k nearest gallery images of each query, exactly.

    For many queries in a large gallery, `bf16_candidates.find_candidates` returns a few candidates that include the
    nearest images. Otherwise FAISS searches candidates by float32 inner products. They are complete if the nearest
    image that was left out is farther from the k-th than rounding can explain (|error| ≤ width · 2⁻²⁴ for unit vectors,
    Higham, Accuracy and Stability of Numerical Algorithms, §3.1); otherwise more candidates are searched, and then in
    double precision.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors.
        k: Number of images for each query.
        query_content: (queries,) number of each query's image content.
        gallery_content: (n,) number of each gallery image's content. Images of equal content are the same image and are
            never found for one another.
        skip: Further gallery positions that are excluded, for each query.

    Returns:
        (queries, k) int64 gallery positions, nearest first, -1 where fewer images are left; and (queries, k) their
        similarities, NaN where fewer images are left.

    Example:
        >>> vectors = normalise(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
        >>> content = np.arange(3)
        >>> positions, _ = find_nearest(vectors, vectors, 2, content, content)
        >>> positions.tolist()
        [[1, 2], [0, 2], [1, 0]]
    """
    skipped = _skipped_positions(query_content, gallery_content, skip)
    skip_keys = np.sort(skipped.row_indices * len(gallery) + skipped.values)
    required = k + int(skipped.lengths.max(initial=0))
    candidates = find_candidates(queries, gallery, required)
    if candidates is not None:
        return _order_candidates(queries, gallery, k, candidates, skip_keys)
    return _search_candidates(queries, gallery, k, required, skip_keys)


def _search_candidates(
    queries: Float32Array, gallery: Float32Array, k: int, required: int, skip_keys: Int64Array
) -> tuple[Int64Array, Float64Array]:
    """`find_nearest` by searches for more and more candidates until they are complete.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors.
        k: Number of images for each query.
        required: Number of candidates that include k images which are not skipped.
        skip_keys: Sorted keys, row · gallery size + position, of the excluded images.
    """
    nearest = np.full((len(queries), k), -1, np.int64)
    nearest_values = np.full((len(queries), k), np.nan)
    first_count = required + _EXTRA_CANDIDATES
    unfinished, count, double = np.arange(len(queries)), first_count, False
    while len(unfinished):
        count = min(count, len(gallery))
        incomplete = []
        for group in _query_groups(unfinished, count):
            search = _search_double if double else _search_single
            last_value, candidates = search(queries[group], gallery, count)
            rows = np.repeat(group, count)
            exact = similarities(queries, gallery, rows, candidates.ravel())
            exact[np.isin(rows * len(gallery) + candidates.ravel(), skip_keys)] = -np.inf
            exact = exact.reshape(candidates.shape)
            order = np.lexsort((candidates, -exact), axis=1)[:, :k]
            ordered = np.take_along_axis(exact, order, axis=1)
            valid = np.isfinite(ordered)
            enough = valid.sum(axis=1) == k
            kth_value = ordered[:, -1] if ordered.shape[1] == k else np.full(len(group), -np.inf)
            complete = enough & (kth_value > last_value + 2 * _rounding_error(gallery.shape[1], double))
            if count == len(gallery):
                complete[:] = True
            finished, width = group[complete], ordered.shape[1]
            positions = np.where(valid, np.take_along_axis(candidates, order, axis=1), -1)
            nearest[finished, :width] = positions[complete]
            nearest_values[finished, :width] = np.where(valid, ordered, np.nan)[complete]
            incomplete.append(group[~complete])
        unfinished, double = np.concatenate(incomplete), count > first_count
        count *= 4
    return nearest, nearest_values


def _order_candidates(
    queries: Float32Array, gallery: Float32Array, k: int, candidates: RaggedArray, skip_keys: Int64Array
) -> tuple[Int64Array, Float64Array]:
    """`find_nearest` from candidates that include the nearest images.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors.
        k: Number of images for each query.
        candidates: Gallery positions for each query.
        skip_keys: Sorted keys, row · gallery size + position, of the excluded images.
    """
    keys = candidates.row_indices * len(gallery) + candidates.values
    candidates = candidates.where(~np.isin(keys, skip_keys))
    exact = similarities(queries, gallery, candidates.row_indices, candidates.values)
    order = np.lexsort((candidates.values, -exact, candidates.row_indices))
    rows, columns = candidates.row_indices, candidates.column_indices
    nearest, values = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.nan)
    within_k = columns < k
    nearest[rows[within_k], columns[within_k]] = candidates.values[order][within_k]
    values[rows[within_k], columns[within_k]] = exact[order][within_k]
    return nearest, values


def rank_relevant(
    queries: Float32Array,
    gallery: Float32Array,
    relevant: RaggedArray,
    query_content: Int64Array,
    gallery_content: Int64Array,
    skip: RaggedArray | None = None,
) -> RaggedArray:
    """Rank the relevant gallery images of each query, exactly.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors.
        relevant: Gallery positions of the relevant images of each query, none of them excluded.
        query_content: (queries,) number of each query's image content.
        gallery_content: (n,) number of each gallery image's content, see `find_nearest`.
        skip: Further gallery positions that are excluded, for each query. Excluded images have no rank.

    Returns:
        Ranks of the relevant images of each query, from 1, increasing.

    Example:
        >>> vectors = normalise(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
        >>> content = np.arange(3)
        >>> rank_relevant(vectors[:1], vectors, RaggedArray.from_rows([[2]]), content[:1], content).values.tolist()
        [2]
    """
    skipped = _skipped_positions(query_content, gallery_content, skip)
    relevant_values = similarities(queries, gallery, relevant.row_indices, relevant.values)
    thresholds = RaggedArray(relevant.offsets, relevant_values).padded(np.nan)
    own_positions = relevant.padded(-1)
    images_before = np.zeros(thresholds.shape, np.int64)
    for start in range(0, len(queries), _QUERY_BATCH):
        batch = np.arange(start, min(start + _QUERY_BATCH, len(queries)))
        batch_skipped = skipped.take(batch)
        for first in range(0, len(gallery), _CHUNK_ROWS):
            chunk = gallery[first : first + _CHUNK_ROWS]
            in_chunk = (batch_skipped.values >= first) & (batch_skipped.values < first + len(chunk))
            excluded = batch_skipped.row_indices[in_chunk], batch_skipped.values[in_chunk] - first
            images_before[batch] += _count_before(
                queries[batch], chunk, excluded, thresholds[batch], own_positions[batch] - first
            )
    ranks = images_before[relevant.row_indices, relevant.column_indices] + 1
    return RaggedArray.from_pairs(relevant.row_indices, ranks, len(relevant))


def _count_before(
    queries: Float32Array,
    chunk: Float32Array,
    excluded: tuple[Int64Array, Int64Array],
    thresholds: Float64Array,
    own_positions: Int64Array,
) -> Int64Array:
    """Count the images of a gallery chunk that are ranked before each relevant image.

    Args:
        queries: (queries, width) unit vectors.
        chunk: (rows, width) unit vectors.
        excluded: (rows, columns) of the excluded images.
        thresholds: (queries, r) exact similarities of the relevant images, NaN where a query has fewer.
        own_positions: (queries, r) their positions, relative to the start of the chunk.

    Returns:
        (queries, r) counts.
    """
    for double in (False, True):
        dtype = np.float64 if double else np.float32
        products = queries.astype(dtype, copy=False) @ chunk.astype(dtype, copy=False).T
        products[excluded] = -np.inf
        error = _rounding_error(chunk.shape[1], double)
        high = np.nextafter((thresholds + error).astype(dtype), dtype(np.inf))
        low = np.nextafter((thresholds - error).astype(dtype), dtype(-np.inf))
        counts = np.zeros(thresholds.shape, np.int64)
        undecided = np.zeros(products.shape, bool)
        for j in range(thresholds.shape[1]):
            above = products > high[:, j, None]
            counts[:, j] = np.count_nonzero(above, axis=1)
            undecided |= (products >= low[:, j, None]) & ~above
        if np.count_nonzero(undecided) <= _MAX_UNDECIDED * undecided.size:
            break
    rows, columns = np.nonzero(undecided)
    if not len(rows):
        return counts
    exact, near = similarities(queries, chunk, rows, columns), products[rows, columns]
    for j in range(thresholds.shape[1]):
        threshold = thresholds[rows, j]
        before = (exact > threshold) | ((exact == threshold) & (columns < own_positions[rows, j]))
        before &= (near >= low[rows, j]) & (near <= high[rows, j])
        counts[:, j] += np.bincount(rows[before], minlength=len(counts))
    return counts


def _skipped_positions(query_content: Int64Array, gallery_content: Int64Array, skip: RaggedArray | None) -> RaggedArray:
    """Gallery positions that are excluded for each query: images of equal content, and those of ``skip``."""
    duplicates = group_members(query_content, gallery_content)
    if skip is None:
        return duplicates
    width = len(gallery_content)
    keys = np.union1d(duplicates.row_indices * width + duplicates.values, skip.row_indices * width + skip.values)
    return RaggedArray.from_pairs(keys // width, keys % width, len(duplicates))


def _query_groups(rows: Int64Array, count: int) -> Iterator[Int64Array]:
    """Groups of queries whose candidates fit into memory."""
    size = max(1, min(4 * _QUERY_BATCH, _CANDIDATES_IN_MEMORY // count))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _search_single(queries: Float32Array, gallery: Float32Array, count: int) -> tuple[Float64Array, Int64Array]:
    """(queries,) similarity of the last, and (queries, count) positions, of the nearest images in single precision."""
    values, positions = faiss.knn(queries, gallery, count, metric=faiss.METRIC_INNER_PRODUCT)
    return values[:, -1].astype(np.float64), positions


def _search_double(queries: Float32Array, gallery: Float32Array, count: int) -> tuple[Float64Array, Int64Array]:
    """`_search_single` in double precision."""
    wide = queries.astype(np.float64)
    values, positions = np.zeros((len(queries), 0)), np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(gallery), _CHUNK_ROWS):
        products = wide @ gallery[start : start + _CHUNK_ROWS].astype(np.float64).T
        chunk_positions = np.broadcast_to(np.arange(start, start + products.shape[1]), products.shape)
        values, positions = np.hstack([values, products]), np.hstack([positions, chunk_positions])
        if values.shape[1] > count:
            best = np.argpartition(-values, count - 1, axis=1)[:, :count]
            values, positions = np.take_along_axis(values, best, axis=1), np.take_along_axis(positions, best, axis=1)
    return values.min(axis=1), positions


def _rounding_error(width: int, double: bool) -> float:
    """Bound of the rounding error of an inner product of unit vectors."""
    return (width + 2) * (2.0**-52 if double else 2.0**-24)
