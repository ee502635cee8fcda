"""Comparisons of pairs of models at each condition, and their data frame.

Each pair is tested over test patients and seeds at once by the crossed test, whose p-value is adjusted for the choice
of the pair among others and over all comparisons; it decides. The t-test of the papers and further tests stand beside
it. The tests are those of `f2vbench.analysis.significance_tests`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from f2vbench.analysis.crossed_tests import Selection, all_pairs, pairs_of
from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.analysis.significance_tests import PairKey, PairTester, TestName
from f2vbench.stats.multiple_testing import bootstrap_replicates
from f2vbench.stats.procedure import Procedure
from f2vbench.stats.result_classes import Comparison, Estimate, Verdict, describe_generalization
from f2vbench.utils.progress import Progress, Silent

Significance = Literal["significant", "not significant", "no test"]
BEST_AND_SECOND = "best and second"
BEST_AND_BASELINE = "best model and best baseline"
REFERENCE_AND_BEST = "reference and best other"
_ALPHA = 0.05
_LEAST_FOR_PROGRESS = 100  # comparisons


@dataclass(frozen=True)
class ModelPair:
    """Two models that are compared, and the roles in which they are.

    Attributes:
        first: Name of the first model.
        second: Name of the second model.
        roles: `BEST_AND_SECOND`, `BEST_AND_BASELINE`, `REFERENCE_AND_BEST`, or several of them.
    """

    first: str
    second: str
    roles: tuple[str, ...]


PairSelection = Callable[[pd.DataFrame], list[ModelPair]]
"""Rows of `Results.summary` of one condition and metric, best first → the pairs to compare."""


@dataclass(frozen=True)
class ModelComparison:
    """Comparison of two models at one condition in one metric.

    Attributes:
        key: Condition, metric, and names of the first and second model.
        better: Whether ``higher`` or ``lower`` values of the metric are better.
        means: Means of the first and the second model over their seeds.
        roles: Why the two are compared, as in `ModelPair`.
        tests: Result of each test, p-values adjusted over all comparisons; see `significance_tests.PairTests`. That of
            the crossed test is adjusted for the choice of the pair as well.
        selection: Adjustment of the crossed test for the choice of the pair alone.
        effect_size: Effect size of the procedure.
        procedure: t-test over seeds and adjustment of p-values.
    """

    key: PairKey
    better: str
    means: tuple[float, float]
    roles: tuple[str, ...]
    tests: Mapping[TestName, Comparison]
    selection: Selection
    effect_size: Estimate
    procedure: Procedure

    @property
    def condition(self) -> Condition:
        """Task, protocol and number of shots."""
        return self.key.condition

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self.key.metric

    @property
    def first(self) -> str:
        """Name of the first model."""
        return self.key.first

    @property
    def second(self) -> str:
        """Name of the second model."""
        return self.key.second

    @property
    def crossed(self) -> Comparison:
        """Crossed test over test patients and seeds, which decides."""
        return self.tests["crossed"]

    @property
    def t_test(self) -> Comparison:
        """t-test over seeds of the procedure, paired as in the papers, or Welch's."""
        return self.tests[self.procedure.test]

    @property
    def verdict(self) -> Verdict:
        """Verdict of the crossed test on the first model, after adjustment."""
        return self.crossed.verdict(higher_is_better=self.better == "higher")

    @property
    def significance(self) -> Significance:
        """Whether the difference is significant after adjustment by the crossed test."""
        verdict = self.verdict
        return verdict if verdict == "not significant" or verdict == "no test" else "significant"

    @property
    def needed(self) -> str:
        """How many patients or seeds a study of this pair alone would need, as a clause.

        Empty where this study suffices for the pair alone, or the difference cannot be tested.
        """
        required, p = self.crossed.required, self.crossed.p
        if required is None or p is None or p < _ALPHA:
            return ""
        if required.n is None:
            return required.reason
        count = required.count_text(self.crossed.unit)
        power = f"{100 * required.power:g} % power"
        return f"a study of this pair alone would need {count} to detect a difference of this size with {power}"


def compare_models(
    summary: pd.DataFrame,
    select: PairSelection,
    tester: PairTester,
    procedure: Procedure,
    progress: Progress,
) -> list[ModelComparison]:
    """Compare pairs of models at each condition and metric of a summary.

    Args:
        summary: `Results.summary`, the best model of each condition and metric first.
        select: Selects the pairs of each condition and metric.
        tester: Runs the tests.
        procedure: t-test over seeds and adjustment of p-values.
        progress: Receives messages where comparisons are many.

    Returns:
        Comparisons, with p-values of each test adjusted over all of them.
    """
    selected = [
        (Condition.from_values(*key[:3]), key[3], group, pair)
        for key, group in summary.groupby([*CONDITION, "metric"], dropna=False, sort=False)
        for pair in select(group)
    ]
    replicates = bootstrap_replicates(len(selected))
    if len(selected) < _LEAST_FOR_PROGRESS:
        progress = Silent()
    comparisons = []
    progress.begin("comparing models", len(selected))
    for condition, metric, group, pair in selected:
        key = PairKey(condition, metric, pair.first, pair.second)
        means = group.set_index("encoder")["mean"]
        results = tester.run(key, replicates, procedure.test)
        models = list(group.encoder[group["mean"].notna()])
        family = pairs_of(pair.first, models) if pair.roles == (REFERENCE_AND_BEST,) else all_pairs(models)
        comparisons.append(
            ModelComparison(
                key,
                str(group.better.iloc[0]),
                (float(means[pair.first]), float(means[pair.second])),
                pair.roles,
                results.tests,
                tester.select(key, family),
                results.effect_size,
                procedure,
            )
        )
        progress.advance(f"{condition.task} · {metric}")
    progress.end()
    return list(_adjusted(comparisons, procedure))


def _adjusted(comparisons: Sequence[ModelComparison], procedure: Procedure) -> Iterator[ModelComparison]:
    """Adjust the p-values of each test over all comparisons, those of the crossed test after `Selection`."""
    names = comparisons[0].tests if comparisons else ()
    adjusted = {name: procedure.adjust_all([each.tests[name] for each in comparisons]) for name in names}
    crossed = [each.crossed for each in comparisons]
    adjusted["crossed"] = procedure.adjust_selected(crossed, [each.selection.p for each in comparisons])
    for index, comparison in enumerate(comparisons):
        yield replace(comparison, tests={name: results[index] for name, results in adjusted.items()})


def select_key_pairs(reference: str | None = None) -> PairSelection:
    """Selection of the best with the second model, the best trained model with the best baseline, and the reference.

    Args:
        reference: Model that is compared with the best other model, where it has results.

    Returns:
        A selection; a pair with several roles is listed once.
    """

    def select(group: pd.DataFrame) -> list[ModelPair]:
        ranked = group[group["mean"].notna()]
        names = list(ranked.encoder)
        if len(names) < 2:
            return []
        pairs = [(names[0], names[1], BEST_AND_SECOND)]
        trained = ranked[~ranked.baseline & (ranked.weights != "untrained")]
        baselines = ranked[ranked.baseline]
        if len(trained) and len(baselines):
            pairs.append((trained.encoder.iloc[0], baselines.encoder.iloc[0], BEST_AND_BASELINE))
        if reference in names:
            pairs.append((reference, next(name for name in names if name != reference), REFERENCE_AND_BEST))
        roles: dict[tuple[str, str], tuple[str, ...]] = {}
        for first, second, role in pairs:
            pair = (second, first) if (second, first) in roles else (first, second)
            roles[pair] = (*roles.get(pair, ()), role)
        return [ModelPair(*pair, its_roles) for pair, its_roles in roles.items()]

    return select


def select_against_best(encoder: str) -> PairSelection:
    """Selection of one model with the best other model, wherever the model has results."""

    def select(group: pd.DataFrame) -> list[ModelPair]:
        others = [name for name in group.encoder[group["mean"].notna()] if name != encoder]
        if encoder not in set(group.encoder) or not others:
            return []
        return [ModelPair(encoder, others[0], (REFERENCE_AND_BEST,))]

    return select


_TEST_COLUMNS: dict[str, TestName] = {
    "crossed": "crossed",
    "corrected": "corrected",
    "patients": "bootstrap",
    "paired": "paired",
    "welch": "welch",
    "wilcoxon": "wilcoxon",
    "delong": "delong",
    "permutation": "permutation",
    "gee": "gee",
    "predictions": "predictions",
    "predictions_unpaired": "predictions-unpaired",
}
"""Suffix of the columns of each test."""
_EFFECT = ["effect", "effect_low", "effect_high"]
_P = [f"p_{suffix}{ending}" for suffix in list(_TEST_COLUMNS)[1:] for ending in ("", "_adjusted")]
_CROSSED = ["difference", "low", "high", "p_crossed", "p_crossed_selected", "p_crossed_adjusted"]
_FURTHER = ["t", "p", "p_adjusted", *_EFFECT, *_P, "low_patients", "high_patients", "wilcoxon_smallest_p"]
COLUMNS = [
    *(*CONDITION, "metric", "better", "encoder", "best_other"),
    *(*_CROSSED, "certainty", "generalizes_to", "patients", "n", "compared_pairs", "needed", "warning"),
    *(*_FURTHER, "test", "adjustment", "effect_is", "reason", "reason_effect"),
    *(f"reason_{suffix}" for suffix in _TEST_COLUMNS),
]


def comparisons_frame(comparisons: Sequence[ModelComparison]) -> pd.DataFrame:
    """Data frame with one row per comparison and the columns `COLUMNS`, described at `Results.compare`."""
    table = pd.DataFrame([_row(comparison) for comparison in comparisons], columns=COLUMNS)
    table["shots"] = table.shots.astype("Int64")
    return table.astype(dict.fromkeys([*_CROSSED, *_FURTHER], float))


def _row(comparison: ModelComparison) -> dict[str, Any]:
    crossed, seeds, effect = comparison.crossed, comparison.t_test, comparison.effect_size
    patients = comparison.tests["bootstrap"]
    row: dict[str, Any] = {
        **comparison.condition._asdict(),
        "metric": comparison.metric,
        "better": comparison.better,
        "encoder": comparison.first,
        "best_other": comparison.second,
        "difference": seeds.difference if crossed.difference is None else crossed.difference,
        "low": crossed.low,
        "high": crossed.high,
        "p_crossed_selected": comparison.selection.p,
        "certainty": comparison.significance,
        "generalizes_to": "" if crossed.p is None else describe_generalization(crossed.variation),
        "patients": crossed.n,
        "n": seeds.n if crossed.seeds is None else crossed.seeds,
        "compared_pairs": comparison.selection.pairs,
        "needed": comparison.needed,
        "warning": crossed.note,
        "t": seeds.statistic,
        "p": seeds.p,
        "p_adjusted": seeds.p_adjusted,
        "reason": seeds.reason,
        "low_patients": patients.low,
        "high_patients": patients.high,
        "effect": effect.value,
        "effect_low": effect.low,
        "effect_high": effect.high,
        "effect_is": effect.method.name,
        "reason_effect": effect.reason,
        "test": seeds.method.name,
        "adjustment": comparison.procedure.adjustment_method.name,
        "wilcoxon_smallest_p": comparison.tests["wilcoxon"].smallest_p,
    }
    for suffix, name in _TEST_COLUMNS.items():
        test = comparison.tests[name]
        row |= {f"p_{suffix}": test.p, f"p_{suffix}_adjusted": test.p_adjusted, f"reason_{suffix}": test.reason}
    return row
