"""Regression with the perceptron of infinite width of `f2vbench.heads.wide_mlp`: kernel ridge regression.

The residual of each support image, if it is left out, has a closed form. The predictions are a mean over a grid of
penalties, weighted by the likelihood of the left-out residuals (normal, with their own variance for each penalty) and
by the prior of the classifier. With two support images, the prior decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2vbench.heads.wide_kernel import kernel_coordinates, support_order

Floats = NDArray[np.float64]

# Grid of the penalty, relative to a kernel whose mean diagonal is 1, and its prior: log-normal around 1, with a
# standard deviation of half a decade.
_PENALTIES = 10.0 ** np.arange(-4, 2.01, 0.25)
_PENALTY_DEVIATION = 0.5
_NEGLIGIBLE = 1e-12


def predict_numbers(
    support: NDArray[np.floating], values: NDArray[np.floating], test: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Train on the support images and predict the numbers of the test images.

    The order of the support images does not matter.

    Args:
        support: (m, width) embeddings of the support images, not scaled.
        values: (m,) numbers of the support images.
        test: (n, width) embeddings of the test images, not scaled.

    Returns:
        (n,) predictions. With one support image, or support images that do not differ, the mean of the numbers.

    Examples:
        >>> support = np.linspace(0, 1, 9)[:, None]
        >>> predict_numbers(support, 60 + 10 * support[:, 0], np.array([[0.5], [0.75]])).round(1).tolist()
        [65.0, 67.4]
    """
    order = support_order(support)
    y = np.asarray(values, np.float64)[order]
    z, project = kernel_coordinates(support[order].astype(np.float64))
    mean = y.mean()
    centred = y - mean
    if not z.shape[1] or not centred.any():
        return np.full(len(test), mean)
    squares = np.sum(z**2, axis=0)
    u = z / np.sqrt(squares)
    projections = u.T @ centred
    kept = squares / (squares + _PENALTIES[:, None])
    leverage = kept @ (u**2).T + 1 / len(z)
    residuals = (centred - (kept * projections) @ u.T) / np.maximum(1 - leverage, _NEGLIGIBLE)
    weights = _weights(np.mean(residuals**2, axis=1), len(y))
    coefficients = np.sqrt(squares) / (squares + _PENALTIES[:, None]) * projections
    predictions: Floats = mean + project(test.astype(np.float64)) @ (weights @ coefficients)
    return predictions


def _weights(errors: Floats, count: int) -> Floats:
    """Share of each penalty, by its mean squared left-out residual and the prior."""
    likelihood = -0.5 * count * np.log(np.maximum(errors, _NEGLIGIBLE * errors.max()))
    log_weights = likelihood - (np.log10(_PENALTIES) / _PENALTY_DEVIATION) ** 2 / 2
    weights = np.exp(log_weights - log_weights.max())
    shares: Floats = weights / weights.sum()
    return shares
