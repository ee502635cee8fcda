"""Metrics of one unit as functions of its test images, for resampling patients.

A metric is either the mean of a value that the record has for each image (Dice, Recall@1, PSNR), or the mean over
classes of such means (macro averages of segmentation), or it is computed from the stored class probabilities (AUROC,
F1, quadratic kappa), numbers (R²) or survival curves (Uno's C). Fréchet distances, metrics of pooled pixels and
retrieval between two modalities are neither: records do not store what a resample of the images would need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from f2vbench.errors import StoreError
from f2vbench.metrics.names import STAND_IN_METRIC
from f2vbench.metrics.survival import prediction_columns, survival_metrics
from f2vbench.stats.weighted_decisions import BINARY, MULTI_LABEL, SINGLE_LABEL
from f2vbench.stats.weighted_metrics import METRICS, WeightedFunction, WeightedMetric, mean_over_classes
from f2vbench.stats.weighted_regression import REGRESSION
from f2vbench.store.record_schema import UnitRecord

Predictions = Callable[[UnitRecord], dict[str, np.ndarray]]
"""Loads the arrays that are stored with a record."""

NO_PATIENTS = (
    "an older version made the records, which do not name the patient of each test image; run the command again with a "
    "new out= folder"
)
NOT_COMPUTABLE = "this metric is not a mean over images and cannot be computed from stored predictions"
_FRECHET = "a Fréchet distance is not a mean over images, and records have no features of single videos"
_POOLED = "this metric is not a mean over images but of their pooled pixels, and records have no pixel counts of images"
_RANKING = ("auroc", "average_precision")
_DECISIONS = {"binary": BINARY, "nominal": SINGLE_LABEL, "ordinal": SINGLE_LABEL, "multilabel": MULTI_LABEL}
"""Kind of labels → metrics of class probabilities."""


@dataclass(frozen=True)
class MetricInputs:
    """Inputs of a metric for the n test images of a unit.

    Attributes:
        images: n image ids.
        patients: (n,) patient of each image.
        predictions: (n,) values of the images, which are averaged; (n, 2 k) values of k classes, 0 where an image has
            none, and whether it has one; or (n,) or (n, k) class probabilities.
        labels: (n,) or (n, k) labels of 0 and 1; None where values are averaged.
        metric: Metric of the predictions and labels; with weights of 1 it equals the stored value of the unit.
    """

    images: tuple[str, ...]
    patients: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray | None
    metric: WeightedMetric

    def weighted_function(self) -> WeightedFunction:
        """Function of (b, n) weights, how often each image counts in each of b resamples → (b,) values, NaN undefined.

        Example: leave one patient out.

            inputs = metric_inputs(record, "balanced_accuracy", results.predictions)
            weights = inputs.patients != np.unique(inputs.patients)[:, None]
            values = inputs.weighted_function()(weights.astype(float))
        """
        return self.metric.prepare(self.predictions, self.labels)


class PredictionMetric(NamedTuple):
    """A metric of stored class probabilities.

    Attributes:
        metric: The weighted metric.
        columns: Columns of the (n, k) probabilities and targets that it takes; with an int, the metric takes (n,).
    """

    metric: WeightedMetric
    columns: int | slice

    def inputs(self, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and labels, (n,) or (n, k), of the arrays ``probabilities`` and ``targets`` of a record."""
        return arrays["probabilities"][:, self.columns], arrays["targets"][:, self.columns].astype(int)


def metric_value(record: UnitRecord, metric: str) -> float | None:
    """Value of a metric of a unit, or None where it is missing."""
    return record["result"]["metrics"].get(metric)


def prediction_metric(record: UnitRecord, metric: str) -> PredictionMetric | None:
    """Weighted metric that computes a metric of a classification unit from its stored probabilities.

    Args:
        record: Record of the unit.
        metric: Name of a metric of `f2vbench.metrics.classification.evaluate`, such as ``f1`` or ``auroc:<class>``.

    Returns:
        The metric and the columns that it takes; None for other metrics and task families.
    """
    kind, classes = record["result"].get("label_kind", ""), record["result"].get("classes", [])
    if kind not in _DECISIONS:
        return None
    name, colon, class_name = metric.partition(":")
    if name in _RANKING:
        if colon:
            return PredictionMetric(METRICS[name], classes.index(class_name)) if class_name in classes else None
        if kind == "binary":
            return PredictionMetric(METRICS[name], 1)
        if len(classes) == 1:
            return PredictionMetric(METRICS[name], 0)
        return PredictionMetric(mean_over_classes(name), slice(None))
    decisions = _DECISIONS[kind].get(metric)
    return None if decisions is None else PredictionMetric(decisions, slice(None))


def metric_inputs(record: UnitRecord, metric: str, predictions: Predictions) -> MetricInputs | str:
    """Inputs from which a metric of a unit is computed for any weights of its test images.

    Args:
        record: Record of the unit.
        metric: Name of the metric.
        predictions: Loads the stored arrays of a record.

    Returns:
        The inputs; or the reason why there are none, such as a metric that cannot be computed from what is stored. The
        metric of the inputs, with weights of 1, is the stored value to 10⁻⁶.
    """
    if metric_value(record, metric) is None:
        return record["result"]["reasons"].get(metric) or "the unit has no value of this metric"
    if "patients" not in record["result"]["episode"]:
        return NO_PATIENTS
    by_image = _values_of_images(record, metric) or _values_of_classes(record, metric)
    if by_image is not None:
        return by_image
    of_classes, of_numbers = prediction_metric(record, metric), _metric_of_numbers(record, metric)
    if (of_classes is None and of_numbers is None) or "predictions" not in record["result"]:
        return _missing_inputs(metric)
    try:
        arrays = predictions(record)
    except StoreError as error:
        return f"the stored predictions cannot be read ({error})"
    images = tuple(record["result"]["episode"]["test"])
    if tuple(record["result"].get("images", ())) != images:
        return "the stored predictions are not those of the test images"
    if of_numbers is not None:
        return _checked(record, metric, _of_numbers(record, of_numbers, arrays))
    return _of_classes(record, metric, of_classes, arrays) if of_classes is not None else _missing_inputs(metric)


def mean_inputs(record: UnitRecord, metric: str) -> MetricInputs | None:
    """Values of the images whose mean is the value of the unit; of ``accuracy`` whether a prediction is correct.

    Args:
        record: Record of the unit, with the patient of each test image.
        metric: Name of the metric.

    Returns:
        The values; None where the metric is not a mean over images.
    """
    inputs = _values_of_images(record, metric)
    return _values_of_images(record, metric, "correct") if inputs is None and metric == "accuracy" else inputs


def _values_of_images(record: UnitRecord, metric: str, name: str = "") -> MetricInputs | None:
    """Values of the images that have the metric, where their mean is the value of the unit.

    Not every image has each metric: a query without relevant images in a variant of retrieval has none. ``name`` is
    that of the values, by default the metric's.
    """
    key = name or metric
    by_image = {image: values[key] for image, values in record["result"]["per_image"].items() if key in values}
    values = [value for value in by_image.values() if value is not None]
    if not values or len(values) < len(by_image):
        return None
    mean, stored = float(np.mean(values)), metric_value(record, metric)
    if stored is None or abs(mean - stored) > 1e-9 * max(1.0, abs(mean)):
        return None
    images = tuple(by_image)
    return MetricInputs(images, _patients_of(record, images), np.array(values), None, METRICS["mean"])


def _metric_of_numbers(record: UnitRecord, metric: str) -> WeightedMetric | None:
    """Weighted metric of a unit of regression or survival; None for other metrics and task families."""
    if "unit_of_numbers" not in record["result"]:
        return None
    horizon = record["result"].get("horizon")
    return REGRESSION.get(metric) if horizon is None else survival_metrics(horizon).get(metric)


def _of_numbers(record: UnitRecord, metric: WeightedMetric, arrays: Mapping[str, np.ndarray]) -> MetricInputs:
    """Stored numbers or survival curves of a unit of regression or survival."""
    images = tuple(record["result"]["episode"]["test"])
    patients = _patients_of(record, images)
    if "survival" in arrays:
        columns = prediction_columns(arrays["time"], arrays["survival"])
        if not metric.name.startswith("integrated_brier"):  # the others read time and risk
            columns = columns[:, :2]
        return MetricInputs(images, patients, columns, arrays["event"].astype(int), metric)
    return MetricInputs(images, patients, np.column_stack([arrays["predicted"], arrays["true"]]), None, metric)


def _values_of_classes(record: UnitRecord, metric: str) -> MetricInputs | None:
    """Values of the images by class, where their macro average is the value of the unit; of segmentation."""
    names = record["result"].get("mask_classes", [])
    per_image = record["result"]["per_image"]
    values = np.array(
        [[row.get(f"{metric}:{name}", np.nan) for name in names] for row in per_image.values()], np.float64
    )
    if not names or np.isnan(values).all(axis=0).any():
        return None
    mean, stored = float(np.nanmean(values, axis=0).mean()), metric_value(record, metric)
    if stored is None or abs(mean - stored) > 1e-9 * max(1.0, abs(mean)):
        return None
    images = tuple(per_image)
    has_class = ~np.isnan(values)
    sums = np.concatenate([np.where(has_class, values, 0.0), has_class], axis=1)
    return MetricInputs(images, _patients_of(record, images), sums, None, METRICS["mean_of_ratios"])


def _of_classes(
    record: UnitRecord, metric: str, chosen: PredictionMetric, arrays: Mapping[str, np.ndarray]
) -> MetricInputs | str:
    """Stored probabilities and labels, where the metric computed from them is the value of the unit."""
    images = tuple(record["result"]["episode"]["test"])
    shape = len(images), len(record["result"]["classes"])
    if any(arrays[name].shape != shape for name in ("probabilities", "targets")):
        return f"the stored predictions are not those of {shape[0]} test images and {shape[1]} classes"
    scores, labels = chosen.inputs(arrays)
    return _checked(record, metric, MetricInputs(images, _patients_of(record, images), scores, labels, chosen.metric))


def _checked(record: UnitRecord, metric: str, inputs: MetricInputs) -> MetricInputs | str:
    """The inputs, where the metric computed from them is the value of the unit."""
    stored = metric_value(record, metric)
    computed = float(inputs.weighted_function()(np.ones((1, len(inputs.images))))[0])
    if stored is None or not abs(computed - stored) < 1e-6:
        return (
            f"the value that follows from the stored predictions, {computed:.6g}, is not the stored one, {stored:.6g}"
        )
    return inputs


def _missing_inputs(metric: str) -> str:
    """Why a metric can neither be averaged over images nor computed from class probabilities."""
    if metric in ("fvd", STAND_IN_METRIC):
        return _FRECHET
    return _POOLED if metric.endswith("_pooled") else NOT_COMPUTABLE


def _patients_of(record: UnitRecord, images: tuple[str, ...]) -> np.ndarray:
    episode = record["result"]["episode"]
    patient_of = dict(zip(episode["test"], episode["patients"], strict=True))
    return np.array([patient_of[image] for image in images])
