"""Generalised estimating equations: closed form with clusters of one size, calibration, and missing statsmodels."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from f2vbench.stats.gee import INSTALL, gee_difference_test
from f2vbench.stats.t_tests import paired_t_test


def simulate(seed: int, patients: int = 25, eyes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correctness of two equally good models, correlated between the eyes of a patient."""
    draw = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), eyes)

    def correct() -> np.ndarray:
        return (0.8 * draw.normal(size=patients)[codes] + 0.6 * draw.normal(size=len(codes)) < 0.7).astype(float)

    return correct(), correct(), codes


@pytest.mark.parametrize("eyes", [1, 2, 3])
def test_with_equally_many_images_a_patient_the_estimate_is_the_mean_and_the_error_is_known(eyes):
    """The sandwich of cluster sums, times k ÷ (k − 1) by the correction of Mancl and DeRouen."""
    first, second, codes = simulate(eyes, 25, eyes)
    test = gee_difference_test(first, second, patients=codes)
    difference = first - second
    sums = np.bincount(codes, difference - difference.mean())
    assert test.difference == pytest.approx(difference.mean(), abs=1e-12)
    assert test.se == pytest.approx(np.sqrt((sums**2).sum()) / len(difference) * 25 / 24, rel=1e-9)
    assert (test.df, test.n, test.unit) == (24, 25, "patients")
    assert test.low < test.difference < test.high


def test_images_of_a_patient_weigh_less_together_than_alone():
    """A patient with many equal images counts about once, not as often as there are images."""
    draw = np.random.default_rng(0)
    values = draw.normal(0, 0.2, 30)
    values[0] = 2.0
    codes = np.concatenate([np.arange(30), np.zeros(20, int)])
    first = np.concatenate([values, np.full(20, 2.0)])
    test = gee_difference_test(first, np.zeros(50), patients=codes)
    assert abs(test.difference - values.mean()) < 0.1 * abs(first.mean() - values.mean())


def test_equal_models_differ_in_five_percent_of_studies_by_patient_and_more_often_by_image():
    by_patient, by_image = 0, 0
    for seed in range(100):
        first, second, codes = simulate(seed)
        test = gee_difference_test(first, second, patients=codes)
        by_patient += test.p is not None and test.p < 0.05
        p = paired_t_test(first, second, variation="test patients").p
        by_image += p is not None and p < 0.05
    assert by_patient <= 11, "a rate of 5 % gives 5 ± 2.2"
    assert by_image > by_patient


def test_reasons_where_there_is_no_test(monkeypatch):
    ones = np.ones(10)
    assert "same value for every image" in gee_difference_test(ones, ones, patients=range(10)).reason
    first, second, _ = simulate(0, 4)
    few = gee_difference_test(first, second, patients=[0, 0, 1, 1, 2, 2, 3, 3])
    assert few.reason == "4 patients: the standard error needs at least 5"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    first, second, codes = simulate(0)
    assert gee_difference_test(first, second, patients=codes).reason == INSTALL
