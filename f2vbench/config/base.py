"""Base class of all settings, types for lists and numbers, and helpers that merge and flatten nested settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator


def split_list(value: Any) -> list[Any]:
    """Convert ``"a,b"``, ``"a"``, a sequence or a single value to a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple | set | range) else [value]


def as_integer(value: Any) -> Any:
    """Convert ``"8"`` to 8 for choices among integers; other values are unchanged, and fail in the validation."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


MAX_VALUES = 10_000
"""Most integers that a range or a number of seeds may stand for."""


def expand_integers(value: Any) -> list[Any]:
    """Expand ``"0-4"`` and ``"1,2,8-10"`` to integers; other parts are unchanged, and fail in the validation.

    Raises:
        ValueError: A range has more than `MAX_VALUES` integers, or its end is below its start.
    """
    expanded: list[Any] = []
    for part in split_list(value):
        bounds = re.fullmatch(r"(\d{1,18})-(\d{1,18})", part) if isinstance(part, str) else None
        if bounds and int(bounds[2]) < int(bounds[1]):
            raise ValueError(f"the range {part} ends below its start: write the smaller number first")
        if bounds and int(bounds[2]) - int(bounds[1]) >= MAX_VALUES:
            raise ValueError(f"the range {part} has more than {MAX_VALUES:,} numbers: write a shorter one")
        expanded.extend(range(int(bounds[1]), int(bounds[2]) + 1) if bounds else [part])
    return expanded


def unique(values: list[Any]) -> list[Any]:
    """Remove repeated values; the first of each is kept.

    Raises:
        ValueError: A value is a mapping or a list.
    """
    nested = next((value for value in values if isinstance(value, dict | list | set)), None)
    if nested is not None:
        raise ValueError(f"{nested!r}: a word or a number is needed, not a {type(nested).__name__}")
    return list(dict.fromkeys(values))


def _expand_seeds(value: Any) -> list[Any]:
    """A single number n means the seeds 0 to n − 1; lists and ranges are the seeds themselves."""
    is_number = isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()) is not None
    if is_number or (isinstance(value, int) and not isinstance(value, bool)):
        if int(value) > MAX_VALUES:
            raise ValueError(f"{value} seeds are more than {MAX_VALUES:,}: write a smaller number, or a list of seeds")
        return list(range(int(value)))
    return expand_integers(value)


Names = Annotated[list[str], BeforeValidator(lambda value: unique(split_list(value))), Field(min_length=1)]
"""Distinct names: a list, or text with commas."""


def _split_paths(value: Any) -> Any:
    return split_list(value) if isinstance(value, str | list | tuple) else [value]


Paths = Annotated[list[Path], BeforeValidator(_split_paths), Field(min_length=1)]
"""Files or folders: a list, or text with commas."""
Shots = Annotated[
    list[Annotated[int, Field(ge=0)] | Literal["all"]],
    BeforeValidator(lambda value: unique(expand_integers(value))),
    Field(min_length=1),
]
"""Distinct numbers of support images, or ``all``."""
Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]], BeforeValidator(lambda value: unique(_expand_seeds(value))), Field(min_length=1)
]
"""Distinct seeds: how many, or a list or range."""

ListFormat = Literal["text", "json"]
"""Format of a listing on the terminal."""


class Settings(BaseModel):
    """Base class of all settings; unknown keys are errors, and values are immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Values that each ``preset=`` sets unless the user sets them; for help texts."""

    positional_key: ClassVar[str | None] = None
    """Key of arguments without a key, such as the image in ``generate eye.jpg``; None where there are none."""

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        """Expand ``~`` in paths; shells leave it in ``key=~/folder``."""
        return value.expanduser() if isinstance(value, Path) and value.parts[:1] == ("~",) else value


def overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings; values of ``changes`` win. Settings objects count as mappings."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Settings):
            value = value.model_dump(exclude_unset=True)
        inner = merged.get(key)
        merged[key] = overlay(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat
