"""Crossed tests of stored records: families of pairs, unequal test images, and results without a valid test."""

from __future__ import annotations

import re

import numpy as np
import pytest

from f2vbench import Results
from f2vbench.analysis.comparisons import ModelPair, select_against_best
from f2vbench.analysis.crossed_scores import CrossedScores
from f2vbench.report.content import report_content
from f2vbench.report.tables.terminal import results_text
from f2vbench.report.writers.html import page
from f2vbench.stats.crossed import crossed_test, max_t_adjusted
from f2vbench.stats.jackknife import SeedCases, jackknife_scores
from tests.helpers.stored_runs import grid, unit_record

MODELS = {"a": 0.8, "b": 0.798, "c": 0.796, "d": 0.795}


def official(levels, seeds: int = 4, images: int = 20, spread: float = 0.03, start: int = 0):
    """Records of models that are tested on the same official test set at every seed, with noise of their own."""
    rng = np.random.default_rng(start)
    common = rng.normal(0, spread, images)
    own = {name: rng.normal(0, spread / 3, images) for name in levels}
    return [
        unit_record(
            name,
            seed=seed,
            images={
                f"eye{start + n:03d}": {"auroc": float(value)}
                for n, value in enumerate(level + common + own[name] + rng.normal(0, spread / 5, images))
            },
            support=[f"s{seed}"],
            main_metrics=["auroc"],
            patients_in_all=100,
        )
        for seed in range(seeds)
        for name, level in levels.items()
    ]


def jackknife(records, name):
    own = [record for record in records if record["unit"]["encoder"] == name]
    cases = []
    for record in own:
        values = record["result"]["per_image"]
        cases.append(SeedCases([each["auroc"] for each in values.values()], None, list(values)))
    return jackknife_scores("mean", cases)


def pair(results, first, second):
    (found,) = results.comparisons(["auroc"], lambda group: [ModelPair(first, second, ("best and second",))])
    return found


def test_the_pair_that_was_chosen_by_its_results_is_adjusted_over_all_pairs():
    records = official(MODELS)
    (comparison,) = Results(records).comparisons()
    models = {name: jackknife(records, name) for name in MODELS}
    expected = crossed_test(models[comparison.first], models[comparison.second], variation=["episode", "head seed"])
    assert comparison.crossed.p == pytest.approx(expected.p, rel=1e-9)
    assert comparison.crossed.low == pytest.approx(expected.low)
    assert comparison.crossed.variation == ("test patients", "episode", "head seed")
    names = list(MODELS)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    adjusted = dict(zip(pairs, max_t_adjusted(list(models.values()), pairs), strict=True))
    chosen = tuple(sorted((names.index(comparison.first), names.index(comparison.second))))
    assert comparison.selection.pairs == 6
    assert comparison.selection.p == pytest.approx(adjusted[chosen], abs=0.02)
    assert comparison.crossed.p_adjusted == comparison.selection.p  # one comparison in the report
    assert comparison.selection.p > comparison.crossed.p


def test_a_reference_is_adjusted_over_its_own_pairs_and_one_pair_is_not_adjusted():
    results = Results(official(MODELS))
    (against_best,) = results.comparisons(["auroc"], select_against_best("d"))
    assert against_best.selection.pairs == 3
    (alone,) = Results(official({"a": 0.8, "b": 0.79})).comparisons(["auroc"], select_against_best("b"))
    assert alone.selection.pairs == 1
    assert alone.selection.p == alone.crossed.p == alone.crossed.p_adjusted


def test_the_adjustment_over_the_report_comes_after_that_for_the_choice():
    comparisons = Results(grid(MODELS, spread=0.05, shots=(1, 2, 4))).comparisons(["auroc"])
    smallest = min(comparisons, key=lambda each: each.selection.p)
    assert smallest.crossed.p_adjusted == pytest.approx(min(1, 3 * smallest.selection.p))
    assert smallest.crossed.adjustment.name == "step-down max-T and Holm"
    for each in comparisons:
        assert each.crossed.p <= each.selection.p <= each.crossed.p_adjusted


def test_a_model_without_a_seed_is_compared_on_the_shared_seeds_and_adjusted_by_bonferroni():
    records = [r for r in official(MODELS) if (r["unit"]["encoder"], r["unit"]["seed"]) != ("d", 3)]
    results = Results(records)
    other = pair(results, "d", "a")
    assert other.crossed.seeds == 3
    assert other.selection.p == pytest.approx(min(1, 6 * other.crossed.p))
    same = pair(results, "a", "b")
    assert same.crossed.seeds == 4
    models = [jackknife(records, name) for name in "abc"]
    three = max_t_adjusted(models, [(0, 1), (0, 2), (1, 2)])[0]
    # The three pairs with the same seeds receive three sixths of the error.
    assert same.selection.p == pytest.approx(min(1, 2 * three), abs=0.04)


def test_different_test_images_are_named():
    records = [r for r in official(MODELS) if r["unit"]["encoder"] != "d"]
    records += official({"d": 0.8}, start=100)
    results = Results(records)
    other = pair(results, "a", "d")
    assert other.significance == "no test"
    assert other.crossed.reason == "a and d were tested on different images at every seed"
    assert other.selection == (3, None)
    records = official(MODELS)
    moved = next(r for r in records if (r["unit"]["encoder"], r["unit"]["seed"]) == ("d", 0))
    replaced = official({"d": 0.8}, seeds=1, start=100)[0]
    results = Results([replaced if r is moved else r for r in records])
    some = pair(results, "a", "d")
    assert some.crossed.seeds == 3
    assert "a and d were tested on different images at seed 0, which is left out" in some.crossed.note
    assert some.crossed.variation == ("test patients", "episode", "head seed")


def test_seeds_that_share_few_training_images_are_less_correlated():
    def design(**others):
        return CrossedScores(grid({"a": 0.8}, images=10, **others), lambda record: {}).design

    # Ten of 20 patients are tested. One support image is one of 20 patients: 2 · 1 ÷ 19.
    assert design().split_ratio == pytest.approx(2 / 19)
    assert design(shots=(8,)).split_ratio == pytest.approx(1)  # not above test ÷ training patients
    zero_shot = design(shots=(0,))
    assert zero_shot.split_ratio == 0
    assert zero_shot.variation == ("split",)
    assert CrossedScores(official(MODELS), lambda record: {}).design.split_ratio == 0


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (official(MODELS, images=2), "2 test patients: at least 5 are needed to estimate how patients vary"),
        (official(MODELS, spread=0.0), "all values are equal for all patients and seeds"),
        (official({"a": 0.8, "b": 0.8}, spread=0.0), "all values are equal for all patients and seeds"),
        (
            [
                *official({"a": 0.8}, seeds=1),
                *(r for r in official({"b": 0.8}) if r["unit"]["seed"] == 2),
            ],
            "a and b have no seed in common at which both have a value",
        ),
    ],
    ids=["two patients", "constant values", "equal models", "no shared seed"],
)
def test_results_without_a_valid_test_say_why(records, reason):
    results = Results(records)
    content = report_content(results)
    html = page(content).split("<body>")[1].split("<script>")[0]
    assert not re.search(r">[^<]*\b(nan|NaN|None|inf)\b", html)
    terminal = results_text(
        results.summary(["auroc"]), results.compare("a", ["auroc"]), results.main_metrics, results.families
    )
    assert "nan" not in terminal
    assert {each.significance for each in results.comparisons()} == {"no test"}
    assert reason in html
    assert reason in terminal
    assert reason in " ".join(content.summaries[0].sentences)
    assert any(text.startswith("no valid test for ") and reason in text for text in content.limitations)


def test_one_seed_holds_for_other_patients_alone():
    comparison = pair(Results(official(MODELS, seeds=1)), "a", "b")
    assert comparison.crossed.variation == ("test patients",)
    row = Results(official({"a": 0.9, "b": 0.8}, seeds=1)).compare("a", ["auroc"]).iloc[0]
    assert (row.certainty, row.generalizes_to) == ("significant", "other patients, with the heads as trained")
    assert (row.n, row.patients) == (1, 20)


def test_few_patients_are_a_warning_in_report_and_terminal():
    results = Results(official(MODELS, images=7))
    warning = "nly 7 test patients: interval and p are rough below 10"
    content = report_content(results)
    assert any(warning in note for note in content.comparisons[0].notes)
    assert any(f"1 of 1 comparison: o{warning}" in text for text in content.limitations)
    assert warning in content.summaries[0].sentences[0]
    assert warning in content.comparison_sentences[0]
    row = results.compare("a", ["auroc"]).iloc[0]
    assert warning in row.warning
    terminal = results_text(
        results.summary(["auroc"]), results.compare("a", ["auroc"]), results.main_metrics, results.families
    )
    assert f"1) o{warning}" in terminal
