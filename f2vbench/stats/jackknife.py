"""A metric at each seed, with all test patients and without each of them, for `f2vbench.stats.crossed`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from f2vbench.stats.resampling import batch_ranges
from f2vbench.stats.validation import check_predictions, encode_patients
from f2vbench.stats.weighted_metrics import MetricLike, WeightedFunction, get_metric

_MAX_GROUPS = 500  # more patients are left out in groups: the covariance is the same, at less cost


@dataclass(frozen=True)
class SeedCases:
    """Test cases of one seed.

    Attributes:
        predictions: (n,) or (n, k), what the metric takes.
        labels: (n,) or (n, k), or None where the metric takes none.
        patients: (n,) patient of each case.
    """

    predictions: ArrayLike
    labels: ArrayLike | None
    patients: ArrayLike


@dataclass(frozen=True)
class JackknifeScores:
    """A metric of one model at each seed, with all test patients and without each of them.

    Attributes:
        values: (seeds,).
        without: (groups, seeds), the metric without a patient, or a group of patients where there are many; NaN where
            it is undefined. It equals ``values`` at the seeds that do not test the patient.
        patients: Number of test patients of all seeds together.
        rarest: Number of patients of the rarest class, or without it where these are fewer; None without labels.
    """

    values: NDArray[np.float64]
    without: NDArray[np.float64]
    patients: int
    rarest: int | None = None

    def minus(self, other: JackknifeScores) -> JackknifeScores:
        """The difference to another model with the same patients and seeds.

        Args:
            other: Scores of the other model.

        Raises:
            ValueError: The numbers of patients or of seeds differ.

        Example:
            >>> first = jackknife_scores("mean", [SeedCases([0.5, 0.25], None, ["a", "b"])])
            >>> first.minus(first).values.tolist()
            [0.0]
        """
        if self.without.shape != other.without.shape or self.patients != other.patients:
            raise ValueError(
                f"both models need the same patients and seeds, not {self.patients} and {other.patients} patients at "
                f"{len(self.values)} and {len(other.values)} seeds"
            )
        return replace(self, values=self.values - other.values, without=self.without - other.without)


def jackknife_scores(metric: MetricLike, seeds: Sequence[SeedCases]) -> JackknifeScores:
    """Compute a metric at each seed, with all patients and without each of them.

    Args:
        metric: Name of a metric in `weighted_metrics.METRICS`, a `WeightedMetric`, or a function.
        seeds: Test cases of each seed. A patient has one name at all seeds.

    Returns:
        The scores. Above 500 patients, groups of equal size (±1) are left out instead of single patients.

    Raises:
        ValueError: No seed, shapes that do not match, or a value that is not finite.

    Example:
        >>> cases = SeedCases([0.5, 0.25, 0.75], None, ["a", "b", "b"])
        >>> scores = jackknife_scores("mean", [cases])
        >>> scores.values.tolist(), scores.without.tolist()
        ([0.5], [[0.5], [0.5]])
    """
    if not seeds:
        raise ValueError("at least one seed is needed")
    chosen = get_metric(metric)
    predictions = [check_predictions(seed.predictions, "predictions") for seed in seeds]
    names = np.concatenate([np.asarray(seed.patients) for seed in seeds])
    codes, patients = encode_patients(names, sum(map(len, predictions)))
    groups = patient_groups(patients)
    columns = []
    start = 0
    for seed, scores in zip(seeds, predictions, strict=True):
        of_case = groups[codes[start : start + len(scores)]]
        start += len(scores)
        compute = chosen.prepare(scores, None if seed.labels is None else np.asarray(seed.labels))
        columns.append(leave_out(compute, of_case, int(groups.max()) + 1))
    values, without = zip(*columns, strict=True)
    labels = [np.asarray(seed.labels) for seed in seeds if seed.labels is not None]
    rarest = patients_of_rarest_class(np.concatenate(labels), codes) if len(labels) == len(seeds) else None
    return JackknifeScores(np.array(values), np.column_stack(without), patients, rarest)


def patient_groups(patients: int) -> NDArray[np.int64]:
    """Assign patients to the groups that are left out together.

    Args:
        patients: Number of patients.

    Returns:
        (patients,) group of each patient: one each up to 500 patients, else 500 groups of equal size (±1). Patients are
        shuffled first, as their order may follow the classes.

    Example:
        >>> patient_groups(3).tolist(), np.bincount(patient_groups(1200)).tolist()[:3]
        ([0, 1, 2], [3, 3, 3])
    """
    if patients <= _MAX_GROUPS:
        return np.arange(patients)
    return np.random.default_rng(patients).permutation(patients) % _MAX_GROUPS


def leave_out(compute: WeightedFunction, groups: NDArray[np.int64], count: int) -> tuple[float, NDArray[np.float64]]:
    """Compute a metric of n cases, whole and without each group of patients.

    Args:
        compute: Prepared metric: (b, n) weights → (b,) values.
        groups: (n,) group of each case.
        count: Number of groups.

    Returns:
        The metric of all cases, and (count,) the metric without each group.

    Example:
        >>> from f2vbench.stats.weighted_metrics import METRICS
        >>> value, without = leave_out(METRICS["mean"].prepare(np.array([1.0, 2.0, 6.0]), None), np.array([0, 0, 1]), 2)
        >>> value, without.tolist()
        (3.0, [6.0, 1.5])
    """
    without = np.empty(count)
    for batch in batch_ranges(count, len(groups)):
        weights = (groups != np.arange(batch.start, batch.stop)[:, None]).astype(np.float64)
        without[batch.start : batch.stop] = compute(weights)
    return float(compute(np.ones((1, len(groups))))[0]), without


def patients_of_rarest_class(labels: np.ndarray, patients: NDArray[np.int64]) -> int:
    """Smallest number of patients that have a class, or lack it, in any image.

    Args:
        labels: (n,) classes, or (n, classes) of 0 and 1.
        patients: (n,) number of each case's patient.

    Example:
        >>> patients_of_rarest_class(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2]))
        1
    """
    columns = labels.T if labels.ndim == 2 else [labels == each for each in np.unique(labels)]
    counts = [len(np.unique(patients[members == side])) for members in columns for side in (0, 1)]
    return min(counts, default=0)
