"""Approximate search with any FAISS index, and how much of the exact answer it finds."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from f2vbench.metrics.ragged_array import Float32Array, Int64Array, RaggedArray

EXACT = "Flat"
# Divisible by the numbers of parts that product quantizers use.
_ANY_WIDTH = 3840


def factory_error(factory: str) -> str | None:
    """What is wrong with a FAISS factory string, whatever the width; None where nothing is."""
    try:
        _built(factory, _ANY_WIDTH)
    except RuntimeError as error:
        return _reason(error)
    return None


def search_approximate(
    queries: Float32Array, gallery: Float32Array, k: int, factory: str, skip: RaggedArray
) -> Int64Array:
    """The first k that an index of the gallery gives for each query, in its own order; -1 where there are fewer.

    The index is trained on the gallery itself.

    Args:
        queries, gallery: normalised vectors.
        factory: FAISS index factory string, for inner products.
        skip: positions, by query, that are passed over.

    Raises:
        ValueError: the index can't be made for this width, or the gallery is too small to train it.
    """
    try:
        index = _built(factory, gallery.shape[1])
        index.train(np.ascontiguousarray(gallery))
        index.add(np.ascontiguousarray(gallery))
        asked = min(k + int(skip.lengths.max(initial=0)), len(gallery))
        _, found = index.search(np.ascontiguousarray(queries), asked)
    except RuntimeError as error:
        raise ValueError(_reason(error)) from None
    rows = np.repeat(np.arange(len(queries)), asked)
    keys = rows * len(gallery) + found.ravel()
    kept = (found.ravel() >= 0) & ~np.isin(keys, skip.row_indices * len(gallery) + skip.values)
    lists = RaggedArray(np.concatenate([[0], np.cumsum(np.full(len(queries), asked))]), found.ravel()).where(kept)
    first = np.full((len(queries), k), -1, np.int64)
    early = lists.column_indices < k
    first[lists.row_indices[early], lists.column_indices[early]] = lists.values[early]
    return first


def recall_against_exact(found: Int64Array, exact: Int64Array) -> NDArray[np.float64]:
    """(queries,) part of the exact first k that is among the found ones."""
    there = (exact[:, :, None] == found[:, None, :]).any(axis=2) & (exact >= 0)
    return there.sum(axis=1) / np.maximum((exact >= 0).sum(axis=1), 1)


def _built(factory: str, width: int) -> faiss.Index:
    return faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)


def _reason(error: RuntimeError) -> str:
    """FAISS's message without the place in its source."""
    return str(error).rpartition("Error: ")[2].splitlines()[0].strip() or "FAISS can't make it"
