"""Paired results of two models on the same test images, as tests over patients need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from f2vbench.analysis.metric_inputs import NO_PATIENTS, MetricInputs, Predictions, metric_inputs
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
    return _mismatch(*sides) or _stack(*sides)


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
