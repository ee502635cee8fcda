"""Tables of classification models as diagnostic tests: operating points, and metrics that need no threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from f2vbench.analysis.diagnosis import MAX_FPR, SCORE_METRICS, TARGETS
from f2vbench.analysis.frames import Condition
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.report.tables.results import model_cell
from f2vbench.report.tables.table import Cell, Column, Table, count_cell, text_columns
from f2vbench.report.text.wording import NONE, TaskNames, interval_text, number
from f2vbench.stats.weighted_diagnosis import DECISIONS

_TITLES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "mcc": "MCC",
    "auroc": "AUROC",
    "partial_auroc": f"partial AUROC, FPR ≤ {MAX_FPR:g}",
    **{f"sensitivity@specificity={target:.2f}": f"sensitivity at {target:.2f} specificity" for target in TARGETS},
    **{f"specificity@sensitivity={target:.2f}": f"specificity at {target:.2f} sensitivity" for target in TARGETS},
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "brier": "Brier score ↓",
    "calibration_error": "ECE ↓",
}
_DIGITS = 3
_BOOTSTRAP = (
    "In brackets: 95 % BCa bootstrap interval from 2,000 resamples of test patients, each with all images and at all "
    "seeds, for the trained heads as they are."
)
_LAST = "With several seeds, values are means over seeds."


def diagnosis_tables(frame: pd.DataFrame, point: OperatingPoint, names: TaskNames) -> list[Table]:
    """Make two tables for each task and protocol.

    Args:
        frame: `f2vbench.analysis.diagnosis.diagnosis_frame`.
        point: Rule that chose the thresholds.
        names: Names of tasks and conditions.

    Returns:
        Tables in the order of the frame.
    """
    tables = []
    for (task, protocol), group in frame.groupby(["task", "protocol"], sort=False):
        title = names.condition(Condition(task, protocol, None))
        tables.append(
            Table(
                f"operating-points-{task}-{protocol}",
                f"Operating points: {title}",
                f"Threshold of each seed: {point.sentence} on its validation images (no test image is used); an image "
                "is called positive where its probability reaches the threshold. Each class against the rest. "
                f"Predictive values hold at the prevalence of the test images. {_BOOTSTRAP} After W: Wilson's "
                f"interval, as if images were independent, with the mean number of images over seeds. {_LAST}",
                _columns(("threshold", "validation images"), DECISIONS),
                list(_rows(group, names, list(DECISIONS), with_threshold=True)),
                _notes(group, DECISIONS),
            )
        )
        tables.append(
            Table(
                f"discrimination-{task}-{protocol}",
                f"Discrimination and calibration: {title}",
                f"Each class against the rest. {_BOOTSTRAP} After O: interval of DeLong, clustered by patient "
                "(Obuchowski). Partial AUROC: standardised after McClish. Sensitivity and specificity at fixed values "
                "are read from the test ROC curve, without interpolation, and need no validation images. Calibration "
                "slope (1 is ideal) and intercept (0 is ideal, with the slope fixed at 1): logistic recalibration. "
                f"ECE: expected calibration error in 15 bins. ↓: lower is better. {_LAST}",
                _columns(("positive", "negative"), SCORE_METRICS),
                list(_rows(group, names, list(SCORE_METRICS), with_threshold=False)),
                _notes(group, SCORE_METRICS),
            )
        )
    return tables


def _columns(counts: Sequence[str], metrics: Iterable[str]) -> list[Column]:
    return [
        *text_columns("model", "shots", "class"),
        *(Column(title) for title in counts),
        *(Column(_TITLES[name]) for name in metrics),
    ]


def _rows(
    group: pd.DataFrame, names: TaskNames, metrics: Sequence[str], *, with_threshold: bool
) -> Iterator[list[Cell]]:
    """Rows by number of shots and class, the model with the best AUROC first."""
    by_key: dict[tuple[int | None, str, str], dict[str, Any]] = {}
    for row in group.rename(columns={"class": "class_name"}).itertuples():
        shots = Condition.from_values(row.task, row.protocol, row.shots).shots
        by_key.setdefault((shots, row.class_name, row.encoder), {})[row.metric] = row
    classes = list(dict.fromkeys(name for _, name, _ in by_key))

    def rank(key: tuple[int | None, str, str]) -> tuple[float, int, float]:
        auroc = by_key[key]["auroc"].value
        shots = math.inf if key[0] is None else key[0]
        return shots, classes.index(key[1]), math.inf if pd.isna(auroc) else -auroc

    for key in sorted(by_key, key=rank):
        (shots, class_name, encoder), rows = key, by_key[key]
        first = next(iter(rows.values()))
        cells = [
            model_cell(encoder, first, names.mark(first.task, encoder)),
            Cell(names.shots(first.task, shots) or NONE),
            Cell(class_name),
        ]
        if with_threshold:
            threshold = None if pd.isna(first.threshold) else float(first.threshold)
            cells += [Cell(number(threshold, _DIGITS), threshold), _mean_count(first.validation_images)]
        else:
            cells += [_mean_count(first.positive), _mean_count(first.negative)]
        yield [*cells, *(_metric_cell(rows[name], "O" if name == "auroc" else "W") for name in metrics)]


def _metric_cell(row: Any, analytic: str) -> Cell:
    if pd.isna(row.value):
        return Cell(NONE, reason=row.reason or "undefined, because a denominator is zero")
    second = interval_text(row.low_analytic, row.high_analytic, _DIGITS)
    detail = " ".join(
        filter(None, (interval_text(row.low, row.high, _DIGITS), f"{analytic} {second}" if second else ""))
    )
    return Cell(number(row.value, _DIGITS), float(row.value), detail, reason=row.reason or "")


def _mean_count(count: float) -> Cell:
    """Number of images; of seeds with different numbers the mean."""
    return count_cell(int(count)) if float(count).is_integer() else Cell(f"{count:,.1f}", float(count))


def _notes(group: pd.DataFrame, metrics: Iterable[str]) -> list[str]:
    rows = group[group.metric.isin(list(metrics))]
    return [f"{NONE} {reason}" for reason in dict.fromkeys(filter(None, rows.reason))]
