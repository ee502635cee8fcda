"""Required sample sizes against statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from f2vbench.stats.power import (
    required_cases,
    required_pairs,
    required_per_group,
    required_splits,
    scale_sample_size,
)


@pytest.mark.parametrize("effect", [0.05, 0.5, -1.3, 2.0])
def test_required_number_is_the_first_with_the_power_of_statsmodels(effect):
    for required, test in ((required_pairs(effect), TTestPower()), (required_per_group(effect), TTestIndPower())):
        assert test.power(abs(effect), required.n, 0.05) >= 0.8 - 1e-4
        assert test.power(abs(effect), required.n - 1, 0.05) < 0.8


def test_a_huge_effect_requires_two():
    assert required_pairs(60.0).n == 2
    assert required_per_group(60.0).n == 2


def test_small_differences_between_splits_require_more_images_instead_of_more_splits():
    ratio = 1.0
    none = required_splits(0.5, ratio)
    assert none.n is None
    assert "more images" in none.sentence("splits")
    required = required_splits(4.0, ratio)

    def power(n):
        nc, df = 4.0 / np.sqrt(1 / n + ratio), n - 1
        critical = stats.t.ppf(0.975, df)
        return stats.nct.sf(critical, df, nc) + stats.nct.cdf(-critical, df, nc)

    assert power(required.n) >= 0.8 > power(required.n - 1)


def test_required_patients_follow_from_the_square_root_law():
    # A difference has 80 % power at 2.8016 standard errors. Here it is half of that, so four times as many are needed.
    required = required_cases(100, 0.02, 0.02 * 2 / 2.8016)
    assert required.n == pytest.approx(400, abs=1)
    assert required_cases(100, 0.0, 0.1).n is None
    assert "zero" in required_cases(100, 0.0, 0.1).sentence("patients")
    assert scale_sample_size(required_pairs(9.0), minimum=6).n == 6
