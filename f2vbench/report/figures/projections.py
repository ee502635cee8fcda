"""Projections of embeddings to two dimensions: principal components, and t-SNE."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SEED = 0
"""Seed of t-SNE and of the choice of images."""
MAX_IMAGES = 1_000
"""Largest number of images of t-SNE, because a report shows every encoder and 1,000 images take seconds each."""
COMPONENTS = 50
"""Number of principal components from which t-SNE starts."""
_PERPLEXITY = 30.0


def project_principal_components(
    vectors: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project embeddings on their first two principal components.

    The sign of a component makes its largest loading positive, so that maps are not mirrored at random.

    Args:
        vectors: (n, width) embeddings.

    Returns:
        (n, 2) projections of the centred vectors, and (2,) fractions of the explained variance.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)])
    total = (values**2).sum()
    return left[:, :2] * values[:2] * signs, values[:2] ** 2 / (total or 1)


def project_tsne(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Project embeddings by t-SNE, computed by scikit-learn.

    t-SNE starts from the first two principal components, and works on the first `COMPONENTS` of them, or on the vectors
    where their width is less. The result is the same for the same vectors on one machine.

    Reference: L. van der Maaten and G. Hinton, Journal of Machine Learning Research 9 (2008), 2579-2605.

    Args:
        vectors: (n, width) embeddings.

    Returns:
        (n, 2) positions.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    inputs = vectors.astype(np.float64)
    with threadpool_limits(1):  # the order of threads would change sums
        if min(inputs.shape) > COMPONENTS:
            inputs = PCA(COMPONENTS, svd_solver="full").fit_transform(inputs)
        tsne = TSNE(2, perplexity=tsne_perplexity(len(inputs)), init="pca", learning_rate="auto", random_state=SEED)
        positions: NDArray[np.float64] = tsne.fit_transform(inputs).astype(np.float64)
    return positions


def tsne_perplexity(images: int) -> float:
    """Perplexity for a number of images: 30, or a third of the other images where there are fewer than 91."""
    return min(_PERPLEXITY, (images - 1) / 3)


def select_tsne_rows(images: int) -> NDArray[np.intp]:
    """Rows of the images that t-SNE shows, ascending: all, or a random sample of `MAX_IMAGES` of them."""
    if images <= MAX_IMAGES:
        return np.arange(images)
    return np.sort(np.random.Generator(np.random.PCG64(SEED)).choice(images, MAX_IMAGES, replace=False))
