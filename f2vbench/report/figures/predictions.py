"""Stored predictions of classification units on their test images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.source import Source
from f2vbench.store.record_schema import UnitRecord


class LabelledScores(NamedTuple):
    """Scores of a binary problem, (n,), and whether each is of a positive, (n,) bool."""

    scores: NDArray[np.floating]
    labels: NDArray[np.bool_]

    @property
    def has_both_classes(self) -> bool:
        """Whether there are positives and negatives, so that curves are defined."""
        return bool(self.labels.any() and not self.labels.all())


@dataclass(frozen=True)
class Predictions:
    """Predictions of one unit for its test images.

    Attributes:
        kind: ``binary``, ``nominal``, ``ordinal`` or ``multilabel``.
        classes: Names of the k classes.
        probabilities: (n, k) in [0, 1].
        targets: (n, k) bool.
    """

    kind: str
    classes: Sequence[str]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.bool_]

    def one_vs_rest(self) -> list[LabelledScores]:
        """Scores and labels of each class against the rest, or of the positive class of a binary problem.

        Classes without positive or without negative test images are left out.
        """
        columns = [1] if self.kind == "binary" else range(len(self.classes))
        pairs = [LabelledScores(self.probabilities[:, c], self.targets[:, c]) for c in columns]
        return [pair for pair in pairs if pair.has_both_classes]


def load_predictions(source: Source, record: UnitRecord) -> Predictions:
    """Load the predictions of a classification unit.

    Args:
        source: RunResults that have the record.
        record: Record of the unit.

    Returns:
        Its predictions.

    Raises:
        NotStored: The unit stores no predictions, or its run folder is unknown.
        StoreError: The file is missing or damaged.
    """
    arrays, result = source.stored.predictions(record), record["result"]
    probabilities, targets = arrays["probabilities"].astype(np.float64), arrays["targets"].astype(bool)
    return Predictions(result["label_kind"], result["classes"], probabilities, targets)


def conditions_with_predictions(source: Source, kinds: Sequence[str] = ()) -> dict[str, list[Condition]]:
    """Conditions of classification tasks whose units store predictions.

    Args:
        source: RunResults.
        kinds: Kinds of labels to include; by default all.

    Returns:
        Task → its conditions.
    """
    stored = {
        Condition.from_record(record)
        for record in source.records
        if record.get("family") == "classification"
        and record["result"].get("predictions")
        and (not kinds or record["result"]["label_kind"] in kinds)
    }
    by_task: dict[str, list[Condition]] = {}
    for condition in source.conditions("classification"):
        if condition in stored:
            by_task.setdefault(condition.task, []).append(condition)
    return by_task


def largest_conditions(source: Source, family: str) -> dict[str, Condition]:
    """Condition with the most support images of each task of a family whose units store predictions.

    Args:
        source: RunResults.
        family: Task family. Its trained heads come before its probes.

    Returns:
        Task → condition.
    """

    def rank(condition: Condition) -> tuple[bool, float]:
        return condition.protocol in (
            "few-shot",
            "supervised",
        ), math.inf if condition.shots is None else condition.shots

    stored = [each for each in source.conditions(family) if records_with_predictions(source, each)]
    return {each.task: each for each in sorted(stored, key=rank)}


def records_with_predictions(source: Source, condition: Condition) -> dict[str, list[UnitRecord]]:
    """Records of a condition that store predictions: encoder → records, sorted by seed."""
    by_encoder = {
        name: [record for record in records if record["result"].get("predictions")]
        for name, records in source.records_at(condition).items()
    }
    return {name: records for name, records in by_encoder.items() if records}


def explain_missing_predictions(source: Source) -> str | None:
    """Explain why there are no predictions to draw; None if there are."""
    if conditions_with_predictions(source):
        return None
    if source.tasks("classification"):
        return "the units of classification tasks store no predictions"
    return "no classification units, whose predictions it needs"
