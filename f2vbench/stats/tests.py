"""Tests of differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr


@dataclass(frozen=True)
class TTest:
    """A two-sided t-test.

    Attributes:
        difference: mean of first − second.
        p: None where no test is possible; ``reason`` then says why.
    """

    n: int
    difference: float
    statistic: float | None
    p: float | None
    reason: str = ""


def paired_t_test(first: np.ndarray, second: np.ndarray) -> TTest:
    """Student's paired t-test on (n,) values of the same seeds, two-sided.

    Raises:
        ValueError: the two differ in length or are empty.
    """
    if first.shape != second.shape or first.size == 0:
        raise ValueError("a paired test needs as many values of the one as of the other, and at least one")
    differences = first - second
    n, mean = differences.size, float(differences.mean())
    if n < 2:
        return TTest(n, mean, None, None, "one shared seed: no test possible")
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    if error <= 1e-12 * max(1.0, abs(mean)):
        return TTest(n, mean, None, None, "the difference is the same at every seed: no test possible")
    statistic = mean / error
    return TTest(n, mean, statistic, float(2 * stdtr(n - 1, -abs(statistic))))
