"""The same two models by other tests, and how large their difference is against its spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from f2vbench.procedure import Procedure
from f2vbench.stats.correction import as_fine_as_needed
from f2vbench.stats.delong import delong_test_over_seeds
from f2vbench.stats.effects import hedges_g, hedges_g_z
from f2vbench.stats.methods import DELONG_SEEDS, PAIRED_T, PATIENT_SWAP, SIGNED_RANK, WELCH_T
from f2vbench.stats.outcomes import Comparison, Estimate, Varies, unit_of
from f2vbench.stats.permutation import patient_swap_test
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.tests import paired_t_test, welch_t_test
from f2vbench.stats.weighted import mean_over_seeds
from f2vbench.tested_cases import Cases

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
    varies: tuple[Varies, ...],
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
    ranks = wilcoxon_test(*shared, varies=varies) if paired.n else replace(paired, method=SIGNED_RANK)
    a, b = shared if procedure.test == "paired" else all_seeds
    size = hedges_g_z if procedure.test == "paired" else hedges_g
    base = paired if procedure.test == "paired" else welch
    if a and b:
        effect = size(a, b, varies=varies)
    else:
        effect = Estimate(method=procedure.effect, varies=varies, n=0, unit=base.unit, value=None, reason=base.reason)
    swap = as_fine_as_needed(lambda count: swapped(cases, count), replicates)
    return Further(paired, welch, ranks, _delong(cases, metric), swap, effect)


def paired_over_seeds(
    a: Sequence[float], b: Sequence[float], varies: tuple[Varies, ...], reason: str = ""
) -> Comparison:
    """The papers' test; without a shared seed its reason."""
    if a:
        return paired_t_test(a, b, varies=varies)
    return Comparison(method=PAIRED_T, varies=varies, n=0, unit=unit_of(varies), difference=None, reason=reason)


def welch_over_seeds(a: Sequence[float], b: Sequence[float], varies: tuple[Varies, ...]) -> Comparison:
    """Welch's test of all seeds of each."""
    if a and b:
        return welch_t_test(a, b, varies=varies)
    return Comparison(method=WELCH_T, varies=varies, n=0, unit=unit_of(varies), difference=None, reason=_NO_VALUE)


def _delong(cases: Cases | str, metric: str) -> Comparison:
    """DeLong's test where the metric is AUROC of two classes, made from stored probabilities."""
    none = Comparison(method=DELONG_SEEDS, varies=("test patients",), n=0, unit="patients", difference=None)
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
            method=PATIENT_SWAP, varies=("test patients",), n=0, unit="patients", difference=None, reason=cases
        )
    first, second = cases.first, cases.second
    if cases.metric.by_rank:
        # A seed's heads have a scale of their own, so models can only be swapped by their ranks within a seed.
        first, second = (_ranked(side, cases.by_seed()) for side in (first, second))
    return patient_swap_test(
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
