"""Few candidates for the nearest of many, from products in bfloat16; every true neighbour is among them.

Processors that multiply bfloat16 do so twice as fast as single precision. How far such a product may be off is known,
so all that could belong to the first ones are kept, and told apart by the caller.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from f2vbench.metrics.ragged_array import RaggedArray
from f2vbench.utils.device import has_bf16

# Rows of the gallery that are compared at once, so few that they stay in the processor's cache.
_ROWS = 1 << 11
_QUERIES = 1024
# Fewer queries are faster in single precision, for each row of the gallery is converted first.
_FEWEST_QUERIES = 64
_FEWEST_ROWS = 8 * _ROWS
_MOST_WANTED = _ROWS // 8
# Candidates a query and wanted neighbour. Beyond it the gallery is too dense for bfloat16.
_MOST = 32
# Candidates are gone through again when there are so many times more of them.
_GROWTH = 1.3


def candidates(queries: NDArray[np.float32], gallery: NDArray[np.float32], count: int) -> RaggedArray | None:
    """For each query positions in the gallery, rising, that hold its ``count`` nearest by inner product, ties included.

    Args:
        queries, gallery: normalised vectors.

    Returns:
        None where single precision is the better choice: without native bfloat16, with few queries or a small gallery,
        or where too many images are too alike.
    """
    if not has_bf16() or len(queries) < _FEWEST_QUERIES or len(gallery) < _FEWEST_ROWS or count > _MOST_WANTED:
        return None
    # What is taken from every row of the gallery shifts all products of a query equally, and so changes no order;
    # without what embeddings have in common, products are smaller, and so is what rounding does to them.
    common = np.asarray(np.mean(gallery[:_ROWS], axis=0, dtype=np.float64), np.float32)
    blocks = []
    for start in range(0, len(queries), _QUERIES):
        found = _of_block(torch.tensor(queries[start : start + _QUERIES]), gallery, common, count)
        if found is None:
            return None
        blocks.append((found[0] + start, found[1]))
    rows, positions = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return RaggedArray.from_pairs(rows, positions, len(queries))


def _of_block(
    queries: torch.Tensor, gallery: NDArray[np.float32], common: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """(rows, positions) of the candidates of some queries."""
    rough_queries = queries.bfloat16()
    lost = float((queries - rough_queries.float()).norm(dim=1).max())
    most = _MOST * count * len(queries)
    rows, positions, values = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    farthest, best, pruned = 0.0, torch.full((len(queries),), -torch.inf), 0
    for at in range(0, len(gallery), _ROWS):
        part = torch.from_numpy(gallery[at : at + _ROWS] - common)
        rough = part.bfloat16()
        reach = _reach(lost, part, rough)
        products = rough_queries @ rough.T
        if not at:
            best = products.topk(count, dim=1).values[:, -1].float()
        near = products >= _least(best, max(farthest, reach), reach)[:, None]
        farthest = max(farthest, reach)
        here = near.nonzero(as_tuple=True)
        rows, positions = torch.cat([rows, here[0]]), torch.cat([positions, here[1] + at])
        values = torch.cat([values, products[here].float()])
        if len(rows) > _GROWTH * pruned or at + _ROWS >= len(gallery):
            best = _last_of_best(rows, values, len(queries), count)
            kept = values >= _least(best, farthest, farthest)[rows].float()
            rows, positions, values = rows[kept], positions[kept], values[kept]
            pruned = len(rows)
            if pruned > most:
                return None
    return rows.numpy(), positions.numpy()


def _reach(lost: float, part: torch.Tensor, rough: torch.Tensor) -> float:
    """How far a product, before it is rounded to bfloat16, may be from the exact one.

    |q·x − q̃·x̃| ≤ |q − q̃||x| + |q̃||x − x̃|, and the summation in single precision (Higham, Accuracy and Stability of
    Numerical Algorithms, §3.1).
    """
    longest = float(part.norm(dim=1).max())
    shifted = float((part - rough.float()).norm(dim=1).max())
    summed = part.shape[1] * 2.0**-23 * longest
    return 1.001 * (lost * longest + (1 + lost) * shifted + summed)


def _least(best: torch.Tensor, farthest: float, reach: float) -> torch.Tensor:
    """(queries,) bfloat16 below which no product belongs to one of the first.

    At least ``count`` exact products are as large as the last of the best rough ones, less what its rounding to
    bfloat16 (at most 2⁻⁸ of it) and ``farthest`` may have added; rounding keeps the order.
    """
    return (best - 2.0**-8 * best.abs() - farthest - reach - 1e-6).bfloat16()


def _last_of_best(rows: torch.Tensor, values: torch.Tensor, queries: int, count: int) -> torch.Tensor:
    """(queries,) the ``count``-th largest value of each row; each row has so many."""
    order = values.argsort(descending=True, stable=True)
    order = order[rows[order].argsort(stable=True)]
    starts = torch.searchsorted(rows[order], torch.arange(queries))
    return values[order][starts + count - 1]
