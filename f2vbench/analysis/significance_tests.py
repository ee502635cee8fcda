"""Two models at one place, tested: over seeds as in the papers, with overlap of splits corrected, and over patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from f2vbench.analysis.paired_predictions import NO_PATIENTS, Cases, Predictions, cases_of, value_of
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.citations import (
    BOOTSTRAP_PERCENTILE,
    CORRECTED_T,
    DELONG_SEEDS,
    PAIRED_PERMUTATION,
    PAIRED_T,
    SIGNED_RANK,
    WELCH_T,
)
from f2vbench.stats.delong import delong_test_over_seeds
from f2vbench.stats.effect_sizes import hedges_g, hedges_g_z
from f2vbench.stats.multiple_testing import run_with_adaptive_replicates
from f2vbench.stats.permutation import paired_permutation_test
from f2vbench.stats.procedure import Procedure
from f2vbench.stats.result_classes import Comparison, Estimate, Variation, VariationSource, sampling_unit
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test, welch_t_test
from f2vbench.stats.weighted_metrics import mean_over_seeds
from f2vbench.store.record_schema import UnitRecord

_TRAINING_FREE = ("zero-shot", "prototype", "knn")
_NOTHING_SHARED = "no seed in common"
_NO_VALUE = "no seed at which both have a value"


@dataclass(frozen=True)
class Tests:
    """The tests of one comparison.

    Attributes:
        seeds: the t-test of the procedure, over seeds.
        splits: Nadeau and Bengio's, for seeds that are splits of the same images.
        patients: paired bootstrap over test patients.
        further: the same by other tests.
    """

    seeds: Comparison
    splits: Comparison
    patients: Comparison
    further: Further


def what_varies(records: Iterable[UnitRecord], protocol: str) -> Variation:
    """What is another from seed to seed, as the episodes tell."""
    episodes = [record["result"]["episode"] for record in records]
    varies: list[VariationSource] = []
    if len({tuple(episode["test"]) for episode in episodes}) > 1:
        varies.append("split")
    if len({tuple(episode["support"]) for episode in episodes}) > 1:
        varies.append("episode")
    if protocol not in _TRAINING_FREE or not varies:
        varies.append("head seed")
    return tuple(varies)


def tests_of(
    first: Mapping[int, UnitRecord],
    second: Mapping[int, UnitRecord],
    metric: str,
    protocol: str,
    predictions: Predictions,
    replicates: int,
    procedure: Procedure,
) -> Tests:
    """All tests of two models, whose records are given by seed; what can't be had has a reason in place of its p.

    Args:
        predictions: reads the stored arrays of a record, for metrics that are no mean over images.
        replicates: of the bootstrap and of the permutation test, where the verdict may hang on them.
    """
    varies = what_varies([*first.values(), *second.values()], protocol)
    valued = [[seed for seed in sorted(side) if value_of(side[seed], metric) is not None] for side in (first, second)]
    seeds = [seed for seed in valued[0] if seed in valued[1]]
    sides = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
    reason = "" if seeds else _NO_VALUE if first.keys() & second.keys() else _NOTHING_SHARED
    cases = cases_of(*sides, metric, predictions) if seeds else reason
    a, b = ([value_of(record, metric) for record in side] for side in sides)
    everything = [
        [value_of(side[seed], metric) for seed in own] for side, own in zip((first, second), valued, strict=True)
    ]
    further = further_tests(
        (a, b), (everything[0], everything[1]), cases, metric, varies, reason, procedure, replicates
    )
    return Tests(
        further.paired if procedure.test == "paired" else further.welch,
        _corrected(a, b, sides[0], varies, further.paired),
        run_with_adaptive_replicates(lambda count: _over_patients(cases, further.paired, count), replicates),
        further,
    )


def _corrected(
    a: Sequence[float],
    b: Sequence[float],
    records: Sequence[UnitRecord],
    varies: Variation,
    paired: Comparison,
) -> Comparison:
    """Nadeau and Bengio's test; the size of a split is counted in patients."""
    none = replace(
        paired, method=CORRECTED_T, unit="splits", statistic=None, p=None, low=None, high=None, required=None
    )
    if not records:
        return none
    if "split" not in varies:
        why = "every seed is tested on the same images, so there are no splits whose overlap could be corrected for"
        return replace(none, reason=why)
    episodes = [record["result"]["episode"] for record in records]
    if any("patients_in_all" not in episode for episode in episodes):
        return replace(none, reason=NO_PATIENTS)
    test = round(float(np.mean([len(set(episode["patients"])) for episode in episodes])))
    others = episodes[0]["patients_in_all"] - test
    if others < 1:
        return replace(none, reason="every patient is tested: there is no other part")
    return corrected_resampled_t_test(a, b, train=others, test=test, variation=varies)


def _over_patients(cases: Cases | str, paired: Comparison, replicates: int) -> Comparison:
    """Patients drawn with all their images at all seeds; what is resampled is the mean over seeds that tables show."""
    if isinstance(cases, str):
        return Comparison(
            method=BOOTSTRAP_PERCENTILE,
            variation=("test patients",),
            n=0,
            unit="patients",
            difference=paired.difference,
            reason=cases,
        )
    return paired_bootstrap(
        cases.first,
        cases.second,
        cases.labels,
        metric=mean_over_seeds(cases.metric),
        patients=cases.patients,
        replicates=replicates,
    )


_NO_VALUE = "no seed at which it has a value"


@dataclass(frozen=True)
class Further:
    """Tests beside the three that decide.

    Attributes:
        paired, welch: t-tests over seeds, over the shared ones and over all of each.
        wilcoxon: signed ranks over shared seeds.
        delong: of means over seeds of binary AUROC, over test patients.
        swap: permutation of the two models by test patient.
        effect: Hedges' g_z of the paired differences; with Welch's test Hedges' g.
    """

    paired: Comparison
    welch: Comparison
    wilcoxon: Comparison
    delong: Comparison
    swap: Comparison
    effect: Estimate


def further_tests(
    shared: tuple[Sequence[float], Sequence[float]],
    all_seeds: tuple[Sequence[float], Sequence[float]],
    cases: Cases | str,
    metric: str,
    varies: Variation,
    reason: str,
    procedure: Procedure,
    replicates: int,
) -> Further:
    """Every other test of two models at one place.

    Args:
        shared: values of both at the seeds at which both have one.
        all_seeds: values of each at the seeds at which it has one.
        cases: their test images at the shared seeds, or why there are none.
        reason: why no seed is shared, where none is.
        replicates: of the permutation test, where its verdict may hang on them.
    """
    paired = paired_over_seeds(*shared, varies, reason)
    welch = welch_over_seeds(*all_seeds, varies)
    ranks = wilcoxon_test(*shared, variation=varies) if paired.n else replace(paired, method=SIGNED_RANK)
    a, b = shared if procedure.test == "paired" else all_seeds
    size = hedges_g_z if procedure.test == "paired" else hedges_g
    base = paired if procedure.test == "paired" else welch
    if a and b:
        effect = size(a, b, variation=varies)
    else:
        effect = Estimate(
            method=procedure.effect_size, variation=varies, n=0, unit=base.unit, value=None, reason=base.reason
        )
    swap = run_with_adaptive_replicates(lambda count: swapped(cases, count), replicates)
    return Further(paired, welch, ranks, _delong(cases, metric), swap, effect)


def paired_over_seeds(a: Sequence[float], b: Sequence[float], varies: Variation, reason: str = "") -> Comparison:
    """The papers' test; without a shared seed its reason."""
    if a:
        return paired_t_test(a, b, variation=varies)
    return Comparison(
        method=PAIRED_T, variation=varies, n=0, unit=sampling_unit(varies), difference=None, reason=reason
    )


def welch_over_seeds(a: Sequence[float], b: Sequence[float], varies: Variation) -> Comparison:
    """Welch's test of all seeds of each."""
    if a and b:
        return welch_t_test(a, b, variation=varies)
    return Comparison(
        method=WELCH_T, variation=varies, n=0, unit=sampling_unit(varies), difference=None, reason=_NO_VALUE
    )


def _delong(cases: Cases | str, metric: str) -> Comparison:
    """DeLong's test where the metric is AUROC of two classes, made from stored probabilities."""
    none = Comparison(method=DELONG_SEEDS, variation=("test patients",), n=0, unit="patients", difference=None)
    if metric != "auroc":
        return replace(none, reason="DeLong's test is of AUROC")
    if isinstance(cases, str):
        return replace(none, reason=cases)
    if cases.labels is None:
        why = "this AUROC is a mean over images, each of its own pixels; DeLong's test is of independent cases"
        return replace(none, reason=why)
    if cases.labels.ndim > 1:
        return replace(none, reason="this AUROC is a mean over classes; DeLong's test is of one")
    seeds = cases.by_seed()
    first, second = ([side[rows, 1] for rows in seeds] for side in (cases.first, cases.second))
    labels, patients = ([held[rows] for rows in seeds] for held in (cases.labels, cases.patients))
    return delong_test_over_seeds(first, second, labels, patients=patients)


def swapped(cases: Cases | str, replicates: int) -> Comparison:
    """The two models swapped patient by patient, of the mean over seeds that tables show."""
    if isinstance(cases, str):
        return Comparison(
            method=PAIRED_PERMUTATION, variation=("test patients",), n=0, unit="patients", difference=None, reason=cases
        )
    first, second = cases.first, cases.second
    if cases.metric.rank_based:
        # A seed's heads have a scale of their own, so models can only be swapped by their ranks within a seed.
        first, second = (_ranked(side, cases.by_seed()) for side in (first, second))
    return paired_permutation_test(
        first,
        second,
        cases.labels,
        metric=mean_over_seeds(cases.metric),
        patients=cases.patients,
        replicates=replicates,
    )


def _ranked(side: np.ndarray, seeds: Sequence[np.ndarray]) -> np.ndarray:
    """Ranks within each seed in place of the scores."""
    ranked = side.astype(np.float64)
    for rows in seeds:
        ranked[rows, 1:] = rankdata(side[rows, 1:], axis=0)
    return ranked
