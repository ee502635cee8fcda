"""Kernel of a perceptron of infinite width, as coordinates in which every penalised linear model is such a perceptron.

Half of the kernel is the inner product of the embeddings, half is the arc-cosine kernel of order 1 of one hidden layer
of ReLU units with random weights (Cho and Saul, NeurIPS 2009).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Floats = NDArray[np.float64]

# Squared standard deviation of the bias of hidden units; the mean square of their input is 1.
_BIAS = 0.1
# Larger support sets are represented by this number of their images (Nyström approximation of the kernel).
_MAX_LANDMARKS = 1500
# Added to the diagonal of the kernel of the landmarks, and smallest eigenvalue that is kept, both relative.
_JITTER = 1e-9
_NEGLIGIBLE = 1e-9
# Number of columns by which support images are sorted.
_MAX_KEYS = 16


def support_order(support: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return an order of the support images that does not depend on the order in which they were drawn.

    Args:
        support: (m, width) embeddings.
    """
    return np.lexsort(support.T[:_MAX_KEYS])


def kernel_coordinates(support: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Return coordinates whose inner products are the centred kernel.

    Args:
        support: (m, width) embeddings of the support images, not scaled.

    Returns:
        (m, rank) coordinates of the support images: the columns are orthogonal to each other and to the constant, in
        the order of increasing variance, and the mean of the squared rows is 1; without any variance between the
        support images, the rank is 0. And the function from other (n, width) embeddings to their (n, rank) coordinates.
    """
    centre = support.mean(axis=0)
    support = support - centre
    variance = np.mean(np.sum(support**2, axis=1))
    if not variance > 0:
        return np.zeros((len(support), 0)), lambda images: np.zeros((len(images), 0))
    support = support / np.sqrt(variance)
    landmarks = support
    if len(support) > _MAX_LANDMARKS:
        landmarks = support[np.linspace(0, len(support) - 1, _MAX_LANDMARKS).round().astype(int)]
    hidden = _arc_cosine_kernel(landmarks, landmarks)
    hidden_weight = 1 / (np.trace(hidden) / len(hidden) - hidden.mean())

    def kernel(images: Floats) -> Floats:
        """Return the kernel of (n, width) images with the landmarks; the variance of both parts is 1/2."""
        products: Floats = (images @ landmarks.T + hidden_weight * _arc_cosine_kernel(images, landmarks)) / 2
        return products

    of_landmarks = kernel(landmarks)
    triangle = np.linalg.cholesky(
        of_landmarks + _JITTER * np.trace(of_landmarks) / len(landmarks) * np.eye(len(landmarks))
    )

    def solve(images: Floats) -> Floats:
        solution: Floats = solve_triangular(triangle, kernel(images).T, lower=True).T
        return solution

    z = solve(support)
    mean = z.mean(axis=0)
    z = z - mean
    values, axes = np.linalg.eigh(z.T @ z / len(z))
    axes = axes[:, values > _NEGLIGIBLE * values[-1]] / np.sqrt(values.sum())

    def project(images: Floats) -> Floats:
        coordinates: Floats = (solve((images - centre) / np.sqrt(variance)) - mean) @ axes
        return coordinates

    return z @ axes, project


def _arc_cosine_kernel(a: Floats, b: Floats) -> Floats:
    """Return the kernel of an infinite layer of ReLU units with random weights, (rows of a, rows of b)."""
    norms = np.sqrt(np.outer(np.sum(a**2, axis=1) + _BIAS, np.sum(b**2, axis=1) + _BIAS))
    cosine = np.clip((a @ b.T + _BIAS) / norms, -1, 1)
    angle = np.arccos(cosine)
    kernel: Floats = norms * (np.sin(angle) + (np.pi - angle) * cosine) / np.pi
    return kernel
