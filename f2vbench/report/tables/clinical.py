"""Clinical tables of a report, each made on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.report.tables.diagnosis import diagnosis_tables
from f2vbench.report.tables.table import Table
from f2vbench.report.text.wording import TaskNames

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults


@dataclass(frozen=True)
class ClinicalSettings:
    """Which clinical tables a report has.

    Attributes:
        operating_point: Rule that chooses thresholds; None for no tables of operating points and calibration.
    """

    operating_point: OperatingPoint | None = None


def clinical_tables(results: RunResults, settings: ClinicalSettings, names: TaskNames) -> list[Table]:
    """Make the clinical tables that the settings request.

    Args:
        results: RunResults of any tasks.
        settings: Which tables to make.
        names: Names of tasks and conditions.

    Returns:
        Tables; empty where nothing is requested, or where no classification unit stores predictions.
    """
    tables: list[Table] = []
    if settings.operating_point is not None:
        tables += diagnosis_tables(results.diagnosis(settings.operating_point), settings.operating_point, names)
    return tables
