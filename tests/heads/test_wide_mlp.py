"""The head of infinite width: invariances, closed forms, edge cases, and a comparison with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from f2vbench.adapters.probes import FeatureScaler
from f2vbench.heads import wide_kernel, wide_mlp
from f2vbench.heads.wide_mlp import predict_by_wide_mlp

Floats = NDArray[np.float64]


def simulate(width: int, images_per_class: int, classes: int = 5, seed: int = 0) -> tuple[Floats, NDArray[np.bool_]]:
    """Gaussian embeddings with a mean for each class, and their targets."""
    random = np.random.default_rng([width, classes])
    means = random.normal(scale=3 / np.sqrt(width), size=(classes, width))
    labels = np.repeat(np.arange(classes), images_per_class)
    noise = np.random.default_rng(seed).normal(size=(len(labels), width))
    return means[labels] + noise, np.eye(classes, dtype=bool)[labels]


def auroc(probabilities: NDArray[np.floating], targets: NDArray[np.bool_]) -> float:
    return float(np.mean([roc_auc_score(of_class, p) for of_class, p in zip(targets.T, probabilities.T, strict=True)]))


@pytest.mark.parametrize("shots", [1, 2, 4, 16])
@pytest.mark.parametrize("multi_label", [False, True])
def test_repetition_rotation_scale_and_shift_change_nothing(shots: int, multi_label: bool) -> None:
    support, targets = simulate(24, shots, seed=1)
    test, truth = simulate(24, 40, seed=2)
    expected = predict_by_wide_mlp(support, targets, test, multi_label)
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(24, 24)))
    shift = np.random.default_rng(4).normal(size=24)
    for change in (lambda x: np.tile(x, 16), lambda x: x @ rotation, lambda x: 50 * x, lambda x: x + shift):
        changed = predict_by_wide_mlp(change(support), targets, change(test), multi_label)
        np.testing.assert_allclose(changed, expected, atol=2e-3)
        assert abs(auroc(changed, truth) - auroc(expected, truth)) < 0.003


def test_order_of_the_support_images_changes_nothing() -> None:
    support, targets = simulate(24, 4, seed=1)
    test, _ = simulate(24, 10, seed=2)
    order = np.random.default_rng(0).permutation(len(support))
    expected = predict_by_wide_mlp(support, targets, test, False)
    np.testing.assert_array_equal(predict_by_wide_mlp(support[order], targets[order], test, False), expected)


def test_coordinates_give_the_kernel_of_a_very_wide_layer() -> None:
    """The reference draws 200,000 ReLU units, and centres and scales both parts of the kernel explicitly."""
    support, _ = simulate(6, 3, classes=4)
    scaled = support - support.mean(axis=0)
    scaled /= np.sqrt(np.mean(np.sum(scaled**2, axis=1)))
    random = np.random.default_rng(0)
    units = 200_000
    layer = random.normal(size=(6, units)), random.normal(scale=np.sqrt(0.1), size=units)
    hidden = np.maximum(scaled @ layer[0] + layer[1], 0) * np.sqrt(2 / units)
    hidden -= hidden.mean(axis=0)
    hidden /= np.sqrt(np.mean(np.sum(hidden**2, axis=1)))
    z, _ = wide_kernel.kernel_coordinates(support)
    np.testing.assert_allclose(z @ z.T, (scaled @ scaled.T + hidden @ hidden.T) / 2, atol=0.02)


def test_left_out_scores_equal_refits_without_the_image() -> None:
    support, targets = simulate(30, 3)
    test, _ = simulate(30, 5, seed=1)
    z, project = wide_kernel.kernel_coordinates(support)
    z_test = project(test)
    scores = wide_mlp._fit(z, targets)
    y = targets.astype(float)
    for row in (2, 6, 8):
        penalty = wide_mlp._PENALTIES[row]
        values = np.sum(z**2, axis=0)
        shrinkage = np.sum(values / (values + penalty)) / (len(z) - 1)
        whole = Ridge(alpha=penalty).fit(z, y).predict(z_test)
        np.testing.assert_allclose(scores.scores(z_test)[row] * shrinkage + y.mean(axis=0), whole, atol=1e-6)
        for image in range(len(z)):
            others = np.arange(len(z)) != image
            refitted = Ridge(alpha=penalty).fit(z[others], y[others]).predict(z[[image]])[0]
            expected = scores.left_out[row, image] * shrinkage + y.mean(axis=0)
            np.testing.assert_allclose(expected, refitted, atol=1e-6)


@pytest.mark.parametrize("shots", [1, 2, 4, 8, 16])
def test_not_behind_logistic_regression_on_digits(shots: int) -> None:
    images, labels = load_digits(return_X_y=True)
    ours, theirs, our_brier, their_brier = [], [], [], []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(labels))
        rows = np.concatenate([order[:1000][labels[order[:1000]] == digit][:shots] for digit in range(10)])
        test = order[1000:]
        targets, truth = np.eye(10, dtype=bool)[labels[rows]], np.eye(10, dtype=bool)[labels[test]]
        scaler = FeatureScaler.fit(images[rows])
        probe = LogisticRegression(max_iter=2000).fit(scaler.transform(images[rows]), labels[rows])
        expected = probe.predict_proba(scaler.transform(images[test]))
        predicted = predict_by_wide_mlp(images[rows], targets, images[test], False)
        ours.append(auroc(predicted, truth))
        theirs.append(auroc(expected, truth))
        our_brier.append(np.sum((predicted - truth) ** 2, axis=1).mean())
        their_brier.append(np.sum((expected - truth) ** 2, axis=1).mean())
    assert np.mean(ours) > np.mean(theirs) - 0.005
    assert np.mean(our_brier) < np.mean(their_brier)


def test_narrow_embeddings_are_not_behind_the_same_embeddings_repeated() -> None:
    """With the recipe of the papers, sixteen copies of the digits' 64 features raise the AUROC at 1 shot by 0.05."""
    images, labels = load_digits(return_X_y=True)
    rows = np.concatenate([np.flatnonzero(labels == digit)[:1] for digit in range(10)])
    targets, truth = np.eye(10, dtype=bool)[labels[rows]], np.eye(10, dtype=bool)[labels]
    narrow = predict_by_wide_mlp(images[rows], targets, images, False)
    wide = predict_by_wide_mlp(np.tile(images[rows], 16), targets, np.tile(images, 16), False)
    assert auroc(wide, truth) == pytest.approx(auroc(narrow, truth), abs=1e-3)


def test_landmarks_stand_for_a_larger_support_set(monkeypatch: pytest.MonkeyPatch) -> None:
    support, targets = simulate(16, 80)
    test, truth = simulate(16, 60, seed=1)
    whole = predict_by_wide_mlp(support, targets, test, False)
    monkeypatch.setattr(wide_kernel, "_MAX_LANDMARKS", 100)
    reduced = predict_by_wide_mlp(support, targets, test, False)
    assert not np.array_equal(whole, reduced)
    assert auroc(reduced, truth) == pytest.approx(auroc(whole, truth), abs=0.005)


def test_absent_and_universal_classes() -> None:
    support, targets = simulate(16, 4)
    test, _ = simulate(16, 4, seed=1)
    absent = np.insert(targets, 2, False, axis=1)
    single = predict_by_wide_mlp(support, absent, test, False)
    assert np.all(single[:, 2] == 0)
    np.testing.assert_array_equal(np.delete(single, 2, axis=1), predict_by_wide_mlp(support, targets, test, False))
    universal = np.insert(absent, 0, True, axis=1)
    several = predict_by_wide_mlp(support, universal, test, True)
    assert np.all(several[:, 0] == 1)
    assert np.all(several[:, 3] == 0)
    assert np.all((several > 0) & (several < 1), axis=0).tolist() == [False, True, True, False, True, True, True]


def test_one_class_and_equal_embeddings_give_frequencies() -> None:
    one_class = np.array([[True, False]] * 3)
    test = np.random.default_rng(0).normal(size=(4, 8))
    support = np.random.default_rng(1).normal(size=(3, 8))
    np.testing.assert_array_equal(predict_by_wide_mlp(support, one_class, test, False), [[1, 0]] * 4)
    targets = np.array([[True, False], [False, True], [False, True], [False, True]])
    equal = predict_by_wide_mlp(np.ones((4, 8)), targets, test, False)
    np.testing.assert_allclose(equal, [[0.25, 0.75]] * 4)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_probabilities_are_valid_and_repeated_images_are_allowed(shots: int) -> None:
    support, targets = simulate(16, shots, classes=2)
    support, targets = np.tile(support, (2, 1)), np.tile(targets, (2, 1))
    test, truth = simulate(16, 50, classes=2, seed=1)
    for rows in (slice(None), slice(len(support) // 2)):
        predicted = predict_by_wide_mlp(support[rows], targets[rows], test, False)
        assert np.isfinite(predicted).all()
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)
        assert auroc(predicted, truth) > 0.85
