"""Words become settings: ``key=value`` of the command line, YAML files, and arguments of the Python API.

Lists are ``1,2,4``, ranges ``0-4``, nested settings ``decoder.crop=128``; ``@file.yaml`` as a word merges a file
of settings, ``key=@file.yaml`` takes one value from a file. Every problem is collected, so that one failed call
shows all that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from f2vbench.config.base import Settings, flatten, overlay
from f2vbench.errors import SettingsError, did_you_mean

AnySettings = TypeVar("AnySettings", bound=Settings)


def parse(model: type[AnySettings], words: Iterable[str]) -> AnySettings:
    """Settings from command-line words.

    Raises:
        SettingsError: all problems at once, each with its key, value and, where one is near, a suggestion.
    """
    values, problems = _read_words(words, model.bare_words)
    return _validate(model, values, problems)


def build(model: type[AnySettings], values: Mapping[str, Any]) -> AnySettings:
    """Settings from keyword arguments, with the same checks and messages as the command line."""
    return _validate(model, dict(values), [])


def describe(model: type[Settings]) -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every key, nested ones dotted, for help texts."""
    presets = {name: flatten(values) for name, values in model.presets.items()}
    return list(_rows(model, "", presets))


def usage(verb: str, model: type[Settings]) -> str:
    """The help text of a verb: how it is called, and every key with its default and meaning."""
    keys = describe(model)
    lines = [f"usage: f2vbench {verb} [key=value ...] [@settings.yaml]\n" if keys else f"usage: f2vbench {verb}"]
    for key, default, meaning in keys:
        lines.append(fill(f"{key}  [{default}]", 118, initial_indent="  ", subsequent_indent="      "))
        lines.append(fill(meaning, 118, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(lines)


def _rows(
    model: type[Settings], prefix: str, presets: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        key = prefix + name
        if name in _nested(model):
            yield from _rows(_nested(model)[name], f"{key}.", presets)
            continue
        known = any(key in values for values in presets.values())
        by_preset = {preset: values.get(key, field.default) for preset, values in presets.items()} if known else {}
        yield key, _default_text(by_preset, field.is_required(), field.default), field.description or ""


def _nested(model: type[Settings]) -> dict[str, type[Settings]]:
    annotations = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Settings)}


def _default_text(by_preset: Mapping[str, Any], required: bool, default: Any) -> str:
    if required:
        return "(required)"
    if len(set(map(str, by_preset.values()))) > 1:
        return ", ".join(f"{name}: {_text(value)}" for name, value in by_preset.items())
    return _text(next(iter(by_preset.values()), default))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _read_words(words: Iterable[str], bare_words: str | None = None) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems: list[str] = []
    given: set[str] = set()
    bare: list[str] = []
    for word in words:
        if word.startswith("@"):
            loaded = _read_file(word[1:], problems)
            if isinstance(loaded, dict):
                values = overlay(loaded, values)
            elif loaded is not None:
                problems.append(f"{word}: the file must hold `key: value` lines")
            continue
        key, equals, value = word.partition("=")
        key = key.lstrip("-").replace("-", "_") if word.startswith("--") else key
        if not equals and word.startswith("--"):
            value = "true"
        elif not equals and key and bare_words is not None:
            bare.append(word)
            continue
        elif not equals or not key:
            problems.append(f"'{word}' is not a setting: write key=value")
            continue
        if key in given:
            problems.append(f"{key}: given twice")
        given.add(key)
        content = _read_file(value[1:], problems) if value.startswith("@") else value
        _put(values, key, content, problems)
    if bare and bare_words is not None:
        if bare_words in given:
            problems.append(f"{bare_words}: given as {bare_words}=… and without a key ({', '.join(bare)}): keep one")
        values[bare_words] = bare
    return values, problems


def _read_file(name: str, problems: list[str]) -> Any:
    try:
        return yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"@{name}: can't be read ({error.strerror or error}); give the path of a YAML file")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(f"@{name}: not valid YAML ({' '.join(str(error).split())})")
    return None


def _put(values: dict[str, Any], key: str, value: Any, problems: list[str]) -> None:
    """Set a dotted key. Only the first dot splits below `weights` and `data`, whose keys may hold dots."""
    head, dot, rest = key.partition(".")
    if not dot:
        values[key] = value
        return
    inner = values.setdefault(head, {})
    if not isinstance(inner, dict):
        problems.append(f"{key}: `{head}` was also given as a single value; use one of the two")
        return
    inner[rest] = value


def _validate(model: type[AnySettings], values: dict[str, Any], problems: list[str]) -> AnySettings:
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        raise SettingsError(problems + _problems_of(model, error)) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _problems_of(model: type[Settings], error: ValidationError) -> list[str]:
    """One sentence a key; the members of a union that failed together are told once."""
    keys = [key for key, _, _ in describe(model)] + list(model.model_fields)
    told: dict[str, str] = {}
    for item in error.errors(include_url=False):
        location = [str(part) for part in item["loc"]]
        names = [part for part in location if not part.isdigit() and re.fullmatch(r"[a-z_0-9:.]+", part)]
        key = ".".join(names[:2]) if names[:1] and names[0] in _nested(model) else (names[0] if names else "")
        if item["type"] == "extra_forbidden":
            told[key] = f"unknown key '{key}' (value {item['input']!r}){did_you_mean(key, keys)}"
        elif item["type"] == "missing":
            told[key] = f"{key}: required; {_meaning(model, key)}"
        elif item["type"] == "value_error":
            told[key or item["msg"]] = item["msg"].removeprefix("Value error, ")
        elif item["type"] == "literal_error":
            choices = re.findall(r"'([^']+)'", item.get("ctx", {}).get("expected", ""))
            hint = did_you_mean(str(item["input"]), choices)
            told.setdefault(key, f"{key}={item['input']}: must be one of {', '.join(choices)}{hint}")
        else:
            told.setdefault(key, f"{key}: {item['input']!r} – {item['msg'].lower()}; {_meaning(model, key)}")
    return list(told.values())


def _meaning(model: type[Settings], key: str) -> str:
    return next((meaning for name, _, meaning in describe(model) if name == key), "")
