"""Read-outs of embeddings against slow loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from f2vbench.adapters.probes import Scale, logistic_regression, nearest_neighbours, prototype, unit_scale

DRAW = np.random.default_rng(5)
SUPPORT, TEST = DRAW.normal(size=(14, 6)), DRAW.normal(size=(9, 6))
TRUTH = np.arange(14) % 3
TARGETS = TRUTH[:, None] == np.arange(3)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_prototypes_equal_a_slow_loop():
    found = prototype(SUPPORT, TARGETS, TEST, several=False)
    for row, image in zip(found, TEST, strict=True):
        grown = [np.exp(cosine(image, SUPPORT[c == TRUTH].mean(axis=0)) / 0.07) for c in range(3)]
        np.testing.assert_allclose(row, np.array(grown) / sum(grown), rtol=1e-5)


def test_prototypes_of_several_labels_weigh_a_class_against_the_rest():
    targets = TARGETS | (DRAW.random(TARGETS.shape) < 0.3)
    found = prototype(SUPPORT, targets, TEST, several=True)
    for row, image in zip(found, TEST, strict=True):
        for c in range(3):
            near = cosine(image, SUPPORT[targets[:, c]].mean(axis=0))
            far = cosine(image, SUPPORT[~targets[:, c]].mean(axis=0))
            assert row[c] == pytest.approx(1 / (1 + np.exp((far - near) / 0.07)), rel=1e-5)


def test_neighbours_vote_as_scikit_learn_has_them():
    def weights(distances):
        return np.exp((1 - distances) / 0.07)

    reference = KNeighborsClassifier(5, metric="cosine", weights=weights).fit(SUPPORT, TRUTH)
    found = nearest_neighbours(SUPPORT, TARGETS, TEST, 5)
    np.testing.assert_allclose(found, reference.predict_proba(TEST), rtol=1e-5, atol=1e-7)
    assert nearest_neighbours(SUPPORT[:2], TARGETS[:2], TEST, 5).shape == (9, 3)


def test_the_probe_is_scikit_learns_and_knows_absent_classes():
    found = logistic_regression(SUPPORT, TARGETS, TEST, several=False)
    reference = LogisticRegression(max_iter=5000).fit(SUPPORT, TRUTH).predict_proba(TEST)
    np.testing.assert_allclose(found, reference, atol=1e-4)
    without = TRUTH != 1
    found = logistic_regression(SUPPORT[without], TARGETS[without], TEST, several=False)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (prototype(SUPPORT[without], TARGETS[without], TEST, several=False)[:, 1] == 0).all()
    all_of_one = np.tile([True, False, True], (14, 1)) & np.array([True, True, False])
    assert (logistic_regression(SUPPORT, all_of_one, TEST, several=True) == [1, 0, 0]).all()


def test_the_probe_does_not_depend_on_the_order_of_its_support_images():
    draw = np.random.default_rng(1)
    # Features that lie along few directions, as embeddings do, are what makes the solver stop elsewhere.
    mixed = (draw.normal(size=(350, 30)) * np.geomspace(1, 0.01, 30)) @ draw.normal(size=(30, 160))
    support, test = np.split((mixed / mixed.std(axis=0)).astype(np.float32), [300])
    targets, order = np.eye(3, dtype=bool)[draw.integers(0, 3, 300)], draw.permutation(300)
    found = logistic_regression(support, targets, test, several=False)
    np.testing.assert_array_equal(logistic_regression(support[order], targets[order], test, several=False), found)


def test_the_scale_of_many_images_is_theirs_and_of_few_is_drawn_to_the_mean():
    spread = np.array([1.0, 4.0, 0.25])
    many = DRAW.normal(size=(4000, 3)) * spread + 7
    scaled = Scale.of(many).apply(many)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    # A variance v counts as (4000 v + 10 m) / 4010, m the mean of all.
    expected = np.sqrt((4000 * many.var(axis=0) + 10 * many.var(axis=0).mean()) / 4010)
    np.testing.assert_allclose(scaled.std(axis=0), many.std(axis=0) / expected, rtol=1e-4)
    few = many[:2]
    variance = few.var(axis=0)
    expected = np.sqrt((2 * variance + 10 * variance.mean()) / 12)
    np.testing.assert_allclose(Scale.of(few).deviation, expected)
    assert np.isfinite(Scale.of(many[:1]).apply(many)).all()
    np.testing.assert_allclose((unit_scale(many) ** 2).mean(axis=1), 1, rtol=1e-5)
    assert (unit_scale(np.zeros((2, 3))) == 0).all()
