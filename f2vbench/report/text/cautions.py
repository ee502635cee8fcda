"""What a reader must know before believing a number, and what is only worth knowing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from f2vbench.analysis.retrieval import untold
from f2vbench.report.text.methods import card_of
from f2vbench.store.record_schema import CallRecord
from f2vbench.utils.text import plural

if TYPE_CHECKING:
    from f2vbench.results import Results

_CHANCE = "chance in "


def cautions(results: Results) -> list[str]:
    """Untrained weights, few or missing seeds, damaged units, and what the checks of the data found."""
    seeds = results.frame.groupby(["task", "protocol"]).seed.nunique()
    few = [f"{task}, {protocol} ({count})" for (task, protocol), count in seeds.items() if 1 < count < 5]
    found = [note for note in results.notes if not note.startswith(_CHANCE)]
    if few:
        found.append(f"fewer than five seeds: {'; '.join(few)}")
    for task in results.families:
        found += [f"{task}: {note}" for note in card_of(task, results.calls).get("notes", [])]
        found += [f"{task}: {sentence}" for sentence in _doubles(_counted(task, results.calls))]
    return found


def remarks(results: Results) -> list[str]:
    """Levels of chance, what was left out, and data in which nothing was found twice."""
    told = [note for note in results.notes if note.startswith(_CHANCE)]
    told += [f"left out: {reason}" for call in results.calls for reason in call.get("left_out", [])]
    for task in results.families:
        counted = _counted(task, results.calls)
        if not counted:
            told.append(
                f"{task}: the runs did not record whether pictures are there twice; "
                f"`f2vbench data check task={task}` tells"
            )
        elif not _doubles(counted):
            told.append(f"{task}: no picture is there twice, and no two photographs look alike")
    return list(dict.fromkeys([*told, *untold(results.records).values()]))


def _counted(task: str, calls: Sequence[CallRecord]) -> dict[str, Any]:
    """Doubles as the calls counted them; of those across, the most, as each call looked at its own episodes."""
    held = [call["data"][task]["doubles"] for call in calls if "doubles" in call.get("data", {}).get(task, {})]
    if not held:
        return {}
    most = {name: max(counted[name] for counted in held) for name in ("pictures_across", "alike_across")}
    return held[0] | most


def _doubles(counted: dict[str, Any]) -> list[str]:
    told = []
    if counted.get("pictures"):
        labels = f", {counted['labels']:,} of them with different labels" if counted["labels"] else ""
        told.append(
            f"{plural(counted['images'], 'image')} are copies of each other, pixel for pixel "
            f"({plural(counted['pictures'], 'picture')}{labels}); {_across(counted['pictures_across'])}"
        )
    if counted.get("alike"):
        told.append(
            f"{plural(counted['alike'], 'pair')} of photographs look alike without being copies, "
            f"{counted['alike_patients']:,} of them of different patients; {_across(counted['alike_across'])}"
        )
    return told


def _across(count: int) -> str:
    if not count:
        return "none is among the support and the test images of one episode"
    return f"{count:,} of them among the support and the test images of one episode, which flatters every model"
