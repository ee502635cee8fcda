"""Small versions of benchmarks/stats_calibration.py: coverage of intervals and rejection rates of tests."""

from __future__ import annotations

import pytest

from benchmarks import crossed_calibration, crossed_studies, stats_calibration


def simulated_rates(name, repeats):
    (study,) = [study for study in stats_calibration.STUDIES if study.name == name]
    return stats_calibration.simulate(study, repeats)


@pytest.mark.parametrize(
    ("name", "repeats"),
    [
        ("Student's interval: 5 seeds, normal", 800),
        ("paired t: 5 seeds, normal", 500),
        ("paired t: 40 seeds, skewed", 500),
        ("Welch's t: 5 and 8 seeds, sd 1 and 3", 300),
        ("Wilcoxon: 20 seeds, heavy tails", 500),
        ("sign-flip test: 10 seeds, heavy tails", 250),
        ("DeLong: 20 + 20 patients, AUROC 0.8", 500),
        ("DeLong: 20 + 20 patients, skewed scores", 500),
        ("DeLong by patient: 50 patients, two eyes each", 500),
        ("DeLong on the logit: 20 + 20 patients, AUROC 0.9", 500),
        ("percentile bootstrap: AUROC difference, 20 + 20 patients", 200),
        ("BCa bootstrap: AUROC 0.9, 20 + 20 patients", 200),
        ("percentile bootstrap: skewed Dice difference, 100 patients × 2 eyes", 200),
        ("Friedman F: 10 tasks, 5 models", 250),
    ],
)
def test_coverage_and_rejection_rate_are_nominal(name, repeats):
    rates = simulated_rates(name, repeats)
    assert rates.are_nominal(), rates


@pytest.mark.parametrize(
    "name", ["5 AUROCs, mean 0.9, sd 0.05", "5 AUROCs, mean 0.98, sd 0.015", "3 AUROCs, mean 0.9, sd 0.05"]
)
def test_the_interval_of_a_mean_within_the_range_covers_95_percent(name):
    assert simulated_rates(f"Student's within the range: {name}", 1000).coverage == pytest.approx(95, abs=2)


def test_1_96_standard_errors_of_five_seeds_cover_88_percent():
    # P(|t₄| ≤ 1.96) = 0.878
    assert simulated_rates("mean ± 1.96 SE: 5 seeds, normal", 800).coverage == pytest.approx(87.8, abs=3)


def test_t_tests_over_seeds_that_share_images_are_anti_conservative():
    plain = simulated_rates("paired t: 5 random halves of 40 patients", 80)
    corrected = simulated_rates("corrected t: 5 random halves of 40 patients", 80)
    assert plain.rejection > 15
    assert corrected.rejection < 10
    assert simulated_rates("paired t: 5 head seeds, one test set of 60 patients", 60).rejection > 30


def test_rank_tests_of_five_seeds_never_reject():
    for name in ("Wilcoxon: 5 seeds", "sign-flip test: 5 seeds"):
        assert simulated_rates(name, 100).rejection == 0


def situation(name):
    (found,) = [each for each in crossed_studies.SITUATIONS if each.name == name]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "official, all labels, 60 × 2",
        "official, 4 shots, 60 × 1",
        "splits, all labels, 100 × 1",
        "5 % positives, 300 × 1",
        "Dice, 60 × 2",
    ],
)
def test_the_crossed_test_of_equal_models_rejects_about_5_percent(name):
    rates = crossed_calibration.rejections(situation(name), studies=300, resampled=0, gap=0.0)
    # Two standard errors of 300 studies are 2.5 %.
    assert 1.5 <= rates.crossed <= 8.5


def test_the_papers_test_rejects_equal_models_far_more_often():
    rates = crossed_calibration.rejections(situation("official, all labels, 60 × 2"), studies=100, resampled=0, gap=0.0)
    assert rates.papers > 40


def test_the_crossed_interval_covers_other_patients_and_heads_and_1_96_standard_errors_do_not():
    crossed, papers = crossed_calibration.coverage(situation("official, 4 shots, 60 × 1"), studies=300)
    assert crossed == pytest.approx(95, abs=3)
    assert papers < 85


def test_max_t_controls_the_error_over_all_pairs_of_six_equal_models():
    any_pair, best_and_second, papers = crossed_calibration.selections(
        situation("official, all labels, 60 × 2"), studies=120
    )
    assert best_and_second <= any_pair <= 10
    assert papers > 20
