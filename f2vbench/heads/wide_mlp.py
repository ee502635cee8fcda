"""Classifier of the recipe ``mlp``: a perceptron of infinite width on the embeddings of one encoder.

The network has one hidden layer of ReLU units with random weights and a linear connection that skips it. With
infinitely many hidden units, its output layer, trained by penalised least squares, is kernel ridge regression: half of
the kernel is the inner product of the embeddings, half is the arc-cosine kernel of order 1 (Cho and Saul, NeurIPS
2009). This solution depends on inner products only. It has no initial weights, steps or learning rate, and it is the
same for an embedding that is repeated, rotated or multiplied by a number.

The scores of each image, if it is left out of the support set, have a closed form. They decide how strong the penalty
is, and how steep the softmax (or sigmoid) that turns scores into probabilities. The probabilities are a mean over a
grid of both, weighted by the likelihood of the labels given these scores and by a prior. An image that is the only one
of its class says nothing when it is left out; with one image a class, the prior alone decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2vbench.heads.wide_kernel import kernel_coordinates, support_order

Floats = NDArray[np.float64]

# Grid of the penalty, relative to a kernel whose mean diagonal is 1, and its prior: log-normal around 1, with a
# standard deviation of half a decade. `benchmarks/heads.py` has the data on which the priors were chosen.
_PENALTIES = 10.0 ** np.arange(-4, 1.51, 0.5)
_PENALTY_DEVIATION = 0.5
_REFERENCE = int(np.argmin(np.abs(np.log(_PENALTIES))))
# Grid of the steepness. The more inner products of images of different classes vary, the fewer independent directions
# the embedding has, and the less a score says: the centre of the prior falls with the square root of the standard
# deviation of the left-out scores. Its standard deviation is a third of an octave.
_STEEPNESSES = 2.0 ** np.arange(0, 7.01, 0.5)
_STEEPNESS_FACTOR = 2.8
_STEEPNESS_DEVIATION = 0.35
_STEEPNESS_OF_A_PAIR = 8.0
# Combinations of penalty and steepness with a smaller share of the weight are left out.
_MIN_WEIGHT = 1e-3


def predict_by_wide_mlp(
    support: NDArray[np.floating], targets: NDArray[np.bool_], test: NDArray[np.floating], multi_label: bool
) -> NDArray[np.float32]:
    """Train on the support images and predict the test images.

    The order of the support images does not matter. A class of no support image has the probability 0, a class of all
    of them 1.

    Args:
        support: (m, width) embeddings of the support images, not scaled.
        targets: (m, classes).
        test: (n, width) embeddings of the test images, not scaled.
        multi_label: Whether an image can have several classes (sigmoid) or exactly one (softmax).

    Returns:
        (n, classes) probabilities.

    Examples:
        >>> support = np.array([[0.0, 1.0], [0.2, 1.1], [1.0, 0.0], [1.1, 0.1]])
        >>> targets = np.array([[True, False], [True, False], [False, True], [False, True]])
        >>> predict_by_wide_mlp(support, targets, np.array([[0.1, 0.9], [0.9, 0.2]]), multi_label=False).argmax(axis=1)
        array([0, 1])
    """
    return fit_wide_mlp(support, targets, multi_label)(test)


def fit_wide_mlp(
    support: NDArray[np.floating], targets: NDArray[np.bool_], multi_label: bool
) -> Callable[[NDArray[np.floating]], NDArray[np.float32]]:
    """Train on the support images.

    Args:
        support: (m, width) embeddings of the support images, not scaled.
        targets: (m, classes).
        multi_label: Whether an image can have several classes (sigmoid) or exactly one (softmax).

    Returns:
        Function from (n, width) embeddings, not scaled, to (n, classes) probabilities, as `predict_by_wide_mlp`.
    """
    frequencies = targets.mean(axis=0)
    varies = targets.any(axis=0) & ~targets.all(axis=0)
    order = support_order(support)
    z, project = kernel_coordinates(support[order].astype(np.float64))
    fitted = _fit(z, targets[order][:, varies]) if z.shape[1] and varies.any() else None

    def predict(images: NDArray[np.floating]) -> NDArray[np.float32]:
        probabilities = np.tile(frequencies, (len(images), 1))
        if fitted is not None:
            scores = fitted.scores(project(images.astype(np.float64)))
            probabilities[:, varies] = _mean_probabilities(fitted, scores, multi_label)
        return probabilities.astype(np.float32)

    return predict


@dataclass(frozen=True)
class _Fit:
    """Regressions of each penalty of the grid; scores are divided by the shrinkage of the penalty.

    Attributes:
        left_out: (penalties, m, classes) scores of each support image, without it.
        weights: (rank, classes) weights of each penalty.
        shrinkage: (penalties, 1, 1).
        targets: (m, classes) bool.
    """

    left_out: Floats
    weights: list[Floats]
    shrinkage: Floats
    targets: NDArray[np.bool_]

    def scores(self, z: Floats) -> Floats:
        """Scores of (n, rank) coordinates, (penalties, n, classes)."""
        scores: Floats = np.stack([z @ of_penalty for of_penalty in self.weights]) / self.shrinkage
        return scores


def _fit(z: Floats, targets: NDArray[np.bool_]) -> _Fit:
    """Solve the regression for every penalty, and for every image that is left out."""
    values = np.sum(z**2, axis=0)
    u = z / np.sqrt(values)
    y = targets.astype(np.float64)
    frequencies = y.mean(axis=0)
    uy = u.T @ (y - frequencies)
    kept = values / (values + _PENALTIES[:, None])
    leverage = (kept @ (u**2).T + 1 / len(z))[..., None]
    shrinkage = kept.sum(axis=1)[:, None, None] / (len(z) - 1)
    fitted = frequencies + np.stack([u @ (of_penalty[:, None] * uy) for of_penalty in kept])
    left_out = (fitted - leverage * y) / (1 - leverage) - frequencies
    weights = [(np.sqrt(values) / (values + penalty))[:, None] * uy for penalty in _PENALTIES]
    return _Fit(left_out / shrinkage, weights, shrinkage, targets)


def _mean_probabilities(fitted: _Fit, scores: Floats, multi_label: bool) -> Floats:
    """Average probabilities over the grid of penalties and steepnesses: (penalties, n, classes) → (n, classes)."""
    frequencies = fitted.targets.mean(axis=0)
    prior_logits = np.log(frequencies) - (np.log(1 - frequencies) if multi_label else 0.0)
    usable = _says_something(fitted.targets, multi_label)
    log_weights = _log_prior(fitted)
    for row, of_penalty in enumerate(fitted.left_out):
        logits = prior_logits + _STEEPNESSES[:, None, None] * of_penalty
        log_weights[row] += np.where(usable, _log_likelihood(logits, fitted.targets, multi_label), 0).sum(axis=(1, 2))
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    weights[weights < _MIN_WEIGHT] = 0
    probabilities = np.zeros(scores.shape[1:])
    for row, column in np.argwhere(weights):
        logits = prior_logits + _STEEPNESSES[column] * scores[row]
        probabilities += weights[row, column] * np.exp(_log_probabilities(logits, multi_label))
    mean: Floats = probabilities / weights.sum()
    return mean


def _says_something(targets: NDArray[np.bool_], multi_label: bool) -> NDArray[np.bool_]:
    """Return which entries of the left-out scores count: those of images that are not the only one of their kind."""
    with_class: NDArray[np.bool_] = targets & (targets.sum(axis=0) >= 2)
    without_class: NDArray[np.bool_] = ~targets & ((~targets).sum(axis=0) >= 2)
    return with_class | without_class if multi_label else with_class


def _log_prior(fitted: _Fit) -> Floats:
    """Return the logarithm of the prior, (penalties, steepnesses)."""
    deviation = fitted.left_out[_REFERENCE][~fitted.targets].std()
    centre = _STEEPNESS_OF_A_PAIR
    if len(fitted.targets) > 2 and deviation > 0:
        centre = float(np.clip(_STEEPNESS_FACTOR / np.sqrt(deviation), _STEEPNESSES[0], _STEEPNESSES[-1]))
    of_penalty = (np.log10(_PENALTIES) / _PENALTY_DEVIATION) ** 2
    of_steepness = (np.log2(_STEEPNESSES / centre) / _STEEPNESS_DEVIATION) ** 2
    prior: Floats = -(of_penalty[:, None] + of_steepness) / 2
    return prior


def _log_likelihood(logits: Floats, targets: NDArray[np.bool_], multi_label: bool) -> Floats:
    """Return the log-probability of the labels by entry; for one label an image, only that of its class counts."""
    if multi_label:
        return -np.logaddexp(0, np.where(targets, -logits, logits))
    return _log_probabilities(logits, multi_label)


def _log_probabilities(logits: Floats, multi_label: bool) -> Floats:
    """Return log-probabilities of (…, classes) logits."""
    if multi_label:
        return -np.logaddexp(0, -logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_probabilities
