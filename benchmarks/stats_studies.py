"""Simulated studies with a known truth, for `stats_calibration.py`: what is drawn, and which method judges it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from f2vbench.stats.bootstrap import bootstrap_interval, paired_bootstrap
from f2vbench.stats.delong import delong_interval, delong_test, delong_test_over_seeds
from f2vbench.stats.effect_sizes import cliffs_delta, cohens_d_z
from f2vbench.stats.intervals import normal_interval, student_interval
from f2vbench.stats.permutation import paired_permutation_test, sign_flip_test
from f2vbench.stats.ranks import friedman_test
from f2vbench.stats.result_classes import Comparison, Estimate
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test, welch_t_test

Random = np.random.Generator
Outcome = tuple[bool | None, bool | None]  # whether the interval covers, whether the test rejects


@dataclass(frozen=True)
class Study:
    """A row: the method, what is simulated, one simulated study, and the share of the repeats it is worth."""

    method: str
    situation: str
    run: Callable[[Random], Outcome]
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.method}: {self.situation}"


def judged(result: Comparison | Estimate, truth: float = 0.0) -> Outcome:
    """Whether the interval holds the truth, and whether p < 0.05; a test that is not possible does not reject."""
    covers = None if result.low is None or result.high is None else result.low <= truth <= result.high
    if isinstance(result, Estimate):
        return covers, None
    return covers, result.p is not None and result.p < 0.05


def skewed(draw: Random, *size: int) -> np.ndarray:
    """Exponential, less its mean: skewness 2."""
    return draw.exponential(size=size) - 1


def heavy(draw: Random, *size: int) -> np.ndarray:
    return draw.standard_t(3, size=size)


def normal(draw: Random, *size: int) -> np.ndarray:
    return draw.normal(size=size)


def of_pairs(test: Callable, noise: Callable[..., np.ndarray], n: int) -> Callable[[Random], Outcome]:
    return lambda draw: judged(test(noise(draw, n), np.zeros(n), variation="head seed"))


def of_values(interval: Callable, noise: Callable[..., np.ndarray], n: int) -> Callable[[Random], Outcome]:
    return lambda draw: judged(interval(noise(draw, n), variation="head seed"))


def splits(test: Callable[..., Comparison], patients: int, share: float, count: int) -> Callable[[Random], Outcome]:
    """Two equally good learners on ``count`` random splits of one data set.

    Each sees three features of its own, equally telling, and calls the nearer class mean; the score is accuracy. Over
    data sets their accuracies are equal, so a test of the *learners* should reject 5 %.
    """
    tested = round(patients * share)

    def run(draw: Random) -> Outcome:
        labels = np.arange(patients) % 2
        features = draw.normal(size=(2, patients, 3)) + 0.5 * labels[:, None]
        scores = np.zeros((2, count))
        for split in range(count):
            order = draw.permutation(patients)
            test_part, train = order[:tested], order[tested:]
            positive, negative = train[labels[train] == 1], train[labels[train] == 0]
            for learner in range(2):
                x = features[learner]
                high, low = x[positive].mean(0), x[negative].mean(0)
                called = (x[test_part] - (high + low) / 2) @ (high - low) > 0
                scores[learner, split] = np.mean(called == labels[test_part])
        return judged(test(scores[0], scores[1], train=patients - tested, test=tested))

    return run


def plain_t(first: np.ndarray, second: np.ndarray, train: int, test: int) -> Comparison:
    return paired_t_test(first, second, variation="split")


def two_models(
    draw: Random, n: int, positive: float, auroc: float, eyes: int = 1, noise: Callable = normal
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of two equally good, correlated models, labels, and patients with one or two equally labelled eyes.

    With normal noise both AUROCs are ``auroc``. Eyes of a patient share most of each model's noise.
    """
    patients = np.repeat(np.arange(n), eyes)
    labels = (np.arange(n) < round(positive * n))[patients]
    shift = math.sqrt(2) * float(ndtri(auroc))
    common, own = noise(draw, n)[patients], [noise(draw, n)[patients] for _ in range(2)]
    alone = noise(draw, 2, n * eyes)
    weight = 0.0 if eyes == 1 else 0.3
    scores = [
        shift * labels + math.sqrt(0.5) * common + math.sqrt(0.5 - weight) * own[i] + math.sqrt(weight) * alone[i]
        for i in range(2)
    ]
    return scores[0], scores[1], labels, patients


def comparing(
    test: Callable[..., Comparison], n: int, positive: float, auroc: float, eyes: int = 1, noise: Callable = normal
) -> Callable[[Random], Outcome]:
    def run(draw: Random) -> Outcome:
        first, second, labels, patients = two_models(draw, n, positive, auroc, eyes, noise)
        return judged(test(first, second, labels, patients))

    return run


def of_auroc(
    interval: Callable[..., Estimate], n: int, positive: float, auroc: float, eyes: int = 1
) -> Callable[[Random], Outcome]:
    def run(draw: Random) -> Outcome:
        scores, _, labels, patients = two_models(draw, n, positive, auroc, eyes)
        return judged(interval(scores, labels, patients), auroc)

    return run


def one_test_set(test: Callable[..., Comparison], patients: int = 60, seeds: int = 5) -> Callable[[Random], Outcome]:
    """Two models, equally good over patients, each trained with five head seeds and scored on the same 60 patients."""

    def run(draw: Random) -> Outcome:
        first, second, labels, who = two_models(draw, patients, 0.5, 0.8)
        scores = [s + 0.2 * draw.normal(size=(seeds, patients)) for s in (first, second)]
        return judged(test(*scores, labels, who))

    return run


def t_over_seeds(first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray) -> Comparison:
    areas = [[delong_interval(row, labels).value for row in scores] for scores in (first, second)]
    return paired_t_test(*areas, variation="head seed")


def delong_of_mean(first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray) -> Comparison:
    return delong_test(first.mean(0), second.mean(0), labels, patients=who)


def delong_over_seeds(first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray) -> Comparison:
    count = len(first)
    return delong_test_over_seeds(first, second, [labels] * count, patients=[who] * count)


def delong_over_overlapping_seeds(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray
) -> Comparison:
    """Each seed tests two of three cases."""
    tested = [np.arange(seed, len(labels) + seed) % 3 > 0 for seed in range(len(first))]
    sides = [[scores[own] for scores, own in zip(side, tested, strict=True)] for side in (first, second)]
    return delong_test_over_seeds(*sides, [labels[own] for own in tested], patients=[who[own] for own in tested])


def dice_of_photographs(kind: str, patients: int) -> Callable[[Random], Outcome]:
    """Mean over photographs of a skewed difference of Dice, two eyes a patient, which share half of it."""

    def run(draw: Random) -> Outcome:
        who = np.repeat(np.arange(patients), 2)
        values = (skewed(draw, patients)[who] + skewed(draw, 2 * patients)) / 20
        return judged(by_bootstrap("mean", kind)(values, np.zeros(values.size), None, who))

    return run


def by_bootstrap(metric: str, kind: str) -> Callable[..., Comparison]:
    return lambda a, b, labels, who: paired_bootstrap(
        a, b, labels, metric=metric, patients=who, kind=kind, replicates=600, seed=_key(a)
    )


def interval_by_bootstrap(kind: str) -> Callable[..., Estimate]:
    return lambda scores, labels, who: bootstrap_interval(
        scores, labels, patients=who, kind=kind, replicates=600, seed=_key(scores)
    )


def _key(scores: np.ndarray) -> int:
    """Another seed for every simulated study."""
    return int(1e9 * abs(scores[0]))


def friedman(tasks: int, models: int, of: str) -> Callable[[Random], Outcome]:
    def run(draw: Random) -> Outcome:
        found = friedman_test(heavy(draw, tasks, models), [str(i) for i in range(models)])
        p = getattr(found, of)
        return None, p is not None and p < 0.05

    return run


def welch_unequal(draw: Random) -> Outcome:
    return judged(welch_t_test(draw.normal(size=5), 3 * draw.normal(size=8), variation="head seed"))


def effect_of(draw: Random) -> Outcome:
    return judged(cohens_d_z(draw.normal(0.8, 1, 5), np.zeros(5), variation="head seed"), 0.8)


def delta_of(draw: Random) -> Outcome:
    truth = 2 * float(ndtr(0.8 / math.sqrt(2))) - 1
    return judged(cliffs_delta(draw.normal(0.8, 1, 15), draw.normal(size=15), variation="head seed"), truth)


def by_images(first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray) -> Comparison:
    return delong_test(first, second, labels)


def by_patients(first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray) -> Comparison:
    return delong_test(first, second, labels, patients=who)


def by_swaps(first: np.ndarray, second: np.ndarray, labels: np.ndarray, who: np.ndarray) -> Comparison:
    return paired_permutation_test(first, second, labels, patients=who, replicates=399, seed=_key(first))


def interval_by(transform: str) -> Callable[..., Estimate]:
    return lambda scores, labels, who: delong_interval(scores, labels, patients=who, transform=transform)


_RESAMPLED = 0.4  # of the repeats, for what takes long
STUDIES = (
    Study("mean ± 1.96 SE", "5 seeds, normal", of_values(normal_interval, normal, 5)),
    Study("Student's interval", "5 seeds, normal", of_values(student_interval, normal, 5)),
    Study("Student's interval", "5 seeds, skewed", of_values(student_interval, skewed, 5)),
    Study("paired t", "5 seeds, normal", of_pairs(paired_t_test, normal, 5)),
    Study("paired t", "5 seeds, heavy tails", of_pairs(paired_t_test, heavy, 5)),
    Study("paired t", "5 seeds, skewed", of_pairs(paired_t_test, skewed, 5)),
    Study("paired t", "40 seeds, skewed", of_pairs(paired_t_test, skewed, 40)),
    Study("Welch's t", "5 and 8 seeds, sd 1 and 3", welch_unequal),
    Study("Wilcoxon", "5 seeds", of_pairs(wilcoxon_test, normal, 5)),
    Study("Wilcoxon", "10 seeds, heavy tails", of_pairs(wilcoxon_test, heavy, 10)),
    Study("Wilcoxon", "20 seeds, heavy tails", of_pairs(wilcoxon_test, heavy, 20)),
    Study("sign flips", "5 seeds", of_pairs(sign_flip_test, normal, 5)),
    Study("sign flips", "10 seeds, heavy tails", of_pairs(sign_flip_test, heavy, 10)),
    Study("Cohen's d_z", "5 seeds, d_z 0.8", effect_of),
    Study("Cliff's delta", "15 and 15 seeds", delta_of),
    Study("paired t", "5 random halves of 40 patients", splits(plain_t, 40, 0.5, 5)),
    Study("corrected t", "5 random halves of 40 patients", splits(corrected_resampled_t_test, 40, 0.5, 5)),
    Study("paired t", "5 splits 80/20 of 200 patients", splits(plain_t, 200, 0.2, 5)),
    Study("corrected t", "5 splits 80/20 of 200 patients", splits(corrected_resampled_t_test, 200, 0.2, 5)),
    Study("paired t", "20 splits 80/20 of 200 patients", splits(plain_t, 200, 0.2, 20), 0.5),
    Study("corrected t", "20 splits 80/20 of 200 patients", splits(corrected_resampled_t_test, 200, 0.2, 20), 0.5),
    Study("paired t", "5 head seeds, one test set of 60 patients", one_test_set(t_over_seeds)),
    Study("DeLong", "mean score of the same 5 seeds and 60 patients", one_test_set(delong_of_mean)),
    Study("DeLong over seeds", "mean AUROC of the same 5 seeds and 60 patients", one_test_set(delong_over_seeds)),
    Study(
        "DeLong over seeds",
        "mean AUROC of 5 seeds, each on 40 of the same 60 patients",
        one_test_set(delong_over_overlapping_seeds),
    ),
    Study("DeLong", "20 + 20 patients, AUROC 0.8", comparing(by_patients, 40, 0.5, 0.8)),
    Study("DeLong", "10 + 90 patients, AUROC 0.9", comparing(by_patients, 100, 0.1, 0.9)),
    Study("DeLong", "20 + 20 patients, skewed scores", comparing(by_patients, 40, 0.5, 0.8, noise=skewed)),
    Study("DeLong by image", "50 patients, two eyes each", comparing(by_images, 50, 0.5, 0.8, eyes=2)),
    Study("DeLong by patient", "50 patients, two eyes each", comparing(by_patients, 50, 0.5, 0.8, eyes=2)),
    Study("DeLong A ± z·SE", "20 + 20 patients, AUROC 0.9", of_auroc(interval_by("none"), 40, 0.5, 0.9)),
    Study("DeLong on the logit", "20 + 20 patients, AUROC 0.9", of_auroc(interval_by("logit"), 40, 0.5, 0.9)),
    Study("DeLong on the logit", "10 + 90 patients, AUROC 0.8", of_auroc(interval_by("logit"), 100, 0.1, 0.8)),
    Study("patient swap", "20 + 20 patients, AUROC 0.8", comparing(by_swaps, 40, 0.5, 0.8), _RESAMPLED),
    *(
        Study(f"{name} bootstrap", situation, run(kind), _RESAMPLED)
        for kind, name in (("percentile", "percentile"), ("bca", "BCa"))
        for situation, run in (
            ("AUROC 0.9, 20 + 20 patients", lambda kind: of_auroc(interval_by_bootstrap(kind), 40, 0.5, 0.9)),
            ("AUROC difference, 20 + 20 patients", lambda kind: comparing(by_bootstrap("auroc", kind), 40, 0.5, 0.8)),
            (
                "average precision difference, 30 + 70 patients",
                lambda kind: comparing(by_bootstrap("average_precision", kind), 100, 0.3, 0.8),
            ),
            ("skewed Dice difference, 20 patients × 2 eyes", lambda kind: dice_of_photographs(kind, 20)),
            ("skewed Dice difference, 100 patients × 2 eyes", lambda kind: dice_of_photographs(kind, 100)),
        )
    ),
    Study("Friedman χ²", "10 tasks, 5 models", friedman(10, 5, "p")),
    Study("Friedman F", "10 tasks, 5 models", friedman(10, 5, "f_p")),
)
