"""Metrics of several classes against scikit-learn; images without a class, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from f2vbench.adapters.segmentation_metrics import evaluate_classes
from f2vbench.adapters.segmenters import ClassThreshold, PerClassSegmenter, ScoreMap, TrainingFreeSegmenter
from f2vbench.data.annotation import Annotation
from f2vbench.data.photographs import Photograph
from f2vbench.metrics.boundary import boundary_metrics
from tests.helpers.mask_sets import SIDE, structures

NAMES = ("disc", "cup", "spot")
HALF = dict.fromkeys(NAMES, ClassThreshold(0.5, "fixed at 0.5"))


def photograph(seed: int) -> Photograph:
    rgb, masks = structures(seed)
    bits = sum(mask.astype(np.uint8) << number for number, mask in enumerate(masks.values()))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    fov = np.hypot(rows - SIDE / 2, columns - SIDE / 2) < 30
    ignored = np.zeros((SIDE, SIDE), bool)
    ignored[:, 30:33] = True
    return Photograph(f"eye{seed}", rgb, fov, f"content {seed}", Annotation(bits.astype(np.uint8), 3, ignored))


def noisy(photo: Photograph) -> ScoreMap:
    noise = np.random.default_rng(int(photo.name[3:])).normal(0, 0.35, (3, SIDE, SIDE))
    masks = np.stack([photo.annotation.mask(number) for number in range(3)])
    return ScoreMap((masks + noise).astype(np.float32))


def test_metrics_equal_those_of_a_plain_loop():
    photos = [photograph(seed) for seed in range(4)]
    result = evaluate_classes(((photo, noisy(photo)) for photo in photos), HALF)
    for number, name in enumerate(NAMES):
        pairs = [(noisy(p).values[number][p.counted], p.annotation.mask(number)[p.counted]) for p in photos]
        having = [(scores, labels) for scores, labels in pairs if labels.any()]
        assert result.images[name] == len(having) == (2 if name == "spot" else 4)
        for metric, reference in (
            ("auroc", lambda s, y: roc_auc_score(y, s)),
            ("average_precision", lambda s, y: average_precision_score(y, s)),
            ("dice", lambda s, y: f1_score(y, s >= 0.5)),
            ("iou", lambda s, y: jaccard_score(y, s >= 0.5)),
        ):
            expected = np.mean([reference(*pair) for pair in having])
            assert result.metrics[f"{metric}:{name}"] == pytest.approx(expected, abs=1e-12)
            pooled = reference(*(np.concatenate(each) for each in zip(*pairs, strict=True)))
            assert result.metrics[f"{metric}_pooled:{name}"] == pytest.approx(pooled, abs=1e-4)  # scores in bins
        specificity = np.mean([np.mean(scores[~labels] < 0.5) for scores, labels in pairs])
        assert result.metrics[f"specificity:{name}"] == pytest.approx(specificity, abs=1e-12)
        boundaries = [
            boundary_metrics((noisy(p).values[number] >= 0.5) & p.counted, mask, p.view.side)["hd95"]
            for p in photos
            if (mask := p.annotation.mask(number) & p.counted).any()
        ]
        assert result.metrics[f"hd95:{name}"] == pytest.approx(np.mean(boundaries))
    for metric in ("auroc", "dice", "nsd", "average_precision_pooled"):
        assert result.metrics[metric] == pytest.approx(np.mean([result.metrics[f"{metric}:{n}"] for n in NAMES]))
    assert "dice:spot" not in result.per_image["eye1"]
    of_image = result.per_image["eye1"]
    assert of_image["dice"] == pytest.approx((of_image["dice:disc"] + of_image["dice:cup"]) / 2)


def test_a_class_without_a_test_image_and_a_class_without_a_threshold_have_reasons():
    thresholds = HALF | {"cup": ClassThreshold(None, "none: no support image has the class")}
    photo = photograph(1)
    result = evaluate_classes([(photo, noisy(photo))], thresholds)
    assert result.metrics["auroc:spot"] is None
    assert result.reasons["auroc:spot"] == "the class is in no test image"
    assert result.reasons["dice:cup"] == "threshold none: no support image has the class"
    assert result.reasons["dice"] == (
        "cup: threshold none: no support image has the class; spot: the class is in no test image"
    )
    assert result.metrics["auroc"] is None
    assert result.metrics["auroc:cup"] is not None
    assert result.metrics["specificity:spot"] is not None


def test_a_model_that_predicts_nothing_has_the_worst_boundary_metrics():
    photo = photograph(0)
    nothing = ScoreMap(np.zeros((3, SIDE, SIDE), np.float32))
    metrics = evaluate_classes([(photo, nothing)], HALF).metrics
    assert metrics["hd95"] == 100
    assert metrics["nsd"] == metrics["dice"] == metrics["iou"] == 0


def test_a_model_with_one_mask_is_fitted_for_each_class():
    seen = []

    class Recorded(TrainingFreeSegmenter):
        def fit(self, support, seed):
            seen.append([photo.annotation.mask(0).sum() for photo in support])
            return super().fit(support, seed)

    photo = photograph(0)
    segmenter = PerClassSegmenter(lambda: Recorded(lambda p: ScoreMap(p.vessels[None] * np.float32(1)), 0.5), 3)
    segmenter.fit([photo], seed=0)
    assert seen == [[photo.annotation.mask(number).sum()] for number in range(3)]
    assert segmenter.score(photo).values.shape == (3, SIDE, SIDE)
