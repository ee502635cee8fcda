"""Clinical tables of a report, each made on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from f2vbench.analysis.comparisons import ModelComparison
from f2vbench.analysis.subgroups import SubgroupRequest
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.report.tables.diagnosis import diagnosis_tables
from f2vbench.report.tables.equivalence import equivalence_table
from f2vbench.report.tables.subgroups import subgroup_tables
from f2vbench.report.tables.table import Table
from f2vbench.report.text.wording import TaskNames

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults


@dataclass(frozen=True)
class ClinicalSettings:
    """Which clinical tables a report has.

    Attributes:
        operating_point: Rule that chooses thresholds; None for no tables of operating points and calibration.
        subgroups: Subgroups to report; None for no tables of subgroups.
        margin: Margin of equivalence and non-inferiority; None for no table.
    """

    operating_point: OperatingPoint | None = None
    subgroups: SubgroupRequest | None = None
    margin: float | None = None


def clinical_tables(
    results: RunResults,
    settings: ClinicalSettings,
    names: TaskNames,
    comparisons: Sequence[ModelComparison],
    metrics: Sequence[str] | None = None,
) -> list[Table]:
    """Make the clinical tables that the settings request.

    Args:
        results: RunResults of any tasks.
        settings: Which tables to make.
        names: Names of tasks and conditions.
        comparisons: Comparisons of the report, for equivalence and non-inferiority.
        metrics: Names of the metrics of subgroups; by default the main metric of each task.

    Returns:
        Tables; empty where nothing is requested, or where no classification unit stores predictions.

    Raises:
        SettingsError: No unit has a column of the subgroups, or its values cannot be divided into subgroups.
    """
    tables: list[Table] = []
    if settings.operating_point is not None:
        tables += diagnosis_tables(results.diagnosis(settings.operating_point), settings.operating_point, names)
    if settings.subgroups is not None:
        tables += subgroup_tables(results.subgroups(settings.subgroups, metrics), names)
    if settings.margin is not None:
        baselines = set(results.frame.encoder[results.frame.baseline])
        table = equivalence_table(comparisons, settings.margin, names, baselines)
        tables += [] if table is None else [table]
    return tables
