"""A user's data set with masks of several classes: from one card to records, tables and figures, without code."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench import Benchmark, Results
from f2vbench.analysis.metric_inputs import metric_inputs
from f2vbench.report.content import report_content
from f2vbench.report.figures.catalogue import draw_figures
from tests.helpers.mask_sets import SIDE, write_card, write_class_folders
from tests.helpers.segmentation_runs import SETTINGS

CLASSES = ["disc", "cup", "spot"]
SMALL = SETTINGS | {
    "task": "mine",
    "model": ["timm:test_resnet:untrained", "fundus2fa-mini"],
    "shots": [0, 2],
    "seeds": 1,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The results of a run."""
    folder = tmp_path_factory.mktemp("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        write_class_folders(folder / "set", images=8)
        write_card(folder, mask_classes=[{"name": name} for name in CLASSES])
        Benchmark(**SMALL, data=str(folder / "set"), out=folder / "run").run()
        yield Results.load(folder / "run")


def test_models_without_a_score_of_the_classes_are_left_out_with_a_reason(run):
    left_out = " ".join(run.calls[0]["left_out"])
    assert "tophat · few-shot: scores vessels of any kind; it has no score for disc, cup, spot" in left_out
    assert "fundus2fa-mini · zero-shot: its classes are those of simulated eyes, without cup, spot" in left_out


def test_records_have_the_metrics_of_each_class_and_their_mean(run):
    records = run.records
    assert {record["unit"]["encoder"] for record in records} == {
        "timm:test_resnet:untrained",
        "fundus2fa-mini",
        "scratch",
    }
    for record in records:
        result = record["result"]
        assert result["mask_classes"] == CLASSES
        assert result["thresholds"] == {name: {"value": 0.5, "rule": "fixed at 0.5"} for name in CLASSES}
        assert all(result["support_by_class"][name] for name in CLASSES)
        assert "hd95:cup" in record["lower_is_better"]
        metrics = result["metrics"]
        assert metrics["auroc"] == pytest.approx(np.mean([metrics[f"auroc:{name}"] for name in CLASSES]))
        inputs = metric_inputs(record, "auroc", run.predictions)
        weights = np.ones((1, len(inputs.images)))
        assert inputs.weighted_function()(weights)[0] == pytest.approx(metrics["auroc"], abs=1e-12)
        image = result["episode"]["test"][0]
        of_class = run.stored.score_map(record, image, "cup")
        assert of_class.shape == (SIDE, SIDE)
        assert not np.array_equal(of_class, run.stored.score_map(record, image, "disc"))


def test_the_report_has_a_table_and_figures_of_the_classes(run):
    content = report_content(run)
    table = content.classes
    assert [row[1].text for row in table.rows[:3]] == ["disc"] * 3
    assert {row[1].text for row in table.rows} == set(CLASSES)
    names = ["classes", "segmentation-examples", "worst-cases", "roc"]
    figures = {figure.name for figure in draw_figures(run, names)}
    assert figures >= {"classes", "worst-cases", "roc-disc", "roc-cup", "roc-spot"}
    assert {f"segmentation-examples-{name}" for name in CLASSES} <= figures
