"""Figures of regression and survival, drawn from stored predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from f2vbench import Results
from f2vbench.analysis.task_scores import compute_task_scores
from f2vbench.metrics import regression, survival
from f2vbench.report.figures.catalogue import missing_figures
from f2vbench.report.tables.ranks import rank_across_tasks
from f2vbench.report.text.wording import TaskNames
from f2vbench.stats.bland_altman import bland_altman
from f2vbench.stats.kaplan_meier import kaplan_meier
from f2vbench.store.runs import RunFolder
from tests.helpers.drawn_figures import draw_one
from tests.helpers.stored_runs import unit_record

IMAGES = [f"image{n:02}" for n in range(60)]
TRUE = 60 + 10 * np.random.default_rng(0).normal(size=60)
TIME = np.random.default_rng(1).uniform(0.5, 9, 60)
EVENT = np.random.default_rng(2).random(60) < 0.5


def record(task: str, encoder: str, shots: int | None, own: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    family, main, lower = ("regression", "mae", ["mae"]) if "predicted" in own else ("survival", "uno_c", [])
    protocol = "supervised" if shots is None else "few-shot"
    values = {"task": task, "protocol": protocol, "shots": shots, "family": family, "metrics": metrics}
    images = {name: {main: 0.0} for name in IMAGES}
    made = unit_record(encoder, images=images, main_metrics=[main], lower_is_better=lower, **values)
    made["result"] |= {"images": IMAGES, "unit_of_numbers": "years"}
    return made


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder: Path = tmp_path_factory.mktemp("numeric")
    run = RunFolder(folder)
    run.open_for_writing()
    for encoder, skill in (("good", 0.9), ("poor", 0.2)):
        for shots in (4, None):
            predicted = 60 + skill * (TRUE - 60) + np.random.default_rng(3).normal(size=60)
            arrays: dict[str, Any] = {"predicted": predicted, "true": TRUE}
            made = record("ages", encoder, shots, arrays, regression.evaluate(predicted, TRUE)[0])
            made["result"]["predictions"] = run.put_predictions(arrays)
            run.write(f"ages.{encoder}.{shots}", made)  # type: ignore[arg-type]
            curves = np.exp(-np.outer(np.exp(-skill * TIME / 3), survival.time_grid(5.0) / 8))
            arrays = {"survival": curves, "time": TIME, "event": EVENT.astype(np.uint8)}
            made = record("strokes", encoder, shots, arrays, survival.evaluate(curves, TIME, EVENT, 5.0)[0])
            made["result"] |= {"predictions": run.put_predictions(arrays), "horizon": 5.0}
            run.write(f"strokes.{encoder}.{shots}", made)  # type: ignore[arg-type]
    return Results.load(folder)


def test_predicted_numbers_are_drawn_over_true_ones_with_the_most_support_images(results: Results) -> None:
    drawn = draw_one(results, "predicted-true")
    assert "supervised" in drawn.title
    axis = drawn.figure.axes[0]
    points = np.asarray(axis.collections[0].get_offsets())
    assert points[:, 0] == pytest.approx(TRUE)
    mae = results.frame.query("encoder == 'good' and task == 'ages' and metric == 'mae' and shots.isna()").value.iloc[0]
    assert axis.texts[0].get_text() == f"MAE {mae:.3f}"
    assert axis.get_xlabel() == "true (years)"


def test_differences_are_drawn_with_the_limits_of_agreement(results: Results) -> None:
    axis = draw_one(results, "bland-altman").figure.axes[1]
    arrays = results.predictions(next(r for r in results.records if r["unit"]["encoder"] == "poor"))
    limits = bland_altman(arrays["predicted"], arrays["true"])
    drawn = sorted(float(np.asarray(line.get_ydata())[0]) for line in axis.lines)
    assert drawn == pytest.approx(sorted([limits.bias, limits.low, limits.high, 0.0]))


def test_kaplan_meier_curves_are_those_of_thirds_of_the_predicted_risk(results: Results) -> None:
    axis = draw_one(results, "kaplan-meier").figure.axes[0]
    risk = -TIME  # the longer the time, the smaller the predicted risk
    highest = risk > np.quantile(risk, 2 / 3)
    curve = kaplan_meier(TIME[highest], EVENT[highest])
    steps = [line for line in axis.lines if line.get_drawstyle() == "steps-post"]
    assert len(steps) == 3
    assert np.asarray(steps[2].get_ydata()) == pytest.approx(curve.survival)


def test_learning_curves_show_these_families_and_others_have_nothing_to_draw(results: Results) -> None:
    labels = [axis.get_ylabel() for axis in draw_one(results, "learning-curves").figure.axes]
    assert labels == ["MAE", "Spearman ρ", "Uno's C", "integrated Brier score"]
    assert missing_figures(results, ["confusion"]) == {
        "confusion": "no classification units, whose predictions it needs"
    }


def test_supervised_bars_have_a_panel_for_each_task_and_metric_in_its_unit(results: Results) -> None:
    axes = draw_one(results, "supervised").figure.axes
    assert [axis.get_ylabel() for axis in axes] == ["MAE ↓", "Spearman ρ", "Uno's C", "integrated Brier score ↓"]
    rows = results.frame[results.frame.shots.isna() & (results.frame.protocol == "supervised")]
    for axis, metric in zip(axes, ("mae", "spearman", "uno_c", "integrated_brier"), strict=True):
        ends = sorted(bar.get_y() + bar.get_height() for bar in axis.patches)
        assert ends == pytest.approx(sorted(rows[rows.metric == metric].value))


def test_ranks_across_tasks_take_the_lower_error_for_the_better_one(results: Results) -> None:
    names = TaskNames({task: task for task in results.families}, results.families)
    table = rank_across_tasks(results, names).table
    assert table is not None
    ranks = [(row[0].text, row[1].value) for row in table.rows]
    assert ranks == [("good", 1.25), ("poor", 1.75)], "equal C: both models have the same order of risks"
    assert "by MAE ↓, Uno's C, mean over seeds" in table.caption
    scores = compute_task_scores(results.frame, results.families, ["good", "poor"])
    errors = results.frame.query("metric == 'mae'").groupby("encoder").value.mean()
    assert scores.loc["ages"].tolist() == pytest.approx((-errors[["good", "poor"]]).tolist())
