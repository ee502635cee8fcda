"""`f2vbench score`: scores equal independent computations, its table and text, and refused inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from f2vbench.cli.main import main
from f2vbench.config.parsing import build
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import DataError, StoreError, WeightsError
from f2vbench.metrics.frechet import frechet_distance, stand_in_features
from f2vbench.metrics.video import STAND_IN_METRIC
from f2vbench.videos.score import score, score_text
from f2vbench.videos.settings import ScoreSettings

CASES = ("a", "b", "c")


def write_videos(folder: Path, seed: int, cases=CASES, frames: int = 12, side: int = 48) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    base = np.random.default_rng(0).integers(40, 200, (frames, side, side))
    videos = {}
    for case in cases:
        videos[case] = (base + draw.integers(-30, 30, base.shape)).astype(np.uint8)
        (folder / case).mkdir(parents=True)
        for number, frame in enumerate(videos[case]):
            Image.fromarray(frame).save(folder / case / f"{number:02d}.png")
    return videos


@pytest.fixture
def folders(tmp_path):
    return write_videos(tmp_path / "real", 1), write_videos(tmp_path / "generated", 2)


def run(tmp_path, **changes) -> pd.DataFrame:
    settings = {"real": tmp_path / "real", "generated": tmp_path / "generated", "resamples": 20, **changes}
    return score(build(ScoreSettings, settings))


@pytest.mark.filterwarnings("ignore:N = 3")
def test_scores_equal_independent_computations(folders, tmp_path):
    table = run(tmp_path, protocol="both").set_index(["protocol", "case", "metric"])
    real, generated = folders
    psnrs, ssims = [], []
    for case in CASES:
        pairs = list(zip(real[case], generated[case], strict=True))
        psnrs.append(np.mean([peak_signal_noise_ratio(a, b, data_range=255) for a, b in pairs]))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
        ssims.append(np.mean([structural_similarity(a / 255, b / 255, **options) for a, b in pairs]))
        assert table.loc[("standard", case, "psnr"), "value"] == pytest.approx(psnrs[-1], abs=1e-4)
        assert table.loc[("paper-compat", case, "psnr"), "value"] == pytest.approx(
            psnrs[-1] - 20 * np.log10(2), abs=1e-4
        )
        assert table.loc[("standard", case, "ssim"), "value"] == pytest.approx(ssims[-1], abs=2e-3)
    assert table.loc[("standard", "all", "psnr"), "value"] == pytest.approx(np.mean(psnrs), abs=1e-4)
    features = [np.stack([stand_in_features(v[c].astype(np.float32) / 255) for c in CASES]) for v in (real, generated)]
    row = table.loc[("standard", "all", STAND_IN_METRIC)]
    assert row.value == pytest.approx(frechet_distance(*features).value, rel=1e-3)
    assert row.low <= row.value <= row.high
    assert row.videos == 3
    for metric in ("lpips", "fvd"):  # without weights: a missing value with its reason
        row = table.loc[("standard", "all", metric)]
        assert pd.isna(row.value)
        assert "not on this machine" in row.note


def test_the_command_prints_the_scores_and_writes_a_table(folders, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    arguments = [
        "score",
        f"real={tmp_path / 'real'}",
        f"generated={tmp_path / 'generated'}",
        f"out={out}",
        "resamples=10",
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    table = pd.read_csv(out)
    assert set(table.case) == {*CASES, "all"}
    for name in ("PSNR", "SSIM", "LPIPS", "FVD", "Fréchet, stand-in"):
        assert name in printed
    psnr = table[(table.case == "all") & (table.metric == "psnr")].value.item()
    assert f"{psnr:.2f} dB" in printed
    assert "not FVD" in printed
    assert main(arguments) == 0  # its own file may be replaced
    out.write_text("mine\n")
    assert main(arguments) == 2
    assert "not written by this command" in capsys.readouterr().err
    assert out.read_text() == "mine\n"


def test_a_note_of_both_protocols_is_printed_once(folders, tmp_path):
    text = score_text(run(tmp_path, protocol="both"))
    assert text.count("AlexNet trunk of LPIPS") == 1
    assert "standard and paper-compat, LPIPS" in text


def test_cases_that_only_one_folder_has_are_named(tmp_path):
    write_videos(tmp_path / "real", 1, ("a", "b"), frames=3)
    write_videos(tmp_path / "generated", 2, ("b", "extra"), frames=2)
    with pytest.raises(DataError) as error:
        run(tmp_path)
    text = str(error.value)
    assert "generated: no case a" in text
    assert "real: no case extra" in text
    assert "2 frames, but" in text


def test_missing_folders_missing_weights_and_foreign_files_are_refused(folders, tmp_path):
    with pytest.raises(DataError, match="folder not found"):
        run(tmp_path, real=tmp_path / "nothing")
    with pytest.raises(WeightsError, match="no such weights file"):
        run(tmp_path, lpips=tmp_path / "nothing.pth")
    (tmp_path / "scores.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="not written by"):
        run(tmp_path, out=tmp_path / "scores.csv")


def test_the_documented_commands_score_a_generator_on_phantoms(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator = global_generator(GeneratorShape(6, 3, 2))
    initialise(generator, 0)
    save_file({f"model.{key}": value for key, value in generator.state_dict().items()}, "tiny.safetensors")
    model = "model=fundus2video:tiny.safetensors"
    assert main(["phantom", "out=unseen", "parts=video", "patients=1", "size=64", "seed=99", "jobs=1"]) == 0
    assert main(["generate", "unseen", "out=generated", model, "restore=yes", "size=64"]) == 0
    assert main(["score", "real=unseen/frames", "generated=generated", "resamples=5", "out=scores.csv"]) == 0
    table = pd.read_csv("scores.csv")
    whole = table[table.case == "all"].set_index("metric")
    assert whole.videos["psnr"] == 2
    assert np.isfinite(whole.value["psnr"])
    assert "PSNR" in capsys.readouterr().out
