"""Figures of metrics: bars, boxes, ranks and attention weights show the numbers of the results."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from f2vbench import Results
from f2vbench.analysis.frames import Condition
from f2vbench.analysis.task_scores import compute_task_scores
from f2vbench.metrics.operating_points import net_benefit
from f2vbench.report.figures.catalogue import draw_figures
from f2vbench.report.figures.encoder_style import encoder_styles
from f2vbench.report.figures.source import Source
from f2vbench.report.text.wording import shots_text
from tests.helpers.drawn_figures import draw_one, legend_handles, point_values
from tests.helpers.made_runs import ENCODERS, classification_run


def test_every_seed_is_a_point_and_bars_end_at_the_mean(classification_results):
    drawn = draw_one(classification_results, "supervised")
    frame = classification_results.frame
    frame = frame[frame.protocol == "supervised"]
    for axis, metric in zip(drawn.figure.axes, ("auroc", "average_precision"), strict=True):
        rows = frame[frame.metric == metric]
        assert point_values(axis) == pytest.approx(sorted(rows.value))
        ends = sorted(bar.get_y() + bar.get_height() for bar in axis.patches)
        assert ends == pytest.approx(sorted(rows.groupby(["task", "encoder"]).value.mean()))


def test_boxes_are_quartiles_and_whiskers_end_at_the_last_seed_within_1_5_interquartile_ranges(classification_results):
    drawn = draw_one(classification_results, "few-shot")
    frame = classification_results.frame
    frame = frame[(frame.protocol == "few-shot") & (frame.metric == "auroc")]
    for axis, (_, rows) in zip(drawn.figure.axes, frame.groupby("task"), strict=True):
        points = sum(len(line.get_ydata()) for line in axis.lines if line.get_linestyle() == "None")
        assert points == len(rows) == 2 * 3 * len(ENCODERS)
        quartiles, whiskers = [], []
        for _, group in rows.groupby(["shots", "encoder"]):
            low, high = np.percentile(group.value, (25, 75))
            reach = 1.5 * (high - low)
            within = [value for value in group.value if low - reach <= value <= high + reach]
            quartiles.append((low, high))
            whiskers += [min([*within, low]), max([*within, high])]
        paths = [patch.get_path().vertices[:, 1] for patch in axis.patches]
        boxes = sorted((path.min(), path.max()) for path in paths)
        assert np.array(boxes) == pytest.approx(np.array(sorted(quartiles)))
        lines = [line.get_ydata() for line in axis.lines if line.get_linestyle() != "None"]
        caps = np.array([y[0] for y in lines if len(y) == 2 and y[0] == y[1]])
        assert all(np.abs(caps - end).min() < 1e-9 for end in whiskers)


def test_ranks_are_over_tasks_of_means_over_shared_conditions(classification_results):
    frame = classification_results.frame
    table = compute_task_scores(frame, classification_results.families, ENCODERS)
    rows = frame[(frame.metric == "auroc") & (frame.protocol != "zero-shot") & (frame.encoder == "colour")]
    by_condition = rows[rows.task == "papila"].groupby(["protocol", "shots"], dropna=False).value.mean()
    assert table.loc["papila", "colour"] == pytest.approx(by_condition.mean())
    assert list(table.columns) == list(ENCODERS)
    drawn = draw_one(classification_results, "critical-difference")
    text = " ".join(label.get_text() for label in drawn.figure.axes[0].texts)
    for name, rank in (-table).rank(axis=1).mean().items():
        assert re.search(rf"{re.escape(name)}[^\d]*{rank:.2f}", text)


def test_attention_bars_are_means_with_every_seed_a_point_in_the_colours_of_the_joined_encoders(tmp_path):
    encoders = {name: ENCODERS[name] for name in ("fundus2fa-mini", "colour")}
    folder = classification_run(tmp_path / "run", ("papila",), encoders, [("few-shot", 1)], seeds=3, images=15)
    records = Results.load(folder).records
    weights = {"non-glaucoma": 0.7, "suspected": 0.5, "glaucoma": 0.4}
    for record in [record for record in records if record["unit"]["encoder"] == "fundus2fa-mini"]:
        shift = record["unit"]["seed"] / 20
        attention = {name: {"colour": w + shift, "elsewhere": 1 - w - shift} for name, w in weights.items()}
        unit, result = {**record["unit"], "encoder": "colour+elsewhere"}, {**record["result"], "attention": attention}
        records.append({**record, "unit": unit, "result": result})
    drawn = draw_one(Results(records), "attention")
    (axis,) = drawn.figure.axes
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == pytest.approx([w for mean in weights.values() for w in (mean + 0.05, 0.95 - mean)])
    points = [sorted(line.get_ydata()) for line in axis.lines if line.get_linestyle() == "None"]
    assert points[0] == pytest.approx([0.7, 0.75, 0.8])
    assert axis.get_title(loc="left").startswith(f"PAPILA, few-shot, {shots_text(1, 'classification')}")
    handles = legend_handles(drawn)
    assert list(handles) == ["colour (baseline)", "elsewhere"]
    colour = encoder_styles(Results(records).frame)["colour"].colour
    assert to_hex(handles["colour (baseline)"].get_edgecolor()) == colour.lower()
    assert "n = 3 seeds" in drawn.caption


def test_decision_curves_are_mean_net_benefits_beside_treating_all_and_none(classification_results):
    source = Source(classification_results)
    drawn = {each.name: each for each in draw_figures(classification_results, ["decision-curves"])}
    (axis,) = drawn["decision-curves-ukb-stroke"].figure.axes
    everyone, none, *models = axis.get_lines()
    t = np.array(everyone.get_xdata())
    assert everyone.get_ydata() == pytest.approx(0.5 - 0.5 * t / (1 - t), abs=1e-12)  # half of the images are positive
    assert set(none.get_ydata()) == {0}
    names = [style.name for style in source.encoders.values()]
    condition = Condition("ukb-stroke", "supervised", None)
    for name, line in zip(names, models, strict=True):
        arrays = [classification_results.predictions(record) for record in source.records_at(condition)[name]]
        curves = [net_benefit(each["probabilities"][:, 1], each["targets"][:, 1], t) for each in arrays]
        assert line.get_ydata() == pytest.approx(np.mean(curves, axis=0), abs=1e-12)
    panels = drawn["decision-curves-papila"].figure.axes
    assert [axis.get_title(loc="left") for axis in panels] == ["a  non-glaucoma", "b  suspected", "c  glaucoma"]
