"""Rank and permutation tests against enumeration and SciPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from f2vbench.stats import resampling
from f2vbench.stats.permutation import paired_permutation_test, sign_flip_test
from f2vbench.stats.resampling import drawn
from f2vbench.stats.signed_rank import wilcoxon_test


def _by_enumeration(differences):
    """Two-sided exact p of the signed-rank sum: all sign patterns, midranks, zeros left out."""
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    seen = ranks[kept > 0].sum()
    sums = np.array([ranks[np.array(signs) == 1].sum() for signs in product((0, 1), repeat=kept.size)])
    return min(1.0, 2 * min((sums <= seen + 1e-9).mean(), (sums >= seen - 1e-9).mean()))


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_is_exact_with_ties_and_zeros(seed):
    draw = np.random.default_rng(seed)
    differences = draw.integers(-3, 6, 11).astype(float)
    found = wilcoxon_test(differences, np.zeros(11), variation="tasks")
    assert found.p == pytest.approx(_by_enumeration(differences), rel=1e-9)
    assert found.unit == "tasks"


def test_rounding_does_not_break_ties():
    first = np.array([0.9, 0.8, 0.7, 0.35, 0.6])
    second = np.array([0.8, 0.7, 0.6, 0.45, 0.6])  # ±0.1 four times with rounding, and a zero
    found = wilcoxon_test(first, second, variation="split")
    assert found.p == pytest.approx(_by_enumeration(np.array([1.0, 1, 1, -1, 0])))
    assert "1 of 5 differences are zero" in found.note


@pytest.mark.parametrize("size", [8, 120, 350])
def test_wilcoxon_equals_scipy_without_ties(size):
    draw = np.random.default_rng(size)
    first, second = draw.normal(0.1, 1, size), draw.normal(size=size)
    method = "exact" if size <= 200 else "approx"
    expected = stats.wilcoxon(first - second, method=method, correction=method == "approx")
    assert wilcoxon_test(first, second, variation="split").p == pytest.approx(expected.pvalue, rel=1e-8)


def test_interval_of_wilcoxon_holds_just_the_shifts_it_would_not_reject():
    draw = np.random.default_rng(5)
    for size in (9, 260):
        first, second = draw.exponential(size=size), draw.exponential(size=size)
        found = wilcoxon_test(first, second, variation="split")
        step = 1e-7
        for end, inward in ((found.low, 1), (found.high, -1)):
            assert wilcoxon_test(first, second + end + inward * step, variation="split").p > 0.05
            assert wilcoxon_test(first, second + end - inward * step, variation="split").p <= 0.0505


def test_five_seeds_can_show_nothing_and_that_is_said():
    first, second = np.array([0.9, 0.91, 0.93, 0.92, 0.95]), np.array([0.8, 0.8, 0.81, 0.8, 0.8])
    for test in (wilcoxon_test, sign_flip_test):
        found = test(first, second, variation="head seed")
        assert found.p == pytest.approx(0.0625)
        assert found.smallest_p == pytest.approx(0.0625)
        assert found.low is None
        assert "too few" in found.reason
        assert found.required.n == 6
        sentence = found.sentence("a", "b", "AUROC")
        assert "smallest p is 0.0625" in sentence
        assert "about 6 seeds would be needed" in sentence


@pytest.mark.parametrize("test", [wilcoxon_test, sign_flip_test])
def test_no_pair_or_no_difference_is_no_test(test):
    assert "one pair" in test([1.0], [2.0], variation="split").reason
    found = test([0.3, 0.4, 0.5], [0.1 + 0.2, 0.4, 0.5], variation="split")
    assert found.p is None
    assert "every difference is zero" in found.reason
    with pytest.raises(ValueError, match="finite"):
        test([np.nan, 1.0], [1.0, 2.0], variation="split")


@pytest.mark.parametrize("size", [4, 7, 10])
def test_sign_flips_equal_scipy_where_all_are_tried(size):
    draw = np.random.default_rng(size)
    first, second = draw.gamma(1, size=size), draw.gamma(1.5, size=size)
    expected = stats.permutation_test(
        (first - second,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    found = sign_flip_test(first, second, variation="split")
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.note.startswith(f"exact, all {2**size:,}")


def test_interval_of_sign_flips_holds_just_the_shifts_not_rejected():
    draw = np.random.default_rng(6)
    first, second = draw.exponential(size=9), draw.exponential(size=9)
    found = sign_flip_test(first, second, variation="split")
    for end, inward in ((found.low, 1), (found.high, -1)):
        assert sign_flip_test(first, second + end + inward * 1e-7, variation="split").p > 0.05
        assert sign_flip_test(first, second + end - inward * 1e-7, variation="split").p <= 0.05


def test_drawn_flips_come_near_the_exact_test_and_never_give_zero():
    draw = np.random.default_rng(7)
    first, second = draw.normal(0.8, 1, 12), draw.normal(size=12)
    exact = sign_flip_test(first, second, variation="split")
    drawn = sign_flip_test(first, second, variation="split", replicates=3_000)
    assert exact.note.startswith("exact")
    assert "drawn" in drawn.note
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 3_000) + 1e-3)
    assert sign_flip_test(np.arange(1.0, 31), np.zeros(30), variation="split", replicates=999).p == pytest.approx(
        2 / 1000
    )


def _rank_auroc(labels, scores):
    return roc_auc_score(labels, scores)


def test_swapping_patients_equals_enumeration():
    draw = np.random.default_rng(8)
    patients = np.array(["a", "a", "b", "c", "c", "c", "d", "e", "f", "f"])
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 0])
    first, second = draw.normal(size=10) + labels, np.exp(draw.normal(size=10))
    one, other = stats.rankdata(first), stats.rankdata(second)
    seen = _rank_auroc(labels, one) - _rank_auroc(labels, other)
    found = []
    for swaps in product((False, True), repeat=6):
        swapped = np.array(swaps)[np.searchsorted(list("abcdef"), patients)]
        mixed, rest = np.where(swapped, other, one), np.where(swapped, one, other)
        found.append(_rank_auroc(labels, mixed) - _rank_auroc(labels, rest))
    expected = np.mean(np.abs(found) >= abs(seen) - 1e-12)
    result = paired_permutation_test(first, second, labels, patients=patients)
    assert result.difference == pytest.approx(seen)
    assert result.p == pytest.approx(expected, rel=1e-12)
    assert (result.n, result.unit) == (6, "patients")
    # A metric of sums: swapping whole patients of the mean is a sign flip of the patients' sums.
    sums = np.array([(first - second)[patients == name].sum() for name in "abcdef"])
    of_mean = paired_permutation_test(first, second, metric="mean", patients=patients)
    assert of_mean.p == pytest.approx(sign_flip_test(sums, np.zeros(6), variation="split").p)


def test_a_resample_depends_on_its_key_and_number_alone(monkeypatch):
    def rows(key, count, purpose="swap", numbers=10_000):
        blocks = drawn(purpose, key, count, lambda draw, size: draw.random((size, 3)), numbers, 3)
        return np.concatenate(list(blocks))

    many = rows(("rite", 2), 70)
    assert many.shape == (70, 3)
    assert np.unique(many).size == 210
    np.testing.assert_array_equal(rows(("rite", 2), 45), many[:45])
    np.testing.assert_array_equal(rows(("rite", 2), 70, numbers=1), many)  # all blocks at once
    np.testing.assert_array_equal(rows(("rite", 2), 65, numbers=700), many[:65])  # two and two
    monkeypatch.setattr(resampling, "_NUMBERS_REMEMBERED", 0)
    monkeypatch.setattr(resampling, "_TABLES", {})
    np.testing.assert_array_equal(rows(("rite", 2), 65, numbers=700), many[:65])  # none remembered
    for other in (rows(("rite", 3), 70), rows("rite", 70), rows(("rite", 2), 70, "bootstrap")):
        assert not np.isin(other, many).any()


def test_exact_swaps_do_not_depend_on_batches(monkeypatch):
    draw = np.random.default_rng(9)
    labels = draw.integers(0, 2, 9)
    first, second = labels + draw.normal(size=9), draw.normal(size=9)
    whole = paired_permutation_test(first, second, labels)
    assert whole.note.startswith("exact")
    monkeypatch.setattr(resampling, "_NUMBERS_A_BATCH", 70)
    assert paired_permutation_test(first, second, labels) == whole


def test_swaps_that_can_show_nothing_say_why():
    labels = np.array([0, 1, 1])
    scores = np.array([0.1, 0.2, 0.3])
    assert "undefined" in paired_permutation_test(scores, scores, np.ones(3)).reason
    assert "do not differ" in paired_permutation_test(scores, 10 * scores, labels).reason
    assert "one patient" in paired_permutation_test(scores, -scores, labels, patients=["a", "a", "a"]).reason
    with pytest.raises(ValueError, match="no metric 'aurc'"):
        paired_permutation_test(scores, scores, labels, metric="aurc")
    with pytest.raises(ValueError, match="same cases"):
        paired_permutation_test(scores, scores[:2], labels)
