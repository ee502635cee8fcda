"""Cost of encoding: counted by hand, stored beside the features and in the run folder, and reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from f2vbench import Benchmark, Results, load_encoder
from f2vbench.adapters.unit import Unit
from f2vbench.analysis.cost_frame import NOT_RECORDED, select_most_labels
from f2vbench.config.run import RunSettings
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.feature_identity import declared_features
from f2vbench.encoders.model_argument import parse_model
from f2vbench.report.figures.catalogue import draw_figures, missing_figures
from f2vbench.report.tables.cost import cost_table, three_digits
from f2vbench.report.text.wording import TaskNames
from f2vbench.runner.costs import record_costs
from f2vbench.runner.extraction import measure_network_size
from f2vbench.store.extraction_log import append_work, read_network_size, read_work, write_network_size
from f2vbench.store.features import FeatureSet
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from f2vbench.utils.system import machine, peak_memory
from tests.helpers.eyes import write_eyes

CPU = torch.device("cpu")
SMALL = "timm:test_resnet:untrained"
MAPS = "timm:test_resnet2:untrained"


class Convolutions(Encoder):
    """Embeds with convolutions and a linear layer; its decoder is not among its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 5
        self.narrow = nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False)
        self.head = nn.Linear(8, 5)
        self.decoder = [nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)]

    def prepare(self, images: Tensor) -> Tensor:
        return images.float() / 255

    def pooled(self, prepared: Tensor) -> Tensor:
        return self.head(self.grouped(self.narrow(prepared)).mean((2, 3)))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        return [self.narrow(x)]

    def generate(self, x: Tensor, frames: int = 12) -> Tensor:
        return self.decoder[0](self.narrow(x))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_multiply_adds_of_convolutions_agree_with_a_hand_count(precision):
    square = np.zeros((40, 40, 3), np.uint8)
    narrow, grouped, head = 20 * 20 * 8 * 3 * 9, 20 * 20 * 8 * 2 * 9, 8 * 5
    parameters = (8 * 3 * 9 + 8) + 8 * 2 * 9 + (8 * 5 + 5)
    found = measure_network_size(Convolutions(), "embedding", square, CPU, precision)
    assert found == {"parameters": parameters, "macs": narrow + grouped + head}
    assert measure_network_size(Convolutions(), "pyramid", square, CPU, precision)["macs"] == narrow
    frames = measure_network_size(Convolutions(), "frames", square, CPU, precision)
    assert frames == {"parameters": parameters + 8 * 16 + 1, "macs": narrow + 20 * 20 * 8 * 16}


def test_multiply_adds_of_a_transformer_agree_with_a_hand_count():
    encoder = load_encoder("mae:untrained")
    tokens, width, depth = 14 * 14 + 1, 192, 12
    block = tokens * (3 + 1 + 4 + 4) * width**2 + 2 * tokens**2 * width  # of which the second is attention
    found = measure_network_size(encoder, "embedding", np.zeros((50, 70, 3), np.uint8), CPU, "float32")
    assert found["macs"] == depth * block + 14 * 14 * width * 3 * 16 * 16
    assert found["parameters"] == encoder.describe()["parameters"]


def test_a_resnet_18_has_the_published_parameters_and_multiply_adds():
    found = measure_network_size(
        load_encoder("timm:resnet18:untrained"), "embedding", np.zeros((9, 9, 3), np.uint8), CPU, "auto"
    )
    classes = 512 * 1000
    assert found["parameters"] + classes + 1000 == 11_689_512
    assert (found["macs"] + classes) / 1e9 == pytest.approx(1.81, abs=0.005)


def test_peak_memory_is_that_of_the_block():
    before = np.ones(40_000_000)  # 320 MB
    del before
    with peak_memory() as idle:
        pass
    with peak_memory() as busy:
        array = np.ones(20_000_000)
        del array
    if "process_bytes" not in idle:
        pytest.skip("this system does not let a process set its peak back")
    assert 100e6 < busy["process_bytes"] - idle["process_bytes"] < 250e6
    assert "device_bytes" not in busy


def test_size_and_work_are_read_back_and_damaged_lines_are_ignored(tmp_path):
    assert read_network_size(tmp_path) is None
    assert read_work(tmp_path) == []
    write_network_size(tmp_path, {"parameters": 3, "macs": 4})
    append_work(tmp_path, {"images": 2})
    (tmp_path / "work.jsonl").open("a").write("{dam\n3\n")
    append_work(tmp_path, {"images": 3})
    append_work(tmp_path / "nowhere", {"images": 3})
    assert read_network_size(tmp_path) == {"parameters": 3, "macs": 4}
    assert read_work(tmp_path) == [{"images": 2}, {"images": 3}]
    (tmp_path / "operations.json").write_text("{")
    assert read_network_size(tmp_path) is None


def work(images: int, seconds: float, **others) -> dict:
    entry = {"images": images, "bytes": 1, "encode_seconds": seconds, "seconds": 2 * seconds}
    entry |= {"processor_seconds": 3 * seconds, "process_bytes": int(1e6 * seconds)}
    return {**entry, "device": "cpu", "processor": machine()["processor"], "threads": 1, **others}


def test_costs_are_medians_on_this_machine_and_sums_over_the_parts_of_a_fusion(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "cache"))
    models = [SMALL, MAPS, f"{SMALL}+{MAPS}", "thumbnail", "scratch"]
    specs = {spec.name: spec for spec in map(parse_model, models)}
    settings = RunSettings(task=["t"], model=models)
    context = SimpleNamespace(models=specs, settings=settings)
    context.feature = lambda unit: None if unit.encoder == "scratch" else "embedding"
    for name, count, lines in (
        (SMALL, {"parameters": 10, "macs": 100}, [work(8, 4.0), work(8, 80.0), work(4, 4.0)]),
        (
            MAPS,
            {"parameters": 1, "macs": 7},
            [work(1, 9.0, processor="another"), work(1, 9.0, threads=2), work(2, 1.0)],
        ),
        ("thumbnail", None, [work(10, 0.1)]),
    ):
        features = FeatureSet(declared_features(specs[name], "embedding", settings), {})
        features.put("a" * 64, {"embedding": np.zeros(len(name), np.float32)})
        if count:
            write_network_size(features.folder, count)
        for line in lines:
            append_work(features.folder, line)
    folder = RunFolder(tmp_path / "run")
    folder.open_for_writing()
    units = [Unit(name, "t", "few-shot", 1, 0, "", {}) for name in specs]
    units.append(Unit(SMALL, "t", "supervised", None, 0, "", {}))
    record_costs(SimpleNamespace(units=units, folder=folder), context, print)
    costs = {cost["encoder"]: cost for cost in folder.costs()}
    assert costs[SMALL]["seconds_per_image"] == 1.0  # of 0.5, 10 and 1
    assert costs[SMALL]["processor_seconds_per_image"] == 3.0
    assert costs[SMALL]["process_bytes"] == 80_000_000
    assert costs[SMALL]["places"] == [["t", "few-shot"], ["t", "supervised"]]
    assert costs[MAPS]["seconds_per_image"] == 0.5
    both = costs[next(name for name, spec in specs.items() if spec.parts)]
    assert (both["parameters"], both["macs"], both["seconds_per_image"]) == (11, 107, 1.5)
    assert both["process_bytes"] == 80_000_000
    assert both["bytes_per_image"] == costs[SMALL]["bytes_per_image"] + costs[MAPS]["bytes_per_image"]
    files = list((tmp_path / "cache" / "features").rglob("*.safetensors"))
    assert both["bytes_per_image"] in {x.stat().st_size + y.stat().st_size for x in files for y in files}
    assert costs["thumbnail"]["macs"] is None
    assert costs["thumbnail"]["reasons"] == {"parameters": "no network", "macs": "no network"}
    assert set(costs["scratch"]["reasons"].values()) == {"trains its own network in each unit"}
    # Damaged features are named.
    for path in files:
        path.write_bytes(path.read_bytes()[:-9])
    notes: list[str] = []
    record_costs(SimpleNamespace(units=units[:1], folder=folder), context, notes.append)
    assert ["damaged shard of features set aside" in note for note in notes] == [True]
    # Where nothing was measured, the numbers of the earlier call are kept.
    shutil.rmtree(tmp_path / "cache")
    record_costs(SimpleNamespace(units=units[:1], folder=folder), context, print)
    again = folder.read_cost(f"{SMALL}.embedding")
    assert again == {**costs[SMALL], "reasons": again["reasons"]}
    assert set(again["reasons"]) == {"device_bytes"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder with sixteen random images as a retrieval data set."""
    folder = tmp_path_factory.mktemp("costs")
    data = write_eyes(folder / "eyes", 1) / "images"
    rows, draw_from = ["image,patient,modality"], np.random.default_rng(0)
    for number in range(16):
        Image.fromarray(draw_from.integers(0, 255, (40, 40, 3), np.uint8)).save(data / f"i{number}.png")
        rows.append(f"images/i{number}.png,p{number // 2},CF")
    (folder / "eyes" / "retrieval.csv").write_text("\n".join(rows))
    return folder


def results_of(folder: Path, **models) -> Results:
    arguments = {"model": [SMALL], "baselines": ["thumbnail"], "jobs": 1, "data": str(folder / "eyes"), **models}
    return Benchmark(task="phantom-retrieval", out=str(folder / "run"), **arguments).run(Silent())


def test_a_run_stores_costs_and_an_older_run_without_them_can_be_resumed(run, monkeypatch, tmp_path):
    monkeypatch.setenv("F2VBENCH_CACHE", str(run / "cache"))
    table = results_of(run, seeds=1).cost.set_index("encoder")
    counted = measure_network_size(load_encoder(SMALL), "embedding", np.zeros((9, 9, 3), np.uint8), CPU, "float32")
    assert {name: table[name][SMALL] for name in counted} == counted
    assert table.metric[SMALL] == "recall@1"
    assert (table.images_per_second > 0).all()
    assert table.images_per_second[SMALL] == pytest.approx(1 / table.seconds_per_image[SMALL])
    assert table.features["thumbnail"] == "embedding"
    assert np.isnan(table.macs["thumbnail"])
    assert table.reason["thumbnail"] == "parameters, macs: no network"
    assert table.bytes_per_image["thumbnail"] > 32 * 32 * 3 * 4
    assert "1 thread" in table.measured_on[SMALL]
    assert "work" not in str(Results.load(run / "run").records[0])

    shutil.rmtree(run / "run" / "costs")  # as an older version left it
    old = Results.load(run / "run")
    assert set(old.cost.reason) == {NOT_RECORDED}
    assert "cost" in missing_figures(old)["cost-quality"]
    names = TaskNames({task: task for task in old.families}, old.families)
    assert cost_table(old.cost, names, old.lower_is_better).notes == [f"– {NOT_RECORDED}"]
    for unit in (run / "run" / "units").glob("*.json"):
        unit.unlink()
    resumed = results_of(run, seeds=1).cost.set_index("encoder")
    assert resumed.macs[SMALL] == counted["macs"]
    assert resumed.seconds_per_image[SMALL] == table.seconds_per_image[SMALL]  # the store's features, and their record

    paths = old.report(tmp_path / "old", format="csv,md,latex,html", figures="none")
    assert "cost.csv" in {path.name for path in paths}
    for name, text in (("report.md", "Cost and quality"), ("report.html", 'id="cost"'), ("tables.tex", "quality")):
        assert text in (tmp_path / "old" / name).read_text()


def test_the_cost_figure_shows_models_at_their_cost_and_filters_at_none(run, monkeypatch):
    monkeypatch.setenv("F2VBENCH_CACHE", str(run / "cache"))
    results = results_of(run, seeds=1)
    (drawn,) = draw_figures(results, ["cost-quality"])
    cost = results.cost.set_index("encoder")
    macs, seconds = drawn.figure.axes
    points = {tuple(line.get_xydata()[0]) for line in macs.lines if line.get_linestyle() == "None"}
    assert (cost.macs[SMALL] / 1e9, cost["value"][SMALL]) in points
    ticks = dict(zip(macs.get_xticks(), (text.get_text() for text in macs.get_xticklabels()), strict=True))
    assert {ticks.get(x) for x, _ in points} >= {"none"}
    across = {x for line in seconds.lines if line.get_linestyle() == "None" for x in line.get_xdata()}
    assert across == set(cost.seconds_per_image)
    assert "multiply-adds" in macs.get_xlabel()


def test_numbers_are_shown_with_three_digits():
    assert [three_digits(v) for v in (0, 0.031234, 5.5244, 79.77, 1210.4)] == ["0", "0.0312", "5.52", "79.8", "1,210"]


def test_the_condition_with_most_labels_is_shown_and_heads_before_probes():
    conditions = [("few-shot", 8), ("probe", 8), ("probe", None), ("supervised", None)]
    cost = pd.DataFrame([{"task": "odir", "protocol": protocol, "shots": shots} for protocol, shots in conditions])
    cost["shots"] = cost.shots.astype("Int64")
    assert list(select_most_labels(cost).protocol) == ["supervised"]
    assert list(select_most_labels(cost.iloc[:2]).protocol) == ["few-shot"]
    assert list(select_most_labels(cost.iloc[1:3]).shots.isna()) == [True]
