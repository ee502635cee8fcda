"""A neighbour embedding of embeddings: t-SNE (van der Maaten and Hinton 2008), by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SEED = 0
MOST_IMAGES = 1_000
"""Of more, as many are drawn: a report draws every model, and 1,000 take seconds each."""
COMPONENTS = 50
_PERPLEXITY = 30.0


def perplexity_of(images: int) -> float:
    """30, or a third of the other images where there are fewer than 91."""
    return min(_PERPLEXITY, (images - 1) / 3)


def shown_rows(images: int) -> NDArray[np.intp]:
    """Rows that are drawn: all, or `MOST_IMAGES` of them by a seed, in their order."""
    if images <= MOST_IMAGES:
        return np.arange(images)
    return np.sort(np.random.Generator(np.random.PCG64(SEED)).choice(images, MOST_IMAGES, replace=False))


def neighbour_map(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, 2) places of (n, width) vectors; the same on one machine for the same vectors.

    Starts from the first two principal components and works on the first 50, or all where the width is less.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    held = vectors.astype(np.float64)
    with threadpool_limits(1):  # sums over threads would depend on their order
        if min(held.shape) > COMPONENTS:
            held = PCA(COMPONENTS, svd_solver="full").fit_transform(held)
        made = TSNE(2, perplexity=perplexity_of(len(held)), init="pca", learning_rate="auto", random_state=SEED)
        return made.fit_transform(held).astype(np.float64)
