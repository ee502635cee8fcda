"""How many seeds, splits or patients a test needs for a difference.

The number is for the difference *seen*, taken as the true one. With few seeds that difference is itself uncertain, so
it is an order of magnitude, no plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from scipy.special import ndtri

from f2vbench.stats.noncentral_t import t_test_power
from f2vbench.stats.result_classes import RequiredSampleSize

_LARGE = 5_000  # above it Student's t and the normal distribution ask for the same number
_NO_DIFFERENCE = "the difference seen is zero, which no number would tell from zero"


def required_pairs(effect: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Pairs (seeds) for a paired t-test; ``effect`` is Cohen's d_z, mean difference ÷ its standard deviation."""
    return _smallest(effect, lambda n: (n, n - 1), alpha, power)


def required_per_group(effect: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Values on *each* side for a two-sample t-test; ``effect`` is Cohen's d, difference ÷ pooled deviation."""
    return _smallest(effect, lambda n: (n / 2, 2 * n - 2), alpha, power)


def required_splits(effect: float, ratio: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Splits for the corrected resampled t-test.

    Args:
        effect: mean difference over splits ÷ its standard deviation.
        ratio: test ÷ training images. The standard error never falls below √ratio standard deviations, so beyond
            some difference no number of splits helps, only more images.
    """
    reach = abs(effect) / math.sqrt(ratio)
    if effect and reach <= _both(alpha, power):
        return RequiredSampleSize(
            None,
            power,
            alpha,
            "no number of splits of these images would tell the difference seen; more images might",
        )
    return _smallest(effect, lambda n: (1 / (1 / n + ratio), n - 1), alpha, power)


def required_cases(n: int, difference: float, se: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Patients (or images) for a test whose standard error is ``se`` at ``n`` of them, and falls as 1/√n."""
    if difference == 0:
        return RequiredSampleSize(None, power, alpha, _NO_DIFFERENCE)
    return RequiredSampleSize(max(2, math.ceil(n * (_both(alpha, power) * se / difference) ** 2)), power, alpha)


def at_least(needed: RequiredSampleSize, smallest: int, factor: float = 1.0) -> RequiredSampleSize:
    """The same for a test that needs ``factor`` times as many, and never fewer than ``smallest``."""
    return needed if needed.n is None else replace(needed, n=max(smallest, math.ceil(needed.n * factor)))


def _both(alpha: float, power: float) -> float:
    return float(ndtri(1 - alpha / 2) + ndtri(power))


def _smallest(
    effect: float, size: Callable[[int], tuple[float, int]], alpha: float, power: float
) -> RequiredSampleSize:
    """The smallest n ≥ 2 with that power; ``size`` gives the (effective n, degrees of freedom) of an n."""
    if effect == 0:
        return RequiredSampleSize(None, power, alpha, _NO_DIFFERENCE)

    def enough_for_normal(n: int) -> bool:
        return abs(effect) * math.sqrt(size(n)[0]) >= _both(alpha, power)

    def enough(n: int) -> bool:
        effective, freedom = size(n)
        return t_test_power(abs(effect) * math.sqrt(effective), freedom, alpha) >= power

    guess = _first(enough_for_normal, 2)
    return RequiredSampleSize(guess if size(guess)[1] > _LARGE else _first(enough, guess), power, alpha)


def _first(holds: Callable[[int], bool], start: int) -> int:
    """The smallest n ≥ 2 for which ``holds``, which all larger do too, sought from ``start`` on."""
    step, low, high = 1, 1, start
    while not holds(high):
        low, high, step = high, high + step, 2 * step
    step = 1
    while high - low > 1:
        # Downwards in growing steps while nothing below is known, by halves after that.
        middle = max(low + 1, high - step) if low == 1 and step < (high - low) // 2 else (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
        step *= 2
    return high
