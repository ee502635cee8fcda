"""Scores of models without single test patients, for intervals and tests over patients and seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.metric_inputs import Predictions, metric_inputs, metric_value
from f2vbench.analysis.seed_variation import seed_variation
from f2vbench.stats.crossed import split_ratio
from f2vbench.stats.jackknife import JackknifeScores, leave_out, patient_groups, patients_of_rarest_class
from f2vbench.stats.result_classes import Variation
from f2vbench.store.record_schema import EpisodeRecord, UnitRecord


@dataclass(frozen=True)
class Design:
    """How the seeds of a condition differ.

    Attributes:
        variation: What differs between seeds.
        split_ratio: `stats.crossed.split_ratio` where seeds are random splits on which something is trained, else 0.
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
        differing = set(self.differing_seeds(encoders, metric))
        return [seed for seed in self._common_seeds(encoders, metric) if seed not in differing]

    def differing_seeds(self, encoders: Sequence[str], metric: str) -> list[int]:
        """Seeds at which all these models have a value, but not the same test images, in order.

        Args:
            encoders: Names of models.
            metric: Name of the metric.
        """
        seeds = self._common_seeds(encoders, metric)
        return [seed for seed in seeds if len({self._test_set(encoder, seed) for encoder in encoders}) > 1]

    def test_sets(self, encoder: str, metric: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """Test images of each seed at which a model has a value.

        Args:
            encoder: Name of the model.
            metric: Name of the metric.
        """
        return tuple((seed, self._test_set(encoder, seed)) for seed in self.seeds(encoder, metric))

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
        """What differs between the seeds of most models at this condition."""
        models = [list(by_seed.values()) for by_seed in self._records.values()]
        protocol = models[0][0]["unit"]["protocol"]
        most = max(map(len, models))
        of_models = [(seed_variation(own, protocol), own) for own in models if len(own) == most]
        ((variation, _),) = Counter(found for found, _ in of_models).most_common(1)
        episodes = [each["result"]["episode"] for found, own in of_models if found == variation for each in own]
        overlap = _split_ratio(episodes) if "split" in variation and protocol != "zero-shot" else 0.0
        return Design(variation, overlap)

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

    def _common_seeds(self, encoders: Sequence[str], metric: str) -> list[int]:
        return sorted(set.intersection(*(set(self.seeds(encoder, metric)) for encoder in encoders)))

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


def _split_ratio(episodes: Sequence[EpisodeRecord]) -> float:
    everyone = episodes[0].get("patients_in_all", 0)
    test = float(np.mean([len(set(episode.get("patients", ()))) for episode in episodes]))
    support = float(np.mean([len(set(episode["support"])) for episode in episodes]))
    return split_ratio(everyone, test, support)
