"""Labels that are numbers: the value of a regression task, and the time and event of a survival task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from pandas import DataFrame, Series

from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.tables import limit_problems
from f2vbench.data.task_cards import TaskCard
from f2vbench.utils.text import plural

_FIFTHS = ("fifth 1", "fifth 2", "fifth 3", "fifth 4", "fifth 5")
_EVENTS = {"0": "0", "0.0": "0", "1": "1", "1.0": "1"}


def read_numbers(index: DataFrame, card: TaskCard) -> list[str]:
    """Write the numbers of an index in their shortest form, in place.

    Regression: ``value`` is a finite number. Survival: ``time``, in the unit of the card, is above 0, and ``event`` is
    "1" (observed at that time) or "0" (not observed until then). An image without a number has no label; the columns
    of an image with a problem become "".

    Args:
        index: One row per image, with the columns of the card's family; text.
        card: The task card.

    Returns:
        The problems, one sentence each; the first ten are listed.
    """
    if card.family == "regression":
        return limit_problems(_replace(index, ["value"], _read_value))
    if card.family == "survival":
        return limit_problems(_replace(index, ["time", "event"], _read_survival))
    return []


def label_texts(index: DataFrame) -> list[str]:
    """The label of each image as text: its class, its number, or "<time>;<event>"; "" without one."""
    for column in ("label", "value"):
        if column in index:
            return [str(text) for text in index[column]]
    if "time" in index:
        return [
            f"{time}{SEPARATOR}{event}" if time else ""
            for time, event in zip(index["time"], index["event"], strict=True)
        ]
    return [""] * len(index)


def strata(index: DataFrame) -> Series:
    """Groups of images with similar labels, by which images are divided and drawn.

    Classification: the label. Regression: fifths of the images by value. Survival: images with and without an event,
    each halved by time. An image without a label has the group "".

    Args:
        index: One row per image, with the columns ``label``, ``value``, or ``time`` and ``event``.

    Returns:
        Names of the groups, with the index of the rows.
    """
    if "label" in index:
        return index["label"]
    groups = Series("", index=index.index)
    if "value" in index:
        return groups.mask(index["value"] != "", _groups_by_rank(index["value"], _FIFTHS))
    for event, name in (("1", "event"), ("0", "censored")):
        rows = index["event"] == event
        halves = f"{name}, early", f"{name}, late"
        groups = groups.mask(rows, _groups_by_rank(index["time"].where(rows, ""), halves))
    return groups


def problems_of_labels(index: DataFrame) -> list[str]:
    """Why the numbers of images leave nothing to learn or to score: no event, or one value; one sentence at most.

    Args:
        index: Rows of the images, with the columns ``value``, or ``time`` and ``event``.
    """
    if "value" in index and len(index) > 1 and index["value"].nunique() == 1:
        return [f"all {len(index)} images have the value {index['value'].iloc[0]}: add images with other values"]
    if "event" in index and len(index) and not (index["event"] == "1").any():
        return [f"no event in {plural(len(index), 'image')}: add images with an event"]
    return []


def _replace(index: DataFrame, columns: list[str], read: Callable[..., list[str]]) -> list[str]:
    """Replace the columns of each row by what ``read`` returns, and return the problems that it raises."""
    found: list[list[str]] = []
    problems: list[str] = []
    for path, *texts in zip(index["path"], *(index[column] for column in columns), strict=True):
        try:
            found.append(read(*texts))
        except ValueError as error:
            problems.append(f"{path}: {error}")
            found.append([""] * len(columns))
    for position, column in enumerate(columns):
        index[column] = [row[position] for row in found]
    return problems


def _read_value(text: str) -> list[str]:
    return ["" if text == "" else repr(_number(text, "value"))]


def _read_survival(time: str, event: str) -> list[str]:
    if time == event == "":
        return ["", ""]
    if time == "" or event == "":
        given, absent = ("a time", "event") if event == "" else ("an event", "time")
        raise ValueError(f"has {given} and no {absent}: add it, or leave both empty for an image without a label")
    if event not in _EVENTS:
        raise ValueError(f"event '{event}' must be 1 (observed) or 0 (not observed until the end of follow-up)")
    number = _number(time, "time")
    if number <= 0:
        raise ValueError(
            f"time '{time}' must be above 0: a patient whose event came before the photograph is no case of this task; "
            "leave time and event empty"
        )
    return [repr(number), _EVENTS[event]]


def _number(text: str, name: str) -> float:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        hint = "; use a point for decimals" if text.count(",") == 1 else "; leave the cell empty for a missing number"
        raise ValueError(f"{name} '{text}' is not a number{hint}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} '{text}' must be a finite number; leave the cell empty for a missing number")
    return number + 0.0


def _groups_by_rank(texts: Series, names: Sequence[str]) -> Series:
    """Divide the numbers into equal groups; equal numbers are in one group, and "" is in any."""
    numbers = np.array([float(text) if text else np.nan for text in texts])
    known = np.sort(numbers[~np.isnan(numbers)])
    if not len(known):
        return Series("", index=texts.index)
    edges = known[[len(known) * part // len(names) for part in range(1, len(names))]]
    return Series([names[group] for group in np.searchsorted(edges, numbers, side="right")], index=texts.index)
