"""The bootstrap over patients: against a plain loop, and against the spread of fresh draws."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.stats.patients import patient_interval


def test_the_value_is_the_mean_over_galleries_and_the_interval_that_of_a_slow_bootstrap():
    draw = np.random.default_rng(0)
    patients = draw.integers(0, 40, 300).astype(str)
    seeds = draw.integers(0, 3, 300)
    values = (draw.random(300) < 0.2 + 0.5 * (patients.astype(int) % 2)).astype(float)
    found = patient_interval(values, patients, seeds, replicates=4000)
    assert found.value == pytest.approx(np.mean([values[seeds == s].mean() for s in range(3)]))
    assert (found.patients, found.queries) == (40, 300)
    people = np.unique(patients)
    slow = []
    for _ in range(1500):
        rows = np.concatenate([np.flatnonzero(patients == one) for one in draw.choice(people, len(people))])
        slow.append(np.mean([values[rows][seeds[rows] == s].mean() for s in range(3)]))
    low, high = np.quantile(slow, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)


def test_many_images_of_one_patient_do_not_narrow_it():
    draw = np.random.default_rng(1)
    of_patient = (draw.random(30) < 0.5).astype(float)
    names = np.arange(30).astype(str)
    once = patient_interval(of_patient, names, np.zeros(30, int))
    often = patient_interval(of_patient.repeat(20), names.repeat(20), np.zeros(600, int))
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=1e-9)


def test_p_is_small_where_the_difference_is_clear_and_not_where_there_is_none():
    draw = np.random.default_rng(2)
    names, seeds = np.arange(200).astype(str), np.zeros(200, int)
    assert patient_interval(draw.normal(0.5, 1, 200), names, seeds).p < 0.01
    null = [patient_interval(draw.normal(0, 1, 200), names, seeds, 500, seed).p for seed in range(100)]
    assert sum(p < 0.05 for p in null) <= 14
    assert np.mean(null) == pytest.approx(0.5, abs=0.1)


def test_one_patient_has_no_interval_and_no_value_is_refused():
    found = patient_interval(np.array([1.0, 0.0]), np.array(["a", "a"]), np.array([0, 0]))
    assert (found.value, found.low, found.p) == (0.5, None, None)
    with pytest.raises(ValueError, match="at least one"):
        patient_interval(np.zeros(0), np.zeros(0, str), np.zeros(0, int))
