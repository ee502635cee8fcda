"""Retrieval: exact nearest images by cosine similarity, and how many of them are of the query's patient.

The order of a gallery for a query is that of the cosine similarity, summed in float64 from normalised float32
vectors; of equal similarities the image that stands earlier in the gallery comes first. The order depends on nothing
else: not on batches, threads, or the arithmetic with which candidates are found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

# Pairs whose vectors are gathered at once: 2,048 pairs of width 1,024 take 16 MiB in float64.
_PAIRS = 2048
_QUERIES = 256


def normalised(vectors: NDArray[np.floating]) -> Floats:
    """(n, width) float32 rows of length 1; a row of zeros stays one, and is as far from everything.

    Raises:
        ValueError: a number is not finite.
    """
    wide = np.asarray(vectors, np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("an embedding holds numbers that are not finite")
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return (wide / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def similarities(a: Floats, b: Floats) -> NDArray[np.float64]:
    """(n,) inner products of row pairs in float64; a pair's value does not depend on the other pairs."""
    parts = [
        (a[start : start + _PAIRS].astype(np.float64) * b[start : start + _PAIRS]).sum(axis=1)
        for start in range(0, len(a), _PAIRS)
    ]
    return np.concatenate([np.zeros(0), *parts])


def nearest(
    queries: Floats, gallery: Floats, k: int, query_content: Integers, gallery_content: Integers
) -> tuple[Integers, NDArray[np.float64]]:
    """The first k of the gallery for each query, exactly.

    FAISS finds candidates by float32 inner products. They are taken as complete when the first one that was left out
    is farther from the k-th than rounding can explain (|error| ≤ width · 2⁻²⁴ for vectors of length 1, Higham,
    Accuracy and Stability of Numerical Algorithms, §3.1), and asked for in larger numbers until they are.

    Args:
        queries, gallery: normalised vectors.
        query_content, gallery_content: images of equal numbers are the same image and never found for one another.

    Returns:
        positions in the gallery, (queries, k) int64, -1 where fewer images are left; and their similarities, NaN there.
    """
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(np.ascontiguousarray(gallery))
    found = np.full((len(queries), k), -1, np.int64)
    values = np.full((len(queries), k), np.nan)
    copies = int(np.unique(gallery_content, return_counts=True)[1].max(initial=0))
    tolerance = 2 * (gallery.shape[1] + 2) * 2.0**-24
    open_queries, asked = np.arange(len(queries)), k + copies + 1
    while len(open_queries):
        asked = min(asked, len(gallery))
        unfinished = []
        for start in range(0, len(open_queries), _QUERIES):
            group = open_queries[start : start + _QUERIES]
            rough, candidates = index.search(np.ascontiguousarray(queries[group]), asked)
            for query, near, last in zip(group, candidates, rough[:, -1], strict=True):
                kept = near[gallery_content[near] != query_content[query]]
                exact = similarities(np.repeat(queries[query][None], len(kept), axis=0), gallery[kept])
                order = np.lexsort((kept, -exact))[:k]
                complete = asked == len(gallery) or (len(order) == k and exact[order[-1]] > last + tolerance)
                if not complete:
                    unfinished.append(query)
                    continue
                found[query, : len(order)], values[query, : len(order)] = kept[order], exact[order]
        open_queries, asked = np.array(unfinished, np.int64), 4 * asked
    return found, values


def ranks_of_relevant(
    queries: Floats,
    gallery: Floats,
    relevant: Sequence[Integers],
    query_content: Integers,
    gallery_content: Integers,
) -> list[Integers]:
    """For each query the ranks (from 1, sorted) of its relevant gallery positions, exactly.

    Args:
        relevant: positions by query, without images of the query's own content.
    """
    tolerance = (gallery.shape[1] + 2) * 2.0**-24
    ranks: list[Integers] = []
    for start in range(0, len(queries), _QUERIES):
        rough = queries[start : start + _QUERIES] @ gallery.T
        for query, row in enumerate(rough, start):
            wanted = relevant[query]
            others = gallery_content != query_content[query]
            exact = similarities(np.repeat(queries[query][None], len(wanted), axis=0), gallery[wanted])
            mine = np.empty(len(wanted), np.int64)
            for i, (position, value) in enumerate(zip(wanted, exact, strict=True)):
                before = others & (row > value + tolerance)
                near = np.flatnonzero(others & (np.abs(row - value) <= tolerance))
                closer = similarities(np.repeat(queries[query][None], len(near), axis=0), gallery[near])
                mine[i] = 1 + before.sum() + ((closer > value) | ((closer == value) & (near < position))).sum()
            ranks.append(np.sort(mine))
    return ranks


def recall_at(ranks: Integers, k: int) -> float:
    """1 if a relevant image is among the first k, else 0: Recall@K as in image retrieval papers."""
    return float(bool((ranks <= k).any()))


def precision_at(ranks: Integers, k: int) -> float:
    """Part of the first k that is relevant; places that a small gallery leaves empty count as not relevant."""
    return float((ranks <= k).sum()) / k


def average_precision(ranks: Integers) -> float:
    """Mean, over the relevant images, of the precision at their rank.

    Args:
        ranks: of all relevant images, sorted, from 1; at least one.
    """
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


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
