"""The catalogue of figures: names, aliases, and reasons for missing figures."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.errors import SettingsError
from f2vbench.report.figures.catalogue import FIGURES, draw_figures, figure_names, missing_figures
from f2vbench.report.figures.figure import save_figure
from f2vbench.report.figures.style import style_named
from tests.helpers.drawn_figures import draw_one
from tests.helpers.made_runs import SimulatedEncoder, classification_run


def test_figures_of_predictions_are_drawn_for_each_task(classification_results):
    kinds = ("roc", "pr", "calibration", "decision-curves", "confusion")
    names = [drawn.name for drawn in draw_figures(classification_results, kinds, "lncs")]
    assert names == [f"{kind}-{task}" for kind in kinds for task in ("papila", "ukb-stroke")]


def test_missing_figures_have_reasons(classification_results):
    missing = missing_figures(classification_results)
    assert set(missing) == {
        "classes",
        "few-shot-segmentation",
        "segmentation-examples",
        "embedding-map",
        "embedding-tsne",
        "worst-cases",
        "attention",
        "retrieval",
        "retrieval-examples",
        "modality-pairs",
        "predicted-true",
        "bland-altman",
        "kaplan-meier",
        "assessment",
        "subgroups",
    }
    assert missing["subgroups"] == "no subgroups are requested: name columns of the data set's table, as in by=sex,age"
    assert missing["retrieval"] == missing["modality-pairs"] == missing["retrieval-examples"] == "no retrieval units"
    assert "are not available" in missing["embedding-map"]
    assert not list(draw_figures(classification_results, ["few-shot-segmentation"]))


def test_names_and_aliases_are_resolved():
    assert set(FIGURES) >= {"few-shot", "zero-shot", "supervised", "learning-curves", "critical-difference"}
    assert figure_names(["fig5", "few-shot", "supp-fig1"]) == ["few-shot", "few-shot-aupr"]


def test_unknown_figures_and_styles_are_errors_with_suggestions():
    with pytest.raises(SettingsError, match="did you mean 'calibration'") as error:
        figure_names(["calibratoin", "nothing"])
    assert len(error.value.problems) == 2
    with pytest.raises(SettingsError, match="did you mean 'nature'"):
        style_named("natur")


def test_results_of_one_encoder_and_one_seed_are_drawn_and_special_characters_kept(tmp_path):
    encoders = {"timm:<b>&$x_1$": SimulatedEncoder(1.0, "hub")}
    folder = classification_run(tmp_path / "run", ("papila",), encoders, [("few-shot", 1)], seeds=1, images=30)
    results = Results.load(folder)
    for drawn in draw_figures(results):
        save_figure(drawn, tmp_path, ["svg"])
    assert "&lt;b&gt;&amp;$x_1$" in (tmp_path / "few-shot.svg").read_text()
    assert "one seed only" in draw_one(results, "few-shot").caption
    assert "3 models" in missing_figures(results)["critical-difference"]
