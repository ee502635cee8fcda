"""Simulated studies with a known truth for `stats_calibration.py`: the data, and the method that is applied."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from f2vbench.stats.bootstrap import bootstrap_interval, paired_bootstrap
from f2vbench.stats.delong import delong_interval, delong_test, delong_test_over_seeds
from f2vbench.stats.effect_sizes import cliffs_delta, cohens_d_z
from f2vbench.stats.gee import gee_difference_test
from f2vbench.stats.intervals import normal_interval, scaled_student_interval, student_interval
from f2vbench.stats.permutation import paired_permutation_test, sign_flip_test
from f2vbench.stats.ranks import friedman_test
from f2vbench.stats.result_classes import Comparison, Estimate
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test, welch_t_test

Generator = np.random.Generator


class Outcome(NamedTuple):
    """Whether an interval contains the truth, and whether a test rejects; None where there is none."""

    covers: bool | None
    rejects: bool | None


Run = Callable[[Generator], Outcome]


@dataclass(frozen=True)
class Study:
    """A row of the calibration table.

    Attributes:
        method: The interval or test.
        situation: The simulated data.
        run: Simulates one study.
        share: Share of the repeats that are simulated, below 1 for slow methods.
        seed_name: Seeds the random numbers in place of ``name``, so that renaming a row does not change its numbers.
    """

    method: str
    situation: str
    run: Run
    share: float = 1.0
    seed_name: str = ""

    @property
    def name(self) -> str:
        return f"{self.method}: {self.situation}"

    @property
    def stream(self) -> str:
        """The text that seeds the random numbers."""
        return self.seed_name or self.name


def evaluate_result(result: Comparison | Estimate, truth: float = 0.0) -> Outcome:
    """Compare a result with the truth. A comparison without a p-value does not reject."""
    covers = None if result.low is None or result.high is None else result.low <= truth <= result.high
    if isinstance(result, Estimate):
        return Outcome(covers, None)
    return Outcome(covers, result.p is not None and result.p < 0.05)


def skewed(draw: Generator, *size: int) -> np.ndarray:
    """Centred exponential noise: skewness 2."""
    return draw.exponential(size=size) - 1


def heavy(draw: Generator, *size: int) -> np.ndarray:
    """Student's t with 3 degrees of freedom."""
    return draw.standard_t(3, size=size)


def normal(draw: Generator, *size: int) -> np.ndarray:
    return draw.normal(size=size)


def paired_study(test: Callable[..., Comparison], noise: Callable[..., np.ndarray], n: int) -> Run:
    """Test n differences with mean zero."""
    return lambda draw: evaluate_result(test(noise(draw, n), np.zeros(n), variation="head seed"))


def mean_study(interval: Callable[..., Estimate], noise: Callable[..., np.ndarray], n: int) -> Run:
    """Interval of the mean of n values with mean zero."""
    return lambda draw: evaluate_result(interval(noise(draw, n), variation="head seed"))


def bounded_study(interval: Callable[..., Estimate], mean: float, sd: float, n: int) -> Run:
    """Interval of the mean of n values in [0, 1], from a beta distribution with this mean and standard deviation."""
    size = mean * (1 - mean) / sd**2 - 1

    def run(draw: Generator) -> Outcome:
        found = interval(draw.beta(mean * size, (1 - mean) * size, n), variation="split")
        return Outcome(found.low is not None and found.low <= mean <= (found.high or 0.0), None)

    return run


def split_study(test: Callable[..., Comparison], patients: int, test_share: float, splits: int) -> Run:
    """Two equally good learners on random splits of one data set.

    Each learner has three features of its own, equally informative, and predicts the nearer class mean; the score is
    accuracy. Over data sets their accuracies are equal, so a test of the learners should reject 5 %.
    """
    test_size = round(patients * test_share)

    def run(draw: Generator) -> Outcome:
        labels = np.arange(patients) % 2
        features = draw.normal(size=(2, patients, 3)) + 0.5 * labels[:, None]
        scores = np.zeros((2, splits))
        for split in range(splits):
            order = draw.permutation(patients)
            tested, train = order[:test_size], order[test_size:]
            positive, negative = train[labels[train] == 1], train[labels[train] == 0]
            for learner in range(2):
                x = features[learner]
                positive_mean, negative_mean = x[positive].mean(0), x[negative].mean(0)
                centre, direction = (positive_mean + negative_mean) / 2, positive_mean - negative_mean
                predicted = (x[tested] - centre) @ direction > 0
                scores[learner, split] = np.mean(predicted == labels[tested])
        return evaluate_result(test(scores[0], scores[1], train=patients - test_size, test=test_size))

    return run


def plain_t_test(first: np.ndarray, second: np.ndarray, train: int, test: int) -> Comparison:
    return paired_t_test(first, second, variation="split")


def draw_two_models(
    draw: Generator,
    n: int,
    positive_share: float,
    auroc: float,
    eyes: int = 1,
    noise: Callable[..., np.ndarray] = normal,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of two equally good, correlated models, labels, and patients with one or two equally labelled eyes.

    With normal noise both AUROCs are ``auroc``. Eyes of a patient share most of each model's noise.
    """
    patients = np.repeat(np.arange(n), eyes)
    labels = (np.arange(n) < round(positive_share * n))[patients]
    shift = math.sqrt(2) * float(ndtri(auroc))
    common_noise, model_noise = noise(draw, n)[patients], [noise(draw, n)[patients] for _ in range(2)]
    eye_noise = noise(draw, 2, n * eyes)
    eye_variance = 0.0 if eyes == 1 else 0.3
    scores = [
        shift * labels
        + math.sqrt(0.5) * common_noise
        + math.sqrt(0.5 - eye_variance) * model_noise[i]
        + math.sqrt(eye_variance) * eye_noise[i]
        for i in range(2)
    ]
    return scores[0], scores[1], labels, patients


def comparison_study(
    test: Callable[..., Comparison],
    n: int,
    positive_share: float,
    auroc: float,
    eyes: int = 1,
    noise: Callable[..., np.ndarray] = normal,
) -> Run:
    """Test two equally good models on the same patients."""

    def run(draw: Generator) -> Outcome:
        first, second, labels, patients = draw_two_models(draw, n, positive_share, auroc, eyes, noise)
        return evaluate_result(test(first, second, labels, patients))

    return run


def auroc_study(interval: Callable[..., Estimate], n: int, positive_share: float, auroc: float, eyes: int = 1) -> Run:
    """Interval of the AUROC of one model."""

    def run(draw: Generator) -> Outcome:
        scores, _, labels, patients = draw_two_models(draw, n, positive_share, auroc, eyes)
        return evaluate_result(interval(scores, labels, patients), auroc)

    return run


def one_test_set_study(test: Callable[..., Comparison], n: int = 60, seeds: int = 5) -> Run:
    """Two models, equally good over patients, each trained with five head seeds and scored on the same 60 patients."""

    def run(draw: Generator) -> Outcome:
        first, second, labels, patients = draw_two_models(draw, n, 0.5, 0.8)
        scores = [s + 0.2 * draw.normal(size=(seeds, n)) for s in (first, second)]
        return evaluate_result(test(*scores, labels, patients))

    return run


def t_test_over_seeds(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    aurocs = [[delong_interval(row, labels).value for row in scores] for scores in (first, second)]
    return paired_t_test(*aurocs, variation="head seed")


def delong_of_mean_score(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    return delong_test(first.mean(0), second.mean(0), labels, patients=patients)


def delong_over_seeds(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    count = len(first)
    return delong_test_over_seeds(first, second, [labels] * count, patients=[patients] * count)


def delong_over_overlapping_seeds(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray
) -> Comparison:
    """Each seed tests two of three cases."""
    tested = [np.arange(seed, len(labels) + seed) % 3 > 0 for seed in range(len(first))]
    models = [[scores[own] for scores, own in zip(model, tested, strict=True)] for model in (first, second)]
    return delong_test_over_seeds(*models, [labels[own] for own in tested], patients=[patients[own] for own in tested])


def dice_study(kind: str, n: int) -> Run:
    """Mean over photographs of a skewed difference of Dice; the two eyes of a patient share half of it."""

    def run(draw: Generator) -> Outcome:
        patients = np.repeat(np.arange(n), 2)
        differences = (skewed(draw, n)[patients] + skewed(draw, 2 * n)) / 20
        return evaluate_result(bootstrap_test("mean", kind)(differences, np.zeros(differences.size), None, patients))

    return run


def bootstrap_test(metric: str, kind: str) -> Callable[..., Comparison]:
    return lambda a, b, labels, patients: paired_bootstrap(
        a, b, labels, metric=metric, patients=patients, kind=kind, replicates=600, seed=_seed_from(a)
    )


def bootstrap_of_auroc(kind: str) -> Callable[..., Estimate]:
    return lambda scores, labels, patients: bootstrap_interval(
        scores, labels, patients=patients, kind=kind, replicates=600, seed=_seed_from(scores)
    )


def _seed_from(scores: np.ndarray) -> int:
    """A different seed for every simulated study."""
    return int(1e9 * abs(scores[0]))


def friedman_study(tasks: int, models: int, p_value: str) -> Run:
    """Friedman's test of equally good models; ``p_value`` names the attribute to use."""

    def run(draw: Generator) -> Outcome:
        result = friedman_test(heavy(draw, tasks, models), [str(i) for i in range(models)])
        p = getattr(result, p_value)
        return Outcome(None, p is not None and p < 0.05)

    return run


def welch_unequal_variances(draw: Generator) -> Outcome:
    return evaluate_result(welch_t_test(draw.normal(size=5), 3 * draw.normal(size=8), variation="head seed"))


def cohens_d_z_of_five(draw: Generator) -> Outcome:
    return evaluate_result(cohens_d_z(draw.normal(0.8, 1, 5), np.zeros(5), variation="head seed"), 0.8)


def cliffs_delta_of_fifteen(draw: Generator) -> Outcome:
    truth = 2 * float(ndtr(0.8 / math.sqrt(2))) - 1
    return evaluate_result(cliffs_delta(draw.normal(0.8, 1, 15), draw.normal(size=15), variation="head seed"), truth)


def delong_by_image(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    return delong_test(first, second, labels)


def delong_by_patient(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    return delong_test(first, second, labels, patients=patients)


def accuracy_by_image(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    correct = [((scores > 0.5) == labels).astype(float) for scores in (first, second)]
    return paired_t_test(*correct, variation="test patients")


def accuracy_by_patient(first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Comparison:
    correct = [((scores > 0.5) == labels).astype(float) for scores in (first, second)]
    return gee_difference_test(*correct, patients=patients)


def permutation_by_patient(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray
) -> Comparison:
    return paired_permutation_test(first, second, labels, patients=patients, replicates=399, seed=_seed_from(first))


def delong_of_auroc(transform: str) -> Callable[..., Estimate]:
    return lambda scores, labels, patients: delong_interval(scores, labels, patients=patients, transform=transform)


_PLAIN = student_interval
_SCALED = partial(scaled_student_interval, bounds=(0.0, 1.0))
_SLOW_SHARE = 0.4  # of the repeats, for resampling methods
STUDIES = (
    Study("mean ± 1.96 SE", "5 seeds, normal", mean_study(normal_interval, normal, 5)),
    Study("Student's interval", "5 seeds, normal", mean_study(student_interval, normal, 5)),
    Study("Student's interval", "5 seeds, skewed", mean_study(student_interval, skewed, 5)),
    Study("Student's interval", "5 AUROCs, mean 0.9, sd 0.05", bounded_study(_PLAIN, 0.9, 0.05, 5)),
    Study("Student's interval", "5 AUROCs, mean 0.98, sd 0.015", bounded_study(_PLAIN, 0.98, 0.015, 5)),
    Study("Student's within the range", "5 AUROCs, mean 0.9, sd 0.05", bounded_study(_SCALED, 0.9, 0.05, 5)),
    Study("Student's within the range", "5 AUROCs, mean 0.98, sd 0.015", bounded_study(_SCALED, 0.98, 0.015, 5)),
    Study("Student's within the range", "5 AUROCs, mean 0.65, sd 0.25", bounded_study(_SCALED, 0.65, 0.25, 5)),
    Study("Student's within the range", "3 AUROCs, mean 0.9, sd 0.05", bounded_study(_SCALED, 0.9, 0.05, 3)),
    Study("paired t", "5 seeds, normal", paired_study(paired_t_test, normal, 5)),
    Study("paired t", "5 seeds, heavy tails", paired_study(paired_t_test, heavy, 5)),
    Study("paired t", "5 seeds, skewed", paired_study(paired_t_test, skewed, 5)),
    Study("paired t", "40 seeds, skewed", paired_study(paired_t_test, skewed, 40)),
    Study("Welch's t", "5 and 8 seeds, sd 1 and 3", welch_unequal_variances),
    Study("Wilcoxon", "5 seeds", paired_study(wilcoxon_test, normal, 5)),
    Study("Wilcoxon", "10 seeds, heavy tails", paired_study(wilcoxon_test, heavy, 10)),
    Study("Wilcoxon", "20 seeds, heavy tails", paired_study(wilcoxon_test, heavy, 20)),
    Study("sign-flip test", "5 seeds", paired_study(sign_flip_test, normal, 5), seed_name="sign flips: 5 seeds"),
    Study(
        "sign-flip test",
        "10 seeds, heavy tails",
        paired_study(sign_flip_test, heavy, 10),
        seed_name="sign flips: 10 seeds, heavy tails",
    ),
    Study("Cohen's d_z", "5 seeds, d_z 0.8", cohens_d_z_of_five),
    Study("Cliff's delta", "15 and 15 seeds", cliffs_delta_of_fifteen),
    Study("paired t", "5 random halves of 40 patients", split_study(plain_t_test, 40, 0.5, 5)),
    Study("corrected t", "5 random halves of 40 patients", split_study(corrected_resampled_t_test, 40, 0.5, 5)),
    Study("paired t", "5 splits 80/20 of 200 patients", split_study(plain_t_test, 200, 0.2, 5)),
    Study("corrected t", "5 splits 80/20 of 200 patients", split_study(corrected_resampled_t_test, 200, 0.2, 5)),
    Study("paired t", "20 splits 80/20 of 200 patients", split_study(plain_t_test, 200, 0.2, 20), 0.5),
    Study("corrected t", "20 splits 80/20 of 200 patients", split_study(corrected_resampled_t_test, 200, 0.2, 20), 0.5),
    Study("paired t", "5 head seeds, one test set of 60 patients", one_test_set_study(t_test_over_seeds)),
    Study("DeLong", "mean score of the same 5 seeds and 60 patients", one_test_set_study(delong_of_mean_score)),
    Study("DeLong over seeds", "mean AUROC of the same 5 seeds and 60 patients", one_test_set_study(delong_over_seeds)),
    Study(
        "DeLong over seeds",
        "mean AUROC of 5 seeds, each on 40 of the same 60 patients",
        one_test_set_study(delong_over_overlapping_seeds),
    ),
    Study("DeLong", "20 + 20 patients, AUROC 0.8", comparison_study(delong_by_patient, 40, 0.5, 0.8)),
    Study("DeLong", "10 + 90 patients, AUROC 0.9", comparison_study(delong_by_patient, 100, 0.1, 0.9)),
    Study("DeLong", "20 + 20 patients, skewed scores", comparison_study(delong_by_patient, 40, 0.5, 0.8, noise=skewed)),
    Study("DeLong by image", "50 patients, two eyes each", comparison_study(delong_by_image, 50, 0.5, 0.8, eyes=2)),
    Study("DeLong by patient", "50 patients, two eyes each", comparison_study(delong_by_patient, 50, 0.5, 0.8, eyes=2)),
    *(
        Study(name, f"accuracy, {n} patients, two eyes each", comparison_study(test, n, 0.5, 0.8, eyes=2), _SLOW_SHARE)
        for n in (20, 50)
        for name, test in (("paired t by image", accuracy_by_image), ("GEE by patient", accuracy_by_patient))
    ),
    Study("DeLong A ± z·SE", "20 + 20 patients, AUROC 0.9", auroc_study(delong_of_auroc("none"), 40, 0.5, 0.9)),
    Study("DeLong on the logit", "20 + 20 patients, AUROC 0.9", auroc_study(delong_of_auroc("logit"), 40, 0.5, 0.9)),
    Study("DeLong on the logit", "10 + 90 patients, AUROC 0.8", auroc_study(delong_of_auroc("logit"), 100, 0.1, 0.8)),
    Study(
        "paired permutation by patient",
        "20 + 20 patients, AUROC 0.8",
        comparison_study(permutation_by_patient, 40, 0.5, 0.8),
        _SLOW_SHARE,
        seed_name="patient swap: 20 + 20 patients, AUROC 0.8",
    ),
    *(
        Study(f"{name} bootstrap", situation, make_run(kind), _SLOW_SHARE)
        for kind, name in (("percentile", "percentile"), ("bca", "BCa"))
        for situation, make_run in (
            ("AUROC 0.9, 20 + 20 patients", lambda kind: auroc_study(bootstrap_of_auroc(kind), 40, 0.5, 0.9)),
            (
                "AUROC difference, 20 + 20 patients",
                lambda kind: comparison_study(bootstrap_test("auroc", kind), 40, 0.5, 0.8),
            ),
            (
                "average precision difference, 30 + 70 patients",
                lambda kind: comparison_study(bootstrap_test("average_precision", kind), 100, 0.3, 0.8),
            ),
            ("skewed Dice difference, 20 patients × 2 eyes", lambda kind: dice_study(kind, 20)),
            ("skewed Dice difference, 100 patients × 2 eyes", lambda kind: dice_study(kind, 100)),
        )
    ),
    Study("Friedman χ²", "10 tasks, 5 models", friedman_study(10, 5, "p")),
    Study("Friedman F", "10 tasks, 5 models", friedman_study(10, 5, "f_p")),
)
