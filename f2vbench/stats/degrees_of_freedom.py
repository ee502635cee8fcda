"""Degrees of freedom of a variance that is a sum of a part of seeds and a part of patients."""

from __future__ import annotations

import math

from scipy.special import chdtri

_CONFIDENCE = 0.8
_ROUNDING = 1e-12


def crossed_degrees_of_freedom(of_seeds: float, of_patients: float, seeds: int) -> float:
    """Degrees of freedom of `f2vbench.stats.crossed.crossed_test`.

    Those of Hillis (2007) are (B + C)² / (B² / (S − 1)), with the part B of the seeds and the part C of the patients.
    A B that is small by chance would make them many, so B is here its upper confidence bound of 80 %.

    Args:
        of_seeds: Part B of the variance, estimated from the seeds.
        of_patients: Part C.
        seeds: Number of seeds S, at least 2 where B is not 0.

    Returns:
        At least S − 1; infinite where B is 0.

    Example:
        >>> round(crossed_degrees_of_freedom(1e-4, 2e-4, seeds=5), 2), crossed_degrees_of_freedom(0.0, 2e-4, seeds=5)
        (13.31, inf)
    """
    if of_seeds <= _ROUNDING * (of_seeds + of_patients):
        return math.inf
    upper = of_seeds * (seeds - 1) / float(chdtri(seeds - 1, _CONFIDENCE))
    return (upper + of_patients) ** 2 * (seeds - 1) / upper**2
