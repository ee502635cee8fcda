"""What figures are drawn from: results, and what their run folders hold of predictions, score maps and data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

import numpy as np
import pandas as pd

from f2vbench.config.run import Protocol as ProtocolName
from f2vbench.data.square_crop import SquareView
from f2vbench.data.task_cards import load_card
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.errors import F2VBenchError
from f2vbench.report.figures.style import Look, looks_of
from f2vbench.report.text.wording import SHOTS_OF, shots_text
from f2vbench.store.runs import Record, RunFolder
from f2vbench.store.score_maps import decode
from f2vbench.utils.progress import Silent

Kept = TypeVar("Kept")
PLACE = ["task", "protocol", "shots"]
_PROTOCOLS = get_args(ProtocolName)
MAIN_METRICS = {"segmentation": ("auroc", "dice"), "classification": ("auroc", "average_precision")}
"""Of the families whose seeds, shots and tasks are drawn: the first is the one where a figure has room for one."""
CHANCE = "_chance"
Embeddings = Callable[[TaskData, str], "tuple[list[str], np.ndarray] | None"]
"""(task, encoder) → image ids and their (n, width) embeddings, or None where they are not stored."""


class ResultsLike(Protocol):
    """What is asked of `f2vbench.results.Results`.

    Attributes:
        frame, families, lower_is_better: as there.
        records: of the units, as the run folders hold them.
        sources: the folder of each record; empty where the records did not come from folders.
        calls: of the runs.
        cost: as there.
    """

    frame: pd.DataFrame
    families: dict[str, str]
    lower_is_better: frozenset[str]
    records: list[Record]
    sources: list[Path]
    calls: list[Record]

    @property
    def cost(self) -> pd.DataFrame: ...


class NotStored(Exception):
    """What a figure needs is not there; the message says what and why."""


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
    """Results as figures need them.

    Args:
        embeddings: where the embedding map may have its vectors from; they are no part of a run folder.
    """

    def __init__(self, results: ResultsLike, embeddings: Embeddings | None = None):
        self._results = results
        self._embeddings = embeddings
        self.frame = results.frame
        self.families = results.families
        self.lower_is_better = results.lower_is_better
        self.records = results.records
        self._tasks: dict[str, TaskData | NotStored] = {}
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

    def records_at(self, place: Place) -> dict[str, list[Record]]:
        """Records of a place by encoder, in the order of legends, each by seed."""
        found: dict[str, list[Record]] = {name: [] for name in self.looks}
        for record in self.records:
            unit = record["unit"]
            if (unit["task"], unit["protocol"], unit["shots"]) == (place.task, place.protocol, place.shots):
                found[unit["encoder"]].append(record)
        return {name: sorted(held, key=lambda r: r["unit"]["seed"]) for name, held in found.items() if held}

    def predictions(self, record: Record) -> Mapping[str, np.ndarray]:
        """Arrays stored with a unit.

        Raises:
            NotStored: the unit has none.
            StoreError: the file is gone or damaged.
        """
        entry = record["result"].get("predictions")
        if not entry:
            raise NotStored("its units store no predictions")
        return self._folder(record).get_predictions(entry["sha256"])

    def score_map(self, record: Record, image: str) -> np.ndarray:
        """(height, width) float32 at the photograph's resolution.

        Raises:
            NotStored: the unit has no map of this image.
            StoreError: the file is gone or damaged.
        """
        entry = record["result"].get("maps", {}).get(image)
        if entry is None:
            raise NotStored(f"no score map of {image} is stored")
        values = decode(self._folder(record).get_map(entry["sha256"]), entry)
        return SquareView(**entry["view"]).restore(values) if entry["view"] else values

    def task_data(self, task: str) -> TaskData:
        """The task's images, from where the run had them.

        Raises:
            NotStored: they are not there any more, or have changed.
        """
        if task not in self._tasks:
            try:
                self._tasks[task] = self._opened(task)
            except NotStored as reason:
                self._tasks[task] = reason
        held = self._tasks[task]
        if isinstance(held, NotStored):
            raise held
        return held

    def embeddings(self, task: str, encoder: str) -> tuple[list[str], np.ndarray] | None:
        """Image ids and their (n, width) embeddings, or None where they are not stored.

        Raises:
            NotStored: as `task_data`.
        """
        return self._embeddings(self.task_data(task), encoder) if self._embeddings is not None else None

    def kept(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What several figures need, made once."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    @property
    def has_embeddings(self) -> bool:
        return self._embeddings is not None

    def _opened(self, task: str) -> TaskData:
        wanted = {r["identity"]["data"] for r in self.records if r["unit"]["task"] == task}
        folders = dict.fromkeys(
            call["data"][task]["folder"] for call in self._results.calls if task in call.get("data", {})
        )
        told = "the run folder doesn't say where they were"
        for folder in folders:
            try:
                data = open_task(task, folder, Silent())
            except F2VBenchError as error:
                told = str(error)
                continue
            if data.fingerprint in wanted:
                return data
            told = f"those in {folder} are no longer the ones that were used"
        raise NotStored(f"the photographs of {task} can't be shown: {told}")

    def _folder(self, record: Record) -> RunFolder:
        folder = self._folders.get(id(record))
        if folder is None:
            raise NotStored("these results were not read from a run folder")
        return RunFolder(folder)

    @cached_property
    def _folders(self) -> dict[int, Path]:
        """Of each record, by its identity as an object."""
        return {id(record): folder for record, folder in zip(self.records, self._results.sources, strict=False)}
