"""Few-shot vessel segmentation: fit a segmenter on the support images, score the test images.

A *segmenter* is anything with `fit` and `score`; an encoder with a decoder is one, a top-hat filter another.
Where a score is no probability, the threshold for Dice is chosen on the support set; it never sees the test set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from f2vbench.config.run import Reading, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Loader, Photograph
from f2vbench.data.square_crop import SquareView
from f2vbench.metrics.segmentation import OVERLAP, RANKING, Pool, best_dice_threshold, evaluate

# Raised by one whenever results of the same settings change; part of every unit's fingerprint.
ADAPTER_VERSION = 1


@dataclass(frozen=True)
class ScoreMap:
    """Scores of one photograph, higher where a vessel is more likely.

    Attributes:
        values: (h, w) float32, at the photograph's resolution or, with ``view``, on the encoder's square.
        view: how to bring the values back to the photograph; None when they are there already.
    """

    values: np.ndarray
    view: SquareView | None = None

    def restored(self) -> np.ndarray:
        """(height, width) float32 at the photograph's resolution; zero outside the encoder's square."""
        return self.values if self.view is None else self.view.restore(self.values)


@dataclass(frozen=True)
class Fit:
    """How a fit went: optimiser steps, and the seconds before the first, spent on encoding views."""

    steps: int = 0
    preparation_seconds: float = 0.0


class Segmenter(Protocol):
    """What the adapter asks of a model.

    Attributes:
        probability: scores are probabilities from a trained model, kept with a fine scale near 0 and 1.
        threshold: the score that means "as likely vessel as not", or None where scores have no such meaning.
    """

    probability: bool
    threshold: float | None

    def fit(self, support: Sequence[Photograph], seed: int) -> Fit:
        """Learn from the support set."""
        ...

    def score(self, photograph: Photograph) -> ScoreMap: ...


class TrainingFree:
    """A segmenter whose scores need no support set: a baseline's filter, or a generated angiogram.

    Args:
        scores: photograph → its score map.
        threshold: see `Segmenter`.
    """

    probability = False

    def __init__(self, scores: Callable[[Photograph], ScoreMap], threshold: float | None):
        self._scores = scores
        self.threshold = threshold

    def fit(self, support: Sequence[Photograph], seed: int) -> Fit:
        return Fit()

    def score(self, photograph: Photograph) -> ScoreMap:
        return self._scores(photograph)


@dataclass(frozen=True)
class Solution:
    """What one unit gave, before it is measured.

    Attributes:
        maps: image id → score map of each test image, made one by one.
        threshold: for the overlap metrics, or None with ``threshold_rule`` saying why.
        timing: seconds and counts of the parts; filled while ``maps`` is consumed.
    """

    maps: Iterator[tuple[Photograph, ScoreMap]]
    probability: bool
    threshold: float | None
    threshold_rule: str
    timing: dict[str, float]


def solve(segmenter: Segmenter, episode: Episode, load: Loader, settings: RunSettings) -> Solution:
    """Fit on the episode's support set and score its test set.

    Args:
        segmenter: is fitted here.
        load: image id → photograph.
    """
    support = [load(name) for name in episode.support]
    started = time.perf_counter()
    fit = segmenter.fit(support, episode.seed) if support else Fit()
    timing = {
        "prepare_seconds": fit.preparation_seconds,
        "fit_seconds": time.perf_counter() - started - fit.preparation_seconds,
        "fit_steps": fit.steps,
        "score_seconds": 0.0,
        "scored": 0,
        "map_bytes": 0,
    }
    threshold, rule = _threshold(segmenter, support, settings)
    maps = _timed_scores(segmenter, (load(name) for name in episode.test), timing)
    return Solution(maps, segmenter.probability, threshold, rule, timing)


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
    """The cut for the overlap metrics and, in words, where it comes from."""
    by_meaning = settings.threshold == "0.5" or (settings.threshold == "auto" and segmenter.threshold is not None)
    if by_meaning:
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


def measure(
    scored: Iterable[tuple[Photograph, ScoreMap]], threshold: float | None, threshold_rule: str
) -> dict[str, Any]:
    """All metrics of a test set.

    A name alone is the mean over photographs inside the field of view; ``_pooled`` takes all pixels as one
    set, ``_frame`` counts the whole frame, ``_frame_pooled`` both. Outside the field of view every pixel counts with
    the lowest score of its map: no model is asked, or trained, to say anything there.

    Returns:
        ``metrics`` (name → value or None), ``reasons`` (why a value is None), ``per_image`` (image → metrics).
    """
    pools = {"": Pool(), "_frame": Pool()}
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
        for name in (*RANKING, *OVERLAP):
            metrics[name + suffix] = _mean([row[name + suffix] for row in per_image.values()])
        metrics.update({f"{name}{suffix}_pooled": value for name, value in pool.metrics(threshold).items()})
    return {"metrics": metrics, "reasons": _reasons(metrics, threshold, threshold_rule), "per_image": per_image}


def _mean(values: Sequence[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return float(np.mean(held)) if held and len(held) == len(values) else None


def _reasons(metrics: dict[str, float | None], threshold: float | None, rule: str) -> dict[str, str]:
    reasons = {}
    for name, value in metrics.items():
        if value is None:
            lacks_threshold = threshold is None and name.startswith(OVERLAP)
            reasons[name] = f"threshold {rule}" if lacks_threshold else "a class is absent from a test image"
    return reasons


def read_angiogram(frames: np.ndarray, reading: Reading) -> np.ndarray:
    """(h, w) vessel score from (n, h, w) generated frames in [0, 1].

    Twelve frames are four arterial, four venous and four late ones; a generator of one frame is read as it is.
    """
    if reading == "mean":
        return frames.mean(axis=0)
    if reading == "maximum":
        return frames.max(axis=0)
    if reading == "last" or len(frames) == 1:
        return frames[-1]
    phase = {"arterial": 0, "venous": 1, "late": 2}[reading]
    return np.array_split(frames, 3)[phase].mean(axis=0)
