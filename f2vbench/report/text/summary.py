"""Who wins where, by how much, and whether that is sure: plain sentences for the top of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from f2vbench.analysis.comparisons import Compared
from f2vbench.report.text.wording import Names, metric_name, model_name, number
from f2vbench.stats.result_classes import Comparison
from f2vbench.utils.text import p_value, plural


@dataclass(frozen=True)
class Told:
    """Sentences about one place.

    Attributes:
        sure: whether the first of them is.
    """

    title: str
    sentences: list[str]
    sure: bool


def overview(told: Sequence[Told]) -> str:
    """How many of the places have a sure winner, a sentence."""
    if not told:
        return "There is nothing to compare: one model only, or no value at all."
    counts = Counter(each.sure for each in told)
    places = plural(len(told), "place")
    if not counts[True]:
        return f"At none of {places} the best model is surely better than the second."
    if not counts[False]:
        where = "the one place" if len(told) == 1 else f"all {places}"
        return f"At {where} the best model is surely better than the second."
    return f"At {counts[True]} of {places} the best model is surely better than the second; at the others it is not."


def told_places(
    summary: pd.DataFrame,
    comparisons: Sequence[Compared],
    main_metric: Mapping[str, str],
    names: Names,
) -> list[Told]:
    """Sentences on the main metric of each place.

    Args:
        main_metric: task → the metric that decides who leads.
    """
    baselines = set(summary.encoder[summary.baseline])
    found = []
    for key, group in summary.groupby(["task", "protocol", "shots"], dropna=False, sort=False):
        task, protocol, shots = key
        place = (task, protocol, None if pd.isna(shots) else int(shots))
        metric = main_metric[task]
        rows = group[group.metric == metric]
        mine = [each for each in comparisons if each.place == place and each.metric == metric]
        found.append(_told(names.place(*place), metric, rows, mine, baselines))
    return found


def verdict_sentence(each: Compared, names: Names, baselines: set[str]) -> str:
    """One comparison whole: where, who against whom, the verdict at this n, and what it would take."""
    first, second = (model_name(name, name in baselines) for name in (each.first, each.second))
    verdict = next((v for v in each.verdicts() if v in ("better", "worse")), "")
    said = {
        "sure": f"{first} is {verdict} than {second}",
        "over seeds only": f"{first} is {verdict} than {second} over seeds only",
        "over patients only": f"{first} is {verdict} than {second} over test patients only",
        "contradictory": f"{first} against {second} can't be decided",
        "not significant": f"{first} and {second} do not differ significantly at {_at_n(each)}",
        "no test": f"{first} and {second} can't be tested against each other",
    }[each.certainty]
    means = f"{number(each.means[0])} against {number(each.means[1])}"
    return f"{names.place(*each.place)}, {metric_name(each.metric)}: {said} ({means}): {_certainty(each)}."


def _at_n(each: Compared) -> str:
    """``n = 5 seeds and n = 20 patients``: of those tests that there are."""
    return " and ".join(f"n = {found.n:,} {found.unit}" for found in _both(each) if found.p is not None)


def _told(title: str, metric: str, rows: pd.DataFrame, mine: Sequence[Compared], baselines: set[str]) -> Told:
    valued = rows[rows["mean"].notna()]
    if valued.empty:
        reason = next(iter(rows.reason), "") or "it was not measured"
        return Told(title, [f"No model has a value of {metric_name(metric)}: {reason}."], False)
    leader = valued.iloc[0]
    name = metric_name(metric)
    if len(valued) == 1:
        only = f"{model_name(leader.encoder, leader.baseline)} is the only model here: {name} {number(leader['mean'])}."
        return Told(title, [f"{only} There is nothing to compare it with."], False)
    sentences, sure = [], False
    for each in mine:
        if "best and second" in each.roles:
            sure = each.certainty == "sure"
            first, second = (model_name(model, model in baselines) for model in (each.first, each.second))
            sentences.append(
                f"{first} leads with {name} {number(each.means[0])}, {second} follows with {number(each.means[1])}: "
                f"{_certainty(each)}."
            )
        else:
            sentences.append(_other(each, name, baselines))
    return Told(title, sentences, sure)


def _other(each: Compared, name: str, baselines: set[str]) -> str:
    first, second = each.first, each.second
    means = f"{number(each.means[0])} against {number(each.means[1])}"
    what = "The best trained model" if "best model and best baseline" in each.roles else "The reference"
    ahead = (each.means[0] > each.means[1]) == (each.better == "higher")
    where = "ahead of" if ahead else "behind"
    against = (
        f"the best baseline, {second}"
        if "best model and best baseline" in each.roles
        else model_name(second, second in baselines)
    )
    return f"{what}, {first}, is {where} {against} ({name} {means}): {_certainty(each, needed=False)}."


def _certainty(each: Compared, *, needed: bool = True) -> str:
    """By how much, whether other seeds and other patients would show it too, and what it would take."""
    size = f"a difference of {number(abs(each.means[0] - each.means[1]))}"
    low, high = each.patients.low, each.patients.high
    if low is not None and high is not None and low * high > 0:
        low, high = sorted((abs(low), abs(high)))
        size += f" (95 % over patients {number(low)} to {number(high)})"
    seeds, patients = each.verdicts()
    over = f"over seeds ({_p(each.over_seeds)})", f"over patients ({_p(each.patients)})"
    if each.certainty == "sure":
        return f"{size}, sure: it holds {over[0]} and {over[1]}"
    if each.certainty == "contradictory":
        return f"{size}, but seeds ({_p(each.over_seeds)}) and patients ({_p(each.patients)}) point to opposite sides"
    if seeds == patients == "not significant":
        told = [f"not significant, neither {over[0]} nor {over[1]}"]
    else:
        told = [
            f"{_WAYS[verdict]} {where}" if verdict != "no test" else f"no test over {what}: {found.reason}"
            for verdict, where, what, found in (
                (seeds, over[0], "seeds", each.over_seeds),
                (patients, over[1], "patients", each.patients),
            )
        ]
    undecided = [found for found, v in zip(_both(each), (seeds, patients), strict=True) if v == "not significant"]
    return "; ".join([f"{size}, {told[0]}", *told[1:], *filter(None, map(_needed, undecided if needed else ()))])


_WAYS = {"better": "it holds", "worse": "it holds", "not significant": "not significant"}


def _both(each: Compared) -> tuple[Comparison, Comparison]:
    return each.over_seeds, each.patients


def _needed(found: Comparison) -> str:
    """How many seeds or patients an undecided test would need, or that it is undecided only among so many."""
    if found.p is not None and found.p < 0.05:
        alone = f"alone it would hold over {found.unit} ({p_value(found.p, equation=True)})"
        return f"{alone}, but not among all comparisons of this report"
    return "" if found.required is None else found.required.sentence(found.unit)


def _p(found: Comparison) -> str:
    p = found.p if found.p_adjusted is None else found.p_adjusted
    if p is None:
        return f"no test: {found.reason}"
    return f"n = {found.n}, {p_value(p, equation=True)}"
