"""`Results` in Python: tables, figures and reports without the command line."""

from __future__ import annotations

import io

import pytest
from matplotlib import rc_context

from f2vbench import Results
from f2vbench.errors import SettingsError, StoreError
from tests.helpers.stored_runs import grid, unit_record


@pytest.fixture(scope="module")
def results() -> Results:
    return Results(grid({"a": 0.9, "b": 0.8}, seeds=2))


def test_all_tables_are_one_latex_document(results, tmp_path):
    results.to_latex(tmp_path / "tables.tex")
    assert "\\toprule" in (tmp_path / "tables.tex").read_text()


def test_a_report_has_the_formats_and_metrics_of_its_arguments(results, tmp_path):
    (path,) = results.report(tmp_path / "out", format="html", figures="none", metric="dice")
    assert path.name == "report.html"
    assert "Dice" in path.read_text()


def test_a_figure_without_data_is_an_error_with_the_reason(results):
    with pytest.raises(StoreError, match="figure supervised cannot be drawn"):
        results.figure("supervised")


def test_figures_keep_their_style_when_they_are_saved_under_other_settings(results, tmp_path):
    figure, pdf = results.figure("fig3"), io.BytesIO()
    assert figure.get_figwidth() > 0
    with rc_context({"pdf.fonttype": 3, "svg.fonttype": "path"}):
        figure.savefig(pdf, format="pdf")
        figure.savefig(tmp_path / "figure.svg")
    assert b"/Type3" not in pdf.getvalue()
    assert b"/FontFile2" in pdf.getvalue()
    assert "<text" in (tmp_path / "figure.svg").read_text()


def test_an_unknown_metric_or_encoder_is_an_error_with_a_suggestion(results):
    with pytest.raises(StoreError, match="did you mean 'dice'"):
        results.summary(["dicee"])
    with pytest.raises(StoreError, match=r"no results of 'c'.*available: a, b"):
        results.compare("c")


def test_results_say_what_they_hold(results):
    assert len(results) == 4
    assert repr(results) == "<Results: 4 units of 2 models, 2 seeds, in eyes; summary() has their means>"
    html = results._repr_html_()
    assert html.startswith("<p>4 units of 2 models")
    assert html.count("<tr") == 5  # headings, and two models in two metrics


def test_units_can_be_selected(results):
    chosen = set(results.frame.unit[results.frame.encoder == "a"])
    assert set(results.select_units(chosen).frame.encoder) == {"a"}
    assert len(results.select_units(())) == 0


def test_an_unknown_reference_model_is_an_error(results, tmp_path):
    with pytest.raises(SettingsError, match="baseline=nope: no results of 'nope'; available: a, b"):
        results.report(tmp_path / "out", baseline="nope")
    assert not (tmp_path / "out").exists()


def test_intervals_of_means_stay_in_the_range_unless_those_of_the_papers_are_asked_for():
    records = [
        unit_record("a", seed=seed, images={"eye": {"auroc": value, "dice": 0.5}})
        for seed, value in enumerate((0.98, 0.99, 1.0, 0.95, 1.0))
    ]
    results = Results(records)
    student, papers = (results.summary(["auroc"], interval=kind).iloc[0] for kind in ("student", "papers"))
    assert student["mean"] == papers["mean"] == pytest.approx(0.984)
    assert papers.high > 1
    assert 0 < student.low < papers.low < student.high < 1
