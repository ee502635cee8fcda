"""Approximate search with any FAISS index, and its recall of the exact neighbours."""

from __future__ import annotations

import faiss
import numpy as np

from f2vbench.metrics.ragged_array import Float32Array, Float64Array, Int64Array, RaggedArray

EXACT = "Flat"
# Divisible by the numbers of subvectors that product quantizers use.
_TEST_WIDTH = 3840


def factory_error(factory: str) -> str | None:
    """Validate a FAISS factory string.

    Args:
        factory: FAISS index factory string, e.g. ``IVF256,Flat``.

    Returns:
        The error, independent of the width of the vectors; None where the string is valid.

    Example:
        >>> factory_error("IVF256,Flat") is None
        True
    """
    try:
        _make_index(factory, _TEST_WIDTH)
    except RuntimeError as error:
        return _error_text(error)
    return None


def search_approximate(
    queries: Float32Array, gallery: Float32Array, k: int, factory: str, skip: RaggedArray
) -> Int64Array:
    """Search the k nearest gallery images with a FAISS index that is trained on the gallery.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors.
        k: Number of images for each query.
        factory: FAISS index factory string; the index uses inner products.
        skip: Gallery positions that are excluded, for each query.

    Returns:
        (queries, k) gallery positions in the order of the index; -1 where it found fewer.

    Raises:
        ValueError: The index cannot be made for this width, or the gallery is too small to train it.

    Example:
        >>> vectors = np.eye(3, dtype=np.float32)
        >>> search_approximate(vectors[:1], vectors, 1, "Flat", RaggedArray.from_rows([[]])).tolist()
        [[0]]
    """
    try:
        index = _make_index(factory, gallery.shape[1])
        index.train(np.ascontiguousarray(gallery))
        index.add(np.ascontiguousarray(gallery))
        count = min(k + int(skip.lengths.max(initial=0)), len(gallery))
        _, neighbours = index.search(np.ascontiguousarray(queries), count)
    except RuntimeError as error:
        raise ValueError(_error_text(error)) from None
    flat = neighbours.ravel()
    keys = np.repeat(np.arange(len(queries)), count) * len(gallery) + flat
    skip_keys = skip.row_indices * len(gallery) + skip.values
    offsets = np.concatenate([[0], np.cumsum(np.full(len(queries), count))])
    lists = RaggedArray(offsets, flat).where((flat >= 0) & ~np.isin(keys, skip_keys))
    nearest = np.full((len(queries), k), -1, np.int64)
    within_k = lists.column_indices < k
    nearest[lists.row_indices[within_k], lists.column_indices[within_k]] = lists.values[within_k]
    return nearest


def recall_against_exact(approximate: Int64Array, exact: Int64Array) -> Float64Array:
    """Share of the exact neighbours that an approximate search found.

    Args:
        approximate: (queries, k) gallery positions, -1 for none.
        exact: (queries, k) gallery positions of the exact search, -1 for none.

    Returns:
        (queries,) in [0, 1].

    Example:
        >>> recall_against_exact(np.array([[4, 7]]), np.array([[7, 9]])).tolist()
        [0.5]
    """
    found = (exact[:, :, None] == approximate[:, None, :]).any(axis=2) & (exact >= 0)
    return np.asarray(found.sum(axis=1) / np.maximum((exact >= 0).sum(axis=1), 1))


def _make_index(factory: str, width: int) -> faiss.Index:
    return faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)


def _error_text(error: RuntimeError) -> str:
    """FAISS's message without the location in its source code."""
    return str(error).rpartition("Error: ")[2].splitlines()[0].strip() or "FAISS cannot make this index"
