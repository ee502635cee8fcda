"""Vessel segmenters, and their evaluation: fit on the support images, score and evaluate the test images.

A *segmenter* has the methods `fit` and `score`: for example an encoder with a decoder, or a top-hat filter. If its
scores are not probabilities, the threshold for Dice is chosen on the support images, never on the test images.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from f2vbench.adapters.base import TIMING
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Loader, Photograph
from f2vbench.data.square_crop import SquareView
from f2vbench.metrics.averaging import mean_if_complete
from f2vbench.metrics.segmentation import OVERLAP_METRICS, RANKING_METRICS, PixelPool, best_dice_threshold, evaluate


@dataclass(frozen=True)
class ScoreMap:
    """Vessel scores of one photograph; higher is more vessel-like.

    Attributes:
        values: (h, w) float32, at the photograph's resolution or, with ``view``, on the square crop.
        view: The square crop of the values; None if they have the photograph's resolution.
    """

    values: np.ndarray
    view: SquareView | None = None

    def restored(self) -> np.ndarray:
        """Return the scores at the photograph's resolution, (height, width) float32; 0 outside the square crop."""
        return self.values if self.view is None else self.view.restore(self.values)


@dataclass(frozen=True)
class FitSummary:
    """Number of optimiser steps of a fit, and seconds before the first step, for encoding augmented views."""

    steps: int = 0
    preparation_seconds: float = 0.0


class Segmenter(ABC):
    """A model that learns from support photographs and scores the pixels of other photographs.

    Attributes:
        probability: Whether scores are probabilities of a trained model; they are stored with a fine scale near 0
            and 1.
        threshold: Score at which vessel and background are equally likely; None if scores have no such meaning.
    """

    probability: bool
    threshold: float | None

    @abstractmethod
    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Learn from the support photographs.

        Args:
            support: Photographs with vessel masks.
            seed: Seed of the training, 64 bits.
        """

    @abstractmethod
    def score(self, photograph: Photograph) -> ScoreMap:
        """Score the pixels of a photograph."""


class TrainingFreeSegmenter(Segmenter):
    """A segmenter that does not learn: a filter, or a generated angiogram.

    Args:
        score: Photograph → score map.
        threshold: As for `Segmenter`.
    """

    probability = False

    def __init__(self, score: Callable[[Photograph], ScoreMap], threshold: float | None):
        self._score = score
        self.threshold = threshold

    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Do nothing."""
        return FitSummary()

    def score(self, photograph: Photograph) -> ScoreMap:
        """Score the pixels of a photograph."""
        return self._score(photograph)


@dataclass(frozen=True)
class SegmentationPredictions:
    """Predictions of a unit for its test images.

    Attributes:
        maps: Test photographs with their score maps, computed one by one.
        probability: As for `Segmenter`.
        threshold: Threshold for the overlap metrics; None if there is none.
        threshold_rule: How the threshold was chosen, or why there is none.
        timing: Values for the keys of `f2vbench.adapters.base.TIMING`; updated while ``maps`` is consumed.
    """

    maps: Iterator[tuple[Photograph, ScoreMap]]
    probability: bool
    threshold: float | None
    threshold_rule: str
    timing: dict[str, float]


@dataclass(frozen=True)
class SegmentationMetrics:
    """Metrics of a test set.

    Attributes:
        metrics: Name → value or None.
        reasons: Name → why the value is None.
        per_image: Image id → metrics of this image.
    """

    metrics: dict[str, float | None]
    reasons: dict[str, str]
    per_image: dict[str, dict[str, float | None]]


def fit_and_score(
    segmenter: Segmenter, episode: Episode, load: Loader, settings: RunSettings
) -> SegmentationPredictions:
    """Fit a segmenter on the support images of an episode, and score the test images.

    Args:
        segmenter: The segmenter to fit.
        episode: Ids of the support and test images.
        load: Image id → photograph.
        settings: Rule of the threshold.
    """
    support = [load(name) for name in episode.support]
    started = time.perf_counter()
    fit = segmenter.fit(support, episode.seed) if support else FitSummary()
    timing = dict(TIMING)
    timing["prepare_seconds"] = fit.preparation_seconds
    timing["fit_seconds"] = time.perf_counter() - started - fit.preparation_seconds
    timing["fit_steps"] = fit.steps
    threshold, rule = _threshold(segmenter, support, settings)
    maps = _timed_scores(segmenter, (load(name) for name in episode.test), timing)
    return SegmentationPredictions(maps, segmenter.probability, threshold, rule, timing)


def _timed_scores(
    segmenter: Segmenter, photographs: Iterable[Photograph], timing: dict[str, float]
) -> Iterator[tuple[Photograph, ScoreMap]]:
    for photograph in photographs:
        started = time.perf_counter()
        scores = segmenter.score(photograph)
        timing["score_seconds"] += time.perf_counter() - started
        timing["scored"] += 1
        yield photograph, scores


def _threshold(segmenter: Segmenter, support: Sequence[Photograph], settings: RunSettings) -> tuple[float | None, str]:
    """Return the threshold for the overlap metrics, and the rule that chose it."""
    fixed = settings.threshold == "0.5" or (settings.threshold == "auto" and segmenter.threshold is not None)
    if fixed:
        if segmenter.threshold is None:
            return None, "none: threshold=0.5 means nothing for scores that are no probabilities"
        return segmenter.threshold, f"fixed at {segmenter.threshold:g}"
    if not support:
        return None, "none: no support set to choose a threshold on"
    scores, labels = [], []
    for photograph in support:
        scores.append(segmenter.score(photograph).restored()[photograph.fov])
        labels.append(photograph.vessels[photograph.fov])
    best = best_dice_threshold(np.concatenate(scores), np.concatenate(labels))
    return best, "best Dice on the support set"


def evaluate_score_maps(
    scored: Iterable[tuple[Photograph, ScoreMap]], threshold: float | None, threshold_rule: str
) -> SegmentationMetrics:
    """Compute all metrics of a test set.

    A metric without suffix is the mean over photographs, inside the field of view. ``_pooled`` pools the pixels of all
    photographs; ``_frame`` uses the whole image frame; ``_frame_pooled`` both. Pixels outside the field of view have
    the lowest score of their map, because models are neither trained nor queried there.

    Args:
        scored: Photographs with their score maps.
        threshold: Threshold for the overlap metrics; None if there is none.
        threshold_rule: Why there is no threshold.
    """
    pools = {"": PixelPool(), "_frame": PixelPool()}
    per_image: dict[str, dict[str, float | None]] = {}
    for photograph, score_map in scored:
        restored = score_map.restored()
        scores = np.where(photograph.fov, restored, restored.min())
        row: dict[str, float | None] = {}
        for suffix, pixels in (("", photograph.fov), ("_frame", np.ones_like(photograph.fov))):
            inside, labels = scores[pixels], photograph.vessels[pixels]
            row.update({name + suffix: value for name, value in evaluate(inside, labels, threshold).items()})
            pools[suffix].add(inside, labels, threshold)
        per_image[photograph.name] = row
    metrics: dict[str, float | None] = {}
    for suffix, pool in pools.items():
        for name in (*RANKING_METRICS, *OVERLAP_METRICS):
            metrics[name + suffix] = mean_if_complete([row[name + suffix] for row in per_image.values()])
        metrics.update({f"{name}{suffix}_pooled": value for name, value in pool.metrics(threshold).items()})
    return SegmentationMetrics(metrics, _reasons(metrics, threshold, threshold_rule), per_image)


def _reasons(metrics: dict[str, float | None], threshold: float | None, threshold_rule: str) -> dict[str, str]:
    reasons = {}
    for name, value in metrics.items():
        if value is None:
            lacks_threshold = threshold is None and name.startswith(OVERLAP_METRICS)
            reasons[name] = f"threshold {threshold_rule}" if lacks_threshold else "a class is absent from a test image"
    return reasons
