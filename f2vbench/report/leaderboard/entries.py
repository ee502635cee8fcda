"""Boards and entries of a leaderboard: which units are compared with each other, and which belong to one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from f2vbench.config.base import flatten
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.files import canonical_json

_HASH_DIGITS = 8
_MOST_DIFFERENCES = 3
_LONGEST_VALUE = 24


class BoardKey(NamedTuple):
    """Units with equal keys are compared: the same question on the same images, measured in the same way.

    Attributes:
        task: Name of the task.
        protocol: Protocol.
        shots: Number of support images; None where all are used.
        data: Fingerprint of images and labels.
        card: SHA-256 of the task card.
        adapter: Version of the code that computes the metrics.
    """

    task: str
    protocol: str
    shots: int | None
    data: str
    card: str
    adapter: int

    @classmethod
    def of(cls, record: UnitRecord) -> BoardKey:
        """Key of a unit's record."""
        unit, identity = record["unit"], record["identity"]
        versions = str(identity.get("data", "")), str(identity.get("task", "")), int(identity.get("adapter", 0))
        return cls(unit["task"], unit["protocol"], unit["shots"], *versions)


def group_by_board(records: Iterable[UnitRecord]) -> dict[BoardKey, list[UnitRecord]]:
    """Group records by board.

    Args:
        records: Unit records.
    """
    boards: dict[BoardKey, list[UnitRecord]] = {}
    for record in records:
        boards.setdefault(BoardKey.of(record), []).append(record)
    return boards


def board_versions(keys: Sequence[BoardKey]) -> dict[BoardKey, str]:
    """What distinguishes the boards of one condition, such as ``data 1a2b3c4d``; empty where there is one board.

    Args:
        keys: Keys of all boards.
    """
    texts = {}
    for key in keys:
        same = [other for other in keys if other[:3] == key[:3]]
        parts = [
            f"{name} {str(getattr(key, field))[:_HASH_DIGITS]}"
            for name, field in (("data", "data"), ("task card", "card"), ("adapter version", "adapter"))
            if len({getattr(other, field) for other in same}) > 1
        ]
        texts[key] = ", ".join(parts)
    return texts


def group_by_entry(records: Iterable[UnitRecord]) -> dict[str, list[UnitRecord]]:
    """Group the records of a board by model with its weights and settings.

    Args:
        records: Records of one board.

    Returns:
        Label → records by seed. A name that occurs once is its own label; where one name has several sets of weights or
        settings, the label says how they differ.
    """
    entries: dict[bytes, list[UnitRecord]] = {}
    for record in records:
        entries.setdefault(canonical_json(_identity(record)), []).append(record)
    groups = [sorted(own, key=lambda record: record["unit"]["seed"]) for own in entries.values()]
    by_name: dict[str, list[list[UnitRecord]]] = {}
    for group in groups:
        by_name.setdefault(group[0]["unit"]["encoder"], []).append(group)
    labelled: dict[str, list[UnitRecord]] = {}
    for name, same in by_name.items():
        for label, group in zip(_labels(name, [_identity(group[0]) for group in same]), same, strict=True):
            labelled[label] = group
    return labelled


def _identity(record: UnitRecord) -> dict[str, Any]:
    identity = record["identity"]
    parts = {name: identity.get(name) for name in ("kind", "model", "settings")}
    return {"name": record["unit"]["encoder"], "weights": record["weights"], **parts}


def _labels(name: str, identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels of the entries of one name."""
    if len(identities) == 1:
        return [name]
    flat = [flatten(dict(identity)) for identity in identities]
    keys = sorted({key for values in flat for key in values})
    differing = [key for key in keys if len({canonical_json(values.get(key)) for values in flat}) > 1]
    labels = []
    for number, values in enumerate(flat, 1):
        shown = [f"{_key(key)}={_value(values.get(key))}" for key in differing[:_MOST_DIFFERENCES]]
        label = f"{name} ({', '.join(shown)})"
        labels.append(f"{label} #{number}" if label in labels else label)
    return labels


def _key(key: str) -> str:
    """The end of a key, such as ``head.epochs`` of ``settings.head.epochs``."""
    return key.removeprefix("settings.").removeprefix("model.")


def _value(value: object) -> str:
    text = "–" if value is None else str(value)
    is_hash = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:_HASH_DIGITS] if is_hash else text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
