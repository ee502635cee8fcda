"""Simulated studies of models that are compared over patients and seeds, for `crossed_calibration.py`.

A situation draws a whole study: patients, heads or splits, and the test cases of every model at every seed. In the
situations with learners, heads are really trained on drawn support images or splits, so that the variance between
seeds has the causes that it has in a benchmark. Without a gap all models are equally good over new patients and heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from f2vbench.stats.crossed import split_ratio
from f2vbench.stats.jackknife import SeedCases
from f2vbench.stats.result_classes import Variation

Models = list[list[SeedCases]]
"""Model → seed → test cases."""

_HEADS: Variation = ("head seed",)
_EPISODES: Variation = ("episode", "head seed")
_SPLITS: Variation = ("split", "head seed")
_FEATURES = 8


@dataclass(frozen=True)
class Situation:
    """What a user meets: data, protocol and metric.

    Attributes:
        name: Row of the table.
        draw: (generator, number of models, gap of the first model) → study.
        metric: Metric of `weighted_metrics.METRICS`.
        variation: What differs between seeds.
        gap: Advantage of the first model in the study of power, in the unit of the simulator.
        test: Test patients of a seed.
        train: Training patients of a seed, where seeds are splits; 0 for an official test set.
        support: Patients on which a head is trained, where they are not the whole training split.
    """

    name: str
    draw: Callable[[np.random.Generator, int, float], Models]
    metric: str
    variation: Variation
    gap: float
    test: int
    train: int = 0
    support: int = 0

    @property
    def split_ratio(self) -> float:
        """Ratio of the crossed test, 0 for an official test set."""
        return split_ratio(self.train + self.test, self.test, self.support or self.train) if self.train else 0.0


def scores(
    patients: int,
    eyes: int = 1,
    positives: float = 0.5,
    auroc: float = 0.8,
    head: float = 0.05,
    seeds: int = 5,
    decisions: bool = False,
) -> Callable[[np.random.Generator, int, float], Models]:
    """Scores of heads trained on all labels and tested on one official test set.

    Args:
        patients: Test patients.
        eyes: Images of a patient, which share the label and most of the noise.
        positives: Share of positive patients.
        auroc: AUROC of an image.
        head: Standard deviation of a head's separation of the classes, as a share of the separation.
        seeds: Number of heads.
        decisions: Classes that are predicted by the midpoint between the class means, in place of scores.
    """
    shift = math.sqrt(2) * float(ndtri(auroc))

    def draw(rng: np.random.Generator, models: int, gap: float) -> Models:
        patient = np.repeat(np.arange(patients), eyes)
        labels = (np.arange(patients) < round(positives * patients))[patient].astype(int)
        common, of_eye = rng.normal(size=patients)[patient], 0.0 if eyes == 1 else 0.3
        study = []
        for model in range(models):
            own = math.sqrt(0.5 - of_eye) * rng.normal(size=patients)[patient]
            own += math.sqrt(of_eye) * rng.normal(size=len(patient))
            seen = []
            for _ in range(seeds):
                separation = (shift + gap * (model == 0)) * (1 + head * rng.normal())
                values = separation * labels + math.sqrt(0.5) * common + own + 0.2 * rng.normal(size=len(patient))
                seen.append(SeedCases(values > shift / 2 if decisions else values, labels, patient))
            study.append(seen)
        return study

    return draw


def uneven_classes(
    patients: int, shares: Sequence[float], seeds: int = 5
) -> Callable[[np.random.Generator, int, float], Models]:
    """Scores of several classes of very different size."""
    counts = np.round(np.array(shares) * patients).astype(int)
    labels = np.repeat(np.arange(len(shares)), counts)

    def draw(rng: np.random.Generator, models: int, gap: float) -> Models:
        truth = np.eye(len(shares))[labels]
        common = rng.normal(size=truth.shape)
        study = []
        for model in range(models):
            own = rng.normal(size=truth.shape)
            seen = []
            for _ in range(seeds):
                separation = (1.3 + gap * (model == 0)) * (1 + 0.05 * rng.normal())
                values = separation * truth + math.sqrt(0.5) * (common + own) + 0.2 * rng.normal(size=truth.shape)
                seen.append(SeedCases(values, labels, np.arange(len(labels))))
            study.append(seen)
        return study

    return draw


def means(
    patients: int, images: int = 1, success: bool = False, head: float = 0.005, seeds: int = 5
) -> Callable[[np.random.Generator, int, float], Models]:
    """A value for each image: a skewed Dice, or with ``success`` whether the other eye is retrieved."""

    def draw(rng: np.random.Generator, models: int, gap: float) -> Models:
        patient = np.repeat(np.arange(patients), images)
        common = rng.normal(size=patients)[patient]
        study = []
        for model in range(models):
            own = rng.normal(size=patients)[patient]
            seen = []
            for _ in range(seeds):
                level = gap * (model == 0) + head * rng.normal()
                latent = common + 0.7 * own + 0.5 * rng.normal(size=len(patient))
                if success:
                    values = (latent + 4 * level > 0.4).astype(float)
                else:
                    values = np.clip(0.85 + level - 0.03 * np.exp(0.6 * latent), 0, 1)
                seen.append(SeedCases(values, None, patient))
            study.append(seen)
        return study

    return draw


def learners(
    patients: int,
    *,
    shots: int | None = None,
    test_share: float | None = None,
    pool: int = 400,
    positives: float = 0.5,
    seeds: int = 5,
) -> Callable[[np.random.Generator, int, float], Models]:
    """Heads that predict along the line between two class means of trained embeddings.

    Each model has eight features of its own that separate the classes equally well.

    Args:
        patients: Test patients of the official test set; with ``test_share`` the patients of the whole data set.
        shots: Support images a class; None trains on all.
        test_share: Share of the patients that a random split tests; None for an official test set.
        pool: Training patients of the official test set.
        positives: Share of positive patients.
        seeds: Number of heads.
    """

    def draw(rng: np.random.Generator, models: int, gap: float) -> Models:
        count = patients if test_share else patients + pool
        labels = (np.arange(count) % round(1 / positives) == 0).astype(int)
        features = rng.normal(size=(models, count, _FEATURES)) + 0.35 * labels[:, None]
        features[0] += gap * labels[:, None]
        study: Models = [[] for _ in range(models)]
        for _ in range(seeds):
            tested, trained = np.arange(patients), np.arange(patients, count)
            if test_share:
                drawn = [rng.permutation(np.flatnonzero(labels == each)) for each in (0, 1)]
                cut = [round(test_share * len(members)) for members in drawn]
                tested = np.concatenate([members[:end] for members, end in zip(drawn, cut, strict=True)])
                trained = np.concatenate([members[end:] for members, end in zip(drawn, cut, strict=True)])
            supports = [rng.permutation(trained[labels[trained] == each])[:shots] for each in (0, 1)]
            for model in range(models):
                x = features[model]
                direction = x[supports[1]].mean(0) - x[supports[0]].mean(0)
                study[model].append(SeedCases(x[tested] @ direction, labels[tested], tested))
        return study

    return draw


_SEVEN = (0.45, 0.2, 0.13, 0.09, 0.06, 0.04, 0.03)
SITUATIONS = (
    Situation("official, all labels, 60 × 2", scores(60, 2), "auroc", _HEADS, 0.7, 60),
    Situation("official, all labels, 300 × 1", scores(300), "auroc", _HEADS, 0.35, 300),
    Situation("official, all labels, 300 × 1, 10 seeds", scores(300, seeds=10), "auroc", _HEADS, 0.3, 300),
    Situation("official, 4 shots, 60 × 1", learners(60, shots=4), "auroc", _EPISODES, 0.3, 60),
    Situation("official, 4 shots, 300 × 1", learners(300, shots=4), "auroc", _EPISODES, 0.25, 300),
    Situation("official, 4 shots, 300 × 1, 10 seeds", learners(300, shots=4, seeds=10), "auroc", _EPISODES, 0.2, 300),
    Situation("splits, all labels, 100 × 1", learners(100, test_share=0.2), "auroc", _SPLITS, 0.25, 20, 80),
    Situation("splits, all labels, 300 × 1", learners(300, test_share=0.2), "auroc", _SPLITS, 0.15, 60, 240),
    Situation("splits, 4 shots, 100 × 1", learners(100, test_share=0.2, shots=4), "auroc", _SPLITS, 0.35, 20, 80, 8),
    Situation("5 % positives, 300 × 1", scores(300, positives=0.05), "auroc", _HEADS, 0.6, 300),
    Situation("seven uneven classes, 300 × 1", uneven_classes(300, _SEVEN), "macro_auroc", _HEADS, 0.4, 300),
    Situation("accuracy, 60 × 2", scores(60, 2, decisions=True), "accuracy", _HEADS, 0.8, 60),
    Situation("Dice, 20 × 1", means(20), "mean", _HEADS, 0.02, 20),
    Situation("Dice, 60 × 2", means(60, 2), "mean", _HEADS, 0.01, 60),
    Situation("Recall@1, 120 × 2", means(120, 2, success=True), "mean", _HEADS, 0.05, 120),
)
