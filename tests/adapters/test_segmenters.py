"""Evaluation of score maps, choice of the threshold, and vessel scores of angiograms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from f2vbench.adapters.segmentation_metrics import evaluate_score_maps
from f2vbench.adapters.segmenters import ScoreMap, TrainingFreeSegmenter, fit_and_score
from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Photograph
from tests.helpers.eyes import eye

EPISODE = Episode(("1", "2"), ("3", "4", "5"), seed=7)


def photograph(seed: int) -> Photograph:
    rgb, vessels, fov = eye(seed, side=96)
    return Photograph(f"eye{seed}", rgb, fov, f"content {seed}", vessels)


def load(name: str) -> Photograph:
    return photograph(int(name))


def darkness(photo: Photograph) -> ScoreMap:
    return ScoreMap(255 - photo.rgb[None, ..., 1].astype(np.float32))


def settings(**values) -> RunSettings:
    return build(RunSettings, {"task": "folder", **values})


def test_metrics_equal_those_of_a_plain_loop_over_the_photographs():
    photos = [photograph(number) for number in range(3)]
    metrics = evaluate_score_maps(((each, darkness(each)) for each in photos), 150.0, "").metrics
    scores = [np.where(each.fov, s, s.min()) for each in photos for s in darkness(each).values]
    inside = [(s[each.fov], each.vessels[each.fov]) for s, each in zip(scores, photos, strict=True)]
    frame = [(s.ravel(), each.vessels.ravel()) for s, each in zip(scores, photos, strict=True)]
    for suffix, pairs in (("", inside), ("_frame", frame)):
        assert metrics["auroc" + suffix] == pytest.approx(np.mean([roc_auc_score(y, s) for s, y in pairs]), abs=1e-12)
        assert metrics["dice" + suffix] == pytest.approx(np.mean([f1_score(y, s >= 150) for s, y in pairs]), abs=1e-12)
        pooled_scores, pooled_labels = (np.concatenate(each) for each in zip(*pairs, strict=True))
        auroc, dice = roc_auc_score(pooled_labels, pooled_scores), f1_score(pooled_labels, pooled_scores >= 150)
        assert metrics[f"auroc{suffix}_pooled"] == pytest.approx(auroc, abs=1e-12)
        assert metrics[f"dice{suffix}_pooled"] == pytest.approx(dice, abs=1e-12)


def test_scores_outside_the_field_of_view_do_not_count():
    photo = photograph(1)
    values = darkness(photo).values
    high_outside = ScoreMap(np.where(photo.fov, values, np.float32(1000)))
    low_outside = ScoreMap(np.where(photo.fov, values, values.min()))
    evaluations = [evaluate_score_maps([(photo, score_map)], 150.0, "") for score_map in (high_outside, low_outside)]
    assert evaluations[0] == evaluations[1]


def test_the_threshold_is_chosen_on_the_support_images_only():
    scored: list[str] = []

    def score(photo: Photograph) -> ScoreMap:
        scored.append(photo.name)
        return darkness(photo)

    predictions = fit_and_score(TrainingFreeSegmenter(score, threshold=None), EPISODE, load, settings())
    assert scored == ["eye1", "eye2"]  # no test photograph yet
    pixels = [(darkness(load(n)).values[0][load(n).fov], load(n).vessels[load(n).fov]) for n in EPISODE.support]
    scores, labels = (np.concatenate(each) for each in zip(*pixels, strict=True))
    best = max(np.unique(scores), key=lambda threshold: f1_score(labels, scores >= threshold))
    assert predictions.thresholds == [(best, "best Dice on the support set")]


def test_without_support_images_scores_that_are_no_probabilities_have_no_dice():
    segmenter = TrainingFreeSegmenter(darkness, threshold=None)
    predictions = fit_and_score(segmenter, Episode((), ("3",), 0), load, settings())
    evaluation = evaluate_score_maps(predictions.maps, *predictions.thresholds[0])
    assert evaluation.metrics["dice"] is None
    assert "no support set" in evaluation.reasons["dice"]
    assert evaluation.metrics["auroc"] is not None
    fixed = fit_and_score(segmenter, EPISODE, load, settings(threshold="0.5"))
    assert fixed.thresholds[0].value is None
    assert "no probabilities" in fixed.thresholds[0].rule


def test_the_threshold_of_probabilities_is_one_half_unless_the_settings_say_support():
    segmenter = TrainingFreeSegmenter(lambda photo: ScoreMap(photo.vessels[None] * np.float32(0.3)), threshold=0.5)
    assert fit_and_score(segmenter, EPISODE, load, settings()).thresholds[0].value == 0.5
    chosen = fit_and_score(segmenter, EPISODE, load, settings(threshold="support"))
    assert chosen.thresholds[0].value == pytest.approx(0.3)
