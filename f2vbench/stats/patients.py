"""Bootstrap over patients of values that queries have, in one or several galleries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DRAWS_AT_ONCE = 200


@dataclass(frozen=True)
class PatientInterval:
    """A mean with its 95 % percentile interval.

    Attributes:
        value: mean over seeds of the mean over queries.
        low, high: None below two patients.
        patients, queries: how many it rests on.
        p: two-sided, of the hypothesis that the mean is 0; for differences.
    """

    value: float
    low: float | None
    high: float | None
    patients: int
    queries: int
    p: float | None


def patient_interval(
    values: NDArray[np.float64],
    patients: NDArray[np.str_],
    seeds: NDArray[np.int64],
    replicates: int = 2000,
    seed: int = 0,
) -> PatientInterval:
    """Patients drawn with replacement, each with all of their queries in all galleries.

    Args:
        values: (n,) one of each query; differences of two encoders for a paired comparison.
        patients: (n,) whose query each is.
        seeds: (n,) the gallery that it was asked in.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("an interval needs at least one value, and finite ones")
    people, of_person = np.unique(patients, return_inverse=True)
    galleries, of_gallery = np.unique(seeds, return_inverse=True)
    shape = len(people), len(galleries)
    cell = of_person * shape[1] + of_gallery
    sums = np.bincount(cell, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    value = float((sums.sum(axis=0) / counts.sum(axis=0)).mean())
    if shape[0] < 2:
        return PatientInterval(value, None, None, shape[0], len(values), None)
    draw = np.random.default_rng(seed)
    found = []
    for start in range(0, replicates, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, replicates - start)
        times = draw.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), size)
        drawn, total = times @ sums, times @ counts
        there = total > 0  # few patients may leave a gallery empty
        means = np.divide(drawn, total, out=np.zeros(total.shape), where=there)
        found.append(means.sum(axis=1)[there.any(axis=1)] / there.sum(axis=1)[there.any(axis=1)])
    means = np.concatenate(found)
    low, high = np.quantile(means, (0.025, 0.975))
    below = ((means < 0).sum() + (means == 0).sum() / 2 + 0.5) / (len(means) + 1)
    p = float(np.clip(2 * min(below, 1 - below), 2 / (len(means) + 1), 1))
    return PatientInterval(value, float(low), float(high), shape[0], len(values), p)
