"""Summary sentences of a report: the best model of each condition, differences, and their significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from f2vbench.analysis.comparisons import BEST_AND_BASELINE, BEST_AND_SECOND, ModelComparison
from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.text.wording import TaskNames, as_sentence, join_names, metric_name, model_name, number
from f2vbench.stats.result_classes import Comparison
from f2vbench.utils.text import p_value, plural


@dataclass(frozen=True)
class ConditionSummary:
    """Sentences on one condition.

    Attributes:
        title: Name of the condition.
        sentences: The best models, their difference, and further comparisons.
        significant: Whether the best model is significantly better than the second-best model; None where fewer than
            two models have a value.
    """

    title: str
    sentences: list[str]
    significant: bool | None

    @property
    def verdict(self) -> str:
        """``significant``, ``not significant``, or ``no comparison``."""
        if self.significant is None:
            return "no comparison"
        return "significant" if self.significant else "not significant"


def overview(summaries: Sequence[ConditionSummary]) -> str:
    """In how many conditions the best model is significantly better than the second-best model, as a sentence."""
    if not summaries:
        return "The results contain no values, so no models can be compared."
    compared = [each.significant for each in summaries if each.significant is not None]
    count, total = sum(compared), len(compared)
    if not total:
        return "At no condition do two models have a value, so no models can be compared."
    if total == 1:
        return f"The best model is {'' if count else 'not '}significantly better than the second-best model."
    if not count:
        conditions = plural(total, "condition")
        return f"In none of the {conditions} is the best model significantly better than the second-best model."
    share = f"all {total:,}" if count == total else f"{count:,} of {total:,}"
    return f"In {share} conditions, the best model is significantly better than the second-best model."


def summarize_conditions(
    summary: pd.DataFrame,
    comparisons: Sequence[ModelComparison],
    main_metric: Mapping[str, str],
    names: TaskNames,
) -> list[ConditionSummary]:
    """Summarize the main metric of each condition.

    Args:
        summary: `Results.summary`.
        comparisons: Comparisons of the report.
        main_metric: Task → metric by which models are ranked.
        names: Names of tasks and conditions.

    Returns:
        Summaries in the order of ``summary``.
    """
    baselines = set(summary.encoder[summary.baseline])
    summaries = []
    for key, group in summary.groupby(CONDITION, dropna=False, sort=False):
        condition = Condition.from_values(*key)
        metric = main_metric[condition.task]
        own = [each for each in comparisons if each.condition == condition and each.metric == metric]
        title = names.condition(condition)
        summaries.append(_summarize(title, metric, group[group.metric == metric], own, baselines))
    return summaries


def comparison_sentence(comparison: ModelComparison, names: TaskNames, baselines: set[str]) -> str:
    """One comparison in full: condition, models, verdict, tests, and the sample size that would be required."""
    first, second = (model_name(name, name in baselines) for name in (comparison.first, comparison.second))
    verdict = next((v for v in comparison.verdicts() if v in ("better", "worse")), "")
    claim = {
        "significant": f"{first} is significantly {verdict} than {second}",
        "over seeds only": f"{first} is {verdict} than {second}, significantly over seeds only",
        "over patients only": f"{first} is {verdict} than {second}, significantly over patients only",
        "contradictory": f"the tests of {first} against {second} contradict each other",
        "not significant": f"{first} and {second} do not differ significantly at {_sample_sizes(comparison)}",
        "no test": f"no test of {first} against {second} is possible",
    }[comparison.significance]
    where = f"{names.condition(comparison.condition)}, {metric_name(comparison.metric)}"
    return " ".join([f"{where}: {claim} ({_means(comparison)}).", _tests(comparison), *_requirements(comparison)])


def _summarize(
    title: str, metric: str, rows: pd.DataFrame, comparisons: Sequence[ModelComparison], baselines: set[str]
) -> ConditionSummary:
    name = metric_name(metric)
    valued = rows[rows["mean"].notna()]
    if valued.empty:
        reason = next(iter(rows.reason), "") or "it was not measured"
        return ConditionSummary(title, [f"No model has a value of {name}: {reason}."], None)
    best = valued.iloc[0]
    if len(valued) == 1:
        model = model_name(best.encoder, best.baseline)
        sentence = f"Only one model, {model}, has a value of {name} ({number(best['mean'])})."
        return ConditionSummary(title, [sentence], None)
    sentences, significant = [], False
    for each in comparisons:
        if BEST_AND_SECOND in each.roles:
            significant = each.significance == "significant"
            first, second = (model_name(model, model in baselines) for model in (each.first, each.second))
            extreme = "highest" if each.better == "higher" else "lowest"
            means = [number(mean) for mean in each.means]
            order = f"{first} has the {extreme} {name} ({means[0]}), followed by {second} ({means[1]})."
            sentences.append(" ".join([order, _tests(each), *_requirements(each)]))
        else:
            sentences.append(f"{_ranking(each, name, baselines)} {_tests(each)}")
    return ConditionSummary(title, sentences, significant)


def _ranking(comparison: ModelComparison, name: str, baselines: set[str]) -> str:
    """Compare the best trained model with the best baseline, or the reference model with the best other."""
    first, second = comparison.means
    relation = f"a higher {name} than" if first > second else f"a lower {name} than"
    if number(first) == number(second):  # as printed
        relation = f"the same {name} as"
    subject, other = "reference model", model_name(comparison.second, comparison.second in baselines)
    if BEST_AND_BASELINE in comparison.roles:
        subject, other = "best trained model", f"the best baseline, {comparison.second}"
    return f"The {subject}, {comparison.first}, has {relation} {other} ({_means(comparison)})."


def _means(comparison: ModelComparison) -> str:
    return f"{number(comparison.means[0])} vs {number(comparison.means[1])}"


def _sample_sizes(comparison: ModelComparison) -> str:
    """``n = 5 seeds and n = 20 patients``, of the tests with a p-value."""
    tests = comparison.over_seeds, comparison.over_patients
    return " and ".join(f"n = {test.n:,} {test.unit}" for test in tests if test.p is not None)


def _tests(comparison: ModelComparison) -> str:
    """Size of the difference, and its tests over seeds and over patients, as a sentence or two."""
    low, high = comparison.over_patients.low, comparison.over_patients.high
    difference = f"difference of {number(abs(comparison.means[0] - comparison.means[1]))}"
    if low is not None and high is not None and low * high > 0:
        low, high = sorted((abs(low), abs(high)))
        difference += f" (95 % CI over patients {number(low)} to {number(high)})"
    seeds = f"over seeds ({_sample_and_p(comparison.over_seeds)})"
    patients = f"over patients ({_sample_and_p(comparison.over_patients)})"
    if comparison.significance == "significant":
        return f"The {difference} is significant {seeds} and {patients}."
    if comparison.significance == "contradictory":
        return f"The {difference} is significant {seeds} and {patients}, with opposite signs."
    verdicts = comparison.verdicts()
    if verdicts == ("not significant", "not significant"):
        return f"The {difference} is significant neither {seeds} nor {patients}."
    tested = [
        f"{'not ' if verdict == 'not significant' else ''}significant {where}"
        for verdict, where in zip(verdicts, (seeds, patients), strict=True)
        if verdict != "no test"
    ]
    untested = [
        f"over {unit} ({test.reason})"
        for verdict, unit, test in zip(
            verdicts, ("seeds", "patients"), (comparison.over_seeds, comparison.over_patients), strict=True
        )
        if verdict == "no test"
    ]
    if not tested:
        return f"The {difference} cannot be tested {' or '.join(untested)}."
    sentences = [f"The {difference} is {' but '.join(tested)}."]
    sentences += [f"No test is possible {where}." for where in untested]
    return " ".join(sentences)


def _sample_and_p(test: Comparison) -> str:
    p = test.p if test.p_adjusted is None else test.p_adjusted
    return f"n = {test.n}, {p_value(p, equation=True)}"


def _requirements(comparison: ModelComparison) -> list[str]:
    """What each test that is not significant would require, as sentences."""
    tests = zip((comparison.over_seeds, comparison.over_patients), comparison.verdicts(), strict=True)
    undecided = [test for test, verdict in tests if verdict == "not significant"]
    unadjusted = [f"over {test.unit} ({p_value(test.p, equation=True)})" for test in undecided if _is_significant(test)]
    sentences = []
    if unadjusted:
        over = join_names(unadjusted)
        sentences.append(f"Without adjustment for multiple comparisons, the difference is significant {over}.")
    required = [(test.required, test.unit) for test in undecided if test.required and not _is_significant(test)]
    counts = [text for size, unit in required if (text := size.count_text(unit))]
    if len(counts) == 2:
        power = f"{100 * required[0][0].power:g} % power"
        needed = f"{counts[0]}, or {counts[1]}, would be needed to detect the observed difference with {power}"
        return [*sentences, as_sentence(needed)]
    return [*sentences, *(as_sentence(size.sentence(unit)) for size, unit in required)]


def _is_significant(test: Comparison) -> bool:
    """Whether a test is significant without adjustment."""
    return test.p is not None and test.p < 0.05
