"""Settings from ``key=value`` arguments of the command line, from YAML files, and from arguments of the Python API.

Lists are ``1,2,4``, ranges ``0-4``, nested settings ``decoder.crop=128``; the argument ``@file.yaml`` adds a file of
settings, and ``key=@file.yaml`` takes one value from a file. All problems are collected, so that one call shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from f2vbench.config.base import Settings, flatten, overlay
from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.utils.yaml_text import load_yaml

AnySettings = TypeVar("AnySettings", bound=Settings)


def parse(model: type[AnySettings], arguments: Iterable[str]) -> AnySettings:
    """Create settings from command-line arguments.

    Args:
        model: Settings class.
        arguments: Arguments after the verb.

    Raises:
        SettingsError: Arguments are invalid; one message per problem, with key, value and suggestion.
    """
    values, problems = _read_arguments(arguments, model)
    return _validate(model, values, problems)


def split_operands(model: type[Settings], arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Separate words without a key, such as a run folder, from the settings among arguments.

    Args:
        model: Settings class, which tells the switches from the keys that take a value.
        arguments: Arguments after the verb.

    Returns:
        The words without a key, and the other arguments for `parse`.
    """
    operands: list[str] = []
    settings: list[str] = []
    remaining = list(arguments)
    while remaining:
        word = remaining.pop(0)
        if "=" not in word and not word.startswith(("-", "@")):
            operands.append(word)
            continue
        settings.append(word)
        if _takes_next(model, word, remaining):
            settings.append(remaining.pop(0))
    return operands, settings


def build(model: type[AnySettings], values: Mapping[str, Any]) -> AnySettings:
    """Create settings from keyword arguments, with the checks and messages of the command line.

    Args:
        model: Settings class.
        values: Values by key; values of nested settings are mappings.

    Raises:
        SettingsError: Values are invalid; one message per problem.
    """
    return _validate(model, dict(values), [])


def describe(model: type[Settings]) -> list[tuple[str, str, str]]:
    """List (key, default, description) of every key for help texts; keys of nested settings are dotted."""
    presets = {name: flatten(values) for name, values in model.presets.items()}
    return list(_describe_fields(model, "", presets))


def usage(verb: str, model: type[Settings]) -> str:
    """Help text of a verb: its usage, and every key with default and description."""
    keys = describe(model)
    lines = [f"usage: f2vbench {verb} [key=value ...] [@settings.yaml]\n" if keys else f"usage: f2vbench {verb}"]
    for key, default, description in keys:
        lines.append(fill(f"{key}  [{default}]", 118, initial_indent="  ", subsequent_indent="      "))
        lines.append(fill(description, 118, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(lines)


def _describe_fields(
    model: type[Settings], prefix: str, presets: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str, str]]:
    nested = _nested_models(model)
    for name, field in model.model_fields.items():
        key = prefix + name
        if name in nested:
            yield from _describe_fields(nested[name], f"{key}.", presets)
            continue
        in_preset = any(key in values for values in presets.values())
        by_preset = {preset: values.get(key, field.default) for preset, values in presets.items()} if in_preset else {}
        yield key, _default_text(by_preset, field.is_required(), field.default), field.description or ""


def _nested_models(model: type[Settings]) -> dict[str, type[Settings]]:
    annotations = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Settings)}


def _default_text(by_preset: Mapping[str, Any], required: bool, default: Any) -> str:
    if required:
        return "(required)"
    if len(set(map(str, by_preset.values()))) > 1:
        return ", ".join(f"{name}: {_value_text(value)}" for name, value in by_preset.items())
    return _value_text(next(iter(by_preset.values()), default))


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _read_arguments(arguments: Iterable[str], model: type[Settings]) -> tuple[dict[str, Any], list[str]]:
    """Values by key, and problems. ``--key value``, ``--key=value`` and ``--switch`` are read as well."""
    positional_key = model.positional_key
    values: dict[str, Any] = {}
    problems: list[str] = []
    keys: set[str] = set()
    positional: list[str] = []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if not argument.strip():
            problems.append("an argument is empty; is a shell variable unset?")
            continue
        if argument.startswith("@"):
            loaded = _read_file(argument[1:], problems)
            if isinstance(loaded, dict):
                values = overlay(loaded, values)
            elif loaded is not None:
                problems.append(f"{argument}: the file must have `key: value` lines")
            continue
        key, equals, value = argument.partition("=")
        key = _key_of_option(argument) if argument.startswith("--") else key
        if not equals and argument.startswith("--"):
            value = remaining.pop(0) if _takes_next(model, argument, remaining) else "true"
        elif not equals and key and positional_key is not None:
            positional.append(argument)
            continue
        elif not equals or not key:
            problems.append(f"'{argument}' is not a setting: write key=value")
            continue
        if key in keys:
            problems.append(f"{key}: set twice; keep one value")
        keys.add(key)
        if value == "@":
            problems.append(f"{key}=@: the name of the YAML file is missing")
            continue
        content = _read_file(value[1:], problems) if value.startswith("@") else value
        _set_value(values, key, content, problems)
    if positional and positional_key is not None:
        if positional_key in keys:
            problems.append(
                f"{positional_key}: set with {positional_key}=… and without a key ({', '.join(positional)}); keep one"
            )
        values[positional_key] = positional
    return values, problems


def _read_file(name: str, problems: list[str]) -> Any:
    try:
        return load_yaml(Path(name).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"@{name}: can't be read ({error.strerror or error}); write the path of a YAML file")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(f"@{name}: not valid YAML ({' '.join(str(error).split())})")
    return None


def _set_value(values: dict[str, Any], key: str, value: Any, problems: list[str]) -> None:
    """Set a dotted key. It is split at the first dot only, because names of models and tasks may have dots."""
    parent, dot, child = key.partition(".")
    if not dot:
        if isinstance(values.get(key), dict) and not isinstance(value, dict):
            problems.append(f"{key}: `{key}.{next(iter(values[key]))}` is also set; keep one of the two")
        values[key] = value
        return
    inner = values.setdefault(parent, {})
    if not isinstance(inner, dict):
        problems.append(f"{key}: `{parent}` is also set to a single value; keep one of the two")
        return
    inner[child] = value


def _validate(model: type[AnySettings], values: dict[str, Any], problems: list[str]) -> AnySettings:
    problems = [*problems, *_empty_values(values)]
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(problems + _problems(model, error)) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _empty_values(values: Mapping[str, Any]) -> list[str]:
    """One message per key whose value is an empty text: as a path it would mean the working directory."""
    return [
        f"{key}: the value is empty (is a shell variable unset?); give a value, or leave the key out"
        for key, value in flatten(values).items()
        if (isinstance(value, str) and not value.strip()) or (isinstance(value, list) and "" in value)
    ]


def _key_of_option(argument: str) -> str:
    """``--dry-run`` and ``--dry-run=yes`` → ``dry_run``."""
    return argument.partition("=")[0].lstrip("-").replace("-", "_")


def _takes_next(model: type[Settings], argument: str, following: Sequence[str]) -> bool:
    """Whether an argument is ``--key`` whose value is the next argument; ``--key`` of a yes/no setting needs none."""
    if not argument.startswith("--") or "=" in argument or not following:
        return False
    field = model.model_fields.get(_key_of_option(argument))
    is_switch = field is not None and field.annotation is bool
    return not is_switch and not following[0].startswith(("-", "@"))


def _problems(model: type[Settings], error: ValidationError) -> list[str]:
    """One message per key, also where several types of a union failed."""
    messages: dict[str, str] = {}
    for details in error.errors(include_url=False):
        location = [str(part) for part in details["loc"]]
        names = [part for part in location if not part.isdigit() and re.fullmatch(r"[A-Za-z_0-9:.]+", part)]
        is_nested = bool(names) and names[0] in _nested_models(model)
        key = ".".join(names[:2] if is_nested else names[:1])
        message = _message(model, key, details)
        if details["type"] in ("extra_forbidden", "missing", "value_error"):
            messages[key or message] = message
        else:
            messages.setdefault(key, message)
    return list(messages.values())


def _message(model: type[Settings], key: str, details: ErrorDetails) -> str:
    """Message for one validation error: the key, what is wrong, and what is allowed."""
    value = details["input"]
    if details["type"] == "extra_forbidden":
        known = [name for name, _, _ in describe(model)] + list(model.model_fields)
        return f"unknown key '{key}' (value {value!r}){did_you_mean(key, known)}"
    if details["type"] == "value_error":
        text = details["msg"].removeprefix("Value error, ")
        return text if not key or text.startswith(key) else f"{key}: {text}"
    if details["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'|(\d+)", details.get("ctx", {}).get("expected", ""))
        choices = [text or number for text, number in choices]
        return f"{key}={value}: must be one of {', '.join(choices)}{did_you_mean(str(value), choices)}"
    description = next((text for name, _, text in describe(model) if name == key), "")
    if details["type"] == "missing":
        return f"{key}: required; {description}"
    return f"{key}: {value!r} – {details['msg'].lower()}; {description}"
