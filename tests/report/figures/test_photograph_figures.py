"""Figures with photographs, of a real run on small eyes: which are shown, what errors are, what changed data do."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from f2vbench import Benchmark, Results
from f2vbench.data.task_data import open_task
from f2vbench.report.figures.catalogue import draw_figures, missing_figures
from f2vbench.report.figures.curves import GRID, compute_roc_curve
from f2vbench.report.figures.photographs import ERROR_COLOURS, SIDE, Photograph, load_photograph
from f2vbench.report.figures.retrieved_images import SAME_PATIENT
from f2vbench.report.figures.source import Condition, Source
from f2vbench.report.figures.style import style_named
from f2vbench.report.figures.vessel_pixels import load_pixel_scores
from f2vbench.report.stored_data import NotStored
from f2vbench.utils.progress import Silent
from tests.helpers.eyes import write_eyes

WITH_PHOTOGRAPHS = ["segmentation-examples", "worst-cases", "roc", "pr"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Path]:
    """Run folder and data of two filters on six eyes."""
    folder = tmp_path_factory.mktemp("small")
    data = write_eyes(folder / "eyes", 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        words = {"baselines": ["green"], "shots": [1], "seeds": 2, "jobs": 1, "out": str(folder / "run")}
        Benchmark(task="folder", data=str(data), model=["tophat"], **words).run(Silent())
    return folder / "run", data


@pytest.fixture
def results(run) -> Results:
    return Results.load(run[0])


def test_examples_show_the_best_median_and_worst_image_of_the_best_model(results):
    (drawn,) = draw_figures(results, ["segmentation-examples"])
    rows = results.per_image[(results.per_image.seed == 0) & (results.per_image.metric == "dice")]
    dice = rows[rows.encoder == "tophat"].sort_values("value", ascending=False).value.to_numpy()
    shown = [axis.get_xlabel() for axis in drawn.figure.axes if "Dice" in axis.get_xlabel()]
    expected = [dice[0], dice[len(dice) // 2], dice[-1]]
    assert shown[::2] == [f"Dice {value:.3f}" for value in expected]  # every other one is of the baseline beside it
    assert [axis.get_ylabel() for axis in drawn.figure.axes if axis.get_ylabel()] == ["best", "median", "worst"]
    assert f"among {len(dice)} test images" in drawn.caption


def test_errors_are_drawn_where_they_are():
    fov = np.zeros((SIDE, SIDE), bool)
    fov[:, :] = True
    vessels, scores = np.zeros_like(fov), np.zeros(fov.shape)
    vessels[100:110], scores[105:120] = True, 0.9
    picture = Photograph(np.zeros((SIDE, SIDE, 3), np.uint8), fov, vessels).draw_errors(scores, 0.5)[2:-2, 2:-2]
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    found = {f"#{red:02X}{green:02X}{blue:02X}": int(n) for (red, green, blue), n in zip(colours, counts, strict=True)}
    wide = SIDE - 4
    assert found[ERROR_COLOURS["true positive"]] == 5 * wide
    assert found[ERROR_COLOURS["false negative"]] == 5 * wide
    assert found[ERROR_COLOURS["false positive"]] == 10 * wide


def test_areas_of_pixel_curves_are_the_auroc_of_the_record(results):
    source = Source(results)
    for records in source.records_at(Condition("folder", "few-shot", 1, "segmentation")).values():
        for record in records:
            areas = [np.trapezoid(compute_roc_curve(*pair), GRID) for pair in load_pixel_scores(source, record)]
            assert np.mean(areas) == pytest.approx(record["result"]["metrics"]["auroc"], abs=0.02)


def test_all_pictures_are_drawn_and_worst_cases_are_the_lowest_means(results):
    figures = {drawn.name: drawn for drawn in draw_figures(results, WITH_PHOTOGRAPHS)}
    assert set(figures) == set(WITH_PHOTOGRAPHS)
    best = results.summary(["auroc"]).encoder.iloc[0]
    rows = results.per_image[(results.per_image.encoder == best) & (results.per_image.metric == "dice")]
    lowest = rows.groupby("image").value.mean().sort_values()
    labels = [axis.get_xlabel().split("\n") for axis in figures["worst-cases"].figure.axes]
    assert [label[0] for label in labels] == lowest.index[:6].tolist()
    assert labels[0][1].startswith(f"Dice {lowest.iloc[0]:.3f}")


def test_photographs_that_changed_or_went_are_not_shown(run, tmp_path, monkeypatch):
    folder, data = tmp_path / "run", tmp_path / "eyes"
    shutil.copytree(run[0], folder)
    shutil.copytree(run[1], data)
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "cache"))

    def load():
        results = Results.load(folder)
        for call in results.calls:
            call["data"]["folder"]["folder"] = str(data)
        return results

    results = load()
    assert not set(missing_figures(results, WITH_PHOTOGRAPHS))
    source = Source(results)
    assert load_photograph(source, "folder", "eye00").vessels is not None
    first = data / "images" / "eye00.png"
    pixels = np.array(Image.open(first))
    pixels[40:44, 40:44] ^= 7
    Image.fromarray(pixels).save(first)
    with pytest.raises(NotStored, match="changed since the run"):
        load_photograph(source, "folder", "eye00")
    assert "have changed since the run" in missing_figures(load())["segmentation-examples"]
    shutil.rmtree(data)
    results = load()
    lacking = missing_figures(results)
    assert set(WITH_PHOTOGRAPHS) <= set(lacking)
    assert "are not available" in lacking["worst-cases"]
    assert not list(draw_figures(results, WITH_PHOTOGRAPHS))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Results of retrieval among twenty drawn pictures of ten patients."""
    folder = tmp_path_factory.mktemp("searched")
    data = write_eyes(folder / "eyes", 1) / "images"
    rows = ["image,patient,modality,eye"]
    draw_from = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(draw_from.integers(0, 255, (40, 40, 3), np.uint8)).save(data / f"i{number}.png")
        rows.append(f"images/i{number}.png,p{number // 2},{('CF', 'FFA')[number % 2]},left")
    (folder / "eyes" / "retrieval.csv").write_text("\n".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        words = {"baselines": ["thumbnail", "colour"], "seeds": 1, "jobs": 1, "out": str(folder / "run")}
        task = {"task": "phantom-retrieval", "data": str(folder / "eyes"), "model": ["thumbnail"]}
        yield Benchmark(**task, **words).run(Silent())


def test_results_draw_every_figure_of_the_catalogue(searched, monkeypatch):
    monkeypatch.setenv("F2VBENCH_CACHE", str(searched.sources[0].parent / "cache"))
    assert searched.figure("embedding-map").axes


def test_embeddings_come_back_from_the_feature_store(searched, monkeypatch):
    monkeypatch.setenv("F2VBENCH_CACHE", str(searched.sources[0].parent / "cache"))
    assert "embedding-map" not in missing_figures(searched)
    (drawn,) = draw_figures(searched, ["embedding-map"])
    assert drawn.name == "embedding-map-phantom-retrieval-modality"
    assert sum(len(dots.get_offsets()) for axis in drawn.figure.axes for dots in axis.collections) == 2 * 16
    (drawn,) = draw_figures(searched, ["embedding-tsne"])
    assert drawn.name == "embedding-tsne-phantom-retrieval-modality"
    assert sum(len(dots.get_offsets()) for axis in drawn.figure.axes for dots in axis.collections) == 2 * 16
    assert "perplexity 5 (30, or a third" in drawn.caption


def test_retrieval_examples_show_what_was_found_for_queries_that_a_rule_has_chosen(searched):
    (drawn,) = draw_figures(searched, ["retrieval-examples"], style_named("nature").column)
    means = searched.frame[searched.frame.metric == "recall@1"].set_index("encoder").value
    encoder = means.sort_index().idxmax()
    (record,) = [r for r in searched.records if r["unit"]["encoder"] == encoder]
    assert f"examples of {encoder}" in drawn.title
    result, arrays = record["result"], searched.predictions(record)
    by_map = sorted(result["per_image"], key=lambda name: (-result["per_image"][name]["map"], name))
    chosen = [by_map[0], by_map[len(by_map) // 2], by_map[-1]]
    axes = np.array(drawn.figure.axes).reshape(3, 5)
    assert [axis.get_title(loc="center") for axis in axes[0]] == ["query", "nearest 1", "2", "3", "4"]
    for cells, name in zip(axes, chosen, strict=True):
        assert cells[0].get_ylabel().endswith(f"AP {result['per_image'][name]['map']:.3f}")
        query = result["gallery"].index(name)
        row = list(arrays["queries"]).index(query)
        shown = [(name, None)]
        for position in arrays["found"][row, :4]:
            hit = result["about"]["patient"][position] == result["about"]["patient"][query]
            shown.append((result["gallery"][position], hit))
        for axis, (image, hit) in zip(cells, shown, strict=True):
            pixels = load_photograph(Source(searched), "phantom-retrieval", image).crop()
            assert (axis.images[0].get_array() == pixels).all()
            assert (to_hex(axis.spines["top"].get_edgecolor()) == SAME_PATIENT.lower()) == (hit is True)
        for axis, similarity in zip(cells[1:], arrays["similarity"][row], strict=False):
            assert float(axis.get_xlabel().split("\n")[0]) == pytest.approx(similarity, abs=5e-4)
    assert f"among {len(by_map)} queries" in drawn.caption


def test_a_mirrored_photograph_is_shown_as_the_encoder_saw_it(tmp_path):
    folder = tmp_path / "preprocessed_images"
    folder.mkdir()
    rows, draw_from = ["ID,Left-Fundus,Right-Fundus"], np.random.default_rng(0)
    for number in range(4):
        for side in ("left", "right"):
            pixels = draw_from.integers(90, 255, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}_{side}.png")
        rows.append(f"{number},{number}_left.png,{number}_right.png")
    (tmp_path / "full_df.csv").write_text("\n".join(rows))
    data = open_task("odir-eyes", tmp_path, Silent())
    source = SimpleNamespace(stored=SimpleNamespace(task_data=lambda task: data))
    for image, step in (("0_left", -1), ("0_right", 1)):
        held = np.array(Image.open(folder / f"{image}.png"))
        assert (load_photograph(source, "odir-eyes", image).crop() == held[:, ::step]).all()
