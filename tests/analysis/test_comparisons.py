"""Comparisons: selection of pairs, adjustment of p-values, and results that are computed once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from f2vbench import Results
from f2vbench.analysis import significance_tests
from f2vbench.analysis.comparisons import ModelPair, select_against_best, select_key_pairs
from f2vbench.errors import SettingsError
from f2vbench.stats.multiple_testing import bootstrap_replicates
from f2vbench.stats.procedure import Procedure
from f2vbench.utils.progress import Silent
from tests.helpers.stored_runs import grid


def test_key_pairs_are_the_two_best_models_the_best_baseline_and_the_reference():
    results = Results(grid({"a": 0.8, "b": 0.9, "tophat": 0.95, "scratch": 0.7}, baselines=["tophat", "scratch"]))
    assert select_key_pairs("a")(results.summary(["auroc"])) == [
        ModelPair("tophat", "b", ("best and second", "best model and best baseline")),
        ModelPair("a", "tophat", ("reference and best other",)),
    ]


def test_p_values_are_adjusted_over_all_comparisons_and_replicates_suffice_for_the_adjustment():
    comparisons = Results(grid({"a": 0.9, "b": 0.8, "c": 0.7}, shots=(1, 2, 4))).comparisons(["auroc", "dice"])
    assert len(comparisons) == 6
    p = np.array([each.tests["bootstrap"].p for each in comparisons])
    largest = max(each.tests["bootstrap"].p_adjusted for each in comparisons)
    assert largest == pytest.approx(min(1, p.min() * 6), rel=1e-6)
    for count in (1, 40, 199):
        assert 2 / (bootstrap_replicates(count) + 1) * count < 0.05


def test_welchs_test_uses_all_seeds_of_each_model_and_bh_adjusts_as_statsmodels():
    records = list(grid({"a": 0.8, "b": 0.79, "c": 0.7}, spread=0.05, shots=(1, 2)))
    records = [r for r in records if (r["unit"]["encoder"], r["unit"]["seed"]) != ("b", 0)]
    results = Results(records)
    comparisons = results.comparisons(["auroc", "dice"], procedure=Procedure("welch", "bh"))
    one = next(each for each in comparisons if (each.condition.shots, each.metric) == (1, "auroc"))
    frame = results.frame[(results.frame.metric == "auroc") & (results.frame.shots == 1)]
    sides = [frame.value[frame.encoder == name] for name in (one.first, one.second)]
    assert one.t_test.p == pytest.approx(scipy_stats.ttest_ind(*sides, equal_var=False).pvalue)
    assert one.t_test.method.name == "Welch's t-test"
    assert one.effect_size.method.name == "Hedges' g"
    assert one.tests["paired"].n == 4
    for name in ("welch", "bootstrap"):
        tests = [each.tests[name] for each in comparisons]
        expected = multipletests([test.p for test in tests], method="fdr_bh")[1]
        assert [test.p_adjusted for test in tests] == pytest.approx(expected)


def test_compare_has_the_columns_of_all_deciding_tests():
    row = Results(grid({"a": 0.9, "b": 0.8}, seeds=3)).compare("b", ["auroc"]).iloc[0]
    assert row.best_other == "a"
    assert row.difference == pytest.approx(-0.1, abs=0.01)
    assert {"p", "p_adjusted", "p_corrected", "p_patients", "low", "high"} <= set(row.index[row.notna()])
    assert row.low < row.difference < row.high
    assert row.p_corrected > row.p


def test_compare_names_the_test_and_the_adjustment():
    results = Results(grid({"a": 0.8, "b": 0.79}, seeds=3, spread=0.05))
    row = results.compare("a", ["auroc"], test="welch", adjust="bh").iloc[0]
    assert (row.test, row.adjustment, row.effect_is) == ("Welch's t-test", "Benjamini–Hochberg", "Hedges' g")
    with pytest.raises(SettingsError, match=r"test=welsh.*did you mean 'welch'"):
        results.compare("a", test="welsh")


def test_each_bootstrap_is_computed_once(monkeypatch):
    calls = []
    bootstrap = significance_tests.paired_bootstrap

    def count_calls(*arguments, **options):
        calls.append(options["replicates"])
        return bootstrap(*arguments, **options)

    monkeypatch.setattr(significance_tests, "paired_bootstrap", count_calls)
    results = Results(grid({"a": 0.9, "b": 0.8}, seeds=2))
    first = results.comparisons(["auroc"])
    assert results.comparisons(["auroc"], select_against_best(first[0].first)) != []
    results.comparisons(["auroc"], procedure=Procedure("welch", "bh"))
    results.compare("a", ["auroc"])
    assert calls == [2000]


def test_many_comparisons_report_their_progress(monkeypatch):
    messages = []

    class Recorder(Silent):
        def begin(self, title, total):
            messages.append((title, total))

        def advance(self, label):
            messages.append(label)

    results = Results(grid({"a": 0.9, "b": 0.8}, shots=(1, 2)), progress=Recorder())
    results.comparisons(["auroc", "dice"])
    assert messages == []
    monkeypatch.setattr("f2vbench.analysis.comparisons._LEAST_FOR_PROGRESS", 4)
    results.comparisons(["auroc", "dice"])
    assert messages == [("comparing models", 4), *["eyes · auroc", "eyes · dice"] * 2]
