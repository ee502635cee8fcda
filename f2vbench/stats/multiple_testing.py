"""Corrections for several comparisons: always over the family that is shown together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from f2vbench.stats.citations import BENJAMINI_HOCHBERG, HOLM, Method
from f2vbench.stats.result_classes import Comparison

_USUAL_REPLICATES = 2_000
_MAY_MATTER = 0.1


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's adjustment of (n,) p-values, in the order given: the chance of any false find stays below α.

    NaN stands for no test: it stays NaN and does not count.

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    return _adjusted(p_values, _step_down)


def benjamini_hochberg(p_values: ArrayLike) -> np.ndarray:
    """Benjamini and Hochberg's adjustment of (n,) p-values: the expected share of false finds stays below α.

    NaN stands for no test: it stays NaN and does not count.

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    return _adjusted(p_values, false_discovery_control)


def adjust(
    comparisons: Sequence[Comparison], method: Literal["holm", "benjamini-hochberg"] = "holm"
) -> list[Comparison]:
    """The same comparisons with ``p_adjusted`` over all of them, by which they give their verdicts.

    Raises:
        ValueError: an unknown method.
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    function, named = _METHODS[method]
    adjusted = function([np.nan if each.p is None else each.p for each in comparisons])
    return [
        each if each.p is None else replace(each, p_adjusted=float(p), adjustment=named)
        for each, p in zip(comparisons, adjusted, strict=True)
    ]


_METHODS: dict[str, tuple[Callable[[ArrayLike], np.ndarray], Method]] = {
    "holm": (holm, HOLM),
    "benjamini-hochberg": (benjamini_hochberg, BENJAMINI_HOCHBERG),
}


def _step_down(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down. (statsmodels has it too, but collects all garbage on every call: 0.1 s and more.)"""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(p_values.shape)
    factors = p_values.size - np.arange(p_values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def _adjusted(p_values: ArrayLike, method: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    held = np.asarray(p_values, dtype=np.float64)
    tested = ~np.isnan(held)
    if held.ndim != 1 or ((held[tested] < 0) | (held[tested] > 1)).any():
        raise ValueError("p-values must be one row of numbers in [0, 1], NaN where there is no test")
    adjusted = np.full(held.shape, np.nan)
    if tested.any():
        adjusted[tested] = method(held[tested])
    return adjusted


def bootstrap_replicates(comparisons: int) -> int:
    """Bootstrap replicates: so many that the smallest p they can give stays below 0.05 after adjustment."""
    return min(max(_USUAL_REPLICATES, 50 * comparisons), 10_000)


def run_with_adaptive_replicates(test: Callable[[int], Comparison], replicates: int) -> Comparison:
    """A test by 2,000 replicates, and by all of them where its p may still be below 0.05 after adjustment.

    Adjustment only raises p, and 2,000 replicates do not take 0.05 for more than 0.1: their standard error is 0.007.

    Args:
        test: number of replicates → its outcome.
        replicates: that the family of comparisons wants, of `bootstrap_replicates`.
    """
    found = test(min(_USUAL_REPLICATES, replicates))
    finer = replicates > _USUAL_REPLICATES and found.p is not None and found.p <= _MAY_MATTER
    return test(replicates) if finer else found
