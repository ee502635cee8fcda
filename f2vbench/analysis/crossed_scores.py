"""Scores of models without single test patients, for intervals and tests over patients and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.metric_inputs import Predictions, metric_inputs, metric_value
from f2vbench.analysis.seed_variation import seed_variation
from f2vbench.stats.jackknife import JackknifeScores, leave_out, patient_groups, patients_of_rarest_class
from f2vbench.stats.result_classes import Variation
from f2vbench.store.record_schema import UnitRecord


@dataclass(frozen=True)
class Design:
    """How the seeds of a condition differ.

    Attributes:
        variation: What differs between seeds.
        split_ratio: Test ÷ training patients where seeds are random splits, else 0.
    """

    variation: Variation
    split_ratio: float


@dataclass(frozen=True)
class _SeedScores:
    """A metric of one unit, whole and without each group of patients; ``groups`` and ``rarest`` of its test set."""

    value: float
    without: NDArray[np.float64]
    patients: frozenset[str]
    rarest: int | None


class CrossedScores:
    """Scores of all models at one condition, computed once and kept.

    Args:
        records: Records of the condition.
        predictions: Loads the stored arrays of a record.
    """

    def __init__(self, records: Iterable[UnitRecord], predictions: Predictions):
        self._predictions = predictions
        self._records: dict[str, dict[int, UnitRecord]] = {}
        for record in records:
            self._records.setdefault(record["unit"]["encoder"], {})[record["unit"]["seed"]] = record
        self._scores: dict[tuple[str, int, str], _SeedScores | str] = {}

    def seeds(self, encoder: str, metric: str) -> list[int]:
        """Seeds at which a model has a value, in order.

        Args:
            encoder: Name of the model.
            metric: Name of the metric.
        """
        records = self._records.get(encoder, {})
        return [seed for seed in sorted(records) if metric_value(records[seed], metric) is not None]

    def shared_seeds(self, encoders: Sequence[str], metric: str) -> list[int]:
        """Seeds at which all these models have a value and the same test images, in order.

        Args:
            encoders: Names of models.
            metric: Name of the metric.
        """
        seeds = set.intersection(*(set(self.seeds(encoder, metric)) for encoder in encoders))
        return [seed for seed in sorted(seeds) if len({self._test_set(encoder, seed) for encoder in encoders}) == 1]

    def scores(self, encoder: str, metric: str, seeds: Sequence[int]) -> JackknifeScores | str:
        """Jackknife scores of a model.

        Args:
            encoder: Name of the model.
            metric: Name of the metric.
            seeds: Seeds at which the model has a value, at least one.

        Returns:
            The scores, or the reason why they cannot be computed from the stored results.
        """
        of_seeds = [self._of_seed(encoder, seed, metric) for seed in seeds]
        found = [scores for scores in of_seeds if isinstance(scores, _SeedScores)]
        if len(found) < len(of_seeds):
            return next(scores for scores in of_seeds if isinstance(scores, str))
        rarest = [scores.rarest for scores in found if scores.rarest is not None]
        return JackknifeScores(
            np.array([scores.value for scores in found]),
            np.column_stack([scores.without for scores in found]),
            len(frozenset.union(*(scores.patients for scores in found))),
            min(rarest) if rarest else None,
        )

    @cached_property
    def design(self) -> Design:
        """What differs between the seeds of this condition."""
        records = [record for by_seed in self._records.values() for record in by_seed.values()]
        variation = seed_variation(records, records[0]["unit"]["protocol"])
        if "split" not in variation:
            return Design(variation, 0.0)
        episodes = [record["result"]["episode"] for record in records]
        test = float(np.mean([len(set(episode.get("patients", ()))) for episode in episodes]))
        train = episodes[0].get("patients_in_all", 0) - test
        return Design(variation, test / train if train > 0 else 0.0)

    @cached_property
    def _groups(self) -> dict[str, int]:
        """The group of each patient, common to all models and seeds of the condition."""
        names = {
            patient
            for by_seed in self._records.values()
            for record in by_seed.values()
            for patient in record["result"]["episode"].get("patients", ())
        }
        return dict(zip(sorted(names), patient_groups(len(names)).tolist(), strict=True))

    def _test_set(self, encoder: str, seed: int) -> tuple[str, ...]:
        return tuple(self._records[encoder][seed]["result"]["episode"]["test"])

    def _of_seed(self, encoder: str, seed: int, metric: str) -> _SeedScores | str:
        key = encoder, seed, metric
        if key not in self._scores:
            self._scores[key] = self._compute(self._records[encoder][seed], metric)
        return self._scores[key]

    def _compute(self, record: UnitRecord, metric: str) -> _SeedScores | str:
        inputs = metric_inputs(record, metric, self._predictions)
        if isinstance(inputs, str):
            return inputs
        groups = np.array([self._groups[patient] for patient in inputs.patients])
        value, without = leave_out(inputs.weighted_function(), groups, max(self._groups.values()) + 1)
        _, codes = np.unique(inputs.patients, return_inverse=True)
        rarest = None if inputs.labels is None else patients_of_rarest_class(inputs.labels, codes)
        return _SeedScores(value, without, frozenset(inputs.patients.tolist()), rarest)
