"""Retrieval: how many of the images that are nearest to a query are of its patient, and what chance gives.

`f2vbench.metrics.exact_neighbours` gives the ranks.
"""

from __future__ import annotations

import math

import numpy as np

from f2vbench.metrics.ragged_array import Float64Array, RaggedArray


def recall_at(ranks: RaggedArray, k: int) -> Float64Array:
    """(queries,) 1 if a relevant image is among the first k, else 0: Recall@K as in image retrieval papers.

    Args:
        ranks: of the relevant images of each query, from 1.
    """
    return (ranks.row_sums(ranks.values <= k) > 0).astype(np.float64)


def precision_at(ranks: RaggedArray, k: int) -> Float64Array:
    """(queries,) part of the first k that is relevant; places that a small gallery leaves empty are not relevant."""
    return ranks.row_sums(ranks.values <= k) / k


def average_precision(ranks: RaggedArray) -> Float64Array:
    """(queries,) mean, over the relevant images, of the precision at their rank.

    Args:
        ranks: of all relevant images of each query, rising, from 1; at least one.
    """
    return ranks.row_sums((ranks.column_indices + 1) / ranks.values) / ranks.lengths


def chance_recall(relevant: int, gallery: int, k: int) -> float:
    """Expected `recall_at` of a random order: 1 − C(n − r, k) / C(n, k) with n images, r of them relevant."""
    k = min(k, gallery)
    return 1 - math.comb(gallery - relevant, k) / math.comb(gallery, k)


def chance_precision(relevant: int, gallery: int, k: int) -> float:
    """Expected `precision_at` of a random order."""
    return relevant / gallery * min(k, gallery) / k


def chance_average_precision(relevant: int, gallery: int) -> float:
    """Expected `average_precision` of a random order: (r − 1)/(n − 1) + H(n)/n · (n − r)/(n − 1), H harmonic.

    A relevant image stands at each rank i with probability 1/n, and before it (i − 1)(r − 1)/(n − 1) other relevant
    ones are expected; summing (1 + that)/i over the ranks gives the formula.
    """
    if gallery == 1:
        return 1.0
    harmonic = float(np.sum(1 / np.arange(1, gallery + 1)))
    return (relevant - 1) / (gallery - 1) + harmonic / gallery * (gallery - relevant) / (gallery - 1)
