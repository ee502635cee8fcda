"""Candidates for the nearest neighbours from products in bfloat16; they include every true neighbour.

Processors with native bfloat16 multiply it twice as fast as single precision. The error of such a product is bounded:
every image that could be among the nearest is kept, and the caller computes the exact order of the candidates.
"""

from __future__ import annotations

import numpy as np
import torch

from f2vbench.metrics.ragged_array import Float32Array, Int64Array, RaggedArray
from f2vbench.utils.device import has_bf16

# Gallery rows that are compared at once, few enough to stay in the processor's cache.
_CHUNK_ROWS = 1 << 11
_QUERY_BLOCK = 1024
# With fewer queries single precision is faster, as each gallery row is converted first.
_MIN_QUERIES = 64
_MIN_GALLERY = 8 * _CHUNK_ROWS
_MAX_NEIGHBOURS = _CHUNK_ROWS // 8
# Candidates for each query and neighbour. With more of them the gallery is too dense for bfloat16.
_MAX_CANDIDATES = 32
# The candidates are pruned again when their number has grown by this factor.
_PRUNING_GROWTH = 1.3


def find_candidates(queries: Float32Array, gallery: Float32Array, count: int) -> RaggedArray | None:
    """Find a small set of gallery images that includes the nearest ones of each query by inner product.

    Args:
        queries: (queries, width) unit vectors.
        gallery: (n, width) unit vectors, may be memory-mapped.
        count: Number of nearest images that must be included, with all ties.

    Returns:
        Gallery positions for each query, increasing. None where single precision is the better choice: without native
        bfloat16, with few queries, a small gallery, or too many similar images.

    Example:
        >>> vectors = np.eye(4, dtype=np.float32)
        >>> find_candidates(vectors, vectors, count=2) is None  # a small gallery
        True
    """
    if not has_bf16() or len(queries) < _MIN_QUERIES or len(gallery) < _MIN_GALLERY or count > _MAX_NEIGHBOURS:
        return None
    # Subtracting a vector from every gallery row shifts all products of a query equally, so the order is unchanged.
    # Without the common part of the embeddings the products are smaller, and so are their rounding errors.
    common = np.asarray(np.mean(gallery[:_CHUNK_ROWS], axis=0, dtype=np.float64), np.float32)
    blocks = []
    for start in range(0, len(queries), _QUERY_BLOCK):
        block = _find_for_block(torch.tensor(queries[start : start + _QUERY_BLOCK]), gallery, common, count)
        if block is None:
            return None
        rows, positions = block
        blocks.append((rows + start, positions))
    rows, positions = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return RaggedArray.from_pairs(rows, positions, len(queries))


def _find_for_block(
    queries: torch.Tensor, gallery: Float32Array, common: Float32Array, count: int
) -> tuple[Int64Array, Int64Array] | None:
    """(rows, positions) of the candidates of a block of queries; None where there are too many."""
    bf16_queries = queries.bfloat16()
    query_error = float((queries - bf16_queries.float()).norm(dim=1).max())
    max_candidates = _MAX_CANDIDATES * count * len(queries)
    rows, positions, values = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    largest_error, kth_best, pruned = 0.0, torch.full((len(queries),), -torch.inf), 0
    for start in range(0, len(gallery), _CHUNK_ROWS):
        chunk = torch.from_numpy(gallery[start : start + _CHUNK_ROWS] - common)
        bf16_chunk = chunk.bfloat16()
        error = _product_error(query_error, chunk, bf16_chunk)
        products = bf16_queries @ bf16_chunk.T
        if not start:
            kth_best = products.topk(count, dim=1).values[:, -1].float()
        near = products >= _lower_bound(kth_best, max(largest_error, error), error)[:, None]
        largest_error = max(largest_error, error)
        indices = near.nonzero(as_tuple=True)
        rows, positions = torch.cat([rows, indices[0]]), torch.cat([positions, indices[1] + start])
        values = torch.cat([values, products[indices].float()])
        if len(rows) > _PRUNING_GROWTH * pruned or start + _CHUNK_ROWS >= len(gallery):
            kth_best = _kth_largest(rows, values, len(queries), count)
            kept = values >= _lower_bound(kth_best, largest_error, largest_error)[rows].float()
            rows, positions, values = rows[kept], positions[kept], values[kept]
            pruned = len(rows)
            if pruned > max_candidates:
                return None
    return rows.numpy(), positions.numpy()


def _product_error(query_error: float, chunk: torch.Tensor, bf16_chunk: torch.Tensor) -> float:
    """Bound of the error of a product before it is rounded to bfloat16.

    |q·x − q̃·x̃| ≤ |q − q̃||x| + |q̃||x − x̃|, plus the error of summation in single precision (Higham, Accuracy and
    Stability of Numerical Algorithms, §3.1).
    """
    longest = float(chunk.norm(dim=1).max())
    chunk_error = float((chunk - bf16_chunk.float()).norm(dim=1).max())
    summation_error = chunk.shape[1] * 2.0**-23 * longest
    return 1.001 * (query_error * longest + (1 + query_error) * chunk_error + summation_error)


def _lower_bound(kth_best: torch.Tensor, kth_error: float, error: float) -> torch.Tensor:
    """(queries,) bfloat16; a product below it does not belong to one of the nearest images.

    At least ``count`` exact products are as large as the k-th best approximate one minus its rounding to bfloat16 (at
    most 2⁻⁸ of it) and its error ``kth_error``; rounding preserves the order.
    """
    return (kth_best - 2.0**-8 * kth_best.abs() - kth_error - error - 1e-6).bfloat16()


def _kth_largest(rows: torch.Tensor, values: torch.Tensor, queries: int, count: int) -> torch.Tensor:
    """(queries,) the ``count``-th largest value of each row; each row has at least so many."""
    order = values.argsort(descending=True, stable=True)
    order = order[rows[order].argsort(stable=True)]
    starts = torch.searchsorted(rows[order], torch.arange(queries))
    return values[order][starts + count - 1]
