"""Permutation tests against enumeration and SciPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from f2vbench.stats import resampling
from f2vbench.stats.permutation import paired_permutation_test, sign_flip_test


@pytest.mark.parametrize("size", [4, 7, 10])
def test_sign_flips_equal_scipy_where_all_are_enumerated(size):
    draw = np.random.default_rng(size)
    first, second = draw.gamma(1, size=size), draw.gamma(1.5, size=size)
    expected = stats.permutation_test(
        (first - second,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    test = sign_flip_test(first, second, variation="split")
    assert test.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert test.note.startswith(f"exact, all {2**size:,}")


def test_the_interval_contains_the_shifts_that_sign_flips_do_not_reject():
    draw = np.random.default_rng(6)
    first, second = draw.exponential(size=9), draw.exponential(size=9)
    test = sign_flip_test(first, second, variation="split")
    for limit, inward in ((test.low, 1), (test.high, -1)):
        assert sign_flip_test(first, second + limit + inward * 1e-7, variation="split").p > 0.05
        assert sign_flip_test(first, second + limit - inward * 1e-7, variation="split").p <= 0.05


def test_random_sign_flips_approximate_the_exact_test_and_never_give_zero():
    draw = np.random.default_rng(7)
    first, second = draw.normal(0.8, 1, 12), draw.normal(size=12)
    exact = sign_flip_test(first, second, variation="split")
    random = sign_flip_test(first, second, variation="split", replicates=3_000)
    assert exact.note.startswith("exact")
    assert "drawn" in random.note
    assert random.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 3_000) + 1e-3)
    all_positive = sign_flip_test(np.arange(1.0, 31), np.zeros(30), variation="split", replicates=999)
    assert all_positive.p == pytest.approx(2 / 1000)


def test_paired_permutations_by_patient_equal_enumeration():
    draw = np.random.default_rng(8)
    patients = np.array(["a", "a", "b", "c", "c", "c", "d", "e", "f", "f"])
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 0])
    first, second = draw.normal(size=10) + labels, np.exp(draw.normal(size=10))
    first_ranks, second_ranks = stats.rankdata(first), stats.rankdata(second)
    observed = roc_auc_score(labels, first_ranks) - roc_auc_score(labels, second_ranks)
    differences = []
    for exchanged_patients in product((False, True), repeat=6):
        exchanged = np.array(exchanged_patients)[np.searchsorted(list("abcdef"), patients)]
        one = np.where(exchanged, second_ranks, first_ranks)
        other = np.where(exchanged, first_ranks, second_ranks)
        differences.append(roc_auc_score(labels, one) - roc_auc_score(labels, other))
    expected = np.mean(np.abs(differences) >= abs(observed) - 1e-12)
    test = paired_permutation_test(first, second, labels, patients=patients)
    assert test.difference == pytest.approx(observed)
    assert test.p == pytest.approx(expected, rel=1e-12)
    assert (test.n, test.unit) == (6, "patients")
    # For a mean, exchanging the predictions of a patient flips the sign of the patient's sum of differences.
    sums = np.array([(first - second)[patients == name].sum() for name in "abcdef"])
    mean_test = paired_permutation_test(first, second, metric="mean", patients=patients)
    assert mean_test.p == pytest.approx(sign_flip_test(sums, np.zeros(6), variation="split").p)


def test_exact_permutations_do_not_depend_on_batches(monkeypatch):
    draw = np.random.default_rng(9)
    labels = draw.integers(0, 2, 9)
    first, second = labels + draw.normal(size=9), draw.normal(size=9)
    whole = paired_permutation_test(first, second, labels)
    assert whole.note.startswith("exact")
    monkeypatch.setattr(resampling, "_BATCH_VALUES", 70)
    assert paired_permutation_test(first, second, labels) == whole


def test_permutations_without_a_test_have_a_reason():
    labels = np.array([0, 1, 1])
    scores = np.array([0.1, 0.2, 0.3])
    assert "undefined" in paired_permutation_test(scores, scores, np.ones(3)).reason
    assert "zero for every permutation" in paired_permutation_test(scores, 10 * scores, labels).reason
    one_patient = paired_permutation_test(scores, -scores, labels, patients=["a", "a", "a"])
    assert "at least two patients" in one_patient.reason
    with pytest.raises(ValueError, match="unknown metric 'aurc'"):
        paired_permutation_test(scores, scores, labels, metric="aurc")
    with pytest.raises(ValueError, match="same cases"):
        paired_permutation_test(scores, scores[:2], labels)
