"""Intervals of a mean against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from f2vbench.stats.intervals import normal_interval, student_interval

VALUES = np.array([0.91, 0.93, 0.95, 0.90, 0.92])


def test_normal_interval_is_the_mean_and_1_96_standard_errors():
    interval = normal_interval(VALUES, variation=("episode", "head seed"))
    assert interval.value == pytest.approx(VALUES.mean())
    assert interval.sd == pytest.approx(np.std(VALUES, ddof=1))
    assert interval.se == pytest.approx(stats.sem(VALUES))
    assert interval.high - interval.value == pytest.approx(1.96 * stats.sem(VALUES))
    assert interval.value - interval.low == pytest.approx(1.96 * stats.sem(VALUES))
    assert "episode and head seed vary" in interval.sentence("AUROC")


def test_student_interval_equals_scipy():
    interval = student_interval(VALUES, variation="split", confidence=0.9)
    expected = stats.t.interval(0.9, 4, VALUES.mean(), stats.sem(VALUES))
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-12)


def test_one_value_or_equal_values_have_no_interval():
    one = normal_interval([0.5], variation="split")
    assert (one.value, one.sd, one.low) == (0.5, None, None)
    assert "at least two values" in one.reason
    equal = normal_interval([0.1 + 0.2, 0.3, 0.3], variation="split")
    assert (equal.sd, equal.low, equal.high) == (0.0, None, None)
    assert "all values are equal" in equal.reason
    assert "without an interval" in equal.sentence()


def test_invalid_input_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        normal_interval([], variation="split")
    with pytest.raises(ValueError, match=r"1 of 2 are not \(at 1\)"):
        normal_interval([0.5, np.nan], variation="split")
    with pytest.raises(ValueError, match="variation must be one or more of"):
        normal_interval([0.5, 0.6], variation="weather")
    with pytest.raises(ValueError, match="confidence"):
        student_interval([0.5, 0.6], variation="split", confidence=95)
