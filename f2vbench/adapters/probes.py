"""Reading classes off embeddings: how vectors are brought to scale, and the read-outs that train no network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Targets = NDArray[np.bool_]

# A feature's variance among few images says little: it counts as if the mean variance of all features had been seen
# in so many images more.
_PRIOR_IMAGES = 10
# Sharpness of votes by cosine similarity, as in the nearest-neighbour test of DINO (Caron et al., ICCV 2021).
_TEMPERATURE = 0.07


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each feature, (width,) float64."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, support: Floats) -> Scale:
        """Of (n, width) support vectors, the variances drawn towards their mean as if by ten images more."""
        wide = support.astype(np.float64)
        variance = wide.var(axis=0)
        drawn = (len(wide) * variance + _PRIOR_IMAGES * variance.mean()) / (len(wide) + _PRIOR_IMAGES)
        deviation = np.sqrt(drawn)
        return cls(wide.mean(axis=0), np.where(deviation > 0, deviation, 1))

    def apply(self, vectors: Floats) -> NDArray[np.float32]:
        """(n, width) float32, centred and scaled."""
        return ((vectors - self.mean) / self.deviation).astype(np.float32)


def unit_scale(vectors: Floats) -> NDArray[np.float32]:
    """(n, width) float32 vectors, each divided by its root mean square: what can be done without support images."""
    wide = vectors.astype(np.float64)
    size = np.sqrt((wide**2).mean(axis=1, keepdims=True))
    return (wide / np.where(size > 0, size, 1)).astype(np.float32)


def prototype(support: Floats, targets: Targets, test: Floats, several: bool) -> NDArray[np.float32]:
    """(n, classes) probabilities by cosine similarity to the mean vector of each class's support images.

    With several classes an image, each class is weighed against the mean of the images that have it not. A class
    without support images gets 0.

    Args:
        support, test: (m, width) and (n, width), scaled.
        targets: (m, classes).
    """
    near = _cosines(test, np.stack([_mean(support[mine]) for mine in targets.T])) / _TEMPERATURE
    known = targets.any(axis=0)
    if several:
        far = _cosines(test, np.stack([_mean(support[~mine]) for mine in targets.T])) / _TEMPERATURE
        return np.where(known, 1 / (1 + np.exp(far - near)), 0).astype(np.float32)
    return _softmax(np.where(known, near, -np.inf))


def nearest_neighbours(support: Floats, targets: Targets, test: Floats, neighbours: int) -> NDArray[np.float32]:
    """(n, classes) probabilities: the votes of the nearest support images by cosine similarity s, weight exp(s / 0.07).

    Of equally near images the earlier in the support set counts; all vote where there are fewer than ``neighbours``.
    """
    similarity = _cosines(test, support)
    found = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    weights = _softmax(np.take_along_axis(similarity, found, axis=1) / _TEMPERATURE)
    return np.einsum("nk,nkc->nc", weights, targets[found]).astype(np.float32)


def logistic_regression(support: Floats, targets: Targets, test: Floats, several: bool) -> NDArray[np.float32]:
    """(n, classes) probabilities of scikit-learn's logistic regression with its defaults (L2, C = 1).

    One for each class where an image may have several. A class that all support images have, or none, gets 1 or 0. The
    order of the support images does not matter: the solver stops where it is near enough, and with another order it
    would stop elsewhere, which tests over seeds would take for a spread.
    """
    from sklearn.linear_model import LogisticRegression

    order = np.lexsort(support.T)
    wide, targets = support[order].astype(np.float64), targets[order]
    found = np.zeros((len(test), targets.shape[1]))
    if several:
        for column, mine in enumerate(targets.T):
            if mine.any() and not mine.all():
                fitted = LogisticRegression(max_iter=2000).fit(wide, mine)
                found[:, column] = fitted.predict_proba(test.astype(np.float64))[:, 1]
            else:
                found[:, column] = mine.all()
        return found.astype(np.float32)
    truth = targets.argmax(axis=1)
    if len(set(truth)) == 1:
        found[:, truth[0]] = 1
        return found.astype(np.float32)
    fitted = LogisticRegression(max_iter=2000).fit(wide, truth)
    found[:, fitted.classes_] = fitted.predict_proba(test.astype(np.float64))
    return found.astype(np.float32)


def _mean(vectors: Floats) -> Floats:
    return vectors.mean(axis=0, dtype=np.float64) if len(vectors) else np.zeros(vectors.shape[1])


def _cosines(a: Floats, b: Floats) -> NDArray[np.float64]:
    return _normalised(a) @ _normalised(b).T


def _normalised(vectors: Floats) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
