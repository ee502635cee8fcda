"""Content of reports with few seeds, one model, missing values, or an incomplete run."""

from __future__ import annotations

import re

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from f2vbench.report.writers.latex import document
from f2vbench.stats.procedure import Procedure
from tests.helpers.stored_runs import call_record, grid, unit_record, write_run


def test_with_one_seed_nothing_is_nan_and_the_missing_tests_are_explained():
    content = report_content(Results(grid({"a": 0.9, "b": 0.8}, seeds=1)))
    html = page(content)
    assert not re.search(r">[^<]*\b(nan|NaN|None)\b", html.split("<body>")[1].split("<script>")[0])
    assert "one seed only: no standard deviation and no test over seeds" in html
    assert "nor tests over seeds can be computed" in html
    assert "With one seed it generalizes to other patients alone" in html
    assert "is significant for other patients, with the heads as trained" in html
    assert "nan" not in document(content.tables).lower()


def test_one_model_alone_is_not_compared():
    content = report_content(Results(grid({"a": 0.9}, seeds=2)))
    assert not content.comparisons
    assert "Only one model, a, has a value of AUROC (0.9" in content.summaries[0].sentences[0]
    assert 'href="#tests"' not in page(content)


def test_missing_values_are_dashes_with_a_reason():
    reason = "class <i>absent</i>"
    records = [
        unit_record(
            "a",
            seed=seed,
            images={"eye": {"dice": 0.5}},
            metrics={"auroc": None, "dice": 0.5},
            reasons={"auroc": reason},
        )
        for seed in (0, 1)
    ]
    html = page(report_content(Results(records)))
    assert "2 of 2 seeds without a value: class &lt;i&gt;absent&lt;/i&gt;" in html
    assert reason not in html


def test_an_incomplete_run_is_reported_with_a_warning(tmp_path):
    records = [r for r in grid({"a": 0.9, "b": 0.8, "c": 0.7}, seeds=3) if r["unit"]["seed"] < 2]
    records += [r for r in grid({"a": 0.9}, seeds=3) if r["unit"]["seed"] == 2]
    call = call_record({"eyes": {}}, planned=grid({"a": 0.9, "b": 0.8, "c": 0.7}, seeds=3))
    content = report_content(Results.load(write_run(tmp_path / "run", records, call)))
    assert any("incomplete results: 2 of 9 units are missing (b 1, c 1)" in text for text in content.limitations)
    assert any("different seeds: " in text for text in content.limitations)
    assert "2 to 3 seeds" in content.conditions[0].caption
    assert "n = 2 seeds" in content.comparisons[0].rows[0][7].detail
    assert "2 seeds" in content.comparisons[0].rows[0][6].detail
    assert "incomplete results" in page(content)


def test_runs_that_were_asked_for_different_seeds_are_complete(tmp_path):
    first, second = grid({"a": 0.9}, seeds=3), grid({"b": 0.8}, seeds=1)
    folders = [
        write_run(tmp_path / name, records, call_record({"eyes": {}}, planned=records))
        for name, records in (("first", first), ("second", second))
    ]
    warnings = Results.load(*folders).warnings
    assert not any("incomplete" in text for text in warnings)
    assert any("different seeds: at some conditions the models do not share all seeds" in text for text in warnings)


def test_a_call_of_an_older_version_asked_for_the_seeds_of_its_settings(tmp_path):
    records = grid({"a": 0.9, "b": 0.8}, seeds=3)
    call = call_record({"eyes": {}})
    call["settings"] |= {"task": ["eyes"], "shots": [1], "seeds": [0, 1, 2]}
    call["models"] = {"a": {}, "b": {}}
    assert not any("incomplete" in text for text in Results(records, calls=[call]).warnings)
    notes = Results(records[:-1], calls=[call]).warnings
    assert any("1 of 6 units are missing (b 1)" in text for text in notes)


def test_a_condition_of_a_single_model_is_no_comparison():
    records = [*grid({"a": 0.9, "b": 0.3}, seeds=5, spread=0.01), *grid({"a": 0.9}, seeds=5, shots=(2,))]
    content = report_content(Results(records))
    assert content.overview == "The best model is significantly better than the second-best model."
    assert [summary.verdict for summary in content.summaries] == ["significant", "no comparison"]
    single = report_content(Results(grid({"a": 0.9}, seeds=2)))
    assert single.overview == "At no condition do two models have a value, so no models can be compared."


def test_headings_and_methods_name_the_test_and_the_adjustment(results):
    content = report_content(results, procedure=Procedure("welch", "bh"))
    assert "Welch's t-test" in content.comparisons[0].headings[7]
    assert "Benjamini–Hochberg-adjusted" in content.comparisons[0].headings[7]
    assert "step-down max-T and Benjamini–Hochberg-adjusted" in content.comparisons[0].headings[6]
    methods = " ".join(content.methods)
    assert "two-sided Welch's t-test (Welch, Biometrika" in methods
    assert "by the method of Benjamini–Hochberg (" in methods
    assert "Hedges' g (" in methods
    assert "and Benjamini–Hochberg adjustment over all comparisons" in page(content)
    assert "Holm" not in " ".join([content.comparisons[0].caption, content.comparisons[1].caption, methods])


def test_shots_of_classification_tasks_are_counted_per_class():
    records = grid({"a": 0.9, "b": 0.8}, seeds=2, shots=(2,), family="classification", main_metrics=["auroc"])
    content = report_content(Results(records))
    assert content.summaries[0].title == "eyes, few-shot, 2 per class"
    assert content.conditions[0].columns[1].group == "2 per class"
    assert content.comparisons[0].rows[0][0].text == "eyes, few-shot, 2 per class"
