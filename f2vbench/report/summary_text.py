"""Who wins where, by how much, and whether that is sure: plain sentences for the top of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from f2vbench.comparisons import Compared
from f2vbench.report.wording import metric_name, model_name, number, place_text, plural
from f2vbench.stats.outcomes import Comparison


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
    title_of: Callable[[str], str],
) -> list[Told]:
    """Sentences on the main metric of each place.

    Args:
        main_metric: task → the metric that decides who leads.
    """
    floors = set(summary.encoder[summary.floor])
    found = []
    for key, group in summary.groupby(["task", "protocol", "shots"], dropna=False, sort=False):
        task, protocol, shots = key
        place = (task, protocol, None if pd.isna(shots) else int(shots))
        metric = main_metric[task]
        rows = group[group.metric == metric]
        mine = [each for each in comparisons if each.place == place and each.metric == metric]
        found.append(_told(place_text(title_of(task), protocol, place[2]), metric, rows, mine, floors))
    return found


def _told(title: str, metric: str, rows: pd.DataFrame, mine: Sequence[Compared], floors: set[str]) -> Told:
    valued = rows[rows["mean"].notna()]
    if valued.empty:
        reason = next(iter(rows.reason), "") or "it was not measured"
        return Told(title, [f"No model has a value of {metric_name(metric)}: {reason}."], False)
    leader = valued.iloc[0]
    name = metric_name(metric)
    if len(valued) == 1:
        only = f"{model_name(leader.encoder, leader.floor)} is the only model here: {name} {number(leader['mean'])}."
        return Told(title, [f"{only} There is nothing to compare it with."], False)
    sentences, sure = [], False
    for each in mine:
        if "best and second" in each.roles:
            sure = each.certainty == "sure"
            first, second = (model_name(model, model in floors) for model in (each.first, each.second))
            sentences.append(
                f"{first} leads with {name} {number(each.means[0])}, {second} follows with {number(each.means[1])}: "
                f"{_certainty(each)}."
            )
        else:
            sentences.append(_other(each, name, floors))
    return Told(title, sentences, sure)


def _other(each: Compared, name: str, floors: set[str]) -> str:
    first, second = each.first, each.second
    means = f"{number(each.means[0])} against {number(each.means[1])}"
    what = "The best trained model" if "best model and best floor" in each.roles else "The baseline"
    ahead = (each.means[0] > each.means[1]) == (each.better == "higher")
    where = "ahead of" if ahead else "behind"
    against = (
        f"the best floor, {second}"
        if "best model and best floor" in each.roles
        else model_name(second, second in floors)
    )
    return f"{what}, {first}, is {where} {against} ({name} {means}): {_certainty(each)}."


def _certainty(each: Compared) -> str:
    size = f"a difference of {number(abs(each.means[0] - each.means[1]))}"
    reach = each.patients
    if reach.low is not None and reach.high is not None:
        low, high = sorted((abs(reach.low), abs(reach.high))) if reach.low * reach.high > 0 else (None, None)
        if low is not None:
            size += f" (over patients {number(low)} to {number(high)})"
    seeds, patients = each.over_seeds, each.patients
    ways = {
        "sure": f"sure, over seeds ({_p(seeds)}) and over patients ({_p(patients)})",
        "over seeds only": f"it holds over seeds ({_p(seeds)}) but not surely over patients ({_p(patients)})",
        "over patients only": f"it holds over patients ({_p(patients)}) but not surely over seeds ({_p(seeds)})",
        "contradictory": f"seeds ({_p(seeds)}) and patients ({_p(patients)}) point to opposite sides",
        "not separable": f"not separable, neither over seeds ({_p(seeds)}) nor over patients ({_p(patients)})",
        "no test": "no test is possible",
    }
    parts = [size, ways[each.certainty]]
    if each.certainty == "no test":
        parts += list(dict.fromkeys(found.reason for found in (seeds, patients) if found.reason))
    return "; ".join([", ".join(parts[:2]), *parts[2:], *_needed(each)])


def _needed(each: Compared) -> list[str]:
    """How many seeds and patients the undecided tests would need."""
    if each.certainty in ("sure", "no test"):
        return []
    told = []
    for found, verdict in zip((each.over_seeds, each.patients), each.verdicts(), strict=True):
        if verdict == "not separable" and found.needed is not None:
            told.append(found.needed.sentence(found.unit))
    return told


def _p(found: Comparison) -> str:
    p = found.p if found.p_adjusted is None else found.p_adjusted
    if p is None:
        return f"no test: {found.reason}"
    return f"n = {found.n}, p {'< 0.0001' if p < 1e-4 else f'= {p:.4f}'}"
