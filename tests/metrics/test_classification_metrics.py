"""Classification metrics against scikit-learn and slow loops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from f2vbench.metrics.classification import evaluate, stacked_auroc

EXACT = 1e-12


def drawn(seed: int, n: int, k: int, ties: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Random probabilities, with each class present, and names."""
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.ones(k), n)
    if ties:
        probabilities = np.round(probabilities * 8) / 8
    truth = np.concatenate([np.arange(k), draw.integers(0, k, n - k)])
    return probabilities, truth, [f"class{number}" for number in range(k)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_many_classes_equal_scikit_learn(seed, ties):
    k = 3 + seed % 3
    p, truth, names = drawn(seed, 40, k, ties)
    onehot = truth[:, None] == np.arange(k)
    found, reasons = evaluate(p, onehot, "ordinal", names)
    predicted = p.argmax(axis=1)
    normal = p / p.sum(axis=1, keepdims=True)
    expected = {
        "auroc": reference.roc_auc_score(onehot, p, average="macro"),
        "average_precision": reference.average_precision_score(onehot, p, average="macro"),
        "accuracy": reference.accuracy_score(truth, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "f1": reference.f1_score(truth, predicted, average="macro", labels=range(k), zero_division=0),
        "quadratic_kappa": reference.cohen_kappa_score(truth, predicted, weights="quadratic", labels=range(k)),
    }
    if not ties:
        expected["auroc"] = reference.roc_auc_score(truth, normal, multi_class="ovr", average="macro")
        expected["brier"] = reference.brier_score_loss(truth, normal, scale_by_half=False)
    for number, name in enumerate(names):
        expected[f"auroc:{name}"] = reference.roc_auc_score(onehot[:, number], p[:, number])
        expected[f"average_precision:{name}"] = reference.average_precision_score(onehot[:, number], p[:, number])
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=EXACT), name
    assert reasons == {}


@pytest.mark.parametrize("seed", range(4))
def test_binary_outcomes_are_measured_by_the_positive_class(seed):
    p, truth, names = drawn(seed, 30, 2, ties=seed % 2 == 1)
    p = p / p.sum(axis=1, keepdims=True)
    found, _ = evaluate(p, truth[:, None] == np.arange(2), "binary", names)
    predicted = p.argmax(axis=1)
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(truth, p[:, 1]), abs=EXACT)
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(truth, p[:, 1]), abs=EXACT)
    assert found["f1"] == pytest.approx(reference.f1_score(truth, predicted), abs=EXACT)
    assert found["brier"] == pytest.approx(reference.brier_score_loss(truth, p[:, 1]), abs=EXACT)
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, predicted), abs=EXACT)
    assert "quadratic_kappa" not in found
    assert not any(":" in name for name in found)


@pytest.mark.parametrize("seed", range(3))
def test_several_labels_an_image_equal_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    p, targets = draw.random((50, 4)), draw.random((50, 4)) < 0.4
    found, _ = evaluate(p, targets, "multilabel", list("abcd"))
    called = p >= 0.5
    columns = range(4)
    expected = {
        "auroc": reference.roc_auc_score(targets, p),
        "average_precision": reference.average_precision_score(targets, p),
        "f1": reference.f1_score(targets, called, average="macro"),
        "accuracy": 1 - reference.hamming_loss(targets, called),
        "balanced_accuracy": np.mean([reference.balanced_accuracy_score(targets[:, c], called[:, c]) for c in columns]),
        "brier": np.mean([reference.brier_score_loss(targets[:, c], p[:, c]) for c in columns]),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=EXACT), name


def slow_calibration(confidence: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = [i for i, c in enumerate(confidence) if low < c <= high or (number == 0 and c == 0)]
        if inside:
            total += len(inside) * abs(np.mean([confidence[i] for i in inside]) - np.mean([right[i] for i in inside]))
    return total / len(confidence)


def test_the_calibration_error_equals_a_slow_loop():
    p, truth, names = drawn(11, 60, 4, ties=False)
    found, _ = evaluate(p, truth[:, None] == np.arange(4), "nominal", names)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    assert found["calibration_error"] == pytest.approx(slow_calibration(confidence, right), abs=EXACT)
    p2 = np.stack([1 - p[:, 0], p[:, 0]], axis=1)
    outcome = truth == 0
    found, _ = evaluate(p2, np.stack([~outcome, outcome], axis=1), "binary", ["no", "yes"])
    assert found["calibration_error"] == pytest.approx(slow_calibration(p[:, 0], outcome), abs=EXACT)
    perfect = np.eye(3)[[0, 1, 2, 1]]
    found, _ = evaluate(perfect, perfect.astype(bool), "nominal", list("abc"))
    assert (found["calibration_error"], found["brier"], found["auroc"]) == (0, 0, 1)


def test_an_absent_class_is_a_stated_missing_value():
    p, _, names = drawn(3, 12, 3, ties=False)
    truth = np.arange(12) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, reasons = evaluate(p, truth[:, None] == np.arange(3), "ordinal", names)
    for name in ("auroc", "average_precision", "balanced_accuracy", "f1", "auroc:class2", "average_precision:class2"):
        assert found[name] is None
        assert "no test image is class2" in reasons[name]
    for name in ("accuracy", "brier", "calibration_error", "quadratic_kappa", "auroc:class0"):
        assert found[name] is not None
        assert name not in reasons


def test_one_class_alone_leaves_nothing_to_rank():
    p, targets = np.tile([0.3, 0.7], (5, 1)), np.tile([True, False], (5, 1))
    found, reasons = evaluate(p, targets, "binary", ["no", "yes"])
    assert (found["auroc"], found["average_precision"], found["f1"]) == (None, None, None)
    assert "no test image is yes" in reasons["auroc"]
    found, reasons = evaluate(p, targets[:, ::-1], "binary", ["no", "yes"])
    assert "all test images are yes" in reasons["auroc"]
    found, reasons = evaluate(p, targets[:, ::-1], "ordinal", ["no", "yes"])
    assert found["quadratic_kappa"] is None
    assert reasons["quadratic_kappa"]


@pytest.mark.parametrize(
    ("probabilities", "targets"),
    [
        (np.full((2, 2), np.nan), np.eye(2, dtype=bool)),
        (np.full((2, 2), 0.5), np.ones((2, 2), bool)),
        (np.full((2, 3), 0.5), np.eye(2, dtype=bool)),
        (np.zeros((0, 2)), np.zeros((0, 2), bool)),
    ],
)
def test_what_is_no_prediction_is_refused(probabilities, targets):
    with pytest.raises(ValueError, match=r"finite|exactly one|classes"):
        evaluate(probabilities, targets, "nominal", ["a", "b"])


def test_areas_of_a_stack_are_those_of_each_table_without_the_rows_that_are_not_there():
    draw = np.random.default_rng(5)
    scores = draw.integers(0, 6, (4, 17, 3)) / 6
    targets = draw.random((4, 17, 3)) < 0.4
    targets[2, :, 1] = False
    there = np.arange(17) < np.array([17, 12, 9, 16])[:, None]
    found = stacked_auroc(scores, targets, there)
    for table in range(4):
        for column in range(3):
            truth = targets[table, there[table], column]
            if truth.any():
                expected = reference.roc_auc_score(truth, scores[table, there[table], column])
                assert found[table, column] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(found[table, column])
