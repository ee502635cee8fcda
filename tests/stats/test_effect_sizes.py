"""Effect sizes against statsmodels, closed forms and counted pairs; the noncentral t distribution against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.meta_analysis import effectsize_smd

from f2vbench.stats.effect_sizes import cliffs_delta, cohens_d_z, hedges_g, hedges_g_z
from f2vbench.stats.noncentral_t import noncentral_t_cdf


def test_hedges_g_equals_statsmodels():
    draw = np.random.default_rng(1)
    first, second = draw.normal(1, 1, 9), draw.normal(0, 2, 14)
    expected, _ = effectsize_smd(first.mean(), first.std(ddof=1), 9, second.mean(), second.std(ddof=1), 14)
    effect = hedges_g(first, second, variation="head seed")
    # statsmodels uses the approximate correction 1 − 3/(4ν − 1).
    assert effect.value == pytest.approx(expected, rel=2e-3)
    assert effect.low < effect.value < effect.high


def test_hedges_g_z_is_bias_corrected_cohens_d_z():
    first, second = np.array([0.3, 0.5, 0.1, 0.4, 0.2]), np.zeros(5)
    effect = hedges_g_z(first, second, variation="head seed")
    # d_z = 0.3 ÷ √0.025; with four degrees of freedom the correction is Γ(2) ÷ (√2·Γ(3/2)) = √(2/π).
    assert effect.value == pytest.approx(0.3 / np.sqrt(0.025) * np.sqrt(2 / np.pi), rel=1e-12)
    d_z = cohens_d_z(first, second, variation="head seed")
    assert (effect.low, effect.high) == pytest.approx((d_z.low * np.sqrt(2 / np.pi), d_z.high * np.sqrt(2 / np.pi)))
    assert "no degree of freedom" in hedges_g_z([0.1, 0.2], [0.0, 0.0], variation="split").reason


def test_interval_of_cohens_d_z_has_its_nominal_coverage():
    draw = np.random.default_rng(2)
    intervals = [cohens_d_z(draw.normal(0.8, 1, 6), np.zeros(6), variation="split") for _ in range(400)]
    assert np.mean([each.low < 0.8 < each.high for each in intervals]) == pytest.approx(0.95, abs=0.03)


def test_cliffs_delta_counts_pairs():
    draw = np.random.default_rng(3)
    first, second = draw.integers(0, 6, 11), draw.integers(1, 8, 17)
    won = sum(np.sign(int(a) - int(b)) for a in first for b in second)
    effect = cliffs_delta(first, second, variation="head seed")
    assert effect.value == pytest.approx(won / (11 * 17))
    assert -1 <= effect.low < effect.value < effect.high <= 1
    separate = cliffs_delta([3.0, 4.0], [1.0, 2.0], variation="head seed")
    assert separate.value == 1
    assert "no interval" in separate.reason


@pytest.mark.parametrize("df", [1, 4, 30])
@pytest.mark.parametrize("nc", [-1.0, 0.0, 2.5])
def test_noncentral_t_equals_scipy_where_scipy_is_accurate(df, nc):
    for t in (-3.0, 0.5, 6.0):
        assert noncentral_t_cdf(t, df, nc) == pytest.approx(stats.nct.cdf(t, df, nc), abs=1e-9)


@pytest.mark.parametrize(("t", "df", "nc"), [(12.7, 1, 14.0), (12.7, 1, 40.0), (2.8, 4, 12.9)])
def test_noncentral_t_equals_numerical_integration_where_scipy_fails(t, df, nc):
    def integrand(s):
        return stats.norm.cdf(t * s - nc) * stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df)

    step = nc / t  # where the integrand rises
    expected = sum(
        integrate.quad(integrand, *limits, epsabs=1e-12)[0] for limits in ((0, step), (step, step + 1), (step + 1, 50))
    )
    assert noncentral_t_cdf(t, df, nc) == pytest.approx(expected, abs=1e-8)
