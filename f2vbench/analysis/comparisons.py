"""Comparisons between models as a report shows them: the pairs that matter at each place, each asked three questions.

Over seeds as the papers do; over seeds with the overlap of their splits accounted for; over test patients, for the
heads as they were trained. The statistics are those of `f2vbench.stats`; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from f2vbench.analysis.frames import PLACE
from f2vbench.analysis.paired_predictions import Predictions
from f2vbench.analysis.significance_tests import Further, Tests, tests_of
from f2vbench.stats.multiple_testing import bootstrap_replicates
from f2vbench.stats.procedure import Procedure
from f2vbench.stats.result_classes import Comparison, Verdict
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.progress import Progress, Silent

Units = dict[tuple[str, str, int | None], dict[str, dict[int, UnitRecord]]]
Pairs = Callable[[pd.DataFrame], dict[tuple[str, str], tuple[str, ...]]]
_WORTH_TELLING = 100
Certainty = Literal["sure", "over seeds only", "over patients only", "contradictory", "not significant", "no test"]


@dataclass(frozen=True)
class Compared:
    """Two models in one metric at one place.

    Attributes:
        better: ``higher`` or ``lower``.
        means: over the seeds of each model.
        roles: why these two: ``best and second``, ``best model and best baseline``, ``reference and best other``.
        seeds, splits, patients, further: as in `significance_tests.Tests`, adjusted over all comparisons.
    """

    task: str
    protocol: str
    shots: int | None
    metric: str
    better: str
    first: str
    second: str
    means: tuple[float, float]
    roles: tuple[str, ...]
    seeds: Comparison
    splits: Comparison
    patients: Comparison
    further: Further
    procedure: Procedure

    @property
    def place(self) -> tuple[str, str, int | None]:
        """Task, protocol, shots."""
        return self.task, self.protocol, self.shots

    @property
    def over_seeds(self) -> Comparison:
        """The corrected test where seeds are splits, else the plain one."""
        return self.splits if self.splits.p is not None else self.seeds

    def verdicts(self) -> tuple[Verdict, Verdict]:
        """Of the first, over seeds and over patients."""
        higher = self.better == "higher"
        return self.over_seeds.verdict(higher_is_better=higher), self.patients.verdict(higher_is_better=higher)

    @property
    def certainty(self) -> Certainty:
        """Whether the difference would stay with other seeds *and* other patients of the same kind."""
        seeds, patients = self.verdicts()
        decided = [verdict for verdict in (seeds, patients) if verdict in ("better", "worse")]
        if len(decided) == 2:
            return "sure" if seeds == patients else "contradictory"
        if decided:
            return "over seeds only" if seeds in decided else "over patients only"
        return "no test" if seeds == patients == "no test" else "not significant"


def units_of(records: Iterable[UnitRecord]) -> Units:
    """Records by place, encoder and seed."""
    units: Units = {}
    for record in records:
        unit = record["unit"]
        place = unit["task"], unit["protocol"], unit["shots"]
        units.setdefault(place, {}).setdefault(unit["encoder"], {})[unit["seed"]] = record
    return units


def compared(
    records: Sequence[UnitRecord],
    summary: pd.DataFrame,
    predictions: Predictions,
    pairs: Pairs,
    procedure: Procedure,
    progress: Progress,
) -> list[Compared]:
    """Pairs of models at each place and metric of a summary, tested, and adjusted over all of them.

    Args:
        summary: of `Results.summary`, the best of each place and metric first.
        predictions: reads the stored arrays of a record, for metrics that are no mean over images.
        pairs: the summary's rows of one place and metric → which models are compared, and why.
    """
    units = units_of(records)
    wanted = [
        (key, group, pair, roles)
        for key, group in summary.groupby([*PLACE, "metric"], dropna=False, sort=False)
        for pair, roles in pairs(group).items()
    ]
    replicates = bootstrap_replicates(len(wanted))
    found, tested = [], []
    told = progress if len(wanted) >= _WORTH_TELLING else Silent()
    told.begin("comparing models", len(wanted))
    for (task, protocol, shots, metric), group, (first, second), roles in wanted:
        place = (task, protocol, None if pd.isna(shots) else int(shots))
        means = [float(group.loc[group.encoder == name, "mean"].iloc[0]) for name in (first, second)]
        better = str(group.better.iloc[0])
        sides = units[place][first], units[place][second]
        tested.append(tests_of(*sides, metric, protocol, predictions, replicates, procedure))
        found.append((*place, metric, better, first, second, (means[0], means[1]), roles))
        told.advance(f"{task} · {metric}")
    told.end()
    return [
        Compared(*about, each.seeds, each.splits, each.patients, each.further, procedure)
        for about, each in zip(found, _adjusted(tested, procedure), strict=True)
    ]


def _adjusted(tested: Sequence[Tests], procedure: Procedure) -> list[Tests]:
    """Each kind of test adjusted over all comparisons."""

    def over_all(test: Callable[[Tests], Comparison]) -> list[Comparison]:
        return procedure.adjust_all([test(each) for each in tested])

    main = zip(over_all(lambda t: t.seeds), over_all(lambda t: t.splits), over_all(lambda t: t.patients), strict=True)
    of_pairs, of_sides = over_all(lambda t: t.further.paired), over_all(lambda t: t.further.welch)
    by_ranks, of_areas = over_all(lambda t: t.further.wilcoxon), over_all(lambda t: t.further.delong)
    by_swaps = over_all(lambda t: t.further.swap)
    effects = [each.further.effect for each in tested]
    further = map(Further, of_pairs, of_sides, by_ranks, of_areas, by_swaps, effects)
    return [Tests(*three, further=others) for three, others in zip(main, further, strict=True)]


def pairs_that_matter(reference: str | None = None) -> Pairs:
    """Pair the two best models, the best trained one with the best baseline, and the reference with the best other."""

    def choose(group: pd.DataFrame) -> dict[tuple[str, str], tuple[str, ...]]:
        ranked = group[group["mean"].notna()]
        names = list(ranked.encoder)
        if len(names) < 2:
            return {}
        wanted = [((names[0], names[1]), "best and second")]
        trained = ranked[~ranked.baseline & (ranked.weights != "untrained")]
        baselines = ranked[ranked.baseline]
        if len(trained) and len(baselines):
            wanted.append(((trained.encoder.iloc[0], baselines.encoder.iloc[0]), "best model and best baseline"))
        if reference in names:
            wanted.append(((reference, next(name for name in names if name != reference)), "reference and best other"))
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for pair, role in wanted:
            held = pair if pair in found else pair[::-1] if pair[::-1] in found else pair
            found[held] = (*found.get(held, ()), role)
        return found

    return choose


def against_best(encoder: str) -> Pairs:
    """One encoder with the best other, wherever it is."""

    def choose(group: pd.DataFrame) -> dict[tuple[str, str], tuple[str, ...]]:
        others = [name for name in group.encoder[group["mean"].notna()] if name != encoder]
        if encoder not in set(group.encoder) or not others:
            return {}
        return {(encoder, others[0]): ("reference and best other",)}

    return choose


_TESTS: dict[str, Callable[[Compared], Comparison]] = {
    "corrected": lambda each: each.splits,
    "patients": lambda each: each.patients,
    "paired": lambda each: each.further.paired,
    "welch": lambda each: each.further.welch,
    "wilcoxon": lambda each: each.further.wilcoxon,
    "delong": lambda each: each.further.delong,
    "permutation": lambda each: each.further.swap,
}
"""By what its columns end in."""
_EFFECT = ["effect", "effect_low", "effect_high"]
_LAST = ["certainty", "test", "adjustment", "effect_is", "wilcoxon_smallest_p", "reason", "reason_effect"]


def as_frame(comparisons: Sequence[Compared]) -> pd.DataFrame:
    """One row a comparison; the columns are told at `Results.compare`."""
    table = pd.DataFrame([_row(each) for each in comparisons], columns=COLUMNS)
    table["shots"] = table.shots.astype("Int64")
    return table.astype(dict.fromkeys(_NUMBERS, float))


def _row(each: Compared) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(PLACE, each.place, strict=True)) | {"metric": each.metric, "better": each.better}
    row |= {"encoder": each.first, "best_other": each.second}
    row |= {"n": each.seeds.n, "difference": each.seeds.difference, "t": each.seeds.statistic}
    row |= {"p": each.seeds.p, "p_adjusted": each.seeds.p_adjusted, "reason": each.seeds.reason}
    row |= {"patients": each.patients.n, "low": each.patients.low, "high": each.patients.high}
    for suffix, test in _TESTS.items():
        found = test(each)
        row |= {f"p_{suffix}": found.p, f"p_{suffix}_adjusted": found.p_adjusted, f"reason_{suffix}": found.reason}
    effect = each.further.effect
    row |= dict(zip(_EFFECT, (effect.value, effect.low, effect.high), strict=True))
    row |= {"certainty": each.certainty, "test": each.seeds.method.name, "effect_is": effect.method.name}
    row |= {"adjustment": each.procedure.adjustment_method.name, "reason_effect": effect.reason}
    return row | {"wilcoxon_smallest_p": each.further.wilcoxon.smallest_p}


_P = [f"p_{suffix}{ending}" for suffix in _TESTS for ending in ("", "_adjusted")]
_NUMBERS = ["difference", "t", "p", "p_adjusted", "low", "high", *_P, *_EFFECT, "wilcoxon_smallest_p"]
COLUMNS = [
    *(*PLACE, "metric", "better", "encoder", "best_other", "n", "difference", "t", "p", "p_adjusted"),
    *("patients", "low", "high", *_EFFECT, *_P, *_LAST),
    *(f"reason_{suffix}" for suffix in _TESTS),
]
