"""What figures are drawn from: results, and what their run folders hold of predictions, score maps and data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import numpy as np
import pandas as pd

from f2vbench.config.run import Protocol as ProtocolName
from f2vbench.data.task_cards import load_card
from f2vbench.errors import F2VBenchError
from f2vbench.metrics.names import CHANCE
from f2vbench.report.figures.style import Look, looks_of
from f2vbench.report.text.wording import SHOTS_OF, shots_text
from f2vbench.store.record_schema import UnitRecord

if TYPE_CHECKING:
    from f2vbench.data.task_data import TaskData
    from f2vbench.results import Results

Kept = TypeVar("Kept")
PLACE = ["task", "protocol", "shots"]
_PROTOCOLS = get_args(ProtocolName)
MAIN_METRICS = {"segmentation": ("auroc", "dice"), "classification": ("auroc", "average_precision")}
"""Of the families whose seeds, shots and tasks are drawn: the first is the one where a figure has room for one."""


@dataclass(frozen=True)
class Place:
    """A task, protocol and number of shots, None where the protocol has none; and the task's family."""

    task: str
    protocol: str
    shots: int | None
    family: str

    @property
    def text(self) -> str:
        """``2 shots``, ``2 a class`` or another protocol, without the task."""
        few = self.protocol == "few-shot" and self.shots is not None
        return shots_text(self.shots, self.family) if few else self.protocol

    @property
    def order(self) -> tuple[str, int, int]:
        return self.task, _PROTOCOLS.index(self.protocol), self.shots or 0


class Source:
    """Results as figures need them."""

    def __init__(self, results: Results):
        self._results = results
        self.frame = results.frame
        self.families = results.families
        self.lower_is_better = results.lower_is_better
        self.records = results.records
        self._kept: dict[Hashable, Any] = {}

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Of all encoders of the results: the same in every figure."""
        return looks_of(self.frame)

    @property
    def cost(self) -> pd.DataFrame:
        """Of `Results.cost`."""
        return self._results.cost

    def looks_among(self, encoders: Iterable[str]) -> list[Look]:
        """Those of some encoders, in the order of legends."""
        wanted = set(encoders)
        return [look for name, look in self.looks.items() if name in wanted]

    def tasks(self, *families: str) -> list[str]:
        """Tasks of these families, by name."""
        return sorted(task for task, family in self.families.items() if family in families)

    def title(self, task: str) -> str:
        """How a task is called: as its card says, or its name where the card is not here."""
        try:
            return load_card(task).title
        except F2VBenchError:
            return task

    def shots_label(self, task: str) -> str:
        """Of an axis of numbers of shots: ``images a class`` or ``support images``."""
        family = self.families[task]
        return f"images{SHOTS_OF[family]}" if family in SHOTS_OF else "support images"

    def values(self, task: str | None, metric: str, protocols: Sequence[str]) -> pd.DataFrame:
        """Rows of the tidy frame that hold a value."""
        frame = self.frame
        chosen = frame[(frame.metric == metric) & frame.protocol.isin(protocols) & frame.value.notna()]
        return chosen if task is None else chosen[chosen.task == task]

    def chance(self, task: str, metric: str, protocols: Sequence[str]) -> float | None:
        """What chance is expected to reach there; 0.5 is what it gives any AUROC."""
        levels = self.values(task, metric + CHANCE, protocols).value
        if len(levels):
            return float(levels.mean())
        return 0.5 if metric == "auroc" else None

    def places(self, *families: str) -> list[Place]:
        """All places of these families' tasks, tasks by name and protocols as they are told."""
        rows = self.frame[self.frame.task.isin(self.tasks(*families))][PLACE].drop_duplicates()
        found = [
            Place(row.task, row.protocol, None if pd.isna(row.shots) else int(row.shots), self.families[row.task])
            for row in rows.itertuples()
        ]
        return sorted(found, key=lambda place: place.order)

    def records_at(self, place: Place) -> dict[str, list[UnitRecord]]:
        """Records of a place by encoder, in the order of legends, each by seed."""
        found: dict[str, list[UnitRecord]] = {name: [] for name in self.looks}
        for record in self.records:
            unit = record["unit"]
            if (unit["task"], unit["protocol"], unit["shots"]) == (place.task, place.protocol, place.shots):
                found[unit["encoder"]].append(record)
        return {name: sorted(held, key=lambda r: r["unit"]["seed"]) for name, held in found.items() if held}

    def predictions(self, record: UnitRecord) -> Mapping[str, np.ndarray]:
        """As `StoredData.predictions`."""
        return self._results.stored.predictions(record)

    def score_map(self, record: UnitRecord, image: str) -> np.ndarray:
        """As `StoredData.score_map`."""
        return self._results.stored.score_map(record, image)

    def task_data(self, task: str) -> TaskData:
        """As `StoredData.task_data`."""
        return self._results.stored.task_data(task)

    def embeddings(self, task: str, encoder: str) -> tuple[list[str], np.ndarray] | None:
        """As `StoredData.embeddings`."""
        return self._results.stored.embeddings(task, encoder)

    def kept(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What several figures need, made once."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]
