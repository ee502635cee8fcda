"""Segmentation metrics against scikit-learn and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from f2vbench.metrics.segmentation import Confusion, PixelPool, Tally, best_dice_threshold, evaluate, tally


@pytest.fixture(params=["continuous", "ties", "negative"])
def pixels(request) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    labels = draw.random(5000) < 0.12
    scores = draw.normal(size=5000) + labels
    if request.param == "ties":
        scores = np.round(scores * 4) / 4
    if request.param == "negative":
        scores = scores - 50
    return scores.astype(np.float32), labels


def test_ranking_metrics_equal_scikit_learn(pixels):
    scores, labels = pixels
    values = evaluate(scores, labels, threshold=0.5)
    assert values["auroc"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert values["average_precision"] == pytest.approx(reference.average_precision_score(labels, scores), abs=1e-12)


def test_overlap_metrics_equal_scikit_learn(pixels):
    scores, labels = pixels
    threshold = float(np.median(scores))
    predicted = scores >= threshold
    values = evaluate(scores, labels, threshold)
    assert values["dice"] == pytest.approx(reference.f1_score(labels, predicted), abs=1e-12)
    assert values["sensitivity"] == pytest.approx(reference.recall_score(labels, predicted), abs=1e-12)
    assert values["specificity"] == pytest.approx(reference.recall_score(~labels, ~predicted), abs=1e-12)
    assert values["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted), abs=1e-12)


def test_a_pixel_at_the_threshold_is_predicted_positive():
    counts = Confusion.from_predictions(np.array([0.5, 0.4]) >= 0.5, np.array([True, False]))
    assert (counts.true_positive, counts.true_negative, counts.false_positive) == (1, 1, 0)


def test_metrics_without_a_class_or_a_threshold_are_none():
    scores = np.array([0.1, 0.9], np.float32)
    without_positives = evaluate(scores, np.array([False, False]), threshold=0.5)
    assert without_positives["auroc"] is None
    assert without_positives["average_precision"] is None
    assert without_positives["sensitivity"] is None
    assert without_positives["specificity"] == 0.5
    assert evaluate(scores, np.array([True, True]), 0.5)["auroc"] is None
    assert evaluate(scores, np.array([True, False]), None)["dice"] is None


def test_pooled_metrics_equal_those_of_all_pixels_together():
    draw = np.random.default_rng(0)
    pool, scores, labels = PixelPool(), [], []
    for _ in range(3):
        label = draw.random(4000) < 0.1
        score = (np.round(draw.normal(size=4000) * 8 + 6 * label) / 8).astype(np.float32)
        pool.add(score, label, threshold=0.5)
        scores.append(score)
        labels.append(label)
    expected = evaluate(np.concatenate(scores), np.concatenate(labels), 0.5)
    for name, value in pool.metrics(0.5).items():
        assert value == pytest.approx(expected[name], abs=1e-12), name


def test_the_sums_of_a_pool_are_rounded_as_those_over_all_bins():
    """A pool adds up occupied bins only; without a pixel in the others the results have the same bits."""
    draw = np.random.default_rng(5)
    for low, high in ((0, 1), (-1, 1), (0.5, 0.6)):
        pool = PixelPool()
        for size in (1, 50, 3000):
            scores = draw.uniform(low, high, size).astype(np.float32)
            pool.add(scores, draw.random(size) < 0.3, threshold=None)
        every_bin = Tally(pool.positives[::-1], pool.negatives[::-1])
        values = pool.metrics(threshold=None)
        assert values["auroc"] == every_bin.auroc()
        assert values["average_precision"] == every_bin.average_precision()


def test_binning_changes_a_pooled_auroc_by_less_than_one_in_a_hundred_thousand():
    draw = np.random.default_rng(1)
    labels = draw.random(200_000) < 0.1
    logits = draw.normal(size=labels.size) * 3 - 4 + 5 * labels
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    pool = PixelPool()
    pool.add(scores, labels, None)
    assert pool.metrics(None)["auroc"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-5)


def test_best_dice_threshold_equals_trying_every_score():
    draw = np.random.default_rng(2)
    labels = draw.random(300) < 0.3
    scores = np.round(draw.normal(size=300) + labels, 1).astype(np.float32)
    dice_of = {score: reference.f1_score(labels, scores >= score) for score in np.unique(scores)}
    best = best_dice_threshold(scores, labels)
    assert dice_of[np.float32(best)] == max(dice_of.values())
    assert best_dice_threshold(scores, np.zeros(300, bool)) is None


def test_tally_counts_every_pixel_once(pixels):
    scores, labels = pixels
    counts = tally(scores, labels)
    assert counts.positives.sum() == labels.sum()
    assert counts.positives.sum() + counts.negatives.sum() == labels.size
