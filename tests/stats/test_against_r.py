"""Results of R, computed by tests/stats/r_reference/reference.R."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from f2vbench.stats.delong import delong_interval, delong_test, delong_test_unpaired
from f2vbench.stats.effect_sizes import cohens_d_z
from f2vbench.stats.multiple_testing import benjamini_hochberg, holm
from f2vbench.stats.permutation import sign_flip_test
from f2vbench.stats.power import required_pairs, required_per_group
from f2vbench.stats.ranks import critical_difference, friedman_test, nemenyi_test
from f2vbench.stats.signed_rank import wilcoxon_test
from f2vbench.stats.t_tests import paired_t_test, welch_t_test

R = json.loads((Path(__file__).parent / "r_reference" / "reference.json").read_text())


@pytest.mark.parametrize("case", R["delong"], ids=["small", "larger", "ties"])
def test_delong_equals_proc(case):
    labels, first, second = (np.array(case[name]) for name in ("labels", "first", "second"))
    first_interval = delong_interval(first, labels, transform="none")
    second_interval = delong_interval(second, labels, transform="none")
    assert [first_interval.value, second_interval.value] == pytest.approx(case["auroc"], rel=1e-12)
    assert [first_interval.se**2, second_interval.se**2] == pytest.approx(case["variance"], rel=1e-9)
    # pROC truncates its interval at 1.
    assert [first_interval.low, min(first_interval.high, 1.0)] == pytest.approx(case["interval"], rel=1e-9)
    result = delong_test(first, second, labels)
    assert result.statistic == pytest.approx(case["z"], rel=1e-9)
    assert result.p == pytest.approx(case["p"], rel=1e-9)
    assert [result.low, result.high] == pytest.approx(case["test_interval"], rel=1e-8)
    half = np.arange(1, len(labels) + 1) % 2 == 0
    unpaired = delong_test_unpaired(first[half], labels[half], second[~half], labels[~half])
    assert unpaired.statistic == pytest.approx(case["apart"], rel=1e-9)


@pytest.mark.parametrize("case", R["signed_rank"], ids=["12 pairs", "40 pairs", "ties and zeros", "5 pairs"])
def test_signed_rank_equals_exactranktests(case):
    result = wilcoxon_test(case["first"], case["second"], variation="split")
    assert result.statistic == pytest.approx(case["statistic"])
    assert result.p == pytest.approx(case["p"], rel=1e-9)
    if "interval" in case:
        assert [result.low, result.high] == pytest.approx(case["interval"], abs=1e-9)
        assert result.difference == pytest.approx(case["pseudomedian"], abs=1e-9)


@pytest.mark.parametrize("case", R["t"], ids=["5 seeds", "12 seeds", "6 and 9"])
def test_t_tests_sign_flips_and_effect_size_equal_r(case):
    first, second = case["first"], case["second"]
    welch = welch_t_test(first, second, variation="head seed")
    assert welch.p == pytest.approx(case["welch"], rel=1e-9)
    assert [welch.low, welch.high] == pytest.approx(case["welch_interval"], rel=1e-9)
    if "paired" not in case:
        return
    paired = paired_t_test(first, second, variation="head seed")
    assert paired.p == pytest.approx(case["paired"], rel=1e-9)
    assert [paired.low, paired.high] == pytest.approx(case["paired_interval"], rel=1e-9)
    effect = cohens_d_z(first, second, variation="head seed")
    assert effect.value == pytest.approx(case["d_z"], rel=1e-9)
    assert [effect.low, effect.high] == pytest.approx(case["d_z_interval"], abs=1e-6)
    assert sign_flip_test(first, second, variation="head seed").p == pytest.approx(case["signs"], rel=1e-9)


def test_friedman_and_nemenyi_equal_r():
    scores, names = np.array(R["ranks"]["scores"]), list("abcd")
    result = friedman_test(scores, names)
    assert result.average_ranks == pytest.approx(R["ranks"]["average"])
    assert result.statistic == pytest.approx(R["ranks"]["statistic"], rel=1e-9)
    assert result.p == pytest.approx(R["ranks"]["p"], rel=1e-9)
    np.testing.assert_allclose(nemenyi_test(scores, names).p, R["ranks"]["nemenyi"], atol=1e-6)
    differences = [critical_difference(k, 14) for k in range(2, 11)]
    assert differences == pytest.approx(R["ranks"]["critical_difference"], rel=1e-5)


def test_corrections_equal_r():
    expected = R["corrections"]
    np.testing.assert_allclose(holm(expected["p"]), expected["holm"], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(expected["p"]), expected["bh"], rtol=1e-12)


def test_required_sample_sizes_equal_r():
    expected = R["power"]
    assert [required_pairs(d).n for d in expected["effect"]] == [int(np.ceil(n)) for n in expected["pairs"]]
    assert [required_per_group(d).n for d in expected["effect"]] == [int(np.ceil(n)) for n in expected["each"]]
