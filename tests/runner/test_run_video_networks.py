"""Runs with networks that make twelve frames at once: generation, zero-shot vessels, and `f2vbench generate`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from f2vbench import Benchmark
from f2vbench.cli.main import main
from f2vbench.errors import SettingsError
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.training.settings import TrainSettings
from f2vbench.training.train import train
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import check_records, comparable_records
from tests.helpers.video_models import write_diffusion, write_flow

CARD = (
    "name: tiny\ntitle: Tiny\nfamily: generation\nlayout: angiogram_table\nsplit: random\ntest_fraction: 0.67\n"
    "labels: drawn\nsource: simulated\nterms: none\ncitation: none\nobtain: simulate\n"
)
SETTINGS = {"task": "tiny", "seeds": 1, "jobs": 1, "image_size": 64, "baselines": "none", "precision": "float32"}
WRITERS = {"seg2vid": write_flow, "med-ddpm": write_diffusion}
MODELS = [
    "seg2vid",
    pytest.param(
        "med-ddpm",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("diffusers") is None, reason="the extra f2vbench[diffusion] is not installed"
        ),
    ),
]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, Cohort(3, 3, size=64), parts=["video"], jobs=1, progress=Silent())
    return folder


@pytest.fixture(autouse=True)
def card(tmp_path, monkeypatch):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "tiny.yaml").write_text(CARD)
    monkeypatch.setenv("F2VBENCH_PATH", str(tmp_path / "cards"))


@pytest.mark.parametrize("model", MODELS)
def test_a_run_scores_the_frames_that_generate_writes(model, cohort, tmp_path):
    weights = WRITERS[model](tmp_path / "small.safetensors")
    frames, again = tmp_path / "made", tmp_path / "again"
    for folder in (frames, again):
        arguments = [f"out={folder}", f"model={model}:{weights}", "restore=yes", "size=64"]
        assert main(["generate", str(cohort), *arguments]) == 0
    files = sorted(path.relative_to(frames) for path in frames.glob("*/*.png"))
    assert len(files) == 6 * 12
    assert all((frames / file).read_bytes() == (again / file).read_bytes() for file in files)
    assert np.array(Image.open(frames / files[5])).std() > 5
    models = [f"{model}:{weights}", f"frames:{frames}"]
    Benchmark(**SETTINGS, model=models, data=str(cohort), out=tmp_path / "run").run(Silent())
    check_records(tmp_path / "run")
    records = {record["unit"]["encoder"]: record for record in comparable_records(tmp_path / "run").values()}
    generated, precomputed = records[f"{model}:small"]["result"], records["frames:made"]["result"]
    assert generated["frames"] == 12
    for metric in ("psnr", "ssim", "psnr_late"):  # stored in half precision on the way
        assert generated["metrics"][metric] == pytest.approx(precomputed["metrics"][metric], abs=5e-3)


@pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="f2vbench[diffusion] is not installed")
def test_two_samplers_of_the_same_weights_are_two_rows_and_the_record_has_their_steps(cohort, tmp_path):
    weights = write_diffusion(tmp_path / "small.safetensors")
    models = [f"med-ddpm:{weights}", f"med-ddpm:{weights}@dpm-solver-4"]
    bench = Benchmark(**SETTINGS, model=models, data=str(cohort), out=tmp_path / "run")
    bench.run(Silent())
    records = {record["unit"]["encoder"]: record for record in comparable_records(tmp_path / "run").values()}
    assert set(records) == {"med-ddpm:small", "med-ddpm:small@dpm-solver-4"}
    text = {name: str(record) for name, record in records.items()}
    assert "ddim-5" in text["med-ddpm:small"]
    assert "dpm-solver-4" in text["med-ddpm:small@dpm-solver-4"].replace("small@dpm-solver-4", "")
    values = [record["result"]["metrics"]["psnr"] for record in records.values()]
    assert values[0] != values[1]


def test_a_training_without_diffusers_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr("f2vbench.encoders.model_family.find_spec", lambda name: None)
    settings = TrainSettings(model="med-ddpm", preset="mini", out=tmp_path / "run")
    with pytest.raises(SettingsError, match=r"model=med-ddpm needs the package diffusers.*f2vbench\[diffusion\]"):
        train(settings)
    assert not (tmp_path / "run").exists()
