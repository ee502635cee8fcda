"""Significance tests of two models at one condition: over patients and seeds at once, and over either alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from f2vbench.analysis.crossed_scores import CrossedScores
from f2vbench.analysis.crossed_tests import CrossedTests, Pair, Selection
from f2vbench.analysis.frames import Condition
from f2vbench.analysis.metric_inputs import NO_PATIENTS, Predictions, metric_value
from f2vbench.analysis.paired_predictions import PairedCases, image_values, mean_predictions, pair_cases
from f2vbench.analysis.seed_variation import seed_variation
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.citations import (
    BOOTSTRAP_PERCENTILE,
    CORRECTED_T,
    DELONG_SEEDS,
    GEE,
    HEDGES_G,
    HEDGES_G_Z,
    PAIRED_PERMUTATION,
    PAIRED_T,
    PREDICTIONS_T,
    SIGNED_RANK,
    WELCH_T,
    Method,
)
from f2vbench.stats.delong import delong_test_over_seeds
from f2vbench.stats.effect_sizes import hedges_g, hedges_g_z
from f2vbench.stats.gee import gee_difference_test
from f2vbench.stats.multiple_testing import run_with_adaptive_replicates
from f2vbench.stats.permutation import paired_permutation_test
from f2vbench.stats.procedure import SeedTest
from f2vbench.stats.result_classes import Comparison, Estimate, Variation, sampling_unit
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test, prediction_t_test, welch_t_test
from f2vbench.stats.weighted_metrics import mean_over_seeds
from f2vbench.store.record_schema import UnitRecord

TestName = (
    Literal["crossed", "paired", "welch", "corrected", "bootstrap", "wilcoxon", "delong", "permutation", "gee"]
    | Literal["predictions", "predictions-unpaired"]
)


class PairKey(NamedTuple):
    """Two models at one condition in one metric."""

    condition: Condition
    metric: str
    first: str
    second: str


@dataclass(frozen=True)
class PairTests:
    """Test results of one pair of models.

    Attributes:
        tests: Result of each test: the ``crossed`` test over test patients and seeds; the ``paired`` and ``welch``
            t-tests over seeds, the ``corrected`` resampled t-test for seeds that are overlapping splits, the paired
            ``bootstrap`` over test patients, ``wilcoxon`` signed ranks over seeds, ``delong`` for the AUROC of one
            class, the paired ``permutation`` test over test patients, ``gee`` for accuracy and other means over images,
            and the papers' t-test on ``predictions``, paired by image or unpaired.
        effect_size: Hedges' g_z of the paired differences, or Hedges' g with Welch's test.
    """

    tests: Mapping[TestName, Comparison]
    effect_size: Estimate


class PairTester:
    """Tests pairs of models, and keeps every result, so that no test is computed twice.

    Args:
        records: Records of all units.
        predictions: Loads the stored arrays of a record, for metrics that are not a mean over images.
        crossed_scores: Scores of the models at each condition, for the crossed test.
    """

    def __init__(
        self,
        records: Iterable[UnitRecord],
        predictions: Predictions,
        crossed_scores: Mapping[Condition, CrossedScores],
    ):
        self._predictions = predictions
        self._crossed = {condition: CrossedTests(scores) for condition, scores in crossed_scores.items()}
        self._units: dict[tuple[Condition, str], dict[int, UnitRecord]] = {}
        for record in records:
            key = Condition.from_record(record), record["unit"]["encoder"]
            self._units.setdefault(key, {})[record["unit"]["seed"]] = record
        self._results: dict[tuple[PairKey, TestName, int], Comparison] = {}
        self._effect_sizes: dict[tuple[PairKey, SeedTest], Estimate] = {}

    def run(self, key: PairKey, replicates: int, seed_test: SeedTest) -> PairTests:
        """Run all tests of one pair of models.

        Args:
            key: The models, the condition and the metric.
            replicates: Replicates of the bootstrap and of the permutation test where 2,000 may not suffice.
            seed_test: t-test over seeds that the effect size belongs to.

        Returns:
            Test results; a test that is impossible has a reason in place of its p-value.
        """
        pair = UnitPair(
            self._units[key.condition, key.first],
            self._units[key.condition, key.second],
            key.metric,
            key.condition.protocol,
            self._predictions,
        )
        crossed = self._crossed[key.condition]
        fixed: dict[TestName, Callable[[], Comparison]] = {
            "crossed": partial(crossed.test, key.first, key.second, key.metric),
            "paired": pair.paired_t,
            "welch": pair.welch_t,
            "corrected": pair.corrected_t,
            "wilcoxon": pair.wilcoxon,
            "delong": pair.delong,
            "gee": pair.gee,
            "predictions": partial(pair.prediction_t, paired=True),
            "predictions-unpaired": partial(pair.prediction_t, paired=False),
        }
        resampled: dict[TestName, Callable[[int], Comparison]] = {
            "bootstrap": pair.bootstrap,
            "permutation": pair.permutation,
        }
        tests = {name: self._once(key, name, 0, test) for name, test in fixed.items()}
        for name, test in resampled.items():
            tests[name] = run_with_adaptive_replicates(partial(self._resample, key, name, test), replicates)
        if (key, seed_test) not in self._effect_sizes:
            self._effect_sizes[key, seed_test] = pair.effect_size(seed_test)
        return PairTests(tests, self._effect_sizes[key, seed_test])

    def select(self, key: PairKey, family: Sequence[Pair]) -> Selection:
        """Adjust the p-value of the crossed test for the choice of the pair.

        Args:
            key: The models, the condition and the metric.
            family: The pairs of models among which the pair was chosen.
        """
        return self._crossed[key.condition].select((key.first, key.second), family, key.metric)

    def _resample(self, key: PairKey, name: TestName, test: Callable[[int], Comparison], replicates: int) -> Comparison:
        return self._once(key, name, replicates, partial(test, replicates))

    def _once(self, key: PairKey, name: TestName, replicates: int, test: Callable[[], Comparison]) -> Comparison:
        if (key, name, replicates) not in self._results:
            self._results[key, name, replicates] = test()
        return self._results[key, name, replicates]


class UnitPair:
    """Units of two models at one condition, to be tested in one metric.

    Args:
        first: Record of the first model by seed.
        second: Record of the second model by seed.
        metric: Name of the metric.
        protocol: Protocol of the condition.
        predictions: Loads the stored arrays of a record, for metrics that are not a mean over images.
    """

    def __init__(
        self,
        first: Mapping[int, UnitRecord],
        second: Mapping[int, UnitRecord],
        metric: str,
        protocol: str,
        predictions: Predictions,
    ):
        self._first, self._second = first, second
        self._metric, self._predictions = metric, predictions
        self._variation = seed_variation([*first.values(), *second.values()], protocol)
        values = [_values_by_seed(side, metric) for side in (first, second)]
        self._all_values = [list(side.values()) for side in values]
        self._seeds = [seed for seed in values[0] if seed in values[1]]
        self._shared_values = [[side[seed] for seed in self._seeds] for side in values]

    @cached_property
    def cases(self) -> PairedCases | str:
        """Paired test images of the shared seeds, or the reason why there are none."""
        if not self._seeds:
            return self._no_shared_seed
        sides = [[side[seed] for seed in self._seeds] for side in (self._first, self._second)]
        return pair_cases(sides[0], sides[1], self._metric, self._predictions)

    @cached_property
    def _paired_t(self) -> Comparison:
        if not self._seeds:
            return self._no_seed_test(PAIRED_T, self._no_shared_seed)
        return paired_t_test(*self._shared_values, variation=self._variation)

    def paired_t(self) -> Comparison:
        """Paired t-test over the shared seeds, as in the papers."""
        return self._paired_t

    def welch_t(self) -> Comparison:
        """Welch's t-test over all seeds of each model."""
        if not all(self._all_values):
            return self._no_seed_test(WELCH_T, "one of the models has no value at any seed")
        return welch_t_test(*self._all_values, variation=self._variation)

    def wilcoxon(self) -> Comparison:
        """Wilcoxon's signed-rank test over the shared seeds."""
        if not self._seeds:
            return self._no_seed_test(SIGNED_RANK, self._no_shared_seed)
        return wilcoxon_test(*self._shared_values, variation=self._variation)

    def corrected_t(self) -> Comparison:
        """Corrected resampled t-test of Nadeau and Bengio; the sizes of a split are counted in patients."""
        paired = self.paired_t()
        none = Comparison(
            method=CORRECTED_T,
            variation=self._variation,
            n=paired.n,
            unit="splits",
            difference=paired.difference,
            reason=paired.reason,
        )
        if not self._seeds:
            return none
        if "split" not in self._variation:
            reason = "all seeds are tested on the same images, so there is no overlap of splits to correct for"
            return replace(none, reason=reason)
        episodes = [self._first[seed]["result"]["episode"] for seed in self._seeds]
        if any("patients_in_all" not in episode for episode in episodes):
            return replace(none, reason=NO_PATIENTS)
        test = round(float(np.mean([len(set(episode["patients"])) for episode in episodes])))
        train = episodes[0]["patients_in_all"] - test
        if train < 1:
            return replace(none, reason="all patients are test patients, so there is no training set")
        return corrected_resampled_t_test(*self._shared_values, train=train, test=test, variation=self._variation)

    def bootstrap(self, replicates: int) -> Comparison:
        """Paired bootstrap over test patients of the mean over seeds; a patient is drawn with all images and seeds."""
        cases = self.cases
        if isinstance(cases, str):
            none = self._no_patient_test(BOOTSTRAP_PERCENTILE, cases)
            return replace(none, difference=self.paired_t().difference)
        return paired_bootstrap(
            cases.first,
            cases.second,
            cases.labels,
            metric=mean_over_seeds(cases.metric),
            patients=cases.patients,
            replicates=replicates,
        )

    def permutation(self, replicates: int) -> Comparison:
        """Paired permutation test over test patients, of the mean over seeds."""
        if isinstance(self.cases, str):
            return self._no_patient_test(PAIRED_PERMUTATION, self.cases)
        return permute_cases(self.cases, replicates)

    def delong(self) -> Comparison:
        """DeLong's test over test patients, where the metric is the AUROC of one class from stored probabilities."""
        cases = self.cases
        if self._metric.partition(":")[0] != "auroc":
            return self._no_patient_test(DELONG_SEEDS, "DeLong's test applies to AUROC only")
        if isinstance(cases, str):
            return self._no_patient_test(DELONG_SEEDS, cases)
        if cases.labels is None:
            reason = "this AUROC is a mean over images, each over its own pixels; DeLong's test needs independent cases"
            return self._no_patient_test(DELONG_SEEDS, reason)
        if cases.labels.ndim > 1:
            reason = "this AUROC is a mean over classes; DeLong's test applies to one class"
            return self._no_patient_test(DELONG_SEEDS, reason)
        seeds = cases.rows_by_seed()
        first, second = ([side[rows, 1] for rows in seeds] for side in (cases.first, cases.second))
        labels, patients = ([values[rows] for rows in seeds] for values in (cases.labels, cases.patients))
        return delong_test_over_seeds(first, second, labels, patients=patients)

    def gee(self) -> Comparison:
        """Generalised estimating equations over test patients, where the metric is a mean over images.

        The value of an image is its mean over the seeds that test it.
        """
        cases = self.cases
        if isinstance(cases, str):
            return self._no_patient_test(GEE, cases)
        sides = [[side[seed] for seed in self._seeds] for side in (self._first, self._second)]
        values = image_values(sides[0], sides[1], self._metric)
        if values is None:
            reason = "generalised estimating equations apply to means over images, such as accuracy and Dice"
            return self._no_patient_test(GEE, reason)
        return gee_difference_test(values.first, values.second, patients=values.patients)

    @cached_property
    def _mean_predictions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | str:
        if not self._seeds:
            return self._no_shared_seed
        sides = [[side[seed] for seed in self._seeds] for side in (self._first, self._second)]
        return mean_predictions(sides[0], sides[1], self._metric, self._predictions)

    def prediction_t(self, *, paired: bool) -> Comparison:
        """The papers' t-test on predictions, of means over the shared seeds."""
        if isinstance(self._mean_predictions, str):
            return replace(self._no_patient_test(PREDICTIONS_T, self._mean_predictions), unit="images")
        return prediction_t_test(*self._mean_predictions, paired=paired)

    def effect_size(self, seed_test: SeedTest) -> Estimate:
        """Hedges' g_z of the paired differences for the paired t-test, Hedges' g for Welch's test."""
        paired = seed_test == "paired"
        a, b = self._shared_values if paired else self._all_values
        if a and b:
            return (hedges_g_z if paired else hedges_g)(a, b, variation=self._variation)
        test = self.paired_t() if paired else self.welch_t()
        return Estimate(
            method=HEDGES_G_Z if paired else HEDGES_G,
            variation=self._variation,
            n=0,
            unit=test.unit,
            value=None,
            reason=test.reason,
        )

    @property
    def _no_shared_seed(self) -> str:
        both = self._first.keys() & self._second.keys()
        return "no seed at which both models have a value" if both else "no seed in common"

    def _no_seed_test(self, method: Method, reason: str) -> Comparison:
        unit = sampling_unit(self._variation)
        return Comparison(method=method, variation=self._variation, n=0, unit=unit, difference=None, reason=reason)

    def _no_patient_test(self, method: Method, reason: str) -> Comparison:
        variation: Variation = ("test patients",)
        return Comparison(method=method, variation=variation, n=0, unit="patients", difference=None, reason=reason)


def permute_cases(cases: PairedCases, replicates: int) -> Comparison:
    """Paired permutation test over patients, of the mean over seeds.

    Scores of different seeds come from different heads and have no common scale, so metrics that depend on ranks alone
    are permuted by the ranks within each seed.
    """
    first, second = cases.first, cases.second
    if cases.metric.rank_based:
        first, second = (_ranks_by_seed(side, cases.rows_by_seed()) for side in (first, second))
    return paired_permutation_test(
        first,
        second,
        cases.labels,
        metric=mean_over_seeds(cases.metric),
        patients=cases.patients,
        replicates=replicates,
    )


def _ranks_by_seed(scores: NDArray[np.float64], seeds: Sequence[NDArray[np.intp]]) -> NDArray[np.float64]:
    ranked = scores.astype(np.float64)
    for rows in seeds:
        ranked[rows, 1:] = rankdata(scores[rows, 1:], axis=0)
    return ranked


def _values_by_seed(records: Mapping[int, UnitRecord], metric: str) -> dict[int, float]:
    """Values of a metric by seed, in the order of seeds, without missing values."""
    values = {seed: metric_value(records[seed], metric) for seed in sorted(records)}
    return {seed: value for seed, value in values.items() if value is not None}
