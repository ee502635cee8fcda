"""Options of a layout, as a task card sets them below ``options``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from f2vbench.errors import SettingsError, did_you_mean

_PLAIN_NAME = re.compile(r"\w[\w.-]*")


def read_options(options: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Check a layout's options and fill in the defaults.

    Args:
        options: The options of a task card.
        allowed: The allowed values by option; the first is the default. If `str` is among them, any plain file name
            is allowed as well.

    Returns:
        A value for every allowed option.

    Raises:
        SettingsError: Unknown options or values; all are listed.
    """
    problems = unknown_options(options, allowed)
    chosen = {key: values[0] for key, values in allowed.items()}
    for key in (key for key in allowed if key in options):
        by_text = {str(value): value for value in allowed[key] if value is not str}
        text = str(options[key])
        if text in by_text:
            chosen[key] = by_text[text]
        elif str not in allowed[key]:
            problems.append(f"options.{key}: {options[key]!r} must be one of {', '.join(by_text)}")
        elif is_plain_name(text):
            chosen[key] = text
        else:
            problems.append(not_plain(key, options[key]))
    if problems:
        raise SettingsError(problems)
    return chosen


def other_observer_message(folder: Path, observer: object, other: object) -> str:
    """The problem of a folder with the labels of one observer only, which is not the one of the card."""
    return (
        f"{folder}: no labels of observer {observer}, but labels of observer {other}: set `options: "
        f"{{observer: {other}}}` "
        "in a copy of the task card in ./tasks, and compare with published results of that observer only"
    )


def unknown_options(options: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """One sentence for each option that the layout does not have."""
    known = list(allowed)
    return [
        f"options: unknown option '{key}'{did_you_mean(str(key), known)}; options of this layout: "
        f"{', '.join(known) or 'none'}"
        for key in options
        if key not in known
    ]


def is_plain_name(text: str) -> bool:
    """Whether a text is a file name without a folder."""
    return _PLAIN_NAME.fullmatch(text) is not None


def not_plain(key: str, value: object) -> str:
    """The problem of an option that must be a plain file name."""
    return f"options.{key}: {value!r} is not a plain file name: remove the slashes"
