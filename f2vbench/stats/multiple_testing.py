"""Multiple testing: adjustment of p-values over a family of comparisons, and the replicates that this requires.

The family is always the set of comparisons that are reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from f2vbench.stats.citations import BENJAMINI_HOCHBERG, HOLM, Method
from f2vbench.stats.result_classes import Comparison

_USUAL_REPLICATES = 2_000
_MAX_REPLICATES = 10_000
_UNDECIDED_BELOW = 0.1


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjustment, which controls the family-wise error rate.

    Args:
        p_values: (n,) p-values; NaN means no test and does not count.

    Returns:
        (n,) adjusted p-values in the same order, NaN where there is no test.

    Raises:
        ValueError: A p-value is outside [0, 1].

    Example:
        >>> holm([0.25, 0.125, 0.5]).tolist()
        [0.5, 0.375, 0.5]
    """
    return _adjust_valid(p_values, _step_down)


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini and Hochberg's adjustment, which controls the false discovery rate.

    Args:
        p_values: (n,) p-values; NaN means no test and does not count.

    Returns:
        (n,) adjusted p-values in the same order, NaN where there is no test.

    Raises:
        ValueError: A p-value is outside [0, 1].

    Example:
        >>> benjamini_hochberg([0.25, 0.125, 0.5]).tolist()
        [0.375, 0.375, 0.5]
    """
    return _adjust_valid(p_values, false_discovery_control)


def adjust(
    comparisons: Sequence[Comparison], method: Literal["holm", "benjamini-hochberg"] = "holm"
) -> list[Comparison]:
    """Adjust the p-values of comparisons over all of them.

    Args:
        comparisons: The family. Comparisons without a test stay as they are.
        method: ``holm`` controls the family-wise error rate, ``benjamini-hochberg`` the false discovery rate.

    Returns:
        The comparisons in the same order with ``p_adjusted`` and ``adjustment``, on which their verdicts depend.

    Raises:
        ValueError: Unknown method.

    Example:
        >>> from f2vbench.stats.t_tests import paired_t_test
        >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
        >>> [round(each.p_adjusted, 4) for each in adjust([test, test, test])]
        [0.0594, 0.0594, 0.0594]
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    function, citation = _METHODS[method]
    adjusted = function([np.nan if each.p is None else each.p for each in comparisons])
    return [
        each if each.p is None else replace(each, p_adjusted=float(p), adjustment=citation)
        for each, p in zip(comparisons, adjusted, strict=True)
    ]


def bootstrap_replicates(comparisons: int) -> int:
    """Number of bootstrap replicates for a family of comparisons.

    The smallest p-value of a bootstrap test is 2 ÷ (replicates + 1); it must stay below 0.05 after adjustment.

    Args:
        comparisons: Size of the family.

    Returns:
        Number of replicates, from 2,000 to 10,000.

    Example:
        >>> bootstrap_replicates(10), bootstrap_replicates(100)
        (2000, 4100)
    """
    return min(max(_USUAL_REPLICATES, 41 * comparisons), _MAX_REPLICATES)


def run_with_adaptive_replicates(test: Callable[[int], Comparison], replicates: int) -> Comparison:
    """Run a resampling test with 2,000 replicates, and with all of them only where its p may still be significant.

    Adjustment only increases p, and the standard error of p = 0.05 with 2,000 replicates is 0.007, so a p above 0.1
    with 2,000 replicates is not below 0.05 with more.

    Args:
        test: Number of replicates → result.
        replicates: Number of replicates that the family of comparisons requires, see `bootstrap_replicates`.

    Returns:
        Result of the last run.

    Example:
        >>> from f2vbench.stats.bootstrap import paired_bootstrap
        >>> first, second = [0.8, 0.9, 0.7, 0.9], [0.6, 0.8, 0.6, 0.7]
        >>> test = lambda count: paired_bootstrap(first, second, metric="mean", replicates=count)
        >>> round(run_with_adaptive_replicates(test, 5_000).smallest_p, 5)
        0.0004
    """
    result = test(min(_USUAL_REPLICATES, replicates))
    undecided = replicates > _USUAL_REPLICATES and result.p is not None and result.p <= _UNDECIDED_BELOW
    return test(replicates) if undecided else result


def _step_down(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down procedure; statsmodels' runs the garbage collector at every call, which takes 0.1 s and more."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(p_values.shape)
    factors = p_values.size - np.arange(p_values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def _adjust_valid(
    p_values: ArrayLike, method: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Adjust the p-values that are not NaN."""
    p = np.asarray(p_values, dtype=np.float64)
    valid = ~np.isnan(p)
    if p.ndim != 1 or ((p[valid] < 0) | (p[valid] > 1)).any():
        raise ValueError("p-values must have shape (n,) and be in [0, 1], or NaN where there is no test")
    adjusted = np.full(p.shape, np.nan)
    if valid.any():
        adjusted[valid] = method(p[valid])
    return adjusted


_METHODS: dict[str, tuple[Callable[[ArrayLike], NDArray[np.float64]], Method]] = {
    "holm": (holm, HOLM),
    "benjamini-hochberg": (benjamini_hochberg, BENJAMINI_HOCHBERG),
}
