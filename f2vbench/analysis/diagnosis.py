"""Classification units as diagnostic tests: operating points, parts of the ROC curve, and calibration.

Each class is a test of its own against the rest; of a binary task, the positive class. Thresholds are chosen on the
validation images of each unit and applied to its test images. Values are means over seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.analysis.metric_inputs import NO_PATIENTS, Predictions
from f2vbench.errors import SettingsError
from f2vbench.metrics.operating_points import OperatingPoint, choose_threshold
from f2vbench.stats.bootstrap import bootstrap_interval
from f2vbench.stats.delong import delong_interval_over_seeds
from f2vbench.stats.proportions import wilson_interval
from f2vbench.stats.weighted_decisions import MULTI_LABEL
from f2vbench.stats.weighted_diagnosis import (
    CALIBRATION,
    DECISIONS,
    partial_auroc_metric,
    sensitivity_at_metric,
    specificity_at_metric,
)
from f2vbench.stats.weighted_metrics import METRICS, WeightedMetric, mean_over_seeds
from f2vbench.store.record_schema import UnitRecord

MAX_FPR = 0.1
"""Largest false positive rate of the partial AUROC."""

TARGETS = (0.9, 0.95)
"""Specificities at which the sensitivity is read from the ROC curve, and the reverse."""

SCORE_METRICS: Mapping[str, WeightedMetric] = {
    "auroc": METRICS["auroc"],
    "partial_auroc": partial_auroc_metric(MAX_FPR),
    **{f"sensitivity@specificity={target:.2f}": sensitivity_at_metric(target) for target in TARGETS},
    **{f"specificity@sensitivity={target:.2f}": specificity_at_metric(target) for target in TARGETS},
    **CALIBRATION,
    "brier": MULTI_LABEL["brier"],
    "calibration_error": MULTI_LABEL["calibration_error"],
}
"""Metrics of the probability of a class, which need no threshold."""

COLUMNS = [*CONDITION, "encoder", "weights", "baseline", "class", "metric", "value", "low", "high"]
COLUMNS += ["low_analytic", "high_analytic", "seeds", "patients", "positive", "negative", "threshold"]
COLUMNS += ["validation_images", "reason"]

NO_VALIDATION = (
    "an earlier version made the records, which have no predictions of the validation images: run again with a new "
    "out= folder"
)
_NO_VALIDATION_IMAGES = "the task has no validation images, on which a threshold is chosen"
_PROPORTIONS = {"sensitivity": (0, 2), "specificity": (1, 3), "ppv": (0, 1), "npv": (2, 3)}
"""Proportion → cells of the table (tp, fp, fn, tn) that its denominator adds up."""


@dataclass(frozen=True)
class SeedCases:
    """A class against the rest at one seed.

    Attributes:
        scores: (n,) probabilities of the test images.
        labels: (n,) bool.
        patients: (n,) patient of each test image; None where the record does not name them.
        threshold: Chosen on the validation images; None where there is none.
        validation_images: Number of validation images.
        reason: Why there is no threshold.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.bool_]
    patients: NDArray[np.str_] | None
    threshold: float | None
    validation_images: int
    reason: str = ""

    @property
    def decisions(self) -> NDArray[np.float64]:
        """(n,) 1 where the score reaches the threshold, else 0."""
        return (self.scores >= (np.inf if self.threshold is None else self.threshold)).astype(np.float64)


def as_operating_point(point: str | OperatingPoint) -> OperatingPoint:
    """Read an operating point such as ``sensitivity:0.9``.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        return OperatingPoint.parse(point) if isinstance(point, str) else point
    except ValueError as error:
        raise SettingsError(f"operating_point={point}: {error}") from None


class _Group(NamedTuple):
    """Units of one model at one condition, which differ in the seed."""

    condition: Condition
    encoder: str


def diagnosis_frame(
    records: Iterable[UnitRecord], predictions: Predictions, point: OperatingPoint, replicates: int = 2_000
) -> pd.DataFrame:
    """Metrics of each class of classification units, with intervals.

    Args:
        records: Records of any units; others than classification units with stored predictions are left out.
        predictions: Loads the stored arrays of a record.
        point: Rule that chooses the thresholds.
        replicates: Bootstrap replicates.

    Returns:
        Data frame with the columns `COLUMNS` and one row for each model, condition, class and metric. ``low`` and
        ``high`` are the BCa bootstrap interval over patients of the mean over seeds, for the heads and thresholds as
        they are. ``low_analytic`` and ``high_analytic`` are, for sensitivity, specificity and predictive values,
        Wilson's interval with the mean number of images over seeds, as if images were independent; for ``auroc`` the
        interval of DeLong and Obuchowski, clustered by patient. ``threshold`` is the mean over seeds. Missing numbers
        are NaN, and ``reason`` says why.
    """
    groups: dict[_Group, list[UnitRecord]] = {}
    for record in records:
        if "label_kind" in record["result"] and record["result"].get("predictions"):
            groups.setdefault(_Group(Condition.from_record(record), record["unit"]["encoder"]), []).append(record)
    rows: list[dict[str, Any]] = []
    for group, units in groups.items():
        about = {
            **group.condition._asdict(),
            "encoder": group.encoder,
            "weights": units[0]["weights"],
            "baseline": bool(units[0]["floor"]),
        }
        ordered = sorted(units, key=lambda record: record["unit"]["seed"])
        for name, seeds in load_cases(ordered, predictions, point).items():
            rows += [about | {"class": name} | row for row in _class_rows(seeds, replicates)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["shots"] = frame.shots.astype("Int64")
    return frame


def load_cases(
    records: Sequence[UnitRecord], predictions: Predictions, point: OperatingPoint
) -> dict[str, list[SeedCases]]:
    """Scores, labels and thresholds of each class at each seed.

    Args:
        records: Classification units of one model and condition.
        predictions: Loads the stored arrays of a record.
        point: Rule that chooses the thresholds.

    Returns:
        Class → its cases at each seed; of a binary task only the positive class.

    Raises:
        StoreError: A file of predictions is missing or damaged.
    """
    cases: dict[str, list[SeedCases]] = {}
    for record in records:
        result, arrays = record["result"], predictions(record)
        classes = list(enumerate(result["classes"]))
        for column, name in classes[1:] if result["label_kind"] == "binary" else classes:
            cases.setdefault(name, []).append(_cases_of_class(record, arrays, column, point))
    return cases


def _cases_of_class(
    record: UnitRecord, arrays: Mapping[str, NDArray[Any]], column: int, point: OperatingPoint
) -> SeedCases:
    episode = record["result"]["episode"]
    threshold, reason, count = None, "", 0
    if "validation_probabilities" in arrays:
        scores = arrays["validation_probabilities"][:, column].astype(np.float64)
        labels = arrays["validation_targets"][:, column].astype(bool)
        count = len(labels)
        if labels.any() and not labels.all():
            threshold = choose_threshold(scores, labels, point)
        else:
            reason = f"{'all' if labels.any() else 'none'} of the {count} validation images have the class"
    else:
        reason = NO_VALIDATION if episode.get("val") else _NO_VALIDATION_IMAGES
    return SeedCases(
        arrays["probabilities"][:, column].astype(np.float64),
        arrays["targets"][:, column].astype(bool),
        np.array(episode["patients"]) if "patients" in episode else None,
        threshold,
        count,
        reason,
    )


def _class_rows(seeds: Sequence[SeedCases], replicates: int) -> list[dict[str, Any]]:
    """Rows of a class: metrics of decisions, then metrics of scores."""
    thresholds = [seed.threshold for seed in seeds if seed.threshold is not None]
    common = {
        "seeds": len(seeds),
        "patients": None if seeds[0].patients is None else len(set(np.concatenate(_patients(seeds)).tolist())),
        "positive": float(np.mean([seed.labels.sum() for seed in seeds])),
        "negative": float(np.mean([(~seed.labels).sum() for seed in seeds])),
        "threshold": float(np.mean(thresholds)) if len(thresholds) == len(seeds) else None,
        "validation_images": float(np.mean([seed.validation_images for seed in seeds])),
    }
    without = next((seed.reason for seed in seeds if seed.threshold is None), "")
    rows = []
    for name, metric in DECISIONS.items():
        row: dict[str, Any] = {**common, "metric": name, "reason": without}
        if not without:
            row |= _estimate([seed.decisions for seed in seeds], seeds, metric, replicates)
            if name in _PROPORTIONS and row["value"] is not None:
                row |= _wilson(seeds, name, row["value"])
        rows.append(row)
    for name, metric in SCORE_METRICS.items():
        row = {**common, "metric": name} | _estimate([seed.scores for seed in seeds], seeds, metric, replicates)
        if name == "auroc" and seeds[0].patients is not None:
            clustered = delong_interval_over_seeds(
                [seed.scores for seed in seeds], [seed.labels for seed in seeds], patients=_patients(seeds)
            )
            row |= {"low_analytic": clustered.low, "high_analytic": clustered.high}
        rows.append(row)
    return rows


def _estimate(
    predictions: Sequence[NDArray[np.float64]], seeds: Sequence[SeedCases], metric: WeightedMetric, replicates: int
) -> dict[str, Any]:
    """Mean over seeds with its bootstrap interval over patients."""
    columns = [np.column_stack([np.full(len(of_seed), float(i)), of_seed]) for i, of_seed in enumerate(predictions)]
    stacked, labels = np.concatenate(columns), np.concatenate([seed.labels for seed in seeds])
    averaged = mean_over_seeds(metric)
    if seeds[0].patients is None:
        value = float(averaged.prepare(stacked, labels)(np.ones((1, len(labels))))[0])
        return {"value": None if np.isnan(value) else value, "reason": NO_PATIENTS}
    estimate = bootstrap_interval(
        stacked, labels, metric=averaged, patients=np.concatenate(_patients(seeds)), replicates=replicates
    )
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "reason": estimate.reason}


def _patients(seeds: Sequence[SeedCases]) -> list[NDArray[np.str_]]:
    return [seed.patients for seed in seeds if seed.patients is not None]


def _wilson(seeds: Sequence[SeedCases], name: str, value: float) -> dict[str, float]:
    """Wilson's interval with the mean denominator over seeds."""
    counts = []
    for seed in seeds:
        called = seed.decisions.astype(bool)
        cells = [(called & seed.labels), (called & ~seed.labels), (~called & seed.labels), (~called & ~seed.labels)]
        counts.append(sum(int(cells[cell].sum()) for cell in _PROPORTIONS[name]))
    low, high = wilson_interval(value, float(np.mean(counts)))
    return {"low_analytic": float(low), "high_analytic": float(high)}
