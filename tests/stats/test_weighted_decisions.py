"""Weighted metrics of class probabilities against the metrics of repeated cases, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from f2vbench.metrics.classification import evaluate
from f2vbench.stats.weighted_decisions import BINARY, MULTI_LABEL, SINGLE_LABEL

BY_KIND = {"binary": BINARY, "nominal": SINGLE_LABEL, "ordinal": SINGLE_LABEL, "multilabel": MULTI_LABEL}
CLASSES = {"binary": 2, "nominal": 3, "ordinal": 4, "multilabel": 3}
CASES = [(kind, name) for kind, by_name in BY_KIND.items() for name in by_name]


def simulate(kind: str, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities in steps of 0.05, so that some are equal and some on the edge of a bin, and targets."""
    rng = np.random.default_rng(list(BY_KIND).index(kind))
    k = CLASSES[kind]
    if kind == "multilabel":
        targets = rng.random((n, k)) < [0.5, 0.3, 0.1]
        probabilities = np.round(np.clip(0.3 + 0.3 * targets + rng.normal(0, 0.25, (n, k)), 0, 1) * 20) / 20
        return probabilities, targets
    targets = np.eye(k, dtype=bool)[rng.integers(0, k, n)]
    steps = rng.multinomial(20, np.full(k, 1 / k), n) + 2 * targets
    probabilities = steps / steps.sum(axis=1, keepdims=True)
    probabilities[:3] = 1 / k
    probabilities[3] = np.eye(k)[0]
    return probabilities, targets


def resample_weights(targets: np.ndarray) -> np.ndarray:
    """Weights of bootstrap resamples, of all cases, of halves, without each class, of single classes, and of none."""
    n, rng = len(targets), np.random.default_rng(9)
    return np.concatenate(
        [
            np.ones((1, n), dtype=int),
            rng.multinomial(n, np.full(n, 1 / n), 12),
            rng.integers(0, 2, (12, n)),
            targets.T.astype(int),
            2 * (~targets.T).astype(int),
            1 - np.eye(n, dtype=int)[:4],
        ]
    )


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_weighted_metric_is_that_of_repeated_cases_and_undefined_where_it_is(kind, name):
    probabilities, targets = simulate(kind)
    weights = resample_weights(targets)
    values = BY_KIND[kind][name].prepare(probabilities, targets.astype(int))(weights.astype(float))
    evaluated_as = "ordinal" if name == "quadratic_kappa" else kind
    for row, value in zip(weights, values, strict=True):
        cases = np.repeat(np.arange(len(targets)), row)
        names = [f"class {c}" for c in range(targets.shape[1])]
        expected = evaluate(probabilities[cases], targets[cases], evaluated_as, names)[0][name]
        assert value == pytest.approx(np.nan if expected is None else expected, rel=1e-12, abs=1e-12, nan_ok=True)
    defined_everywhere = name in ("accuracy", "brier", "calibration_error", "quadratic_kappa")
    assert np.isnan(values).any() != defined_everywhere


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_without_weight_every_metric_is_undefined(kind, name):
    probabilities, targets = simulate(kind)
    assert np.isnan(BY_KIND[kind][name].prepare(probabilities, targets)(np.zeros((2, len(targets))))).all()


def test_kappa_is_undefined_where_predictions_and_labels_are_one_grade():
    probabilities, labels = np.array([[0.1, 0.9, 0.0]] * 3 + [[0.9, 0.1, 0.0]]), np.array([1, 1, 1, 1])
    weights = np.array([[1, 1, 1, 0], [0.1, 0.2, 0.7, 0.0], [1, 1, 1, 1]])
    values = SINGLE_LABEL["quadratic_kappa"].prepare(probabilities, labels)(weights)
    assert np.isnan(values).tolist() == [True, True, False]


FRACTIONS = np.random.default_rng(5).dirichlet(np.ones(40), 6)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("f1", lambda *labels, **weights: metrics.f1_score(*labels, average="macro", **weights)),
        (
            "quadratic_kappa",
            lambda *labels, **weights: metrics.cohen_kappa_score(*labels, weights="quadratic", **weights),
        ),
    ],
)
def test_metrics_of_decisions_with_fractions_as_weights_are_those_of_scikit_learn(name, reference):
    probabilities, targets = simulate("ordinal")
    truth, predicted = targets.argmax(axis=1), probabilities.argmax(axis=1)
    values = SINGLE_LABEL[name].prepare(probabilities, truth)(FRACTIONS)
    expected = [reference(truth, predicted, sample_weight=weights) for weights in FRACTIONS]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_brier_score_with_fractions_as_weights_is_that_of_scikit_learn():
    probabilities, targets = simulate("binary")
    values = BINARY["brier"].prepare(probabilities, targets)(FRACTIONS)
    expected = [
        metrics.brier_score_loss(targets[:, 1], probabilities[:, 1], sample_weight=weights) for weights in FRACTIONS
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("name", SINGLE_LABEL)
def test_classes_and_indicators_are_the_same_labels(name):
    probabilities, targets = simulate("ordinal")
    prepare, weights = SINGLE_LABEL[name].prepare, FRACTIONS
    by_class, by_indicator = (prepare(probabilities, labels)(weights) for labels in (targets.argmax(axis=1), targets))
    assert by_class.tolist() == by_indicator.tolist()


@pytest.mark.parametrize("name", MULTI_LABEL)
def test_a_single_class_may_have_one_dimension(name):
    probabilities, targets = (values[:, 0] for values in simulate("multilabel"))
    prepare = MULTI_LABEL[name].prepare
    assert prepare(probabilities, targets)(FRACTIONS) == pytest.approx(
        prepare(probabilities[:, None], targets[:, None])(FRACTIONS)
    )


@pytest.mark.parametrize(
    ("by_name", "predictions", "labels", "message"),
    [
        (SINGLE_LABEL, np.ones(4), np.ones(4), "k ≥ 2 classes"),
        (SINGLE_LABEL, np.ones((4, 2)), None, "k ≥ 2 classes"),
        (SINGLE_LABEL, np.ones((4, 2)), np.array([0, 1, 2, 0]), "labels must be 0 … 1"),
        (SINGLE_LABEL, np.ones((4, 2)), np.ones((4, 2)), "exactly one class"),
        (SINGLE_LABEL, np.ones((4, 2)), np.ones((4, 3)), "same shape"),
        (BINARY, np.ones((4, 3)), np.zeros(4), "of 2 classes, not of 3"),
        (MULTI_LABEL, np.ones((4, 2)), np.ones(4), "probabilities and labels, not shapes"),
        (MULTI_LABEL, np.ones((4, 2)), np.full((4, 2), 2), "bool, or 0 and 1"),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "brier", "calibration_error"])
def test_labels_that_do_not_fit_are_refused(by_name, name, predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        by_name[name].prepare(predictions, labels)
