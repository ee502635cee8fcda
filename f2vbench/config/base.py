"""What settings are made of: their base, how lists and numbers in words are read, and settings laid over each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def split_list(value: Any) -> list[Any]:
    """``"a,b"``, ``"a"`` or a list → a list; numbers become lists of one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple | set | range) else [value]


def expand_integers(value: Any) -> list[Any]:
    """``"0-4"`` and ``"1,2,8-10"`` → integers; what is no integer is left for the error message."""
    expanded: list[Any] = []
    for part in split_list(value):
        found = re.fullmatch(r"(\d+)-(\d+)", part) if isinstance(part, str) else None
        expanded.extend(range(int(found[1]), int(found[2]) + 1) if found else [part])
    return expanded


def _expand_seeds(value: Any) -> list[Any]:
    """A single number n means n seeds (0 … n−1); lists and ranges name them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return list(range(value))
    if isinstance(value, str) and value.strip().isdigit():
        return list(range(int(value)))
    return expand_integers(value)


def unique(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


Names = Annotated[list[str], BeforeValidator(lambda value: unique(split_list(value))), Field(min_length=1)]
Shots = Annotated[
    list[Annotated[int, Field(ge=0)] | Literal["all"]],
    BeforeValidator(lambda value: unique(expand_integers(value))),
    Field(min_length=1),
]
Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]], BeforeValidator(lambda value: unique(_expand_seeds(value))), Field(min_length=1)
]


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused and values can't be changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What each ``preset=`` sets unless the user says otherwise, for help texts."""

    bare_words: ClassVar[str | None] = None
    """The key that words without a key belong to, where the verb takes such words: ``generate eye.jpg``."""


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``, nested mappings merged; settings objects count as mappings."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Settings):
            value = value.model_dump(exclude_unset=True)
        under = merged.get(key)
        merged[key] = overlay(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` → ``{"a.b": 1}``"""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat
