"""Limitations of the results that a reader must know, and further notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from f2vbench.analysis.comparisons import ModelComparison
from f2vbench.report.text.methods import task_record
from f2vbench.store.record_schema import CallRecord
from f2vbench.utils.text import plural

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults

_FEW_SEEDS = 5


def limitations(results: RunResults) -> list[str]:
    """Models with random weights, few or missing seeds, damaged units, and findings of the data checks."""
    seeds = results.frame.groupby(["task", "protocol"]).seed.nunique()
    few = [f"{task}, {protocol} ({count})" for (task, protocol), count in seeds.items() if 1 < count < _FEW_SEEDS]
    texts = list(results.warnings)
    if few:
        texts.append(f"fewer than five seeds: {'; '.join(few)}")
    for task in results.families:
        record = task_record(task, results.calls)
        texts += [f"{task}: {note}" for note in (record["notes"] if record else [])]
        texts += [f"{task}: {text}" for text in duplicate_texts(duplicate_counts(task, results.calls))]
    return texts


def comparison_limitations(comparisons: Sequence[ModelComparison]) -> list[str]:
    """Comparisons without a valid test, with the reason, and tests of few patients.

    Args:
        comparisons: Comparisons of the report.
    """
    total = len(comparisons)
    untested = Counter(each.crossed.reason for each in comparisons if each.significance == "no test")
    limited = Counter(each.crossed.note for each in comparisons if each.crossed.note)
    texts = [
        f"no valid test for {count:,} of {plural(total, 'comparison')}: {reason}" for reason, count in untested.items()
    ]
    return [*texts, *(f"{count:,} of {plural(total, 'comparison')}: {note}" for note, count in limited.items())]


def further_notes(results: RunResults) -> list[str]:
    """Chance levels, models and tasks that were left out, and data without duplicates."""
    texts = list(results.chance_levels)
    texts += [f"left out: {reason}" for call in results.calls for reason in call.get("left_out", [])]
    for task in results.families:
        counts = duplicate_counts(task, results.calls)
        if not counts:
            texts.append(
                f"{task}: the runs did not check the images for duplicates; use `f2vbench data check task={task}`"
            )
        elif not duplicate_texts(counts):
            texts.append(f"{task}: no exact duplicates and no near-duplicates among the images")
    return list(dict.fromkeys([*texts, *results.retrieval.unavailable.values()]))


def duplicate_counts(task: str, calls: Sequence[CallRecord]) -> dict[str, int]:
    """Counts of duplicates of a task; the largest of those across support and test images, which depend on the call.

    Args:
        task: Name of the task.
        calls: Call records.

    Returns:
        Counts of `TaskRecord`; empty where no call checked for duplicates.
    """
    recorded = [
        call["data"][task]["doubles"]
        for call in calls
        if task in call.get("data", {}) and "doubles" in call["data"][task]
    ]
    if not recorded:
        return {}
    largest = {name: max(counts[name] for counts in recorded) for name in ("pictures_across", "alike_across")}
    return recorded[0] | largest


def duplicate_texts(counts: Mapping[str, int]) -> list[str]:
    """What the checks for duplicate images found, as clauses; empty where they found none.

    Args:
        counts: Counts of `TaskRecord`.
    """
    texts = []
    if counts.get("pictures"):
        labels = f", {counts['labels']:,} of them with different labels" if counts["labels"] else ""
        texts.append(
            f"{plural(counts['images'], 'image')} are exact duplicates "
            f"({plural(counts['pictures'], 'distinct image')}{labels}); {_across_text(counts['pictures_across'])}"
        )
    if counts.get("alike"):
        texts.append(
            f"{plural(counts['alike'], 'pair')} of photographs are near-duplicates, {counts['alike_patients']:,} of "
            f"them of different patients; {_across_text(counts['alike_across'])}"
        )
    return texts


def _across_text(count: int) -> str:
    if not count:
        return "none is in both the support set and the test set of an episode"
    return f"{count:,} of them in both the support set and the test set of an episode, which biases all results upwards"
