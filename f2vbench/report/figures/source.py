"""Data that figures need: results, the conditions in them, and what is stored for their units."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

import pandas as pd

from f2vbench.analysis.frames import CONDITION, PROTOCOLS
from f2vbench.data.task_cards import load_card
from f2vbench.errors import F2VBenchError
from f2vbench.metrics.names import CHANCE
from f2vbench.report.figures.encoder_style import EncoderStyle, encoder_styles
from f2vbench.report.text.wording import SHOTS_UNIT, shots_text
from f2vbench.store.record_schema import UnitRecord

if TYPE_CHECKING:
    from f2vbench.analysis.retrieval import RetrievalStatistics
    from f2vbench.report.stored_data import StoredData
    from f2vbench.results import Results

T = TypeVar("T")


@dataclass(frozen=True)
class Condition:
    """A task, protocol and number of shots.

    Attributes:
        task: Name of the task.
        protocol: Name of the protocol.
        shots: Number of support images; 0 for zero-shot, None where all training images are used.
        family: Family of the task.
    """

    task: str
    protocol: str
    shots: int | None
    family: str

    @classmethod
    def from_columns(cls, task: str, protocol: str, shots: int | None, family: str) -> Condition:
        """Create a condition from values of the tidy frame, where a missing number of shots is ``pandas.NA``."""
        return cls(task, protocol, None if shots is None or pd.isna(shots) else int(shots), family)

    @property
    def label(self) -> str:
        """Protocol and number of shots as text, such as ``few-shot, 2 shots``."""
        return ", ".join(part for part in (self.protocol, shots_text(self.shots, self.family)) if part)

    @property
    def order(self) -> tuple[str, int, int]:
        """Key for sorting: task, protocol, number of shots."""
        return self.task, PROTOCOLS.index(self.protocol), self.shots or 0


class Source:
    """Results as figures read them.

    Args:
        results: Results of one or several run folders.

    Attributes:
        frame: `Results.frame`.
        families: Task → family.
        lower_is_better: Names of the metrics for which a lower value is better.
        records: Records of the units.
    """

    def __init__(self, results: Results):
        self._results = results
        self.frame = results.frame
        self.families = results.families
        self.lower_is_better = results.lower_is_better
        self.records = results.records
        self._cache: dict[Hashable, object] = {}

    @cached_property
    def encoders(self) -> dict[str, EncoderStyle]:
        """Name → style of all encoders of the results, in the order of legends."""
        return encoder_styles(self.frame)

    @property
    def cost(self) -> pd.DataFrame:
        """`Results.cost`."""
        return self._results.cost

    @property
    def stored(self) -> StoredData:
        """Predictions, score maps, photographs and embeddings of the units."""
        return self._results.stored

    @property
    def retrieval(self) -> RetrievalStatistics:
        """`Results.retrieval`."""
        return self._results.retrieval

    def select_encoders(self, names: Iterable[str]) -> list[EncoderStyle]:
        """Styles of the named encoders, in the order of legends."""
        selected = set(names)
        return [encoder for name, encoder in self.encoders.items() if name in selected]

    def tasks(self, *families: str) -> list[str]:
        """Names of the tasks of some families, sorted."""
        return sorted(task for task, family in self.families.items() if family in families)

    def title(self, task: str) -> str:
        """Title of a task on its card, or its name if its card is not installed."""
        try:
            return load_card(task).title
        except F2VBenchError:
            return task

    def shots_label(self, task: str) -> str:
        """Label of an axis that shows numbers of shots of a task."""
        family = self.families[task]
        return f"images{SHOTS_UNIT[family]}" if family in SHOTS_UNIT else "support images"

    def values(self, task: str, metric: str, protocols: Sequence[str]) -> pd.DataFrame:
        """Rows of `frame` with a value of a metric for a task under some protocols."""
        frame = self.frame
        metric_rows = frame[(frame.metric == metric) & frame.protocol.isin(protocols) & frame.value.notna()]
        return metric_rows[metric_rows.task == task]

    def chance(self, task: str, metric: str, protocols: Sequence[str]) -> float | None:
        """Chance level of a metric: the mean of the recorded levels; without them 0.5 for AUROC, otherwise None."""
        levels = self.values(task, metric + CHANCE, protocols).value
        if len(levels):
            return float(levels.mean())
        return 0.5 if metric == "auroc" else None

    def conditions(self, *families: str) -> list[Condition]:
        """Conditions of all tasks of some families, sorted by task, protocol and shots."""
        rows = self.frame[self.frame.task.isin(self.tasks(*families))][CONDITION].drop_duplicates()
        conditions = [
            Condition.from_columns(row.task, row.protocol, row.shots, self.families[row.task])
            for row in rows.itertuples()
        ]
        return sorted(conditions, key=lambda condition: condition.order)

    def records_at(self, condition: Condition) -> dict[str, list[UnitRecord]]:
        """Records of a condition: encoder (in the order of legends) → its records, sorted by seed."""
        by_encoder: dict[str, list[UnitRecord]] = {name: [] for name in self.encoders}
        wanted = (condition.task, condition.protocol, condition.shots)
        for record in self.records:
            unit = record["unit"]
            if (unit["task"], unit["protocol"], unit["shots"]) == wanted:
                by_encoder[unit["encoder"]].append(record)
        return {
            name: sorted(records, key=lambda record: record["unit"]["seed"])
            for name, records in by_encoder.items()
            if records
        }

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of ``key``; compute it on the first request, because several figures need it."""
        if key not in self._cache:
            self._cache[key] = compute()
        return cast("T", self._cache[key])
