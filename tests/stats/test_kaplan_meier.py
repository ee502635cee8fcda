"""Kaplan–Meier curves against scikit-survival and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.stats.kaplan_meier import kaplan_meier


@pytest.mark.parametrize("tied", [False, True])
def test_curve_and_interval_equal_scikit_survival(tied: bool) -> None:
    nonparametric = pytest.importorskip("sksurv.nonparametric", reason='needs pip install "f2vbench[survival]"')
    draw = np.random.default_rng(0)
    time, event = draw.exponential(5, 60) + 0.1, draw.random(60) < 0.6
    time = np.ceil(time) if tied else time
    at, survival, interval = nonparametric.kaplan_meier_estimator(event, time, conf_type="log-log")
    curve = kaplan_meier(time, event)
    assert curve.times == pytest.approx(np.r_[0.0, at])
    assert curve.survival == pytest.approx(np.r_[1.0, survival], abs=1e-12)
    inside = (survival < 1) & (survival > 0)
    assert curve.low[1:][inside] == pytest.approx(interval[0][inside], abs=1e-12)
    assert curve.high[1:][inside] == pytest.approx(interval[1][inside], abs=1e-12)


def test_a_curve_that_reaches_zero_ends_there() -> None:
    curve = kaplan_meier([1.0, 2.0], [True, True])
    assert curve.survival.tolist() == [1.0, 0.5, 0.0]
    assert curve.low[-1] == curve.high[-1] == 0.0


@pytest.mark.parametrize(("time", "event"), [([], []), ([0.0], [True]), ([np.inf], [True]), ([1.0], [True, False])])
def test_times_that_are_no_follow_up_are_refused(time: list[float], event: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"above 0|shape"):
        kaplan_meier(time, event)
