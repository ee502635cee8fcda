"""Comparisons between models as a report shows them: the pairs that matter at each place, each asked three questions.

Over seeds as the papers do; over seeds with the overlap of their splits accounted for; over test patients, for the
heads as they were trained. The statistics are those of `f2vbench.stats`; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from f2vbench.model_tests import Predictions, tests_of
from f2vbench.stats.correction import adjust
from f2vbench.stats.outcomes import Comparison, Verdict
from f2vbench.store.runs import Record

PLACE = ["task", "protocol", "shots"]
_TESTS = ("seeds", "splits", "patients")
Units = dict[tuple[str, str, int | None], dict[str, dict[int, Record]]]
Pairs = Callable[[pd.DataFrame], dict[tuple[str, str], tuple[str, ...]]]
Certainty = Literal["sure", "over seeds only", "over patients only", "contradictory", "not separable", "no test"]


@dataclass(frozen=True)
class Compared:
    """Two models in one metric at one place.

    Attributes:
        better: ``higher`` or ``lower``.
        means: over the seeds of each model.
        roles: why these two: ``best and second``, ``best model and best floor``, ``baseline and best other``.
        seeds: the papers' test, paired over shared seeds.
        splits: the corrected one for seeds that are splits of the same images.
        patients: paired bootstrap over test patients.
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
        return "no test" if seeds == patients == "no test" else "not separable"


def units_of(records: Iterable[Record]) -> Units:
    """Records by place, encoder and seed."""
    units: Units = {}
    for record in records:
        unit = record["unit"]
        place = unit["task"], unit["protocol"], unit["shots"]
        units.setdefault(place, {}).setdefault(unit["encoder"], {})[unit["seed"]] = record
    return units


def compared(
    records: Sequence[Record],
    summary: pd.DataFrame,
    predictions: Predictions,
    pairs: Pairs,
) -> list[Compared]:
    """Pairs of models at each place and metric of a summary, tested, and Holm-adjusted over all of them.

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
    replicates = replicates_for(len(wanted))
    found = []
    for (task, protocol, shots, metric), group, (first, second), roles in wanted:
        place = (task, protocol, None if pd.isna(shots) else int(shots))
        means = [float(group.loc[group.encoder == name, "mean"].iloc[0]) for name in (first, second)]
        better = str(group.better.iloc[0])
        tests = tests_of(units[place][first], units[place][second], metric, protocol, predictions, replicates)
        found.append(Compared(*place, metric, better, first, second, (means[0], means[1]), roles, *tests))
    seeds, splits, patients = (adjust([getattr(each, name) for each in found]) for name in _TESTS)
    return [
        replace(each, seeds=a, splits=b, patients=c)
        for each, a, b, c in zip(found, seeds, splits, patients, strict=True)
    ]


def replicates_for(comparisons: int) -> int:
    """Bootstrap replicates: so many that the smallest p they can give stays below 0.05 after Holm's adjustment."""
    return min(max(2_000, 50 * comparisons), 10_000)


def pairs_that_matter(baseline: str | None = None) -> Pairs:
    """The best with the second, the best trained model with the best floor, and the baseline with the best other."""

    def choose(group: pd.DataFrame) -> dict[tuple[str, str], tuple[str, ...]]:
        ranked = group[group["mean"].notna()]
        names = list(ranked.encoder)
        if len(names) < 2:
            return {}
        wanted = [((names[0], names[1]), "best and second")]
        trained = ranked[~ranked.floor & (ranked.weights != "untrained")]
        floors = ranked[ranked.floor]
        if len(trained) and len(floors):
            wanted.append(((trained.encoder.iloc[0], floors.encoder.iloc[0]), "best model and best floor"))
        if baseline in names:
            wanted.append(((baseline, next(name for name in names if name != baseline)), "baseline and best other"))
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
        return {(encoder, others[0]): ("baseline and best other",)}

    return choose


def as_frame(comparisons: Sequence[Compared]) -> pd.DataFrame:
    """One row a comparison; the columns are told at `Results.compare`."""
    rows = [
        dict(zip([*PLACE, "metric", "better", "encoder", "best_other"], _where(each), strict=True))
        | {"n": each.seeds.n, "difference": each.seeds.difference, "t": each.seeds.statistic}
        | {"p": each.seeds.p, "p_holm": each.seeds.p_adjusted}
        | {"p_corrected": each.splits.p, "p_corrected_holm": each.splits.p_adjusted}
        | {"patients": each.patients.n, "low": each.patients.low, "high": each.patients.high}
        | {"p_patients": each.patients.p, "p_patients_holm": each.patients.p_adjusted}
        | {"certainty": each.certainty, "reason": each.seeds.reason}
        | {"reason_corrected": each.splits.reason, "reason_patients": each.patients.reason}
        for each in comparisons
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["shots"] = table.shots.astype("Int64")
    return table.astype(dict.fromkeys(_NUMBERS, float))


_NUMBERS = (
    *("difference", "t", "p", "p_holm", "p_corrected", "p_corrected_holm"),
    *("low", "high", "p_patients", "p_patients_holm"),
)
COLUMNS = [
    *(*PLACE, "metric", "better", "encoder", "best_other", "n", "difference", "t", "p", "p_holm"),
    *("p_corrected", "p_corrected_holm", "patients", "low", "high", "p_patients", "p_patients_holm"),
    *("certainty", "reason", "reason_corrected", "reason_patients"),
]


def _where(each: Compared) -> tuple[str | int | None, ...]:
    return (*each.place, each.metric, each.better, each.first, each.second)
