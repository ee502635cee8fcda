"""Data that figures need: results, the conditions in them, and what is stored for their units."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from f2vbench.analysis.frames import CONDITION, PROTOCOLS, Condition, summary_frame
from f2vbench.data.task_cards import load_card
from f2vbench.errors import F2VBenchError
from f2vbench.metrics.names import CHANCE
from f2vbench.report.figures.encoder_style import EncoderStyle, encoder_styles
from f2vbench.report.text.wording import SHOTS_UNIT, shots_text
from f2vbench.stats.intervals import MeanInterval
from f2vbench.stats.result_classes import Estimate
from f2vbench.store.record_schema import UnitRecord

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from f2vbench.analysis.assessment import Assessment
    from f2vbench.analysis.retrieval import RetrievalStatistics
    from f2vbench.analysis.subgroups import SubgroupRequest
    from f2vbench.report.run_results import RunResults
    from f2vbench.report.stored_data import StoredData

T = TypeVar("T")


class Source:
    """Results as figures read them.

    Args:
        results: RunResults of one or several run folders.
        interval: Kind of interval of means over seeds.
        subgroups: Subgroups to draw; None for no figure of subgroups.

    Attributes:
        frame: `Results.frame`.
        families: Task → family.
        lower_is_better: Names of the metrics for which a lower value is better.
        records: Records of the units.
        interval: Kind of interval of means over seeds.
        subgroup_request: Subgroups to draw.
    """

    def __init__(
        self, results: RunResults, interval: MeanInterval = "crossed", subgroups: SubgroupRequest | None = None
    ):
        self._results = results
        self.interval = interval
        self.subgroup_request = subgroups
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
    def assessments(self) -> list[Assessment]:
        """Scored human assessments within the run folders."""
        return self._results.assessments

    @property
    def stored(self) -> StoredData:
        """Predictions, score maps, photographs and embeddings of the units."""
        return self._results.stored

    @property
    def retrieval(self) -> RetrievalStatistics:
        """`Results.retrieval`."""
        return self._results.retrieval

    @cached_property
    def subgroups(self) -> pd.DataFrame | None:
        """Results of the requested subgroups, the frame ``groups`` of `Results.subgroups`; None without a request."""
        return None if self.subgroup_request is None else self._results.subgroups(self.subgroup_request).groups

    def select_encoders(self, names: Iterable[str]) -> list[EncoderStyle]:
        """Styles of the named encoders, in the order of legends."""
        selected = set(names)
        return [encoder for name, encoder in self.encoders.items() if name in selected]

    def tasks(self, *families: str) -> list[str]:
        """Names of the tasks of some families, sorted."""
        return sorted(task for task, family in self.families.items() if family in families)

    def title(self, task: str) -> str:
        """Title of a task on its card, or its name if its card is not installed."""
        return self.cached(("title", task), lambda: _title(task))

    def main_metric(self, task: str) -> str:
        """Main metric of a task: that of its card, or that of its family."""
        return self._results.main_metrics[task][0]

    def condition_label(self, condition: Condition) -> str:
        """Protocol and number of shots of a condition, such as ``few-shot, 2 shots``."""
        shots = shots_text(condition.shots, self.families[condition.task])
        return ", ".join(part for part in (condition.protocol, shots) if part)

    def condition_title(self, condition: Condition) -> str:
        """Title of the task, protocol and number of shots, such as ``RITE, few-shot, 2 shots``."""
        return f"{self.title(condition.task)}, {self.condition_label(condition)}"

    def shots_label(self, task: str) -> str:
        """Label of an axis that shows numbers of shots of a task."""
        family = self.families[task]
        return f"images{SHOTS_UNIT[family]}" if family in SHOTS_UNIT else "support images"

    def values(self, task: str, metric: str, protocols: Sequence[str]) -> pd.DataFrame:
        """Rows of `frame` with a value of a metric for a task under some protocols."""
        frame = self.frame
        metric_rows = frame[(frame.metric == metric) & frame.protocol.isin(protocols) & frame.value.notna()]
        return metric_rows[metric_rows.task == task]

    def summarize(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Means and intervals of rows of `frame`, with the columns of `Results.summary`."""

        def estimate(condition: Condition, encoder: str, metric: str, values: NDArray[np.float64]) -> Estimate:
            return self._results.mean_intervals.estimate(condition, encoder, metric, values, self.interval)

        return summary_frame(rows, self.lower_is_better, estimate)

    def chance(self, task: str, metric: str, protocols: Sequence[str]) -> float | None:
        """Chance level of a metric: the mean of the recorded levels; without them 0.5 for AUROC, otherwise None."""
        levels = self.values(task, metric + CHANCE, protocols).value
        if len(levels):
            return float(levels.mean())
        return 0.5 if metric == "auroc" else None

    def conditions(self, *families: str) -> list[Condition]:
        """Conditions of all tasks of some families, sorted by task, protocol and shots."""
        return list(self.cached(("conditions", families), lambda: self._conditions(families)))

    def _conditions(self, families: Sequence[str]) -> list[Condition]:
        rows = self.frame[self.frame.task.isin(self.tasks(*families))][CONDITION].drop_duplicates()
        conditions = [Condition.from_values(row.task, row.protocol, row.shots) for row in rows.itertuples()]
        return sorted(
            conditions,
            key=lambda condition: (condition.task, PROTOCOLS.index(condition.protocol), condition.shots or 0),
        )

    def records_at(self, condition: Condition) -> dict[str, list[UnitRecord]]:
        """Records of a condition: encoder (in the order of legends) → its records, sorted by seed."""
        by_encoder = self._records.get(condition, {})
        return {name: list(by_encoder[name]) for name in self.encoders if name in by_encoder}

    @cached_property
    def _records(self) -> dict[Condition, dict[str, list[UnitRecord]]]:
        """Condition → encoder → its records, sorted by seed."""
        found: dict[Condition, dict[str, list[UnitRecord]]] = {}
        for record in sorted(self.records, key=lambda record: record["unit"]["seed"]):
            by_encoder = found.setdefault(Condition.from_record(record), {})
            by_encoder.setdefault(record["unit"]["encoder"], []).append(record)
        return found

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of ``key``; compute it on the first request, because several figures need it."""
        if key not in self._cache:
            self._cache[key] = compute()
        return cast("T", self._cache[key])


def _title(task: str) -> str:
    try:
        return load_card(task).title
    except F2VBenchError:
        return task
