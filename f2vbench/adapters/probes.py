"""Classifiers on embeddings that need no network training: class prototypes, k-NN and logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Targets = NDArray[np.bool_]

# Weight of the mean variance of all features, in images, in the estimate of each feature's variance. It matters when
# there are few images.
_PRIOR_IMAGES = 10
# Temperature of the softmax over cosine similarities, as in the k-NN evaluation of DINO (Caron et al., ICCV 2021).
_TEMPERATURE = 0.07
# Pairs of a test and a support image whose similarities are in memory at once; 2 GiB in float64. More are compared in
# chunks.
_MOST_PAIRS = 1 << 28
_TEST_ROWS, _SUPPORT_ROWS = 256, 8192
# Values of which a copy in float64 is made, 1 GiB; and rows that are copied at once.
_MOST_VALUES, _CHUNK_ROWS = 1 << 27, 1 << 16
# Smallest singular value that is kept, relative to the largest.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class FeatureScaler:
    """Standardisation of features.

    Attributes:
        mean: (width,) float64.
        deviation: Standard deviation, (width,) float64.
    """

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, vectors: Floats) -> FeatureScaler:
        """Estimate mean and standard deviation of (n, width) vectors.

        Variances are shrunk towards their mean, which has the weight of ten images.
        """
        mean, variance = _mean_and_variance(vectors)
        shrunk = (len(vectors) * variance + _PRIOR_IMAGES * variance.mean()) / (len(vectors) + _PRIOR_IMAGES)
        deviation = np.sqrt(shrunk)
        return cls(mean, np.where(deviation > 0, deviation, 1))

    def transform(self, vectors: Floats) -> NDArray[np.float32]:
        """Centre and scale (n, width) vectors."""
        scaled = np.empty(vectors.shape, np.float32)
        for chunk in _chunks(len(vectors)):
            scaled[chunk] = (vectors[chunk] - self.mean) / self.deviation
        return scaled


def scale_to_unit_rms(vectors: Floats) -> NDArray[np.float32]:
    """Divide each of (n, width) vectors by its root mean square; for zero-shot, where there are no support images."""
    wide = vectors.astype(np.float64)
    rms = np.sqrt((wide**2).mean(axis=1, keepdims=True))
    scaled: NDArray[np.float32] = (wide / np.where(rms > 0, rms, 1)).astype(np.float32)
    return scaled


def predict_by_prototype(support: Floats, targets: Targets, test: Floats, multi_label: bool) -> NDArray[np.float32]:
    """Predict classes by the cosine similarity to the mean support vector of each class.

    In the multi-label case, the score of a class is relative to the similarity to the mean of the images without the
    class. A class without support images has the probability 0.

    Args:
        support: (m, width) scaled embeddings.
        targets: (m, classes).
        test: (n, width) scaled embeddings.
        multi_label: Whether an image can have several classes.

    Returns:
        (n, classes) probabilities.
    """
    similarity = _cosine_similarity(test, np.stack([_mean(support[members]) for members in targets.T])) / _TEMPERATURE
    has_support = targets.any(axis=0)
    if multi_label:
        others = np.stack([_mean(support[~members]) for members in targets.T])
        to_others = _cosine_similarity(test, others) / _TEMPERATURE
        return np.where(has_support, 1 / (1 + np.exp(to_others - similarity)), 0).astype(np.float32)
    return _softmax(np.where(has_support, similarity, -np.inf))


def predict_by_neighbours(
    support: Floats, targets: Targets | Floats, test: Floats, neighbours: int
) -> NDArray[np.float32]:
    """Predict classes or numbers: the mean of the nearest support images, weighted by exp(cosine similarity / 0.07).

    Ties are broken by the order of the support set. If there are fewer support images than ``neighbours``, all vote.

    Args:
        support: (m, width) scaled embeddings.
        targets: (m, classes) bool, or (m, numbers).
        test: (n, width) scaled embeddings.
        neighbours: Number of neighbours.

    Returns:
        (n, classes) probabilities, or (n, numbers).
    """
    if len(test) * len(support) > _MOST_PAIRS:
        similarity, nearest = nearest_in_chunks(test, support, neighbours)
    else:
        every = _cosine_similarity(test, support)
        nearest = np.argsort(-every, axis=1, kind="stable")[:, :neighbours]
        similarity = np.take_along_axis(every, nearest, axis=1)
    weights = _softmax(similarity / _TEMPERATURE)
    votes: NDArray[np.float32] = np.einsum("nk,nkc->nc", weights, targets[nearest]).astype(np.float32)
    return votes


def nearest_in_chunks(test: Floats, support: Floats, neighbours: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest support images by cosine similarity, in memory that does not depend on the number of images.

    Args:
        test: (n, width) embeddings.
        support: (m, width) embeddings.
        neighbours: Number of neighbours.

    Returns:
        (n, k) similarities and (n, k) rows of ``support`` with k the smaller of ``neighbours`` and m, the nearest
        first; of equal similarities the first row comes first.
    """
    k = min(neighbours, len(support))
    similarity, nearest = np.empty((len(test), k)), np.empty((len(test), k), np.int64)
    for start in range(0, len(test), _TEST_ROWS):
        rows = _normalise(test[start : start + _TEST_ROWS])
        best, places = np.full((len(rows), k), -np.inf), np.full((len(rows), k), len(support))
        for first in range(0, len(support), _SUPPORT_ROWS):
            values = rows @ _normalise(support[first : first + _SUPPORT_ROWS]).T
            within = np.partition(values, -k, axis=1)[:, -k] if k <= values.shape[1] else np.full(len(rows), -np.inf)
            row, column = np.nonzero(values >= np.maximum(within, best[:, -1])[:, None])
            of_row = np.concatenate([np.repeat(np.arange(len(rows)), k), row])
            candidates = np.concatenate([best.ravel(), values[row, column]])
            place = np.concatenate([places.ravel(), first + column])
            order = np.lexsort((place, -candidates, of_row))
            counts = np.bincount(of_row, minlength=len(rows))
            starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
            kept = order[(starts[:, None] + np.arange(k)).ravel()]
            best, places = candidates[kept].reshape(-1, k), place[kept].reshape(-1, k)
        similarity[start : start + len(rows)], nearest[start : start + len(rows)] = best, places
    return similarity, nearest


def predict_by_logistic_regression(
    support: Floats, targets: Targets, test: Floats, multi_label: bool
) -> NDArray[np.float32]:
    """Predict classes with scikit-learn's logistic regression and its defaults (L2 penalty, C = 1).

    In the multi-label case, there is one regression per class. A class of all support images, or of none, has the
    probability 1 or 0. The order of the support images does not matter: they are sorted first, because the solution of
    the solver depends on their order, and would vary between seeds with the same support set.

    Args:
        support: (m, width) scaled embeddings.
        targets: (m, classes).
        test: (n, width) scaled embeddings.
        multi_label: Whether an image can have several classes.

    Returns:
        (n, classes) probabilities.
    """
    return fit_logistic_regression(support, targets, multi_label)(test)


def fit_logistic_regression(
    support: Floats, targets: Targets, multi_label: bool
) -> Callable[[Floats], NDArray[np.float32]]:
    """Fit the classifier of `predict_by_logistic_regression`.

    Args:
        support: (m, width) scaled embeddings.
        targets: (m, classes).
        multi_label: Whether an image can have several classes.

    Returns:
        Function from (n, width) scaled embeddings to (n, classes) probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    order = np.lexsort(support.T)
    wide, targets = support[order].astype(np.float64), targets[order]

    def fit(truth: NDArray[np.generic]) -> LogisticRegression:
        return LogisticRegression(max_iter=2000).fit(wide, truth)

    if multi_label:
        of_class = [fit(members) if members.any() and not members.all() else None for members in targets.T]

        def predict_each(images: Floats) -> NDArray[np.float32]:
            probabilities = np.zeros((len(images), targets.shape[1]))
            for column, fitted in enumerate(of_class):
                constant = targets[:, column].all()
                known = None if fitted is None else fitted.predict_proba(images.astype(np.float64))[:, 1]
                probabilities[:, column] = constant if known is None else known
            return probabilities.astype(np.float32)

        return predict_each
    truth = targets.argmax(axis=1)
    fitted = fit(truth) if len(set(truth)) > 1 else None

    def predict_one(images: Floats) -> NDArray[np.float32]:
        probabilities = np.zeros((len(images), targets.shape[1]))
        if fitted is None:
            probabilities[:, truth[0]] = 1
        else:
            probabilities[:, fitted.classes_] = fitted.predict_proba(images.astype(np.float64))
        return probabilities.astype(np.float32)

    return predict_one


def predict_by_ridge(support: Floats, values: Floats, test: Floats) -> NDArray[np.float64]:
    """Predict numbers by ridge regression; the penalty has the smallest squared error of left-out support images.

    The order of the support images does not matter.

    Args:
        support: (m, width) scaled embeddings.
        values: (m,) numbers.
        test: (n, width) scaled embeddings.

    Returns:
        (n,) predictions; with one support image its number.
    """
    from sklearn.linear_model import RidgeCV

    if len(support) < 2:
        return np.full(len(test), values.mean())
    order = np.lexsort(support.T)
    penalties = support.shape[1] * 10.0 ** np.arange(-4, 2.01, 0.5)
    fitted = RidgeCV(alphas=penalties).fit(support[order].astype(np.float64), values[order])
    return np.asarray(fitted.predict(test.astype(np.float64)))


def principal_coordinates(support: Floats, test: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components of the support images, so that the mean of their squared rows is 1.

    A penalised linear model of all of them is that of the embeddings.

    Args:
        support: (m, width) scaled embeddings.
        test: (n, width) scaled embeddings.

    Returns:
        (m, rank) and (n, rank) coordinates, in the order of increasing variance.
    """
    wide = support.astype(np.float64)
    mean = wide.mean(axis=0)
    _, sizes, axes = np.linalg.svd(wide - mean, full_matrices=False)
    kept = axes[sizes > _NEGLIGIBLE * max(float(sizes[0]), np.finfo(float).tiny)][::-1].T
    norm = np.sqrt((sizes**2).sum() / len(wide)) or 1.0
    return (wide - mean) @ kept / norm, (test.astype(np.float64) - mean) @ kept / norm


def _mean_and_variance(vectors: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of each column in float64; of many vectors without a copy of all in float64."""
    if vectors.size <= _MOST_VALUES:
        wide = vectors.astype(np.float64)
        return wide.mean(axis=0), wide.var(axis=0)
    mean = sum(vectors[chunk].sum(axis=0, dtype=np.float64) for chunk in _chunks(len(vectors))) / len(vectors)
    squares = sum(((vectors[chunk] - mean) ** 2).sum(axis=0) for chunk in _chunks(len(vectors)))
    return mean, squares / len(vectors)


def _chunks(rows: int) -> list[slice]:
    return [slice(start, start + _CHUNK_ROWS) for start in range(0, rows, _CHUNK_ROWS)]


def _mean(vectors: Floats) -> Floats:
    return vectors.mean(axis=0, dtype=np.float64) if len(vectors) else np.zeros(vectors.shape[1])


def _cosine_similarity(a: Floats, b: Floats) -> NDArray[np.float64]:
    similarity: NDArray[np.float64] = _normalise(a) @ _normalise(b).T
    return similarity


def _normalise(vectors: Floats) -> NDArray[np.float64]:
    """Divide vectors by their length, in float64; zero vectors stay zero."""
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities
