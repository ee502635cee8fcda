"""Two models at one place, tested: over seeds as in the papers, with overlap of splits corrected, and over patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from f2vbench.further_tests import Further, further_tests
from f2vbench.procedure import Procedure
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.correction import as_fine_as_needed
from f2vbench.stats.methods import BOOTSTRAP_PERCENTILE, CORRECTED_T
from f2vbench.stats.outcomes import Comparison, Varies
from f2vbench.stats.tests import corrected_resampled_t_test
from f2vbench.stats.weighted import mean_over_seeds
from f2vbench.store.runs import Record
from f2vbench.tested_cases import NO_PATIENTS, Cases, Predictions, cases_of, value_of

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


def what_varies(records: Iterable[Record], protocol: str) -> tuple[Varies, ...]:
    """What is another from seed to seed, as the episodes tell."""
    episodes = [record["result"]["episode"] for record in records]
    varies: list[Varies] = []
    if len({tuple(episode["test"]) for episode in episodes}) > 1:
        varies.append("split")
    if len({tuple(episode["support"]) for episode in episodes}) > 1:
        varies.append("episode")
    if protocol not in _TRAINING_FREE or not varies:
        varies.append("head seed")
    return tuple(varies)


def tests_of(
    first: Mapping[int, Record],
    second: Mapping[int, Record],
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
        as_fine_as_needed(lambda count: _over_patients(cases, further.paired, count), replicates),
        further,
    )


def _corrected(
    a: Sequence[float], b: Sequence[float], records: Sequence[Record], varies: tuple[Varies, ...], paired: Comparison
) -> Comparison:
    """Nadeau and Bengio's test; the size of a split is counted in patients."""
    none = replace(paired, method=CORRECTED_T, unit="splits", statistic=None, p=None, low=None, high=None, needed=None)
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
    return corrected_resampled_t_test(a, b, train=others, test=test, varies=varies)


def _over_patients(cases: Cases | str, paired: Comparison, replicates: int) -> Comparison:
    """Patients drawn with all their images at all seeds; what is resampled is the mean over seeds that tables show."""
    if isinstance(cases, str):
        return Comparison(
            method=BOOTSTRAP_PERCENTILE,
            varies=("test patients",),
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
