"""Probes on embeddings against plain loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from f2vbench.adapters import probes
from f2vbench.adapters.probes import (
    FeatureScaler,
    nearest_in_chunks,
    predict_by_logistic_regression,
    predict_by_neighbours,
    predict_by_prototype,
    scale_to_unit_rms,
)

DRAW = np.random.default_rng(5)
SUPPORT, TEST = DRAW.normal(size=(14, 6)), DRAW.normal(size=(9, 6))
TRUTH = np.arange(14) % 3
TARGETS = TRUTH[:, None] == np.arange(3)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_prototypes_equal_a_plain_loop():
    found = predict_by_prototype(SUPPORT, TARGETS, TEST, multi_label=False)
    for row, image in zip(found, TEST, strict=True):
        exponentials = [np.exp(cosine(image, SUPPORT[c == TRUTH].mean(axis=0)) / 0.07) for c in range(3)]
        np.testing.assert_allclose(row, np.array(exponentials) / sum(exponentials), rtol=1e-5)


def test_multi_label_prototypes_compare_a_class_with_the_images_without_it():
    targets = TARGETS | (DRAW.random(TARGETS.shape) < 0.3)
    found = predict_by_prototype(SUPPORT, targets, TEST, multi_label=True)
    for row, image in zip(found, TEST, strict=True):
        for c in range(3):
            near = cosine(image, SUPPORT[targets[:, c]].mean(axis=0))
            far = cosine(image, SUPPORT[~targets[:, c]].mean(axis=0))
            assert row[c] == pytest.approx(1 / (1 + np.exp((far - near) / 0.07)), rel=1e-5)


def test_neighbours_vote_as_in_scikit_learn():
    def weights(distances):
        return np.exp((1 - distances) / 0.07)

    reference = KNeighborsClassifier(5, metric="cosine", weights=weights).fit(SUPPORT, TRUTH)
    found = predict_by_neighbours(SUPPORT, TARGETS, TEST, 5)
    np.testing.assert_allclose(found, reference.predict_proba(TEST), rtol=1e-5, atol=1e-7)
    assert predict_by_neighbours(SUPPORT[:2], TARGETS[:2], TEST, 5).shape == (9, 3)


@pytest.mark.parametrize("neighbours", [1, 5, 40, 99])
def test_neighbours_in_chunks_are_those_of_a_stable_sort(monkeypatch, neighbours):
    monkeypatch.setattr(probes, "_TEST_ROWS", 4)
    monkeypatch.setattr(probes, "_SUPPORT_ROWS", 7)
    draw = np.random.default_rng(3)
    for support, test in (  # many ties, whose similarities are exact; and none
        (draw.choice([-1.0, 1.0], (60, 4)), draw.choice([-1.0, 1.0], (10, 4))),
        (draw.normal(size=(60, 8)), draw.normal(size=(10, 8))),
    ):
        expected = np.array([[cosine(a, b) for b in support] for a in test])
        order = np.argsort(-expected, axis=1, kind="stable")[:, :neighbours]
        similarity, nearest = nearest_in_chunks(test, support, neighbours)
        np.testing.assert_array_equal(nearest, order)
        np.testing.assert_allclose(similarity, np.take_along_axis(expected, order, axis=1), atol=1e-12)
    whole = predict_by_neighbours(SUPPORT, TARGETS, TEST, 3)
    monkeypatch.setattr(probes, "_MOST_PAIRS", 0)
    np.testing.assert_allclose(predict_by_neighbours(SUPPORT, TARGETS, TEST, 3), whole, rtol=1e-6)


def test_many_vectors_are_scaled_in_chunks(monkeypatch):
    whole = FeatureScaler.fit(SUPPORT)
    expected = whole.transform(TEST)
    monkeypatch.setattr(probes, "_MOST_VALUES", 0)
    monkeypatch.setattr(probes, "_CHUNK_ROWS", 4)
    np.testing.assert_array_equal(whole.transform(TEST), expected)
    chunked = FeatureScaler.fit(SUPPORT)
    np.testing.assert_allclose(chunked.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(chunked.deviation, whole.deviation, rtol=1e-12)


def test_logistic_regression_is_that_of_scikit_learn_and_gives_absent_classes_zero():
    found = predict_by_logistic_regression(SUPPORT, TARGETS, TEST, multi_label=False)
    reference = LogisticRegression(max_iter=5000).fit(SUPPORT, TRUTH).predict_proba(TEST)
    np.testing.assert_allclose(found, reference, atol=1e-4)
    without = TRUTH != 1
    found = predict_by_logistic_regression(SUPPORT[without], TARGETS[without], TEST, multi_label=False)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (predict_by_prototype(SUPPORT[without], TARGETS[without], TEST, multi_label=False)[:, 1] == 0).all()
    constant = np.tile([True, False, True], (14, 1)) & np.array([True, True, False])
    assert (predict_by_logistic_regression(SUPPORT, constant, TEST, multi_label=True) == [1, 0, 0]).all()


def test_logistic_regression_does_not_depend_on_the_order_of_the_support_images():
    draw = np.random.default_rng(1)
    # Correlated features, as in embeddings, make the result of the solver depend on the order.
    mixed = (draw.normal(size=(350, 30)) * np.geomspace(1, 0.01, 30)) @ draw.normal(size=(30, 160))
    support, test = np.split((mixed / mixed.std(axis=0)).astype(np.float32), [300])
    targets, order = np.eye(3, dtype=bool)[draw.integers(0, 3, 300)], draw.permutation(300)
    found = predict_by_logistic_regression(support, targets, test, multi_label=False)
    np.testing.assert_array_equal(
        predict_by_logistic_regression(support[order], targets[order], test, multi_label=False), found
    )


def test_variances_of_few_images_are_shrunk_towards_their_mean():
    spread = np.array([1.0, 4.0, 0.25])
    many = DRAW.normal(size=(4000, 3)) * spread + 7
    scaled = FeatureScaler.fit(many).transform(many)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    # The estimate of a variance v is (4000 v + 10 m) / 4010, with the mean m of all variances.
    expected = np.sqrt((4000 * many.var(axis=0) + 10 * many.var(axis=0).mean()) / 4010)
    np.testing.assert_allclose(scaled.std(axis=0), many.std(axis=0) / expected, rtol=1e-4)
    few = many[:2]
    variance = few.var(axis=0)
    expected = np.sqrt((2 * variance + 10 * variance.mean()) / 12)
    np.testing.assert_allclose(FeatureScaler.fit(few).deviation, expected)
    assert np.isfinite(FeatureScaler.fit(many[:1]).transform(many)).all()
    np.testing.assert_allclose((scale_to_unit_rms(many) ** 2).mean(axis=1), 1, rtol=1e-5)
    assert (scale_to_unit_rms(np.zeros((2, 3))) == 0).all()
