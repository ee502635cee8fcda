"""Segmenters: fit on the support images, score the pixels of the test images for each class.

A *segmenter* has the methods `fit` and `score`: for example an encoder with a decoder, or a top-hat filter. If its
scores are not probabilities, the threshold for Dice is chosen on the support images, never on the test images.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from f2vbench.adapters.base import TIMING
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Loader, Photograph
from f2vbench.data.square_crop import SquareView
from f2vbench.metrics.segmentation import best_dice_threshold

_CHOSEN = "best Dice on the support set"


@dataclass(frozen=True)
class ScoreMap:
    """Scores of the classes of one photograph; higher is more likely of the class.

    Attributes:
        values: (classes, h, w) float32, at the photograph's resolution or, with ``view``, on the square crop.
        view: The square crop of the values; None if they have the photograph's resolution.
    """

    values: np.ndarray
    view: SquareView | None = None

    def restored(self) -> np.ndarray:
        """Return the scores at the photograph's resolution, (classes, height, width); 0 outside the square crop."""
        if self.view is None:
            return self.values
        return np.stack([self.view.restore(values) for values in self.values])


class ClassThreshold(NamedTuple):
    """Threshold of the scores of a class, None where there is none, and the rule that chose it."""

    value: float | None
    rule: str


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
        threshold: Score at which class and background are equally likely; None if scores have no such meaning.
    """

    probability: bool
    threshold: float | None

    @abstractmethod
    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Learn from the support photographs.

        Args:
            support: Annotated photographs.
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


class PerClassSegmenter(Segmenter):
    """Segmenters of one class each, for models whose network has one mask.

    Args:
        make: Returns a new segmenter of one class.
        classes: Number of classes.
    """

    def __init__(self, make: Callable[[], Segmenter], classes: int):
        self._segmenters = [make() for _ in range(classes)]
        self.probability, self.threshold = self._segmenters[0].probability, self._segmenters[0].threshold

    def fit(self, support: Sequence[Photograph], seed: int) -> FitSummary:
        """Fit the segmenter of each class on its own masks."""
        fits = [
            segmenter.fit([photograph.of_class(number) for photograph in support], seed)
            for number, segmenter in enumerate(self._segmenters)
        ]
        return FitSummary(sum(fit.steps for fit in fits), sum(fit.preparation_seconds for fit in fits))

    def score(self, photograph: Photograph) -> ScoreMap:
        """Score the pixels for each class."""
        maps = [segmenter.score(photograph) for segmenter in self._segmenters]
        return ScoreMap(np.concatenate([each.values for each in maps]), maps[0].view)


@dataclass(frozen=True)
class SegmentationPredictions:
    """Predictions of a unit for its test images.

    Attributes:
        maps: Test photographs with their score maps, computed one by one.
        probability: As for `Segmenter`.
        thresholds: Threshold of each class for the overlap metrics.
        timing: Values for the keys of `f2vbench.adapters.base.TIMING`; updated while ``maps`` is consumed.
    """

    maps: Iterator[tuple[Photograph, ScoreMap]]
    probability: bool
    thresholds: list[ClassThreshold]
    timing: dict[str, float]


def fit_and_score(
    segmenter: Segmenter, episode: Episode, load: Loader, settings: RunSettings, classes: int = 1
) -> SegmentationPredictions:
    """Fit a segmenter on the support images of an episode, and score the test images.

    Args:
        segmenter: The segmenter to fit.
        episode: Ids of the support and test images.
        load: Image id → photograph.
        settings: Rule of the threshold.
        classes: Number of classes.
    """
    support = [load(name) for name in episode.support]
    started = time.perf_counter()
    fit = segmenter.fit(support, episode.seed) if support else FitSummary()
    timing = dict(TIMING)
    timing["prepare_seconds"] = fit.preparation_seconds
    timing["fit_seconds"] = time.perf_counter() - started - fit.preparation_seconds
    timing["fit_steps"] = fit.steps
    thresholds = _thresholds(segmenter, support, settings, classes)
    maps = _timed_scores(segmenter, (load(name) for name in episode.test), timing)
    return SegmentationPredictions(maps, segmenter.probability, thresholds, timing)


def _timed_scores(
    segmenter: Segmenter, photographs: Iterable[Photograph], timing: dict[str, float]
) -> Iterator[tuple[Photograph, ScoreMap]]:
    for photograph in photographs:
        started = time.perf_counter()
        scores = segmenter.score(photograph)
        timing["score_seconds"] += time.perf_counter() - started
        timing["scored"] += 1
        yield photograph, scores


def _thresholds(
    segmenter: Segmenter, support: Sequence[Photograph], settings: RunSettings, classes: int
) -> list[ClassThreshold]:
    """Return the threshold of each class for the overlap metrics, and the rule that chose it."""
    fixed = settings.threshold == "0.5" or (settings.threshold == "auto" and segmenter.threshold is not None)
    if fixed:
        if segmenter.threshold is None:
            why = "none: threshold=0.5 means nothing for scores that are no probabilities"
            return [ClassThreshold(None, why)] * classes
        return [ClassThreshold(segmenter.threshold, f"fixed at {segmenter.threshold:g}")] * classes
    if not support:
        return [ClassThreshold(None, "none: no support set to choose a threshold on")] * classes
    scores: list[list[np.ndarray]] = [[] for _ in range(classes)]
    labels: list[list[np.ndarray]] = [[] for _ in range(classes)]
    for photograph in support:
        counted, restored = photograph.counted, segmenter.score(photograph).restored()
        for number in range(classes):
            scores[number].append(restored[number][counted])
            labels[number].append(photograph.annotation.mask(number)[counted])
    chosen = []
    for number in range(classes):
        best = best_dice_threshold(np.concatenate(scores[number]), np.concatenate(labels[number]))
        absent = best is None and classes > 1
        chosen.append(ClassThreshold(best, "none: no support image has the class" if absent else _CHOSEN))
    return chosen
