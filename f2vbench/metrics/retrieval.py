"""Retrieval metrics from the ranks of relevant images, and their values expected by chance.

A gallery image is relevant for a query if it is from the same patient. The ranks are computed by
`f2vbench.metrics.exact_neighbours.rank_relevant`; images of equal similarity are ranked by their position in the
gallery.
"""

from __future__ import annotations

import math

import numpy as np

from f2vbench.metrics.ragged_array import Float64Array, RaggedArray


def recall_at(ranks: RaggedArray, k: int) -> Float64Array:
    """Recall@K as in image retrieval papers: whether a relevant image is among the first k.

    Args:
        ranks: Ranks of the relevant images of each query, from 1.
        k: Number of retrieved images.

    Returns:
        (queries,) 1 or 0.

    Example:
        >>> recall_at(RaggedArray.from_rows([[1, 4], [3]]), k=2).tolist()
        [1.0, 0.0]
    """
    return (ranks.row_sums(ranks.values <= k) > 0).astype(np.float64)


def precision_at(ranks: RaggedArray, k: int) -> Float64Array:
    """Precision@K: the share of the first k images that is relevant.

    Args:
        ranks: Ranks of the relevant images of each query, from 1.
        k: Number of retrieved images. In a gallery of fewer images the missing ones count as not relevant.

    Returns:
        (queries,) in [0, 1].

    Example:
        >>> precision_at(RaggedArray.from_rows([[1, 4], [3]]), k=4).tolist()
        [0.5, 0.25]
    """
    return np.asarray(ranks.row_sums(ranks.values <= k) / k)


def average_precision(ranks: RaggedArray) -> Float64Array:
    """Average precision: the mean, over the relevant images of a query, of the precision at their rank.

    Args:
        ranks: Ranks of all relevant images of each query, increasing, from 1; at least one for each query.

    Returns:
        (queries,) in (0, 1].

    Example:
        >>> average_precision(RaggedArray.from_rows([[1, 4], [2]])).tolist()
        [0.75, 0.5]
    """
    return np.asarray(ranks.row_sums((ranks.column_indices + 1) / ranks.values) / ranks.lengths)


def chance_recall(relevant: int, gallery: int, k: int) -> float:
    """Expected `recall_at` of a random order: 1 − C(n − r, k) / C(n, k).

    Args:
        relevant: Number r of relevant images.
        gallery: Number n of images.
        k: Number of retrieved images.

    Returns:
        In [0, 1].

    Example:
        >>> chance_recall(relevant=1, gallery=8, k=2)
        0.25
    """
    k = min(k, gallery)
    return 1 - math.comb(gallery - relevant, k) / math.comb(gallery, k)


def chance_precision(relevant: int, gallery: int, k: int) -> float:
    """Expected `precision_at` of a random order.

    Args:
        relevant: Number of relevant images.
        gallery: Number of images.
        k: Number of retrieved images.

    Returns:
        In [0, 1].

    Example:
        >>> chance_precision(relevant=2, gallery=8, k=4)
        0.25
    """
    return relevant / gallery * min(k, gallery) / k


def chance_average_precision(relevant: int, gallery: int) -> float:
    """Expected `average_precision` of a random order: (r − 1)/(n − 1) + H(n)/n · (n − r)/(n − 1), H harmonic.

    Each rank i has a relevant image with probability 1/n times r, and (i − 1)(r − 1)/(n − 1) other relevant images are
    expected before it; the sum of (1 + that)/i over the ranks gives the formula.

    Args:
        relevant: Number r of relevant images, at least 1.
        gallery: Number n of images.

    Returns:
        In (0, 1].

    Example:
        >>> round(chance_average_precision(relevant=1, gallery=4), 4)  # (1 + 1/2 + 1/3 + 1/4) ÷ 4
        0.5208
    """
    if gallery == 1:
        return 1.0
    harmonic = float(np.sum(1 / np.arange(1, gallery + 1)))
    return (relevant - 1) / (gallery - 1) + harmonic / gallery * (gallery - relevant) / (gallery - 1)
