"""Values published in the papers, which figures show as stars beside our results."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_SHORT_SOURCES = {
    "Fundus to Fluorescein Angiography Video Generation as a Retinal Generative Foundation Model": "Fundus2Video paper",
}
"""Paper → its name in legends."""


@dataclass(frozen=True)
class Published:
    """A value published in a paper.

    Attributes:
        source: Title of the paper.
        place: Table or section of the paper.
        task: Our task on the same data set, or ``video`` for the data of the papers.
        encoder: Name of the model.
        protocol: Our protocol that is nearest to that of the paper.
        shots: Number of support images; None where the protocol has none.
        metric: Name of the metric.
        value: Value of the metric.
        note: Differences between this measurement and ours.
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
def load_published() -> tuple[Published, ...]:
    """Load all rows of ``published.csv``, in their order."""
    text = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_parse(row) for row in csv.DictReader(text.splitlines()))


def published_at(task: str, metric: str, protocol: str, shots: int | None = None) -> list[Published]:
    """Published values of one metric under one condition.

    Args:
        task: Name of the task.
        metric: Name of the metric.
        protocol: Name of the protocol.
        shots: Number of support images, or None.

    Returns:
        The values, often none.
    """
    condition = (task, metric, protocol, shots)
    return [row for row in load_published() if (row.task, row.metric, row.protocol, row.shots) == condition]


def published_label(values: Iterable[Published]) -> str:
    """Label of stars in a legend: ``published: fundus2video (Fundus2Video paper), other data``."""
    by_paper: dict[str, dict[str, None]] = {}
    for value in values:
        by_paper.setdefault(_SHORT_SOURCES.get(value.source, value.source), {})[value.encoder] = None
    texts = [f"{', '.join(models)} ({paper})" for paper, models in by_paper.items()]
    return f"published: {'; '.join(texts)}, other data"


def published_note(values: Iterable[Published]) -> str:
    """Sentence of a caption: whose values the stars are, and where they are published; empty without values."""
    by_paper: dict[str, dict[str, None]] = {}
    for value in values:
        by_paper.setdefault(value.source, {})[value.encoder] = None
    texts = [f"{', '.join(models)} in “{paper}”" for paper, models in by_paper.items()]
    return f"Stars: published values of {'; '.join(texts)}, measured on other images." if texts else ""


def _parse(row: dict[str, str]) -> Published:
    return Published(
        source=row["source"],
        place=row["place"],
        task=row["task"],
        encoder=row["encoder"],
        protocol=row["protocol"],
        shots=int(row["shots"]) if row["shots"] else None,
        metric=row["metric"],
        value=float(row["value"]),
        note=row["note"],
    )
