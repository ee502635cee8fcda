"""Figures published in the papers, to be set beside ours as what they are: measured on other data."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LABEL = "published, other data"


@dataclass(frozen=True)
class Published:
    """A published number.

    Attributes:
        source: the paper.
        place: table or section of it.
        task: the task of ours that asks the same of the same data set, or ``video`` of the papers' own data.
        protocol, shots: of ours that come nearest; shots None where there are none.
        note: what makes it another measurement than ours.
    """

    source: str
    place: str
    task: str
    encoder: str
    protocol: str
    shots: int | None
    metric: str
    value: float
    note: str


@cache
def published() -> tuple[Published, ...]:
    """All of ``published.csv``, in its order."""
    text = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_row(row) for row in csv.DictReader(text.splitlines()))


def published_at(task: str, metric: str, protocol: str, shots: int | None = None) -> list[Published]:
    """What was published of a place of ours."""
    place = (task, metric, protocol, shots)
    return [row for row in published() if (row.task, row.metric, row.protocol, row.shots) == place]


def _row(row: dict[str, str]) -> Published:
    numbers: dict[str, Any] = {"shots": int(row["shots"]) if row["shots"] else None, "value": float(row["value"])}
    return Published(**{**row, **numbers})
