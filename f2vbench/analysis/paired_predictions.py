"""Paired results of two models on the same test images, as tests over patients need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from f2vbench.errors import StoreError
from f2vbench.stats.weighted_metrics import METRICS, WeightedMetric, mean_over_classes
from f2vbench.store.record_schema import UnitRecord

Predictions = Callable[[UnitRecord], dict[str, np.ndarray]]
"""Loads the arrays that are stored with a record."""
NO_PATIENTS = (
    "an older version made the records, which do not name the patient of each test image; run the command again with a "
    "new out= folder"
)
_METRICS_OF_PREDICTIONS = ("auroc", "average_precision")


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


def metric_value(record: UnitRecord, metric: str) -> float | None:
    """Value of a metric of a unit, or None where it is missing."""
    return record["result"]["metrics"].get(metric)


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
    if any("patients" not in record["result"]["episode"] for record in (*first, *second)):
        return NO_PATIENTS
    if any(
        a["result"]["episode"]["test"] != b["result"]["episode"]["test"] for a, b in zip(first, second, strict=True)
    ):
        return "the two models were tested on different images"
    try:
        cases = _cases_of_images(first, second, metric) or _cases_of_predictions(first, second, metric, predictions)
    except StoreError as error:
        return f"the stored predictions cannot be read ({error})"
    return cases or "this metric is not a mean over images and cannot be computed from stored predictions"


def _cases_of_images(first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str) -> PairedCases | None:
    """Values of single images, where their mean is the value of the unit."""
    rows: list[tuple[int, float, float, str]] = []
    for seed, pair in enumerate(zip(first, second, strict=True)):
        per_image = [record["result"]["per_image"] for record in pair]
        images = [image for image in per_image[0] if image in per_image[1]]
        sides: list[list[float]] = []
        for record, values_of in zip(pair, per_image, strict=True):
            values = [value for image in images if (value := values_of[image].get(metric)) is not None]
            if not values or len(values) < len(images) or not _is_close(float(np.mean(values)), record, metric):
                return None
            sides.append(values)
        patients = _patient_of_image(pair[0])
        rows += [(seed, a, b, patients[image]) for image, a, b in zip(images, *sides, strict=True)]
    seeds, a, b, patient_ids = zip(*rows, strict=True)
    stacked = [np.column_stack([seeds, side]) for side in (a, b)]
    return PairedCases(stacked[0], stacked[1], None, np.array(patient_ids), METRICS["mean"])


def _is_close(mean: float, record: UnitRecord, metric: str) -> bool:
    value = metric_value(record, metric)
    return value is not None and abs(mean - value) <= 1e-9 * max(1.0, abs(mean))


def _cases_of_predictions(
    first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str, predictions: Predictions
) -> PairedCases | None:
    """Stored probabilities and labels, where the metric computed from them is the value of the unit."""
    if metric not in _METRICS_OF_PREDICTIONS:
        return None
    sides: list[list[np.ndarray]] = [[], []]
    labels, patients = [], []
    for seed, pair in enumerate(zip(first, second, strict=True)):
        for record, side in zip(pair, sides, strict=True):
            result = record["result"]
            value = metric_value(record, metric)
            if value is None or "predictions" not in result or result.get("images") != result["episode"]["test"]:
                return None
            arrays = predictions(record)
            scores, targets = arrays["probabilities"], arrays["targets"].astype(int)
            if result["label_kind"] == "binary":
                scores, targets = scores[:, 1:], targets[:, 1:]
            one_class = scores.shape[1] == 1
            weighted = METRICS[metric] if one_class else mean_over_classes(metric)
            inputs = (scores[:, 0], targets[:, 0]) if one_class else (scores, targets)
            computed = float(weighted.prepare(*inputs)(np.ones((1, len(scores))))[0])
            if not abs(computed - value) < 1e-6:
                return None
            side.append(np.column_stack([np.full(len(scores), seed), scores]))
        labels.append(inputs[1])
        patient_of = _patient_of_image(pair[0])
        patients += [patient_of[image] for image in pair[0]["result"]["images"]]
    stacked = [np.concatenate(side) for side in sides]
    return PairedCases(stacked[0], stacked[1], np.concatenate(labels), np.array(patients), weighted)


def _patient_of_image(record: UnitRecord) -> dict[str, str]:
    episode = record["result"]["episode"]
    return dict(zip(episode["test"], episode["patients"], strict=True))
