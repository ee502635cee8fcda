"""Figures as drawn: looks, points, whiskers, files, and what is said to be missing."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from f2vbench import Results
from f2vbench.analysis.task_scores import compute_task_scores
from f2vbench.errors import SettingsError
from f2vbench.report.figures.catalogue import FIGURES, draw_figures, figure_names, missing_figures
from f2vbench.report.figures.encoder_style import encoder_colours, encoder_styles
from f2vbench.report.figures.figure import save_figure
from f2vbench.report.figures.style import STYLES, style_named
from tests.helpers.made_runs import MODELS, classification_run


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    places = [("zero-shot", 0), ("few-shot", 1), ("few-shot", 4), ("supervised", None)]
    return Results.load(
        classification_run(tmp_path_factory.mktemp("run"), ("papila", "ukb-stroke"), places=places, images=45)
    )


def one(results: Results, name: str, style="nature"):
    (drawn,) = draw_figures(results, [name], style)
    return drawn


def legend_of(drawn) -> dict:
    """Label → patch or line of the figure's legend."""
    (legend,) = drawn.figure.legends
    return dict(zip((text.get_text() for text in legend.get_texts()), legend.legend_handles, strict=True))


def test_an_encoder_has_one_colour_whoever_stands_beside_it():
    everyone = [
        "fundus2video:a",
        "retfound:mae_meh",
        "fundus2fa:untrained",
        "timm:resnet18",
        "tophat",
        "scratch",
        "mae",
    ]
    colours = encoder_colours(everyone)
    assert encoder_colours(everyone[::-1]) == colours
    for name in everyone[:3]:
        assert encoder_colours([name])[name] == colours[name]
    models = [colours[name] for name in everyone if name not in ("tophat", "scratch")]
    assert len(set(models)) == len(models)
    assert encoder_colours(["fundus2fa", "fundus2fa:untrained"])["fundus2fa"] == colours["fundus2fa:untrained"]
    for baseline in ("tophat", "scratch"):
        red, green, blue = (colours[baseline][place : place + 2] for place in (1, 3, 5))
        assert red == green == blue
    many = encoder_colours([f"timm:m{n}" for n in range(20)])
    assert len(set(many.values())) == 20


def test_colours_are_the_same_in_every_figure(results):
    looks = encoder_styles(results.frame)
    bars, boxes, lines = (legend_of(one(results, name)) for name in ("supervised", "few-shot", "learning-curves"))
    for look in looks.values():
        for shown in (bars, boxes, lines):
            handle = shown[look.label]
            colour = handle.get_color() if hasattr(handle, "get_color") else handle.get_edgecolor()
            assert to_hex(colour) == look.colour.lower()


def test_baselines_are_hatched_untrained_models_hollow_and_each_has_a_marker_of_its_own(results):
    looks = encoder_styles(results.frame)
    assert list(looks)[-2:] == ["colour", "random"]
    assert looks["colour"].hatch
    assert looks["colour"].hatch != looks["random"].hatch
    assert looks["fundus2fa:untrained"].bar()["facecolor"] == "white"
    assert looks["fundus2fa-mini"].bar()["facecolor"] == looks["fundus2fa-mini"].colour
    models = [look.marker for look in looks.values() if not look.baseline]
    assert len(set(models)) == len(models)


def test_every_seed_is_a_point_and_bars_end_at_the_mean(results):
    drawn = one(results, "supervised")
    frame = results.frame[results.frame.protocol == "supervised"]
    for axis, metric in zip(drawn.figure.axes, ("auroc", "average_precision"), strict=True):
        rows = frame[frame.metric == metric]
        seeds = [line for line in axis.lines if line.get_linestyle() == "None" and line.get_marker() != "_"]
        assert sorted(y for line in seeds for y in line.get_ydata()) == pytest.approx(sorted(rows.value))
        ends = sorted(bar.get_y() + bar.get_height() for bar in axis.patches)
        assert ends == pytest.approx(sorted(rows.groupby(["task", "encoder"]).value.mean()))


def test_boxes_are_quartiles_and_whiskers_reach_the_last_seed_within_one_and_a_half_of_them(results):
    drawn = one(results, "few-shot")
    frame = results.frame[(results.frame.protocol == "few-shot") & (results.frame.metric == "auroc")]
    for axis, (_, rows) in zip(drawn.figure.axes, frame.groupby("task"), strict=True):
        points = sum(len(line.get_ydata()) for line in axis.lines if line.get_linestyle() == "None")
        assert points == len(rows) == 2 * 5 * len(MODELS)
        expected = []
        for _, held in rows.groupby(["shots", "encoder"]):
            low, high = np.percentile(held.value, (25, 75))
            within = [v for v in held.value if low - 1.5 * (high - low) <= v <= high + 1.5 * (high - low)]
            expected.append((low, high, min([*within, low]), max([*within, high])))
        boxes = sorted((p.get_path().vertices[:, 1].min(), p.get_path().vertices[:, 1].max()) for p in axis.patches)
        assert [value for pair in boxes for value in pair] == pytest.approx(
            [value for low, high, _, _ in sorted(expected) for value in (low, high)]
        )
        drawn_lines = [line.get_ydata() for line in axis.lines if line.get_linestyle() != "None"]
        caps = sorted(ys[0] for ys in drawn_lines if len(ys) == 2 and ys[0] == ys[1])
        ends = [end for _, _, bottom, top in expected for end in (bottom, top)]
        assert all(min(abs(cap - end) for cap in caps) < 1e-9 for end in ends)


def test_files_have_the_widths_of_the_style_embedded_fonts_and_equal_bytes(results, tmp_path):
    for style, millimetres in (("nature", 183), (STYLES["nature"].column, 89), ("slides", 300)):
        drawn = one(results, "critical-difference", style)
        (path,) = save_figure(drawn, tmp_path / str(millimetres), ["pdf"])
        pdf = path.read_bytes()
        width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)[1])
        assert width / 72 * 25.4 == pytest.approx(millimetres, abs=0.2)
        assert pdf.count(b"/FontFile2") >= 1  # TrueType within the file
        assert b"/Type3" not in pdf
        sizes = {text.get_fontsize() for text in drawn.figure.findobj(match=lambda a: hasattr(a, "get_fontsize"))}
        assert sizes <= {7, 8} if style != "slides" else {14, 16}
    again = one(results, "supervised")
    paths = save_figure(again, tmp_path / "a"), save_figure(one(results, "supervised"), tmp_path / "b")
    for first, second in zip(*paths, strict=True):
        assert first.read_bytes() == second.read_bytes()
    svg = next(path for path in paths[0] if path.suffix == ".svg").read_text()
    assert "<text" in svg
    with Image.open(next(path for path in paths[0] if path.suffix == ".png")) as png:
        assert png.width == pytest.approx(183 / 25.4 * 300, abs=2)
    with pytest.raises(SettingsError, match="jpeg"):
        save_figure(again, tmp_path, ["jpeg"])


def test_all_figures_of_predictions_are_drawn_and_the_others_say_what_they_lack(results):
    names = [drawn.name for drawn in draw_figures(results, ["roc", "pr", "calibration", "confusion"], "lncs")]
    assert names == [
        f"{kind}-{task}" for kind in ("roc", "pr", "calibration", "confusion") for task in ("papila", "ukb-stroke")
    ]
    lacking = missing_figures(results)
    assert set(lacking) == {
        "few-shot-segmentation",
        "segmentation-examples",
        "embedding-map",
        "embedding-tsne",
        "worst-cases",
        "attention",
        "retrieval",
        "retrieval-examples",
        "modality-pairs",
    }
    assert lacking["retrieval"] == lacking["modality-pairs"] == lacking["retrieval-examples"] == "no retrieval units"
    assert "are not available" in lacking["embedding-map"]
    assert not list(draw_figures(results, ["few-shot-segmentation"]))
    assert figure_names(["fig5", "few-shot", "supp-fig1"]) == ["few-shot", "few-shot-aupr"]
    with pytest.raises(SettingsError, match="did you mean 'calibration'") as refused:
        figure_names(["calibratoin", "nothing"])
    assert len(refused.value.problems) == 2
    with pytest.raises(SettingsError, match="did you mean 'nature'"):
        style_named("natur")
    assert set(FIGURES) >= {"few-shot", "zero-shot", "supervised", "learning-curves", "critical-difference"}


def test_ranks_are_over_tasks_of_means_over_shared_places(results):
    table = compute_task_scores(results.frame, results.families, MODELS)
    frame = results.frame
    rows = frame[(frame.metric == "auroc") & (frame.protocol != "zero-shot") & (frame.encoder == "colour")]
    by_place = rows[rows.task == "papila"].groupby(["protocol", "shots"], dropna=False).value.mean()
    assert table.loc["papila", "colour"] == pytest.approx(by_place.mean())
    assert set(table.columns) == set(MODELS)
    drawn = one(results, "critical-difference")
    shown = " ".join(text.get_text() for text in drawn.figure.axes[0].texts)
    ranks = (-table).rank(axis=1).mean()
    for name, rank in ranks.items():
        assert re.search(rf"{re.escape(name)}[^\d]*{rank:.2f}", shown)


def test_attention_is_bars_of_the_mean_with_every_seed_a_point_and_parts_have_their_colours(tmp_path):
    folder = classification_run(tmp_path / "run", ("papila",), places=[("few-shot", 1)], seeds=3, images=15)
    records = Results.load(folder).records
    weights = {"non-glaucoma": 0.7, "suspected": 0.5, "glaucoma": 0.4}
    for record in [r for r in records if r["unit"]["encoder"] == "fundus2fa-mini"]:
        shift, unit = record["unit"]["seed"] / 20, record["unit"]
        held = {name: {"colour": w + shift, "elsewhere": 1 - w - shift} for name, w in weights.items()}
        joined = {**record, "unit": {**unit, "encoder": "colour+elsewhere"}}
        records.append({**joined, "result": {**record["result"], "attention": held}})
    drawn = one(Results(records), "attention")
    (axis,) = drawn.figure.axes
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == pytest.approx([w for mean in weights.values() for w in (mean + 0.05, 0.95 - mean)])
    points = [sorted(line.get_ydata()) for line in axis.lines if line.get_linestyle() == "None"]
    assert points[0] == pytest.approx([0.7, 0.75, 0.8])
    assert axis.get_title(loc="left").startswith("PAPILA, few-shot, 1 a class")
    legend = legend_of(drawn)
    assert list(legend) == ["colour (baseline)", "elsewhere"]
    assert (
        to_hex(legend["colour (baseline)"].get_edgecolor())
        == encoder_styles(Results(records).frame)["colour"].colour.lower()
    )
    assert "n = 3 seeds" in drawn.caption


def test_one_seed_one_model_and_odd_names_are_drawn_as_they_are(tmp_path):
    odd = {"timm:<b>&$x_1$": (1.0, "hub", False)}
    results = Results.load(
        classification_run(tmp_path / "run", ("papila",), odd, [("few-shot", 1)], seeds=1, images=30)
    )
    for drawn in draw_figures(results):
        save_figure(drawn, tmp_path, ["svg"])
    shown = (tmp_path / "few-shot.svg").read_text()
    assert "&lt;b&gt;&amp;$x_1$" in shown
    assert "one seed only" in one(results, "few-shot").caption
    assert "3 models" in missing_figures(results)["critical-difference"]


def seen_texts(figure):
    """Texts that are drawn: labels of ticks beyond the limits of an axis are not."""
    unseen = {
        id(label)
        for axis in figure.axes
        for side in (axis.xaxis, axis.yaxis)
        for tick in side.get_major_ticks()
        if not min(side.get_view_interval()) - 1e-9 <= tick.get_loc() <= max(side.get_view_interval()) + 1e-9
        for label in (tick.label1, tick.label2)
    }
    texts = figure.findobj(match=lambda a: hasattr(a, "get_fontsize") and a.get_text() and a.get_visible())
    return [text for text in texts if id(text) not in unseen]


def test_text_stays_within_the_figure_and_labels_off_each_other(results):
    names = ["few-shot", "supervised", "cost-quality", "calibration", "confusion", "critical-difference"]
    for drawn in draw_figures(results, names, STYLES["nature"].column):
        figure = drawn.figure
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        seen = seen_texts(figure)
        for text in seen:
            box = text.get_window_extent()
            assert -1.5 < box.x0 < box.x1 < width + 1.5, (drawn.name, text.get_text())
            assert -1.5 < box.y0 < box.y1 < height + 1.5, (drawn.name, text.get_text())
        for axis in figure.axes:
            labels = [text for text in axis.get_xticklabels() if text in seen and not text.get_rotation()]
            for left, right in pairwise(text.get_window_extent() for text in labels):
                assert left.x1 <= right.x0 + 1, drawn.name
