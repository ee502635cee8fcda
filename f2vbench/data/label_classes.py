"""The classes of a classification task, and the many spellings in which data sets write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from f2vbench.errors import did_you_mean

LabelKind = Literal["nominal", "ordinal", "binary", "multilabel"]

SEPARATOR = ";"
"""Between the classes of an image that has several (``label_kind: multilabel``)."""


class LabelClass(BaseModel):
    """One class of a task card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="name in tables and figures")
    meaning: str = Field(min_length=1, description="what a clinician understands by it")
    read: list[str] = Field(default_factory=list, description="how label files and folders write it, beside its name")
    images: int | dict[str, int] | None = Field(None, description="expected number, or numbers by the owner's split")

    def expected(self, split: str | None = None) -> int | None:
        """How many images the complete set has of it, whole or in one part of the owner's split; None: not known."""
        if isinstance(self.images, dict):
            return sum(self.images.values()) if split is None else self.images.get(split)
        return self.images if split is None else None


def problems_of_classes(classes: Sequence[LabelClass], kind: LabelKind | None, family: str) -> list[str]:
    """What is wrong with a card's classes, a sentence each."""
    if not classes and kind is None:
        return []
    if family != "classification":
        return [f"classes and label_kind are for the family classification, this card's is {family}"]
    if not classes or kind is None:
        return ["classes and label_kind go together: give both, or neither"]
    problems = []
    if len(classes) < 2:
        problems.append("classes: a classification needs two at least")
    if kind == "binary" and len(classes) != 2:
        problems.append(f"label_kind: binary has two classes, the card tells {len(classes)}")
    owners: dict[str, str] = {}
    for one in classes:
        for spelling in {_folded(text) for text in (one.name, *one.read)}:
            if spelling in owners:
                problems.append(f"classes: '{spelling}' is read as {owners[spelling]} and as {one.name}")
            owners[spelling] = one.name
    return problems


class Spellings:
    """Finds the class that a label file or folder means: by name or spelling, in any case of letters."""

    def __init__(self, classes: Iterable[LabelClass]):
        self._known = {_folded(text): one.name for one in classes for text in (one.name, *one.read)}

    def find(self, text: str) -> str | None:
        """The class's name, or None."""
        return self._known.get(_folded(text))

    def hint(self, text: str) -> str:
        """``"; did you mean 'x'?"`` for the nearest spelling, or nothing."""
        return did_you_mean(_folded(text), self._known)


def _folded(text: str) -> str:
    """Lower case, one space for runs of spaces; a whole number written as ``2.0`` is ``2``."""
    folded = " ".join(text.lower().split())
    return re.sub(r"^(\d+)\.0+$", r"\1", folded)
