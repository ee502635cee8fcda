"""Intervals of a mean against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from f2vbench.stats.intervals import normal_interval, scaled_student_interval, seed_interval, student_interval

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


def test_the_interval_within_a_range_equals_the_delta_method_of_a_slow_loop():
    values = np.array([0.98, 0.99, 1.0, 0.95, 1.0])
    found = scaled_student_interval(values, variation="split", bounds=(0.0, 1.0))
    mean, se = values.mean(), stats.sem(values)
    step = 1e-6
    slope = (np.log((mean + step) / (1 - mean - step)) - np.log((mean - step) / (1 - mean + step))) / (2 * step)
    ends = [np.log(mean / (1 - mean)) + sign * stats.t.ppf(0.975, 4) * se * slope for sign in (-1, 1)]
    assert [found.low, found.high] == pytest.approx([1 / (1 + np.exp(-end)) for end in ends], abs=1e-6)
    assert found.value == pytest.approx(mean)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 2.0), (0.0, None), (None, 1.0)])
def test_the_interval_never_leaves_the_range_of_the_metric(bounds):
    rng = np.random.default_rng(0)
    for _ in range(200):
        found = scaled_student_interval(rng.integers(0, 2, 3) * rng.random(3), variation="split", bounds=bounds)
        if found.low is not None:
            assert (-np.inf if bounds[0] is None else bounds[0]) <= found.low < found.value
            assert found.value < found.high <= (np.inf if bounds[1] is None else bounds[1])


def test_a_narrow_interval_far_from_the_bounds_is_students():
    values = np.array([0.50, 0.501, 0.499, 0.5005, 0.4995])
    plain = student_interval(values, variation="split")
    scaled = scaled_student_interval(values, variation="split", bounds=(0.0, 1.0))
    assert [scaled.low, scaled.high] == pytest.approx([plain.low, plain.high], abs=1e-6)
    assert scaled_student_interval(values, variation="split", bounds=(None, None)) == plain


def test_values_outside_the_bounds_are_errors_and_the_papers_interval_is_on_request():
    with pytest.raises(ValueError, match=r"between 0\.0 and 1\.0"):
        scaled_student_interval([0.5, 1.5], variation="split", bounds=(0.0, 1.0))
    assert seed_interval(VALUES, variation="split", kind="papers") == normal_interval(VALUES, variation="split")
