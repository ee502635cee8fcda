"""What classifiers said of their test images, as the units store it, and curves of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2vbench.report.figures.source import Place, Source
from f2vbench.store.record_schema import UnitRecord

Pair = tuple[NDArray[np.floating], NDArray[np.bool_]]
"""(n,) scores and labels."""
GRID = np.linspace(0, 1, 201)
"""Of false positive rate and of recall, where curves of several classes and seeds meet."""


@dataclass(frozen=True)
class Predicted:
    """One unit's test images.

    Attributes:
        kind: ``binary``, ``nominal``, ``ordinal`` or ``multilabel``.
        probabilities: (n, k) in [0, 1].
        targets: (n, k) bool.
    """

    kind: str
    classes: Sequence[str]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.bool_]

    def against_rest(self) -> list[Pair]:
        """Scores and labels of each class that has test images on both sides; where binary, of the positive class."""
        columns = [1] if self.kind == "binary" else range(len(self.classes))
        pairs = [(self.probabilities[:, c], self.targets[:, c]) for c in columns]
        return [(scores, labels) for scores, labels in pairs if labels.any() and not labels.all()]


def predicted(source: Source, record: UnitRecord) -> Predicted:
    """A classification unit's predictions.

    Raises:
        NotStored, StoreError: as `Source.predictions`.
    """
    arrays, result = source.predictions(record), record["result"]
    probabilities, targets = arrays["probabilities"].astype(np.float64), arrays["targets"].astype(bool)
    return Predicted(result["label_kind"], result["classes"], probabilities, targets)


def places_predicted(source: Source, kinds: Sequence[str] = ()) -> dict[str, list[Place]]:
    """Classification tasks → their places whose units store predictions.

    Args:
        kinds: of labels that count; by default all.
    """
    held = {
        (record["unit"]["task"], record["unit"]["protocol"], record["unit"]["shots"])
        for record in source.records
        if record.get("family") == "classification"
        and record["result"].get("predictions")
        and (not kinds or record["result"]["label_kind"] in kinds)
    }
    found: dict[str, list[Place]] = {}
    for place in source.places("classification"):
        if (place.task, place.protocol, place.shots) in held:
            found.setdefault(place.task, []).append(place)
    return found


def lacks_predictions(source: Source) -> str | None:
    """Why there are no figures of predictions, or None."""
    if places_predicted(source):
        return None
    if source.tasks("classification"):
        return "the units of classification tasks here name no stored predictions"
    return "no classification units, whose predictions it is drawn from"


def roc_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """True positive rate at each false positive rate of `GRID`, straight lines between distinct scores."""
    false, true = _counts(scores, labels)
    return np.interp(GRID, np.append(0, false / false[-1]), np.append(0, true / true[-1]))


def precision_recall_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Precision at each recall of `GRID`: of the highest threshold that reaches it, so that the area is the average
    precision Σ (Rₙ − Rₙ₋₁) Pₙ."""
    false, true = _counts(scores, labels)
    recall, precision = true / true[-1], true / (true + false)
    reaches = np.searchsorted(recall, GRID - 1e-12, side="left")
    return precision[np.minimum(reaches, len(precision) - 1)]


def _counts(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """False and true positives at each distinct score, falling."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    true = np.cumsum(labels[order])[last]
    return np.flatnonzero(last) + 1 - true, true
