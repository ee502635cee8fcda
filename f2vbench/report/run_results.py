"""Data frames, summaries and comparisons of the units in one or several run folders: what tables and figures show."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.analysis.assessment import Assessment, find_assessments, read_assessment
from f2vbench.analysis.comparisons import (
    ModelComparison,
    PairSelection,
    compare_models,
    comparisons_frame,
    select_against_best,
    select_key_pairs,
)
from f2vbench.analysis.cost_frame import cost_frame
from f2vbench.analysis.crossed_scores import CrossedScores
from f2vbench.analysis.diagnosis import as_operating_point, diagnosis_frame
from f2vbench.analysis.frames import (
    CONDITION,
    Condition,
    attention_frame,
    chance_notes,
    completeness_notes,
    per_image_frame,
    results_frame,
    sort_rows,
    summary_frame,
)
from f2vbench.analysis.load_runs import load_runs
from f2vbench.analysis.mean_intervals import MeanIntervals
from f2vbench.analysis.retrieval import RetrievalStatistics
from f2vbench.analysis.significance_tests import PairTester
from f2vbench.analysis.subgroups import SubgroupRequest, Subgroups, as_request, compute_subgroups
from f2vbench.errors import SettingsError, StoreError, did_you_mean
from f2vbench.metrics.names import CHANCE
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.stats.intervals import MeanInterval
from f2vbench.stats.procedure import Adjustment, Procedure, SeedTest
from f2vbench.stats.result_classes import Estimate
from f2vbench.store.record_schema import CallRecord, CostRecord, UnitRecord
from f2vbench.utils.files import write_csv
from f2vbench.utils.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

    from f2vbench.report.stored_data import StoredData

_DEFAULT_PROCEDURE = Procedure()
_DEFAULT_METRICS = 2  # of records that do not name their main metrics
Metrics = Iterable[str] | Mapping[str, Iterable[str]] | None


class RunResults:
    """Results of the units in one or more run folders, complete or incomplete.

    Attributes:
        frame: Data frame with one row per unit and metric: encoder, weights, task, protocol, shots (missing for
            supervised protocols), seed, metric, value (missing with a ``reason``), unit (its fingerprint), baseline,
            pretrained (whether the encoder was trained on images of the data set of the task).
        families: Task → its task family.
        attention: Data frame with one row per unit, class and encoder of the soft-attention fusions: encoder (the
            fusion), task, protocol, shots, seed, class, part (one of the fused encoders), weight (mean over the test
            images of the class, 0 to 1).
        lower_is_better: Names of the metrics of which lower values are better.
        warnings: Damaged files that were set aside, models with random weights, missing seeds.
        chance_levels: Chance levels of each task and protocol, as text.
        records: Records of the units.
        sources: Run folder of each record; empty for records that do not come from a run folder.
        calls: Settings and provenance of the calls that made the records.

    Args:
        records: Records of the units.
        notes: Warnings about the records, such as damaged files that were set aside.
        sources: Run folder of each record.
        calls: Settings and provenance of the calls that made the records, the newest of each folder first.
        costs: Encoding costs of each model.
        progress: Receives messages while many comparisons are computed.
    """

    def __init__(
        self,
        records: Sequence[UnitRecord],
        notes: Sequence[str] = (),
        sources: Sequence[Path] = (),
        calls: Sequence[CallRecord] = (),
        costs: Sequence[CostRecord] = (),
        progress: Progress | None = None,
    ):
        self._progress = progress or Silent()
        self.records, self.sources, self.calls, self._costs = list(records), list(sources), list(calls), list(costs)
        self.frame = results_frame(records)
        self.attention = attention_frame(records)
        # Records of versions with one task family do not name it.
        self.families = {record["unit"]["task"]: record.get("family", "segmentation") for record in records}
        self.lower_is_better = frozenset(name for record in records for name in record.get("lower_is_better", ()))
        self._notes = list(notes)
        self._diagnosis: dict[OperatingPoint, pd.DataFrame] = {}
        self._subgroups: dict[Hashable, Subgroups] = {}
        self.warnings = [*notes, *completeness_notes(self.frame, self.calls)]
        self.chance_levels = chance_notes(self.frame)

    @classmethod
    def load(cls, *folders: str | Path, progress: Progress | None = None) -> Self:
        """Load one or several run folders, complete or incomplete.

        Args:
            *folders: Run folders.
            progress: Receives messages while many comparisons are computed, such as
                `f2vbench.utils.progress.for_this_terminal()`.

        Returns:
            Results of all units in the folders.

        Raises:
            StoreError: A folder is not a run folder, no unit is completed, or two folders contain the same unit or
                model with different data, settings or weights.
        """
        runs = load_runs(folders)
        return cls(runs.records, runs.notes, runs.sources, runs.calls, runs.costs, progress)

    def select_units(self, fingerprints: Collection[str]) -> Self:
        """Results of some of these units alone.

        Args:
            fingerprints: Fingerprints of units, the column ``unit`` of ``frame``; others are ignored.
        """
        chosen = [number for number, record in enumerate(self.records) if record["fingerprint"] in fingerprints]
        records = [self.records[number] for number in chosen]
        sources = [self.sources[number] for number in chosen] if self.sources else []
        return type(self)(records, self._notes, sources, self.calls, self._costs, self._progress)

    @property
    def pretrained(self) -> frozenset[tuple[str, str]]:
        """(task, encoder) of the encoders that were trained on images of the data set of the task."""
        marked = self.frame[self.frame.pretrained]
        return frozenset(zip(marked.task, marked.encoder, strict=True))

    @property
    def notes(self) -> list[str]:
        """Warnings, and chance levels."""
        return [*self.warnings, *self.chance_levels]

    @cached_property
    def assessments(self) -> list[Assessment]:
        """Scored human assessments within the run folders, see `f2vbench assess score`.

        Raises:
            StoreError: A file of an assessment is damaged.
        """
        return [read_assessment(path) for path in find_assessments(self.sources)]

    @cached_property
    def cost(self) -> pd.DataFrame:
        """Encoding and training costs beside the main metric; see `f2vbench.analysis.cost_frame.cost_frame`."""
        main = {task: metrics[0] for task, metrics in self.main_metrics.items() if metrics}
        return cost_frame(self.frame, self.records, self._costs, main)

    @cached_property
    def per_image(self) -> pd.DataFrame:
        """Data frame with one row per unit, image and metric."""
        return per_image_frame(self.records)

    @cached_property
    def retrieval(self) -> RetrievalStatistics:
        """Intervals over patients and comparisons of the retrieval units."""
        return RetrievalStatistics(self.records)

    @cached_property
    def crossed_scores(self) -> dict[Condition, CrossedScores]:
        """Scores of all models without single test patients, at each condition; computed on request and kept."""
        records: dict[Condition, list[UnitRecord]] = {}
        for record in self.records:
            records.setdefault(Condition.from_record(record), []).append(record)
        return {condition: CrossedScores(own, self.predictions) for condition, own in records.items()}

    @cached_property
    def mean_intervals(self) -> MeanIntervals:
        """Means over seeds with their intervals, as tables and figures show them."""
        return MeanIntervals(self.crossed_scores)

    @cached_property
    def stored(self) -> StoredData:
        """Predictions, score maps, photographs and embeddings that are stored for these results."""
        from f2vbench.report.stored_data import StoredData

        return StoredData(self.records, self.sources, self.calls)

    def predictions(self, record: UnitRecord) -> dict[str, np.ndarray]:
        """Load the arrays that are stored with a record of these results.

        Args:
            record: One of ``records``.

        Returns:
            Arrays by name, such as ``probabilities`` and ``targets``.

        Raises:
            StoreError: The run folder of the record is unknown, or the file is missing or damaged.
        """
        return self.stored.predictions(record)

    @cached_property
    def main_metrics(self) -> dict[str, list[str]]:
        """Task → the metrics that its task family reports by default, the main metric first."""
        return {
            record["unit"]["task"]: list(
                record.get("main_metrics") or list(record["result"]["metrics"])[:_DEFAULT_METRICS]
            )
            for record in self.records
        }

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics."""
        return list(dict.fromkeys(self.frame.metric))

    def summary(self, metrics: Metrics = None, *, interval: MeanInterval = "crossed") -> pd.DataFrame:
        """Summarize seeds: mean and interval of each encoder and metric at each condition.

        Args:
            metrics: Names of metrics, or names by task; by default all.
            interval: ``crossed``: for other patients and other heads, within the range of the metric (with one seed,
                for other patients alone). Over seeds only: ``student``, Student's interval within the range of the
                metric, or ``papers``, mean ± 1.96 standard errors.

        Returns:
            Data frame with the columns task, protocol, shots, encoder, weights, baseline, metric, ``better``
            (``higher`` or ``lower``), ``n`` (seeds with a value), ``mean``, ``sd`` (n − 1), ``low`` and ``high`` (95 %
            interval), ``interval`` (what it covers: ``patients and heads``, ``patients`` or ``seeds``; empty without an
            interval), ``interval_note`` (why there is no interval, or what limits it) and ``reason`` (why seeds have no
            value); the best mean of each condition and metric first.

        Raises:
            StoreError: A metric is not in these results.
        """

        def estimate(condition: Condition, encoder: str, metric: str, values: NDArray[np.float64]) -> Estimate:
            return self.mean_intervals.estimate(condition, encoder, metric, values, interval)

        return summary_frame(self._select(metrics), self.lower_is_better, estimate)

    def compare(
        self, encoder: str, metrics: Metrics = None, *, test: SeedTest = "paired", adjust: Adjustment = "holm"
    ) -> pd.DataFrame:
        """Compare an encoder, the reference, with the best other model at each condition.

        The best other model has the highest mean, or the lowest where ``better`` is ``lower``. Chance levels are not
        compared.

        Args:
            encoder: Name of the encoder.
            metrics: Names of metrics, or names by task; by default all.
            test: t-test over seeds of the columns ``p`` and ``t``: ``paired`` or ``welch``.
            adjust: Adjustment of p-values: ``holm``, or ``bh`` for Benjamini–Hochberg.

        Returns:
            Data frame with one row per condition and metric. ``difference`` is encoder − ``best_other``, with the 95 %
            interval ``low``, ``high``. ``p_crossed`` is the crossed test, for other test patients and other heads (and
            what else differs between the seeds, as ``generalizes_to`` says) at once. ``p_crossed_selected`` is adjusted
            for the choice of the best among the ``compared_pairs`` of the encoder with another model;
            ``p_crossed_adjusted``, which decides ``certainty``, is adjusted over the returned rows as well.
            ``certainty`` is ``significant``, ``not significant`` or ``no test``, ``patients`` and ``n`` are the numbers
            of test patients and of shared seeds, ``needed`` says how many patients or seeds a study of this pair alone
            would need to detect the difference, and ``warning`` what limits the test.

            ``p`` is the two-sided t-test over the seeds, as in the papers, which is anti-conservative where seeds share
            images. Further tests are ``p_corrected`` (Nadeau and Bengio, for seeds that are overlapping splits),
            ``p_patients`` (bootstrap over test patients, with the heads as trained, and its interval ``low_patients``,
            ``high_patients``), ``p_paired``, ``p_welch``, ``p_wilcoxon`` (at least ``wilcoxon_smallest_p``),
            ``p_delong`` (AUROC of one class), ``p_permutation`` (paired permutation by patient) and ``p_gee``
            (generalised estimating equations, for means over images).
            ``p_predictions`` is the t-test on predictions of the foundation-model paper's Figure 4, paired by image,
            which is no test of the metric (``p_predictions_unpaired``: unpaired). ``effect`` is the effect size that
            ``effect_is`` names. Columns that end in ``_adjusted`` are adjusted over the returned rows. Columns that
            start with ``reason`` explain missing numbers.

        Raises:
            StoreError: The encoder or a metric is not in these results.
            SettingsError: ``test`` or ``adjust`` has an unknown value.
        """
        procedure = Procedure(test, adjust)
        known = sorted(set(self._select(metrics).encoder))
        if encoder not in known:
            raise StoreError(_unknown_model(encoder, known))
        comparisons = self.comparisons(metrics, select_against_best(encoder), procedure)
        return sort_rows(comparisons_frame(comparisons), [*CONDITION, "metric"])

    def diagnosis(self, operating_point: str | OperatingPoint = "youden") -> pd.DataFrame:
        """Metrics of each class as a diagnostic test, at thresholds that are chosen on the validation images.

        Args:
            operating_point: ``youden``, ``sensitivity:0.9``, ``specificity:0.95``, or any other target.

        Returns:
            Data frame with one row per model, condition, class and metric, see
            `f2vbench.analysis.diagnosis.diagnosis_frame`; empty without classification units.

        Raises:
            SettingsError: The operating point cannot be read.
            StoreError: A file of predictions is missing or damaged.
        """
        point = as_operating_point(operating_point)
        if point not in self._diagnosis:
            self._diagnosis[point] = diagnosis_frame(self.records, self.predictions, point)
        return self._diagnosis[point]

    def subgroups(self, by: str | Sequence[str] | SubgroupRequest, metrics: Metrics = None) -> Subgroups:
        """Results of subgroups of the test images, and the gap between the best and the worst.

        Args:
            by: Columns of the data set's table, such as ``sex`` and ``age``; or a `SubgroupRequest`, which has the
                bands of age and the operating point for sensitivity and specificity of binary tasks.
            metrics: Names of metrics, or names by task; by default the main metric of each task.

        Returns:
            Data frames ``groups`` and ``gaps``, see `f2vbench.analysis.subgroups.Subgroups`.

        Raises:
            SettingsError: No unit has a column, or its values cannot be divided into subgroups.
            StoreError: A metric is not in these results.
        """
        request = as_request(by)
        if metrics is None:
            metrics = {task: names[:1] for task, names in self.main_metrics.items()}
        selected = self._select(metrics)
        by_task = {str(task): tuple(dict.fromkeys(rows.metric)) for task, rows in selected.groupby("task", sort=False)}
        key = request, *by_task.items()
        if key not in self._subgroups:
            self._subgroups[key] = compute_subgroups(
                self.crossed_scores, self.records, self.predictions, by_task, request
            )
        return self._subgroups[key]

    def check_reference(self, encoder: str | None) -> None:
        """Refuse a reference model without results; None is allowed.

        Raises:
            SettingsError: The model has no results.
        """
        known = sorted(set(self.frame.encoder))
        if encoder is not None and encoder not in known:
            raise SettingsError(f"baseline={encoder}: {_unknown_model(encoder, known)}")

    def comparisons(
        self,
        metrics: Metrics = None,
        select: PairSelection | None = None,
        procedure: Procedure = _DEFAULT_PROCEDURE,
        summary: pd.DataFrame | None = None,
    ) -> list[ModelComparison]:
        """Compare pairs of models at each condition.

        Args:
            metrics: Names of metrics, or names by task; by default all.
            select: Selects the pairs; by default the best with the second model, and the best trained model with the
                best baseline.
            procedure: t-test over seeds and adjustment of p-values.
            summary: `summary` of these metrics, where it was computed before.

        Returns:
            Comparisons, with p-values adjusted over all of them.
        """
        summary = self.summary(metrics, interval="student") if summary is None else summary  # only the means are used
        measured = summary[~summary.metric.str.endswith(CHANCE)]
        return compare_models(measured, select or select_key_pairs(), self._tester, procedure, self._progress)

    def to_csv(self, path: str | Path) -> None:
        """Write ``frame`` as CSV; equal results give equal bytes."""
        write_csv(self.frame, Path(path))

    @cached_property
    def _tester(self) -> PairTester:
        return PairTester(self.records, self.predictions, self.crossed_scores)

    def _select(self, metrics: Metrics) -> pd.DataFrame:
        """Rows of ``frame`` of some metrics."""
        if metrics is None:
            return self.frame
        if isinstance(metrics, Mapping):
            pairs = {(task, name) for task, names in metrics.items() for name in names}
            return self.frame[[pair in pairs for pair in zip(self.frame.task, self.frame.metric, strict=True)]]
        for name in metrics:
            if name not in self.metrics:
                hint = did_you_mean(name, self.metrics)
                raise StoreError(f"metric '{name}' is not in these results{hint}; available: {', '.join(self.metrics)}")
        return self.frame[self.frame.metric.isin(list(metrics))]


def _unknown_model(name: str, known: Sequence[str]) -> str:
    return f"no results of '{name}'{did_you_mean(name, known)}; available: {', '.join(known)}"
