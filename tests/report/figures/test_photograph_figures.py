"""Figures with photographs: selected images, segmentation errors, retrieved images, and missing photographs."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from f2vbench import Benchmark, Results
from f2vbench.analysis.frames import Condition
from f2vbench.data.task_data import open_task
from f2vbench.errors import StoreError
from f2vbench.report.figures.catalogue import draw_figures, missing_figures
from f2vbench.report.figures.curves import GRID, compute_roc_curve
from f2vbench.report.figures.photographs import ERROR_COLOURS, SIDE, Photograph, load_photograph
from f2vbench.report.figures.retrieved_images import SAME_PATIENT
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import style_named
from f2vbench.report.figures.vessel_pixels import load_pixel_scores
from f2vbench.report.stored_data import NotStored
from f2vbench.utils.progress import Silent
from tests.helpers.drawn_figures import draw_one
from tests.helpers.eyes import write_eyes

WITH_PHOTOGRAPHS = ["segmentation-examples", "worst-cases", "roc", "pr"]


@pytest.fixture(scope="module")
def segmentation_run(tmp_path_factory) -> tuple[Path, Path]:
    """Run folder and data of two vessel filters on six small eyes."""
    folder = tmp_path_factory.mktemp("segmentation")
    data = write_eyes(folder / "eyes", 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        settings = {"baselines": ["green"], "shots": [1], "seeds": 2, "jobs": 1, "out": str(folder / "run")}
        Benchmark(task="folder", data=str(data), model=["tophat"], **settings).run(Silent())
    return folder / "run", data


@pytest.fixture
def segmentation_results(segmentation_run) -> Results:
    return Results.load(segmentation_run[0])


def test_segmentation_examples_are_the_best_median_and_worst_image_of_the_best_model(segmentation_results):
    drawn = draw_one(segmentation_results, "segmentation-examples")
    rows = segmentation_results.per_image
    rows = rows[(rows.seed == 0) & (rows.metric == "dice") & (rows.encoder == "tophat")]
    dice = rows.sort_values("value", ascending=False).value.to_numpy()
    labels = [axis.get_xlabel() for axis in drawn.figure.axes if "Dice" in axis.get_xlabel()]
    expected = [dice[0], dice[len(dice) // 2], dice[-1]]
    assert labels[::2] == [f"Dice {value:.3f}" for value in expected]  # the others are those of the baseline
    assert [axis.get_ylabel() for axis in drawn.figure.axes if axis.get_ylabel()] == ["best", "median", "worst"]
    assert f"among {len(dice)} test images" in drawn.caption


def test_errors_are_drawn_in_the_pixels_where_they_are():
    fov = np.ones((SIDE, SIDE), bool)
    vessels, scores = np.zeros_like(fov), np.zeros(fov.shape)
    vessels[100:110], scores[105:120] = True, 0.9
    photograph = Photograph(np.zeros((SIDE, SIDE, 3), np.uint8), fov, vessels)
    picture = photograph.draw_errors(scores, 0.5)[2:-2, 2:-2]  # without the outline of the field of view
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    pixels = {f"#{r:02X}{g:02X}{b:02X}": int(count) for (r, g, b), count in zip(colours, counts, strict=True)}
    width = SIDE - 4
    assert pixels[ERROR_COLOURS["true positive"]] == 5 * width
    assert pixels[ERROR_COLOURS["false negative"]] == 5 * width
    assert pixels[ERROR_COLOURS["false positive"]] == 10 * width


def test_the_mean_area_under_pixel_curves_is_the_auroc_of_the_record(segmentation_results):
    source = Source(segmentation_results)
    for records in source.records_at(Condition("folder", "few-shot", 1)).values():
        for record in records:
            areas = [np.trapezoid(compute_roc_curve(*pair), GRID) for pair in load_pixel_scores(source, "", record)]
            assert np.mean(areas) == pytest.approx(record["result"]["metrics"]["auroc"], abs=0.02)


def test_worst_cases_are_the_images_with_the_lowest_means(segmentation_results):
    figures = {drawn.name: drawn for drawn in draw_figures(segmentation_results, WITH_PHOTOGRAPHS)}
    assert set(figures) == set(WITH_PHOTOGRAPHS)
    best = segmentation_results.summary(["auroc"]).encoder.iloc[0]
    rows = segmentation_results.per_image
    lowest = rows[(rows.encoder == best) & (rows.metric == "dice")].groupby("image").value.mean().sort_values()
    labels = [axis.get_xlabel().split("\n") for axis in figures["worst-cases"].figure.axes]
    assert [label[0] for label in labels] == lowest.index[:6].tolist()
    assert labels[0][1].startswith(f"Dice {lowest.iloc[0]:.3f}")


def test_photographs_that_changed_or_are_missing_are_not_shown(segmentation_run, tmp_path, monkeypatch):
    folder, data = tmp_path / "run", tmp_path / "eyes"
    shutil.copytree(segmentation_run[0], folder)
    shutil.copytree(segmentation_run[1], data)
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "cache"))

    def load() -> Results:
        results = Results.load(folder)
        for call in results.calls:
            call["data"]["folder"]["folder"] = str(data)
        return results

    results = load()
    assert not missing_figures(results, WITH_PHOTOGRAPHS)
    source = Source(results)
    assert load_photograph(source, "folder", "eye00").mask is not None
    path = data / "images" / "eye00.png"
    pixels = np.array(Image.open(path))
    pixels[40:44, 40:44] ^= 7
    Image.fromarray(pixels).save(path)
    with pytest.raises(NotStored, match="changed since the run"):
        load_photograph(source, "folder", "eye00")
    assert "have changed since the run" in missing_figures(load())["segmentation-examples"]
    shutil.rmtree(data)
    results = load()
    missing = missing_figures(results)
    assert set(WITH_PHOTOGRAPHS) <= set(missing)
    assert "are not available" in missing["worst-cases"]
    assert not list(draw_figures(results, WITH_PHOTOGRAPHS))


@pytest.fixture(scope="module")
def retrieval_results(tmp_path_factory) -> Results:
    """Results of retrieval among twenty random pictures of ten patients."""
    folder = tmp_path_factory.mktemp("retrieval")
    data = folder / "eyes"
    (data / "images").mkdir(parents=True)
    rows = ["image,patient,modality,eye"]
    rng = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(data / "images" / f"i{number}.png")
        rows.append(f"images/i{number}.png,p{number // 2},{('CF', 'FFA')[number % 2]},left")
    (data / "retrieval.csv").write_text("\n".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        settings = {"baselines": ["thumbnail", "colour"], "seeds": 1, "jobs": 1, "out": str(folder / "run")}
        task = {"task": "phantom-retrieval", "data": str(data), "model": ["thumbnail"]}
        return Benchmark(**task, **settings).run(Silent())


def test_results_read_embeddings_from_the_feature_store(retrieval_results, monkeypatch):
    monkeypatch.setenv("F2VBENCH_CACHE", str(retrieval_results.sources[0].parent / "cache"))
    assert "embedding-map" not in missing_figures(retrieval_results)
    for name in ("embedding-map", "embedding-tsne"):
        drawn = draw_one(retrieval_results, name)
        assert drawn.name == f"{name}-phantom-retrieval-modality"
        points = sum(len(dots.get_offsets()) for axis in drawn.figure.axes for dots in axis.collections)
        assert points == 2 * 16  # two encoders, sixteen images of the task's index
    assert "perplexity 5 (30, or a third" in drawn.caption
    assert retrieval_results.figure("embedding-map").axes


def test_retrieval_examples_show_the_nearest_images_of_the_best_median_and_worst_query(retrieval_results):
    drawn = draw_one(retrieval_results, "retrieval-examples", style_named("nature").column)
    frame = retrieval_results.frame
    encoder = frame[frame.metric == "recall@1"].set_index("encoder").value.sort_index().idxmax()
    assert f"examples of {encoder}" in drawn.title
    (record,) = [record for record in retrieval_results.records if record["unit"]["encoder"] == encoder]
    result, arrays = record["result"], retrieval_results.predictions(record)
    gallery, patients = result["gallery"], result["about"]["patient"]
    ranking = sorted(result["per_image"], key=lambda name: (-result["per_image"][name]["map"], name))
    queries = [ranking[0], ranking[len(ranking) // 2], ranking[-1]]
    axes = np.array(drawn.figure.axes).reshape(3, 5)
    assert [axis.get_title(loc="center") for axis in axes[0]] == ["query", "nearest 1", "2", "3", "4"]
    source = Source(retrieval_results)
    for cells, query in zip(axes, queries, strict=True):
        assert cells[0].get_ylabel().endswith(f"AP {result['per_image'][query]['map']:.3f}")
        query_index = gallery.index(query)
        row = list(arrays["queries"]).index(query_index)
        images = [(query, False)]
        images += [(gallery[i], patients[i] == patients[query_index]) for i in arrays["found"][row, :4]]
        for axis, (image, same_patient) in zip(cells, images, strict=True):
            picture = load_photograph(source, "phantom-retrieval", image).crop()
            assert (axis.images[0].get_array() == picture).all()
            assert (to_hex(axis.spines["top"].get_edgecolor()) == SAME_PATIENT.lower()) == same_patient
        for axis, similarity in zip(cells[1:], arrays["similarity"][row], strict=False):
            assert float(axis.get_xlabel().split("\n")[0]) == pytest.approx(similarity, abs=5e-4)
    assert f"among {len(ranking)} queries" in drawn.caption


def test_a_mirrored_photograph_is_shown_as_the_encoder_receives_it(tmp_path):
    folder = tmp_path / "preprocessed_images"
    folder.mkdir()
    rows, rng = ["ID,Left-Fundus,Right-Fundus"], np.random.default_rng(0)
    for number in range(4):
        for side in ("left", "right"):
            pixels = rng.integers(90, 255, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}_{side}.png")
        rows.append(f"{number},{number}_left.png,{number}_right.png")
    (tmp_path / "full_df.csv").write_text("\n".join(rows))
    data = open_task("odir-eyes", tmp_path, Silent())
    source = SimpleNamespace(stored=SimpleNamespace(task_data=lambda task: data))
    for image, step in (("0_left", -1), ("0_right", 1)):
        pixels = np.array(Image.open(folder / f"{image}.png"))
        assert (load_photograph(source, "odir-eyes", image).crop() == pixels[:, ::step]).all()


@pytest.mark.parametrize("damage", ["one map is missing", "one map is damaged", "no map was copied"])
def test_a_figure_without_its_score_maps_is_skipped_and_named(segmentation_run, tmp_path, monkeypatch, damage):
    folder = tmp_path / "run"
    shutil.copytree(segmentation_run[0], folder)
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "cache"))
    path = sorted((folder / "maps").glob("*/*.png"))[0]
    if damage == "one map is missing":
        path.unlink()
    elif damage == "one map is damaged":
        path.write_bytes(b"damaged")
    else:
        shutil.rmtree(folder / "maps")
    results, skipped = Results.load(folder), {}
    drawn = {figure.kind for figure in draw_figures(results, ["roc", "few-shot-segmentation"], skipped=skipped)}
    assert drawn == {"few-shot-segmentation"}
    assert "score map" in skipped["roc"]
    files = results.report(tmp_path / "out", format="html,md", figures="roc,few-shot-segmentation")
    for file in files:
        assert "Figure roc is left out: " in file.read_text()
    if damage != "one map is damaged":  # which was set aside
        with pytest.raises(StoreError, match="score map"):
            results.figure("roc")
