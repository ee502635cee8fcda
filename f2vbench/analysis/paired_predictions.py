"""What two models said of the same test images at the same seeds, as tests over patients take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from f2vbench.stats.weighted_metrics import METRICS, WeightedMetric, mean_over_classes
from f2vbench.store.record_schema import UnitRecord

Predictions = Callable[[UnitRecord], dict[str, np.ndarray]]
_OF_PREDICTIONS = ("auroc", "average_precision")
NO_PATIENTS = "the records don't tell whose images were tested; an older version made them: run again in a new folder"


@dataclass(frozen=True)
class Cases:
    """Test images of all seeds one below the other.

    Attributes:
        first, second: (n, 1 + k) number of the seed, then the image's value or the probabilities of k classes.
        labels: (n,) or (n, k) of 0 and 1; None where the two hold values of images, which are averaged.
        patients: (n,) whose image each is.
        metric: of one seed's images.
    """

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray | None
    patients: np.ndarray
    metric: WeightedMetric

    def by_seed(self) -> list[np.ndarray]:
        """Rows of each seed."""
        return [np.flatnonzero(self.first[:, 0] == seed) for seed in np.unique(self.first[:, 0])]


def value_of(record: UnitRecord, metric: str) -> Any:
    """A unit's value, or None."""
    return record["result"]["metrics"].get(metric)


def cases_of(
    first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str, predictions: Predictions
) -> Cases | str:
    """The images of two models' units, seed by seed; or why the metric can't be made from what is stored of them.

    Args:
        predictions: reads the stored arrays of a record, for metrics that are no mean over images.
    """
    if any("patients" not in record["result"]["episode"] for record in (*first, *second)):
        return NO_PATIENTS
    if any(
        a["result"]["episode"]["test"] != b["result"]["episode"]["test"] for a, b in zip(first, second, strict=True)
    ):
        return "the two were tested on different images"
    found = _by_image(first, second, metric) or _by_prediction(first, second, metric, predictions)
    return found or "this metric is not a mean over images, and not made from stored predictions"


def _by_image(first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str) -> Cases | None:
    """Values of the single images, where their mean is the unit's value."""
    rows: list[tuple[int, float, float, str]] = []
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        held = [record["result"]["per_image"] for record in (one, other)]
        images = [image for image in held[0] if image in held[1]]
        values = [[side[image].get(metric) for image in images] for side in held]
        known = [[value for value in side if value is not None] for side in values]
        if not images or known != values:
            return None
        for record, side in zip((one, other), known, strict=True):
            if abs(float(np.mean(side)) - value_of(record, metric)) > 1e-9 * max(1.0, abs(float(np.mean(side)))):
                return None
        patient_of = _patient_of(one)
        rows += [(number, *pair, patient_of[image]) for image, *pair in zip(images, *values, strict=True)]
    seed, a, b, patients = zip(*rows, strict=True)
    stacked, others = (np.column_stack([seed, side]) for side in (a, b))
    return Cases(stacked, others, None, np.array(patients), METRICS["mean"])


def _by_prediction(
    first: Sequence[UnitRecord], second: Sequence[UnitRecord], metric: str, predictions: Predictions
) -> Cases | None:
    """Stored probabilities and labels of the test images, where the metric made from them is the unit's value."""
    if metric not in _OF_PREDICTIONS:
        return None
    sides: list[list[np.ndarray]] = [[], []]
    labels, patients = [], []
    for number, pair in enumerate(zip(first, second, strict=True)):
        for record, side in zip(pair, sides, strict=True):
            result = record["result"]
            if "predictions" not in result or result.get("images") != result["episode"]["test"]:
                return None
            held = predictions(record)
            scores, targets = held["probabilities"], held["targets"].astype(int)
            if result["label_kind"] == "binary":
                scores, targets = scores[:, 1:], targets[:, 1:]
            how = METRICS[metric] if scores.shape[1] == 1 else mean_over_classes(metric)
            shaped = (scores[:, 0], targets[:, 0]) if scores.shape[1] == 1 else (scores, targets)
            value = float(how.prepare(*shaped)(np.ones((1, len(scores))))[0])
            if not abs(value - value_of(record, metric)) < 1e-6:
                return None
            side.append(np.column_stack([np.full(len(scores), number), scores]))
        labels.append(shaped[1])
        patients += [_patient_of(pair[0])[image] for image in pair[0]["result"]["images"]]
    a, b = (np.concatenate(side) for side in sides)
    return Cases(a, b, np.concatenate(labels), np.array(patients), how)


def _patient_of(record: UnitRecord) -> dict[str, str]:
    episode = record["result"]["episode"]
    return dict(zip(episode["test"], episode["patients"], strict=True))
