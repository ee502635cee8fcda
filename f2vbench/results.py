"""Results: the tidy table of a run folder, summaries over seeds, and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from f2vbench.analysis.comparisons import Compared, Pairs, against_best, as_frame, compared, pairs_that_matter
from f2vbench.analysis.cost_frame import cost_frame
from f2vbench.analysis.frames import (
    PLACE,
    chance_levels,
    in_order,
    tidy,
    tidy_attention,
    tidy_images,
    warnings_of,
)
from f2vbench.analysis.load_runs import merged
from f2vbench.errors import StoreError, did_you_mean
from f2vbench.metrics.names import CHANCE
from f2vbench.stats.intervals import normal_interval
from f2vbench.stats.procedure import Adjustment, Procedure, SeedTest
from f2vbench.stats.result_classes import Variation
from f2vbench.store.record_schema import CallRecord, CostRecord, UnitRecord
from f2vbench.utils.files import write_atomically, write_csv
from f2vbench.utils.progress import Progress, Silent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from f2vbench.report.stored_data import StoredData
    from f2vbench.report.writers.rendered_table import RenderedTable

_SEEDS_VARY: Variation = ("split", "episode", "head seed")
_AS_IN_THE_PAPERS = Procedure()
_SHOWN = 2  # where records are older than the names of main metrics
Metrics = Iterable[str] | Mapping[str, Iterable[str]] | None


class Results:
    """What one or several run folders hold, whole or unfinished.

    Attributes:
        frame: one row a (unit, metric): encoder, weights, task, protocol, shots (missing when supervised), seed,
            metric, value (missing with a ``reason``), unit (its fingerprint), baseline.
        families: task → its family.
        attention: one row a (unit, class, part) of the fusions by soft attention: encoder, task, protocol, shots, seed,
            class, part (one of the joined encoders), weight (mean over the test images of the class, 0 to 1).
        lower_is_better: names of the metrics of which less is better, as their families say.
        notes: damaged files that were set aside, untrained weights, missing seeds, the level of chance.
        records: of the units, as the run folders hold them.
        sources: the folder of each record; empty where the records were handed over.
        calls: settings and provenance of the calls that made them.
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
        self.frame = tidy(records)
        self.attention = tidy_attention(records)
        # Records of the time when there was one family do not name it.
        self.families = {record["unit"]["task"]: record.get("family", "segmentation") for record in records}
        self.lower_is_better = frozenset(name for record in records for name in record.get("lower_is_better", ()))
        self.notes = [*notes, *warnings_of(self.frame), *chance_levels(self.frame)]

    @classmethod
    def load(cls, *folders: str | Path, progress: Progress | None = None) -> Results:
        """Read one or several run folders, whole or unfinished.

        Args:
            progress: told of comparisons where they are many; such as `f2vbench.utils.progress.for_this_terminal()`.

        Raises:
            StoreError: a folder is no run, none holds a finished unit, or two hold the same unit, or the same model,
                made with other data, settings or weights; told with both folders.
        """
        found = merged(folders)
        return cls(found.records, found.notes, found.sources, found.calls, found.costs, progress)

    @cached_property
    def cost(self) -> pd.DataFrame:
        """What encoding costs beside what is reached with it: `f2vbench.analysis.cost_frame.cost_frame`."""
        main = {task: metrics[0] for task, metrics in self.main_metrics.items() if metrics}
        return cost_frame(self.frame, self.records, self._costs, main)

    @cached_property
    def per_image(self) -> pd.DataFrame:
        """One row a (unit, image, metric): encoder, task, protocol, shots, seed, image, metric, value."""
        return tidy_images(self.records)

    def predictions(self, record: UnitRecord) -> dict[str, np.ndarray]:
        """The arrays stored with a record of these results.

        Raises:
            StoreError: its folder is not known, or the file is gone or damaged.
        """
        return self.stored.predictions(record)

    @cached_property
    def stored(self) -> StoredData:
        """Predictions, score maps, photographs and embeddings that are stored for these results."""
        from f2vbench.report.stored_data import StoredData

        return StoredData(self.records, self.sources, self.calls)

    @property
    def main_metrics(self) -> dict[str, list[str]]:
        """Task → the metrics that its family shows where nobody names others, the main one first."""
        return {
            record["unit"]["task"]: list(record.get("main_metrics") or list(record["result"]["metrics"])[:_SHOWN])
            for record in self.records
        }

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics."""
        return list(dict.fromkeys(self.frame.metric))

    def summary(self, metrics: Metrics = None) -> pd.DataFrame:
        """Mean over seeds of each (task, protocol, shots, encoder, metric).

        Args:
            metrics: names, or names by task; by default all.

        Returns:
            with ``better`` (``higher`` or ``lower``), ``n``, ``mean``, ``sd`` (n − 1), ``low`` and ``high`` (95 %: 1.96
            standard errors) and ``reason`` where there is no value; the best mean of each place first.
        """
        rows = []
        chosen = self._chosen(metrics)
        for key, group in chosen.groupby([*PLACE, "encoder", "metric"], dropna=False, sort=False):
            *place, encoder, metric = key
            values = group.value.dropna().to_numpy(float)
            row = dict(zip(PLACE, place, strict=True)) | {"encoder": encoder, "weights": group.weights.iloc[0]}
            row |= {"baseline": bool(group.baseline.iloc[0]), "metric": metric, "better": self._better(metric)}
            row |= {"n": len(values), "reason": ""}
            if len(values):
                found = normal_interval(values, variation=_SEEDS_VARY)
                row |= {"mean": found.value, "sd": found.sd, "low": found.low, "high": found.high}
            if len(values) < len(group):
                row["reason"] = f"{len(group) - len(values)} of {len(group)} seeds without a value: " + "; ".join(
                    sorted(set(group.reason[group.value.isna()]))
                )
            rows.append(row)
        numbers = ("n", "mean", "sd", "low", "high")
        columns = [*PLACE, "encoder", "weights", "baseline", "metric", "better", *numbers, "reason"]
        table = pd.DataFrame(rows, columns=columns)
        table["shots"] = table.shots.astype("Int64")
        table = table.astype(dict.fromkeys(numbers[1:], float))
        table["rank"] = table["mean"].where(table.better == "lower", -table["mean"])
        return in_order(table, [*PLACE, "metric", "rank"]).drop(columns="rank")

    def compare(
        self, encoder: str, metrics: Metrics = None, *, test: SeedTest = "paired", adjust: Adjustment = "holm"
    ) -> pd.DataFrame:
        """An encoder against the best other model at each place, asked three questions, and by other tests.

        ``p`` is the papers' two-sided t-test, paired over the ``n`` shared seeds; where seeds share images it is too
        sure of itself. ``p_corrected`` is Nadeau and Bengio's for seeds that are overlapping splits. ``p_patients``,
        ``low`` and ``high`` (95 %, of the difference) are of a bootstrap over the ``patients`` tested, for the heads as
        they were trained. Beside them are ``p_paired``, ``p_welch``, ``p_wilcoxon`` (which can't be below
        ``wilcoxon_smallest_p``), ``p_delong`` (AUROC of two classes), ``p_permutation`` (models swapped by patient)
        and ``effect`` with its interval, which ``effect_is`` names. Each ``…_adjusted`` is adjusted over the rows
        returned. Where a number can't be had, ``reason…`` says why. The best other has the highest mean, or the
        lowest where ``better`` says so; ``difference`` is encoder − other in either case. Levels of chance are not
        compared.

        Args:
            test: what ``p`` is, ``paired`` or ``welch``.
            adjust: ``holm``, or ``bh`` for Benjamini–Hochberg.

        Raises:
            StoreError: the encoder isn't in these results.
            SettingsError: another test or adjustment.
        """
        procedure = Procedure(test, adjust)
        known = sorted(set(self._chosen(metrics).encoder))
        if encoder not in known:
            raise StoreError(
                f"no results of '{encoder}' here{did_you_mean(encoder, known)}; there are {', '.join(known)}"
            )
        return in_order(as_frame(self.comparisons(metrics, against_best(encoder), procedure)), [*PLACE, "metric"])

    def comparisons(
        self, metrics: Metrics = None, pairs: Pairs | None = None, procedure: Procedure = _AS_IN_THE_PAPERS
    ) -> list[Compared]:
        """Pairs of models at each place, tested; by default the best with the second, and with the best baseline."""
        summary = self.summary(metrics)
        real = summary[~summary.metric.str.endswith(CHANCE)]
        return compared(self.records, real, self.predictions, pairs or pairs_that_matter(), procedure, self._progress)

    def to_csv(self, path: str | Path) -> None:
        """Write the tidy frame; equal results give equal bytes."""
        write_csv(self.frame, Path(path))

    def table(self, name: str) -> RenderedTable:
        """One of the papers' tables: ``supp-1`` to ``supp-7``, or ``table-1`` of videos.

        Raises:
            StoreError: no such table, or nothing in these results for it.
        """
        from f2vbench.report.content import table_named

        return table_named(self, name)

    def figure(self, name: str, style: str = "nature") -> Figure:
        """A figure by its name, such as ``few-shot-segmentation``, or the paper's number, ``fig3``.

        Where a kind has several (one a task), the first. Its ``savefig`` writes in the style, with fonts embedded.

        Raises:
            SettingsError: no such figure or style.
            StoreError: nothing in these results for it.
        """
        from f2vbench.report.figures.catalogue import draw_figures, missing_figures

        reasons = missing_figures(self, [name])
        if reasons:
            raise StoreError(f"nothing for figure {name}: {'; '.join(reasons.values())}")
        return next(draw_figures(self, [name], style)).figure

    def to_latex(self, path: str | Path, metrics: Sequence[str] | None = None, *, second: bool = False) -> None:
        """Write all tables as a LaTeX document with booktabs, which compiles alone."""
        from f2vbench.report.content import content
        from f2vbench.report.writers.latex import document

        write_atomically(Path(path), document(content(self, metrics).tables, second=second).encode())

    def report(self, out: str | Path, **words: Any) -> list[Path]:
        """Write a report; ``words`` are the keys of `f2vbench report` but ``run`` and ``out``. Returns its files.

        Raises:
            SettingsError: all problems of the arguments at once.
            StoreError: a file can't be written.
        """
        from f2vbench.config.parsing import build
        from f2vbench.report.settings import ReportSettings
        from f2vbench.report.writers.write_report import write_report

        settings = build(ReportSettings, words)
        metrics = self.metrics if settings.metric == ["all"] else settings.metric
        parts = write_report(self, Path(out), settings, metrics, settings.baseline)
        return [path for _, paths in parts for path in paths]

    def _better(self, metric: str) -> str:
        return "lower" if metric in self.lower_is_better else "higher"

    def _chosen(self, metrics: Metrics) -> pd.DataFrame:
        if metrics is None:
            return self.frame
        if isinstance(metrics, Mapping):
            wanted = {(task, name) for task, names in metrics.items() for name in names}
            return self.frame[[pair in wanted for pair in zip(self.frame.task, self.frame.metric, strict=True)]]
        for name in metrics:
            if name not in self.metrics:
                hint = did_you_mean(name, self.metrics)
                raise StoreError(f"metric '{name}' is not in these results{hint}; there are {', '.join(self.metrics)}")
        return self.frame[self.frame.metric.isin(list(metrics))]
