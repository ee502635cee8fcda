"""Labels of a task card: the classes of a classification task with their spellings, and the unit of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from f2vbench.errors import did_you_mean
from f2vbench.metrics.names import CARD_METRICS

LabelKind = Literal["nominal", "ordinal", "binary", "multilabel", "regression", "survival"]
"""Kind of the labels of a task: classes, a number, or a time with an event."""

NUMERIC_KINDS = ("regression", "survival")
"""Kinds of labels without classes; each is the name of its task family as well."""

TIME_UNITS = ("years", "months", "weeks", "days")
"""Units of time of a survival task."""

SEPARATOR = ";"
"""Separates the classes of a multi-label image."""


class LabelClass(BaseModel):
    """One class of a task card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="name in tables and figures")
    meaning: str = Field(min_length=1, description="clinical meaning")
    read: list[str] = Field(default_factory=list, description="further spellings in label files and folder names")
    images: int | dict[str, int] | None = Field(None, description="expected number of images, in all or by split")

    def expected(self, split: str | None = None) -> int | None:
        """Number of images in the complete data set, or in one split of the official split; None if unknown."""
        if isinstance(self.images, dict):
            return sum(self.images.values()) if split is None else self.images.get(split)
        return self.images if split is None else None


def problems_of_classes(classes: Sequence[LabelClass], kind: LabelKind | None, family: str) -> list[str]:
    """Problems of a card's classes, one sentence each."""
    if family in NUMERIC_KINDS or kind in NUMERIC_KINDS:
        problems = [] if kind in (None, family) else [f"label_kind: {kind} does not fit the family {family}"]
        if classes and family in NUMERIC_KINDS:
            problems.append(f"classes: a card of the family {family} has none; its labels are numbers")
        return problems
    if not classes and kind is None:
        return []
    if family != "classification":
        return [f"classes and label_kind are keys of the family classification; this card has the family {family}"]
    if not classes or kind is None:
        return ["classes and label_kind go together: set both, or neither"]
    problems = []
    if len(classes) < 2:
        problems.append("classes: at least two classes are needed")
    if kind == "binary" and len(classes) != 2:
        problems.append(f"label_kind: binary needs two classes, the card has {len(classes)}")
    owners: dict[str, str] = {}
    for label_class in classes:
        for spelling in {_folded(text) for text in (label_class.name, *label_class.read)}:
            if spelling in owners:
                problems.append(
                    f"classes: '{spelling}' is a spelling of both {owners[spelling]} and {label_class.name}"
                )
            owners[spelling] = label_class.name
    return problems


def problems_of_numbers(unit: str, horizon: float | None, family: str) -> list[str]:
    """Problems of a card's keys ``unit`` and ``horizon``, one sentence each."""
    problems = []
    if family == "regression" and not unit:
        problems.append("unit: required in the family regression, such as years or mmHg; for a ratio, write ratio")
    if family == "survival" and unit not in TIME_UNITS:
        found = f"'{unit}': " if unit else ""
        problems.append(f"unit: {found}the unit of time, required in the family survival: {', '.join(TIME_UNITS)}")
    if family == "survival" and horizon is None:
        problems.append("horizon: required in the family survival: the time at which the risk is evaluated, such as 5")
    if unit and family not in NUMERIC_KINDS:
        problems.append(f"unit is a key of the families {' and '.join(NUMERIC_KINDS)}; this card's family is {family}")
    if horizon is not None and family != "survival":
        problems.append(f"horizon is a key of the family survival; this card's family is {family}")
    return problems


def problems_of_main_metric(metric: str, family: str, kind: LabelKind | None) -> list[str]:
    """Problems of a card's key ``main_metric``, one sentence each."""
    known = CARD_METRICS.get(family, ())
    if not metric:
        return []
    if not known:
        return [f"main_metric is a key of the families {', '.join(CARD_METRICS)}; this card's family is {family}"]
    if metric not in known:
        return [f"main_metric: '{metric}' must be one of {', '.join(known)}{did_you_mean(metric, known)}"]
    if metric == "quadratic_kappa" and kind != "ordinal":
        return ["main_metric: quadratic_kappa needs grades: set label_kind: ordinal"]
    return []


class Spellings:
    """Finds classes by name or spelling, ignoring case and repeated spaces.

    Args:
        classes: Classes of a task card.
    """

    def __init__(self, classes: Iterable[LabelClass]):
        self._known = {
            _folded(text): label_class.name for label_class in classes for text in (label_class.name, *label_class.read)
        }

    def find(self, text: str) -> str | None:
        """The name of the class, or None."""
        return self._known.get(_folded(text))

    def hint(self, text: str) -> str:
        """``"; did you mean 'x'?"`` for the nearest spelling, or ""."""
        return did_you_mean(_folded(text), self._known)


def _folded(text: str) -> str:
    """Lower case with single spaces; ``2.0`` becomes ``2``."""
    folded = " ".join(text.lower().split())
    return re.sub(r"^(\d+)\.0+$", r"\1", folded)
