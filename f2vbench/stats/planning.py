"""Power and sample size of a planned comparison of two models on the same patients.

The standard error of the difference follows from assumptions (`AssumedStudy`) or from the variances that a run has
measured (`ObservedStudy`). Three aims: a difference, non-inferiority, and equivalence with a margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy.special import ndtr, ndtri, owens_t, stdtrit

from f2vbench.stats.degrees_of_freedom import crossed_degrees_of_freedom
from f2vbench.stats.noncentral_t import noncentral_t_cdf
from f2vbench.stats.power import difference_power, first_true, scaled_crossed_error
from f2vbench.stats.result_classes import RequiredSampleSize
from f2vbench.utils.text import plural

Aim = Literal["difference", "non-inferiority", "equivalence"]
"""What a study is to show."""

VarianceFormula = Literal["binormal", "obuchowski"]
"""Formula of the variance of an AUROC, see `auroc_variance`."""

_PROPORTIONS = ("accuracy", "sensitivity", "specificity")
_NORMAL_ABOVE = 5_000  # degrees of freedom
_MANY_PATIENTS = 10_000_000
_LARGEST_SHIFT = 100.0


class PlannedStudy(Protocol):
    """A study whose error is known for any number of patients and seeds."""

    def error(self, patients: int, seeds: int) -> tuple[float, float]:
        """Standard error of the difference of two models, and degrees of freedom.

        Example:
            >>> study: PlannedStudy = AssumedStudy(metric="dice", sd=0.1)
            >>> round(study.error(100, 1)[0], 4)
            0.0087
        """


@dataclass(frozen=True, kw_only=True)
class AssumedStudy:
    """A study that is planned from assumptions.

    Attributes:
        metric: ``auroc``, ``accuracy``, ``sensitivity``, ``specificity``, or another mean over images, which needs
            ``sd``.
        value: Expected value of the first model.
        difference: Expected difference, first − second; the second model has the value minus the difference.
        prevalence: Share of positive images; ignored for accuracy and other means.
        images: Images a patient, at least 1.
        within_patient: Correlation of the images of a patient, in [0, 1]: variances are multiplied by
            1 + (images − 1) · correlation.
        between_models: Correlation of the two models' estimates, in [0, 1).
        sd: Standard deviation of a mean's values over images.
        seed_sd: Standard deviation over seeds of the difference; 0 for models that are trained once and fixed.
        formula: Formula of `auroc_variance`.
    """

    metric: str = "auroc"
    value: float = 0.85
    difference: float = 0.05
    prevalence: float = 0.5
    images: float = 2.0
    within_patient: float = 0.5
    between_models: float = 0.5
    sd: float | None = None
    seed_sd: float = 0.0
    formula: VarianceFormula = "binormal"

    def error(self, patients: int, seeds: int) -> tuple[float, float]:
        """Standard error of the difference, and degrees of freedom.

        Example:
            >>> AssumedStudy(value=0.9, difference=0.05, prevalence=0.3).error(200, 1)[0].__round__(4)
            0.023
        """
        first, second = (self._variance(value, patients) for value in (self.value, self.value - self.difference))
        of_patients = first + second - 2 * self.between_models * math.sqrt(first * second)
        of_seeds = self.seed_sd**2 / seeds
        df = math.inf if seeds < 2 else crossed_degrees_of_freedom(of_seeds, of_patients, seeds)
        return math.sqrt(of_patients + of_seeds), df

    def _variance(self, value: float, patients: int) -> float:
        """Variance of one model's value."""
        images = patients * self.images
        inflation = 1 + (self.images - 1) * self.within_patient
        if self.metric == "auroc":
            positives = images * self.prevalence
            return inflation * auroc_variance(value, positives, images - positives, self.formula)
        if self.metric in _PROPORTIONS:
            share = {"accuracy": 1.0, "sensitivity": self.prevalence, "specificity": 1 - self.prevalence}[self.metric]
            return inflation * value * (1 - value) / (images * share)
        if self.sd is None:
            raise ValueError(f"a mean over images such as {self.metric} needs its standard deviation over images")
        return inflation * self.sd**2 / images


@dataclass(frozen=True, kw_only=True)
class ObservedStudy:
    """A study like a run, with other numbers of patients and seeds.

    Attributes:
        patients: Test patients of the run.
        seeds: Seeds of the run.
        between_seeds: Variance over seeds of the difference.
        of_patients: Covariance of two seeds by their common test patients.
        within_seeds: Variance of the difference at one seed by its test patients.
        split_ratio: Test ÷ training patients of random splits, else 0.
    """

    patients: int
    seeds: int
    between_seeds: float
    of_patients: float
    within_seeds: float
    split_ratio: float = 0.0

    def error(self, patients: int, seeds: int) -> tuple[float, float]:
        """Standard error of the difference, and degrees of freedom.

        Example:
            >>> study = ObservedStudy(patients=60, seeds=5, between_seeds=4e-4, of_patients=2e-4, within_seeds=3e-4)
            >>> [round(number, 4) for number in study.error(120, 5)]
            [0.013, 10.0978]
        """
        return scaled_crossed_error(
            self.patients / patients,
            seeds,
            between_seeds=self.between_seeds,
            of_patients=self.of_patients,
            within_seeds=self.within_seeds,
            split_ratio=self.split_ratio,
            estimated_from=self.seeds,
        )


def auroc_variance(auroc: float, positives: float, negatives: float, formula: VarianceFormula = "binormal") -> float:
    """Variance of an estimated AUROC of normal scores with equal variances in both classes.

    Args:
        auroc: Expected AUROC, in (0, 1).
        positives: Number of positive images, independent of each other.
        negatives: Number of negative images.
        formula: ``binormal``: exact for continuous scores (Bamber 1975, with the probability that two images of a class
            are both ordered correctly with one of the other, from the bivariate normal distribution); ``obuchowski``:
            approximation for rating scales of few steps (Obuchowski, Radiology 229, 2003), which R's pROC uses for
            sample sizes. It is larger: by two thirds at an AUROC of 0.9.

    Returns:
        The variance.

    Raises:
        ValueError: The AUROC is not in (0, 1), or a class has no image.

    Example:
        >>> round(auroc_variance(0.8, 50, 100), 6), round(auroc_variance(0.8, 50, 100, "obuchowski"), 6)
        (0.001428, 0.00193)
    """
    if not 0 < auroc < 1 or positives <= 0 or negatives <= 0:
        raise ValueError(
            f"an AUROC in (0, 1) and images of both classes are needed, not {auroc}, {positives} and {negatives}"
        )
    z = float(ndtri(auroc))
    if formula == "obuchowski":
        a, ratio = 1.414 * z, negatives / positives
        return 0.0099 * math.exp(-(a**2) / 2) * ((5 * a**2 + 8) + (a**2 + 8) / ratio) / positives
    both = float(ndtr(z) - 2 * owens_t(z, 1 / math.sqrt(3)))
    return (auroc * (1 - auroc) + (positives + negatives - 2) * (both - auroc**2)) / (positives * negatives)


def study_power(
    study: PlannedStudy,
    difference: float,
    *,
    patients: int,
    seeds: int = 1,
    aim: Aim = "difference",
    margin: float | None = None,
    alpha: float = 0.05,
) -> float:
    """Probability that a study shows its aim.

    Args:
        study: The study.
        difference: True difference, first − second, positive where the first is better.
        patients: Number of test patients.
        seeds: Number of seeds.
        aim: ``difference``: two-sided test; ``non-inferiority``: the first is worse by less than the margin, one-sided
            at α ÷ 2; ``equivalence``: the difference lies within ± margin, two one-sided tests at α.
        margin: Margin of the last two aims, above 0.
        alpha: Significance level.

    Returns:
        Power in [0, 1].

    Raises:
        ValueError: The margin is missing.

    Example:
        >>> study = AssumedStudy(value=0.9, difference=0.05, prevalence=0.3)
        >>> round(study_power(study, 0.05, patients=200), 3)
        0.584
        >>> round(study_power(study, 0.0, patients=200, aim="equivalence", margin=0.05), 3)
        0.403
    """
    se, df = study.error(patients, seeds)
    if se == 0:
        return 1.0
    if aim == "difference":
        return difference_power(difference, se, df, alpha)
    if margin is None or margin <= 0:
        raise ValueError(f"aim={aim} needs a margin above 0")
    if aim == "non-inferiority":
        return 1 - _cdf(_quantile(1 - alpha / 2, df), df, (difference + margin) / se)
    critical = _quantile(1 - alpha, df)
    upper, lower = _cdf(-critical, df, (difference - margin) / se), _cdf(critical, df, (difference + margin) / se)
    return max(0.0, upper - lower)


def required_patients(
    study: PlannedStudy,
    difference: float,
    *,
    seeds: int = 1,
    aim: Aim = "difference",
    margin: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> RequiredSampleSize:
    """Smallest number of patients with a given power.

    Args:
        study: The study.
        difference: True difference.
        seeds: Number of seeds.
        aim: As for `study_power`.
        margin: As for `study_power`.
        alpha: Significance level.
        power: Power to reach.

    Returns:
        Number of patients; None where no number suffices, with the reason.

    Example:
        >>> required_patients(AssumedStudy(value=0.9, difference=0.05, prevalence=0.3), 0.05).n
        332
    """

    def suffices(patients: int) -> bool:
        reached = study_power(study, difference, patients=patients, seeds=seeds, aim=aim, margin=margin, alpha=alpha)
        return reached >= power

    if not suffices(_MANY_PATIENTS):
        reason = f"no number of patients reaches this power with {plural(seeds, 'seed')}"
        return RequiredSampleSize(None, power, alpha, reason)
    return RequiredSampleSize(first_true(suffices, 2), power, alpha)


def _quantile(probability: float, df: float) -> float:
    return float(stdtrit(df, probability) if df <= _NORMAL_ABOVE else ndtri(probability))


def _cdf(t: float, df: float, shift: float) -> float:
    """Distribution of the statistic if the true difference is ``shift`` standard errors from the tested one."""
    shift = max(-_LARGEST_SHIFT, min(shift, _LARGEST_SHIFT))
    return noncentral_t_cdf(t, df, shift) if df <= _NORMAL_ABOVE else float(ndtr(t - shift))
