"""`Results` in Python: tables, figures and reports without the command line."""

from __future__ import annotations

import io

import pytest
from matplotlib import rc_context

from f2vbench import Results
from f2vbench.errors import StoreError
from tests.helpers.stored_runs import grid


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
