"""Paired results of two models on the same test images, as tests over patients need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from f2vbench.analysis.metric_inputs import NO_PATIENTS, MetricInputs, Predictions, mean_inputs, metric_inputs
from f2vbench.stats.weighted_metrics import WeightedMetric
from f2vbench.store.record_schema import UnitRecord


@dataclass(frozen=True)
class PairedCases:
    """Test images of all seeds, stacked.

    Attributes:
        first: (n, 1 + k) results of the first model: the index of the seed, then the value of the image or the
            probabilities of k classes.
        second: (n, 1 + k) results of the second model.
        labels: (n,) or (n, k) labels of 0 and 1; None where the results are values of images, which are averaged.
        patients: (n,) patient of each image.
        metric: Metric of the images of one seed.
    """

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray | None
    patients: np.ndarray
    metric: WeightedMetric

    def rows_by_seed(self) -> list[np.ndarray]:
        """Row indices of each seed."""
        return [np.flatnonzero(self.first[:, 0] == seed) for seed in np.unique(self.first[:, 0])]


def pair_cases(
    first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str, predictions: Predictions
) -> PairedCases | str:
    """Pair the test images of two models seed by seed.

    Args:
        first: Records of the first model, by seed.
        second: Records of the second model at the same seeds.
        metric: Name of the metric; both models have a value of it at every seed.
        predictions: Loads the stored arrays of a record, for metrics that are not a mean over images.

    Returns:
        The paired cases, or the reason why the metric cannot be computed from the stored results.
    """
    sides = _paired_inputs(first, second, metric, predictions)
    return sides if isinstance(sides, str) else _stack(*sides)


class ImageValues(NamedTuple):
    """Values of two models, (n,), for the same images, and the patient of each image."""

    first: np.ndarray
    second: np.ndarray
    patients: np.ndarray


def image_values(first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str) -> ImageValues | None:
    """Value of each test image, the mean over the seeds that test it, where the metric is the mean of such values.

    Args:
        first: Records of the first model, by seed.
        second: Records of the second model at the same seeds and with the same test images.
        metric: Name of the metric; ``accuracy`` is the mean of ``correct``.

    Returns:
        Values of both models; None where the metric is not a mean over images.
    """
    patient_of: dict[str, str] = {}
    means: list[dict[str, float]] = []
    for records in (first, second):
        by_image: dict[str, list[float]] = {}
        for record in records:
            inputs = mean_inputs(record, metric)
            if inputs is None:
                return None
            patient_of |= zip(inputs.images, inputs.patients.tolist(), strict=True)
            for image, value in zip(inputs.images, inputs.predictions.tolist(), strict=True):
                by_image.setdefault(image, []).append(value)
        means.append({image: float(np.mean(values)) for image, values in by_image.items()})
    images = sorted(means[0].keys() & means[1].keys())
    a, b = (np.array([of_model[image] for image in images]) for of_model in means)
    return ImageValues(a, b, np.array([patient_of[image] for image in images]))


def mean_predictions(
    first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str, predictions: Predictions
) -> tuple[np.ndarray, np.ndarray] | str:
    """One prediction of each of two classifiers for each test image, the mean over the seeds that test the image.

    The prediction of an image is the probability of the positive class (binary labels), of the class of the metric
    (``auroc:<class>``), or of the image's own class. With several labels an image it is the mean over the classes of
    the probability of its own label: p where it has the class, 1 − p where it has not.

    Args:
        first: Records of the first model, by seed.
        second: Records of the second model at the same seeds.
        metric: Name of the metric; both models have a value of it at every seed.
        predictions: Loads the stored arrays of a record.

    Returns:
        (n,) predictions of both models for the same images; or the reason why there are none.
    """
    if "label_kind" not in first[0]["result"]:
        return "the papers test predictions in classification only"
    sides = _paired_inputs(first, second, metric, predictions)
    if isinstance(sides, str):
        return sides
    means = []
    for records, inputs in zip((first, second), sides, strict=True):
        by_image: dict[str, list[float]] = {}
        for record, each in zip(records, inputs, strict=True):
            values = _image_predictions(each, record["result"]["label_kind"])
            for image, value in zip(each.images, values.tolist(), strict=True):
                by_image.setdefault(image, []).append(value)
        means.append(np.array([np.mean(values) for values in by_image.values()]))
    return means[0], means[1]


def _image_predictions(inputs: MetricInputs, label_kind: str) -> np.ndarray:
    """(n,) predictions of the images of a unit; see `mean_predictions`."""
    probabilities, labels = inputs.predictions, inputs.labels
    if labels is None or probabilities.ndim == 1:
        return probabilities
    if label_kind == "binary":
        return np.asarray(probabilities[:, 1])
    if label_kind == "multilabel":
        return np.asarray(np.where(labels == 1, probabilities, 1 - probabilities).mean(axis=1))
    return np.asarray((probabilities * labels).sum(axis=1))


def _paired_inputs(
    first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str, predictions: Predictions
) -> tuple[list[MetricInputs], list[MetricInputs]] | str:
    """Inputs of the metric of both models by seed, for the same images; or the reason why there are none."""
    if any("patients" not in record["result"]["episode"] for record in (*first, *second)):
        return NO_PATIENTS
    if any(
        a["result"]["episode"]["test"] != b["result"]["episode"]["test"] for a, b in zip(first, second, strict=True)
    ):
        return "the two models were tested on different images"
    sides: list[list[MetricInputs]] = [[], []]
    for records, side in zip((first, second), sides, strict=True):
        for record in records:
            inputs = metric_inputs(record, metric, predictions)
            if isinstance(inputs, str):
                return inputs
            side.append(inputs)
    return _mismatch(*sides) or (sides[0], sides[1])


def _mismatch(first: Sequence[MetricInputs], second: Sequence[MetricInputs]) -> str:
    """Why the inputs of two models cannot be paired, or an empty string."""
    if any(a.images != b.images for a, b in zip(first, second, strict=True)):
        return "the two models have values of different images"
    if len({(inputs.metric.name, inputs.predictions.shape[1:]) for inputs in (*first, *second)}) > 1:
        return "the metric is not computed in the same way at all seeds of both models"
    if any(not _equal_labels(a.labels, b.labels) for a, b in zip(first, second, strict=True)):
        return "the two models were tested with different labels"
    return ""


def _equal_labels(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    return first is second if first is None or second is None else np.array_equal(first, second)


def _stack(first: Sequence[MetricInputs], second: Sequence[MetricInputs]) -> PairedCases:
    """Cases of all seeds, below each other."""
    stacked = [
        np.concatenate(
            [np.column_stack([np.full(len(each.images), seed), each.predictions]) for seed, each in enumerate(side)]
        )
        for side in (first, second)
    ]
    labels = [each.labels for each in first if each.labels is not None]
    patients = np.concatenate([each.patients for each in first])
    return PairedCases(stacked[0], stacked[1], np.concatenate(labels) if labels else None, patients, first[0].metric)
