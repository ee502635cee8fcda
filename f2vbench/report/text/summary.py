"""Summary sentences of a report: the best model of each condition, differences, and their significance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from f2vbench.analysis.comparisons import BEST_AND_BASELINE, BEST_AND_SECOND, ModelComparison
from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.text.wording import TaskNames, as_sentence, metric_name, model_name, number, signed
from f2vbench.stats.result_classes import Comparison, describe_generalization
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
    """One comparison in a sentence: condition, models, verdict, difference, test, and what would settle it.

    A sentence with what limits the test may follow.
    """
    first, second = (model_name(name, name in baselines) for name in (comparison.first, comparison.second))
    where = f"{names.condition(comparison.condition)}, {metric_name(comparison.metric)}"
    test, means = comparison.crossed, _means(comparison)
    numbers = f"{means}; difference {signed(_difference(comparison))}, {_numbers(comparison, signed)}"
    if comparison.significance == "no test":
        claim = f"{first} and {second} cannot be compared ({means}): {test.reason}"
    elif comparison.significance == "significant":
        claim = f"{first} is significantly {comparison.verdict} than {second}"
        claim += f" for {describe_generalization(test.variation)} ({numbers})"
    else:
        claim = f"{first} and {second} do not differ significantly ({numbers})"
        claim += "".join(f"; {clause}" for clause in _clauses(comparison))
    return " ".join([f"{where}: {claim.rstrip('.')}.", *_warnings(test)])


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
            sentences.append(f"{order} {_test_sentences(each)}")
        else:
            sentences.append(f"{_ranking(each, name, baselines)} {_test_sentences(each)}")
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


def _test_sentences(comparison: ModelComparison) -> str:
    """The difference, its interval, p-value and verdict, as a sentence; a second one has what limits the test."""
    test = comparison.crossed
    size = number(abs(_difference(comparison)))
    if comparison.significance == "no test":
        return " ".join([as_sentence(f"The difference of {size} cannot be tested: {test.reason}"), *_warnings(test)])
    clauses = [f"The difference of {size} ({_numbers(comparison, number)})"]
    if comparison.significance == "significant":
        clauses[0] += f" is significant for {describe_generalization(test.variation)}"
    else:
        clauses[0] += " is not significant"
        clauses += _clauses(comparison)
    return " ".join([as_sentence("; ".join(clauses)), *_warnings(test)])


def _difference(comparison: ModelComparison) -> float:
    """Difference over the tested seeds; over all seeds of each model where there is no test."""
    difference = comparison.crossed.difference
    return comparison.means[0] - comparison.means[1] if difference is None else difference


def _numbers(comparison: ModelComparison, text: Callable[[float], str]) -> str:
    """Interval of the difference, adjusted p-value and sample sizes; ``text`` is `signed` or `number`.

    With `number`, the difference is that of the higher from the lower mean.
    """
    test = comparison.crossed
    parts = []
    if test.low is not None and test.high is not None and test.difference is not None:
        low, high = (test.low, test.high) if text is signed or test.difference >= 0 else (-test.high, -test.low)
        parts.append(f"95 % CI {text(low)} to {text(high)}")
    return "; ".join([*parts, f"adjusted {p_value(test.p_adjusted, equation=True)}", test.sample])


def _clauses(comparison: ModelComparison) -> list[str]:
    """Why a difference is not significant although its p-value is below 0.05, and what would settle it."""
    test = comparison.crossed
    clauses = []
    if test.p is not None and test.p < 0.05:
        pairs = comparison.selection.pairs
        choice = f"for the choice among {pairs} pairs and " if pairs > 1 else ""
        clauses.append(f"before adjustment {choice}over all comparisons {p_value(test.p, equation=True)}")
    return [*clauses, comparison.needed] if comparison.needed else clauses


def _warnings(test: Comparison) -> list[str]:
    return [as_sentence(test.note)] if test.note else []
