"""Noncentral t distribution. SciPy's returns NaN for large effects at few degrees of freedom, as with few seeds."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import chdtri, gammaln, ndtr, stdtrit, xlogy

_TAIL_PROBABILITY = 1e-15


def noncentral_t_cdf(t: float, df: float, nc: float) -> float:
    """Cumulative distribution function of the noncentral t distribution.

    P((Z + nc) ÷ S ≤ t) for standard normal Z and S = √(χ² ÷ df): Φ(t·s − nc) integrated over the density of S, by
    Gauss–Legendre quadrature on 256 points. The absolute error is below 1e-9 up to |nc| = 30, below 1e-6 up to 100.

    Args:
        t: Quantile.
        df: Degrees of freedom, at least 1.
        nc: Noncentrality parameter.

    Returns:
        Probability in [0, 1].

    Example:
        >>> round(noncentral_t_cdf(2.0, df=4, nc=1.5), 6)
        0.618929
    """
    nodes, weights = _legendre_nodes()
    low, high = np.sqrt(chdtri(df, np.array([1 - _TAIL_PROBABILITY, _TAIL_PROBABILITY])) / df)
    s = low + (high - low) * (nodes + 1) / 2
    log_density = (df / 2) * np.log(df / 2) + np.log(2) - gammaln(df / 2) + xlogy(df - 1, s) - df * s**2 / 2
    return float((weights * np.exp(log_density)) @ ndtr(t * s - nc) * (high - low) / 2)


def t_test_power(nc: float, df: float, alpha: float) -> float:
    """Power of a two-sided t-test.

    Args:
        nc: Noncentrality parameter: true mean difference ÷ its standard error.
        df: Degrees of freedom, at least 1.
        alpha: Significance level in (0, 1).

    Returns:
        Power in [0, 1].

    Example:
        >>> round(t_test_power(3.0, df=9, alpha=0.05), 4)
        0.7612
    """
    critical = float(stdtrit(df, 1 - alpha / 2))
    return 1 - noncentral_t_cdf(critical, df, nc) + noncentral_t_cdf(-critical, df, nc)


@cache
def _legendre_nodes() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(256)
