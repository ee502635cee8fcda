"""Classification metrics against scikit-learn and plain loops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from f2vbench.metrics.classification import evaluate, quadratic_kappa, stacked_auroc

EXACT = 1e-12


def draw_predictions(seed: int, n: int, k: int, ties: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Random probabilities, labels in which each class occurs, and names of the classes."""
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.ones(k), n)
    if ties:
        probabilities = np.round(probabilities * 8) / 8
    truth = np.concatenate([np.arange(k), draw.integers(0, k, n - k)])
    return probabilities, truth, [f"class{number}" for number in range(k)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_metrics_of_several_classes_equal_scikit_learn(seed, ties):
    k = 3 + seed % 3
    p, truth, names = draw_predictions(seed, 40, k, ties)
    onehot = truth[:, None] == np.arange(k)
    values, reasons = evaluate(p, onehot, "ordinal", names)
    predicted = p.argmax(axis=1)
    normalised = p / p.sum(axis=1, keepdims=True)
    expected = {
        "auroc": reference.roc_auc_score(onehot, p, average="macro"),
        "average_precision": reference.average_precision_score(onehot, p, average="macro"),
        "accuracy": reference.accuracy_score(truth, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "f1": reference.f1_score(truth, predicted, average="macro", labels=range(k), zero_division=0),
        "quadratic_kappa": reference.cohen_kappa_score(truth, predicted, weights="quadratic", labels=range(k)),
    }
    if not ties:
        expected["auroc"] = reference.roc_auc_score(truth, normalised, multi_class="ovr", average="macro")
        expected["brier"] = reference.brier_score_loss(truth, normalised, scale_by_half=False)
    for number, name in enumerate(names):
        expected[f"auroc:{name}"] = reference.roc_auc_score(onehot[:, number], p[:, number])
        expected[f"average_precision:{name}"] = reference.average_precision_score(onehot[:, number], p[:, number])
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=EXACT), name
    assert reasons == {}


@pytest.mark.parametrize("seed", range(4))
def test_binary_metrics_are_those_of_the_positive_class(seed):
    p, truth, names = draw_predictions(seed, 30, 2, ties=seed % 2 == 1)
    p = p / p.sum(axis=1, keepdims=True)
    values, _ = evaluate(p, truth[:, None] == np.arange(2), "binary", names)
    predicted = p.argmax(axis=1)
    expected = {
        "auroc": reference.roc_auc_score(truth, p[:, 1]),
        "average_precision": reference.average_precision_score(truth, p[:, 1]),
        "f1": reference.f1_score(truth, predicted),
        "brier": reference.brier_score_loss(truth, p[:, 1]),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=EXACT), name
    assert "quadratic_kappa" not in values
    assert not any(":" in name for name in values)


@pytest.mark.parametrize("seed", range(3))
def test_multi_label_metrics_equal_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    p, targets = draw.random((50, 4)), draw.random((50, 4)) < 0.4
    values, _ = evaluate(p, targets, "multilabel", list("abcd"))
    predicted = p >= 0.5
    recalls = [reference.balanced_accuracy_score(targets[:, c], predicted[:, c]) for c in range(4)]
    expected = {
        "auroc": reference.roc_auc_score(targets, p),
        "average_precision": reference.average_precision_score(targets, p),
        "f1": reference.f1_score(targets, predicted, average="macro"),
        "accuracy": 1 - reference.hamming_loss(targets, predicted),
        "balanced_accuracy": np.mean(recalls),
        "brier": np.mean([reference.brier_score_loss(targets[:, c], p[:, c]) for c in range(4)]),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=EXACT), name


def kappa_by_definition(predicted: np.ndarray, truth: np.ndarray, grades: int) -> float:
    """1 − observed ÷ expected disagreement, each the mean squared difference of grades, by loops."""
    observed = np.mean([(p - t) ** 2 for p, t in zip(predicted, truth, strict=True)])
    expected = np.mean([(p - t) ** 2 for p in predicted for t in truth])
    return 1 - observed / expected


@pytest.mark.parametrize("grades", [2, 3, 5])
def test_quadratic_kappa_follows_its_definition(grades):
    draw = np.random.default_rng(grades)
    for _ in range(5):
        predicted, truth = draw.integers(0, grades, (2, 25))
        expected = kappa_by_definition(predicted, truth, grades)
        assert quadratic_kappa(predicted, truth, grades) == pytest.approx(expected, abs=EXACT)
    assert quadratic_kappa(np.full(5, 1), np.full(5, 1), grades) is None


def calibration_error_by_loops(confidence: np.ndarray, correct: np.ndarray) -> float:
    total = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        members = [i for i, c in enumerate(confidence) if low < c <= high or (number == 0 and c == 0)]
        if members:
            gap = np.mean([confidence[i] for i in members]) - np.mean([correct[i] for i in members])
            total += len(members) * abs(gap)
    return total / len(confidence)


def test_calibration_error_equals_a_plain_loop():
    p, truth, names = draw_predictions(11, 60, 4, ties=False)
    values, _ = evaluate(p, truth[:, None] == np.arange(4), "nominal", names)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == truth
    assert values["calibration_error"] == pytest.approx(calibration_error_by_loops(confidence, correct), abs=EXACT)
    binary = np.stack([1 - p[:, 0], p[:, 0]], axis=1)
    positive = truth == 0
    values, _ = evaluate(binary, np.stack([~positive, positive], axis=1), "binary", ["no", "yes"])
    assert values["calibration_error"] == pytest.approx(calibration_error_by_loops(p[:, 0], positive), abs=EXACT)
    perfect = np.eye(3)[[0, 1, 2, 1]]
    values, _ = evaluate(perfect, perfect.astype(bool), "nominal", list("abc"))
    assert (values["calibration_error"], values["brier"], values["auroc"]) == (0, 0, 1)


def test_quadratic_kappa_measures_distances_of_grades_where_one_is_absent():
    """scikit-learn measures them in the list of grades that occur, see findings/kappa_of_absent_grades.sh."""
    truth, graded = np.array([0, 1, 2, 4, 4, 0, 2, 1, 0, 4]), np.array([0, 2, 2, 4, 2, 0, 4, 1, 1, 2])
    by_chance = np.subtract.outer(truth, graded) ** 2
    expected = 1 - ((truth - graded) ** 2).mean() / by_chance.mean()
    assert quadratic_kappa(graded, truth, 5) == pytest.approx(expected)


def test_metrics_of_an_absent_class_are_none_with_a_reason():
    p, _, names = draw_predictions(3, 12, 3, ties=False)
    truth = np.arange(12) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, reasons = evaluate(p, truth[:, None] == np.arange(3), "ordinal", names)
    for name in ("auroc", "average_precision", "balanced_accuracy", "f1", "auroc:class2", "average_precision:class2"):
        assert values[name] is None
        assert "no test image is class2" in reasons[name]
    for name in ("accuracy", "brier", "calibration_error", "quadratic_kappa", "auroc:class0"):
        assert values[name] is not None
        assert name not in reasons


def test_a_single_class_has_no_ranking_metrics():
    p, targets = np.tile([0.3, 0.7], (5, 1)), np.tile([True, False], (5, 1))
    values, reasons = evaluate(p, targets, "binary", ["no", "yes"])
    assert (values["auroc"], values["average_precision"], values["f1"]) == (None, None, None)
    assert "no test image is yes" in reasons["auroc"]
    values, reasons = evaluate(p, targets[:, ::-1], "binary", ["no", "yes"])
    assert "all test images are yes" in reasons["auroc"]
    values, reasons = evaluate(p, targets[:, ::-1], "ordinal", ["no", "yes"])
    assert values["quadratic_kappa"] is None
    assert reasons["quadratic_kappa"]


@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        (np.full((2, 2), np.nan), np.eye(2, dtype=bool), "not finite"),
        (np.full((2, 2), 0.5), np.ones((2, 2), bool), "exactly one class"),
        (np.full((2, 3), 0.5), np.eye(2, dtype=bool), "shape"),
        (np.zeros((0, 2)), np.zeros((0, 2), bool), "shape"),
    ],
)
def test_invalid_predictions_are_an_error(probabilities, targets, message):
    with pytest.raises(ValueError, match=message):
        evaluate(probabilities, targets, "nominal", ["a", "b"])


def test_stacked_auroc_equals_scikit_learn_on_the_valid_rows_of_each_table():
    draw = np.random.default_rng(5)
    scores = draw.integers(0, 6, (4, 17, 3)) / 6
    targets = draw.random((4, 17, 3)) < 0.4
    targets[2, :, 1] = False
    valid = np.arange(17) < np.array([17, 12, 9, 16])[:, None]
    aurocs = stacked_auroc(scores, targets, valid)
    for table in range(4):
        for column in range(3):
            truth = targets[table, valid[table], column]
            if truth.any():
                expected = reference.roc_auc_score(truth, scores[table, valid[table], column])
                assert aurocs[table, column] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(aurocs[table, column])
