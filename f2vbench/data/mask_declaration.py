"""Values of mask files that a task card declares, as text: of the foreground, or of several classes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pydantic import BaseModel, ConfigDict, Field, field_validator

_VALUE = re.compile(r"\d{1,5}|#[0-9a-f]{6}|>\d{1,5}")
_RESERVED = ("background", "ignore")
MOST_CLASSES = 31
"""Each class has a bit of a 32-bit number."""


def declaration(values: Sequence[int | str]) -> str:
    """Declared values as the text that `f2vbench.data.mask_values.foreground` takes.

    Args:
        values: Grey values or values of the brightest channel (``2``), colours (``"#ff0000"``), or ``">127"`` for all
            larger values.

    Raises:
        ValueError: Something else.
    """
    texts = [str(value).lower().replace(" ", "") for value in values]
    for text in texts:
        if not _VALUE.fullmatch(text):
            raise ValueError(f"'{text}' must be a number such as 2, a colour such as '#ff0000', or '>127'")
    return ",".join(texts)


class MaskClass(BaseModel):
    """One class of a segmentation task, in a task card.

    The names ``artery``, ``vein``, ``disc``, ``fovea`` and those of lesions in `f2vbench.phantom.lesions.base.KINDS`
    are those of the simulator: generators that were trained on its truth score these classes without training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="name in tables and figures")
    meaning: str = Field("", description="what the class is, in one sentence")
    values: list[int | str] = Field(
        default_factory=list,
        description="values of the class in the mask file, such as [1], ['#ff0000'] or ['>127']; a value of two "
        "classes is where they overlap. Without values, the class has a file of its own",
    )
    read: list[str] = Field(
        default_factory=list, description="further spellings in the names of folders and files, such as MA"
    )

    @field_validator("values")
    @classmethod
    def _are_values_of_a_mask(cls, values: list[int | str]) -> list[int | str]:
        declaration(values)
        return values


def problems_of_mask_classes(classes: Sequence[MaskClass], background: str, ignore: str) -> list[str]:
    """Problems of the mask classes of a card, one sentence each.

    Args:
        classes: The classes.
        background: `declaration` of the background.
        ignore: `declaration` of the pixels that do not count.
    """
    problems = []
    owners: dict[str, str] = {}
    for each in classes:
        if each.name in _RESERVED:
            problems.append(f"mask_classes: '{each.name}' is no class: use the key {each.name}_values")
        for spelling in {text.casefold() for text in (each.name, *each.read)}:
            if spelling in owners:
                problems.append(f"mask_classes: '{spelling}' is a spelling of both {owners[spelling]} and {each.name}")
            owners[spelling] = each.name
        values = {*declaration(each.values).split(",")} - {""}
        for key, others in (("background_values", background), ("ignore_values", ignore)):
            common = sorted(values & {*others.split(",")})
            if common:
                problems.append(f"{key}: {common[0]} is also a value of the class {each.name}: remove one of them")
    if len(classes) > MOST_CLASSES:
        problems.append(f"mask_classes: {len(classes)} classes; at most {MOST_CLASSES} are possible")
    return problems


@dataclass(frozen=True)
class ClassDeclaration:
    """What the values of mask files mean, with several classes.

    Attributes:
        classes: Name and `declaration` of each class; "" for a class whose file has two values.
        background: `declaration` of the values without any class.
        ignore: `declaration` of the values that do not count in training and evaluation.
    """

    classes: tuple[tuple[str, str], ...]
    background: str = "0"
    ignore: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the card."""
        return tuple(name for name, _ in self.classes)

    def values_of(self, name: str) -> str:
        """`declaration` of a class, or of the pseudo-class ``ignore``, which has a file of two values."""
        return dict(self.classes).get(name, "")

    def text(self) -> str:
        """The declaration as text, for a column of the index."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> ClassDeclaration:
        """The declaration of a text that `text` wrote."""
        values = json.loads(text)
        return cls(
            tuple((name, declared) for name, declared in values["classes"]), values["background"], values["ignore"]
        )
