"""Exported generators: at the end of a training, from a checkpoint, and in half precision."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load_file

from f2vbench.cli.main import main
from f2vbench.encoders.global_generator import roll_out
from f2vbench.encoders.loading import load_encoder
from f2vbench.errors import StoreError
from f2vbench.training.checkpoints import CHECKPOINT
from f2vbench.training.export import EXPORT, export_network
from tests.helpers.training import SIDE, train_batches, video_data, video_settings


def test_the_exported_generator_is_the_average_and_the_encoder_loads_it(trained_video):
    exported = trained_video.folder / EXPORT
    encoder = load_encoder("fundus2video", str(exported))
    photograph = torch.rand(1, 3, SIDE, SIDE)
    # In the encoder's memory format: sums in another order would differ in their last digits.
    average = copy.deepcopy(trained_video.method.networks.average.module)
    average = average.to(memory_format=torch.contiguous_format).eval()
    expected = (roll_out(average, 2 * photograph - 1) + 1) / 2
    torch.testing.assert_close(encoder.generate(photograph), expected.detach())
    card = json.loads((trained_video.folder / "generator.json").read_text())
    shape = {"inputs": 6, "outputs": 3, "ngf": 2, "downsamplings": 4, "blocks": 9, "skips": "none", "time": "none"}
    assert card["architecture"] == {"name": "pix2pixhd-global", **shape}
    assert card["bytes"] == exported.stat().st_size
    assert set(card["validation"]) == {"psnr", "ssim"}


def test_a_generator_in_half_precision_is_half_as_large_and_nearly_equal(trained_video, tmp_path):
    exported, path = trained_video.folder / EXPORT, tmp_path / "half.safetensors"
    export_network(trained_video.method.networks.best, path, {}, half=True)
    assert path.stat().st_size < 0.6 * exported.stat().st_size
    full, half = (load_encoder("fundus2video", str(file)) for file in (exported, path))
    photograph = torch.rand(1, 3, SIDE, SIDE)
    torch.testing.assert_close(half.generate(photograph, 1), full.generate(photograph, 1), rtol=0, atol=0.02)


def test_the_last_checkpoint_exports_the_same_files_as_the_training(trained_video, tmp_path, capsys):
    folder, out = trained_video.folder, tmp_path / "again.safetensors"
    assert main(["export", str(folder), f"out={out}"]) == 0
    assert str(out) in capsys.readouterr().out
    assert out.read_bytes() == (folder / EXPORT).read_bytes()
    found, expected = (json.loads(path.read_text()) for path in (out.with_suffix(".json"), folder / "generator.json"))
    assert found == {**expected, "file": out.name}
    assert main(["export", str(folder), f"out={out}", "half=yes"]) == 0
    assert out.stat().st_size < 0.6 * expected["bytes"]


def test_an_unfinished_training_exports_its_average_and_the_number_of_epochs(tmp_path, capsys):
    train_batches(video_settings(tmp_path, save_minutes=1e-9), video_data(), 5)
    assert main(["export", str(tmp_path)]) == 0
    average = torch.load(tmp_path / CHECKPOINT, weights_only=True)["networks"]["average"]
    exported = load_file(tmp_path / EXPORT)
    prefix = "module."
    weights = {key.removeprefix(prefix): value for key, value in average.items() if key.startswith(prefix)}
    assert exported.keys() == {f"model.{key}" for key in weights}
    assert all(torch.equal(exported[f"model.{key}"], value) for key, value in weights.items())
    card = json.loads((tmp_path / "generator.json").read_text())
    assert (card["epochs"], card["videos"], card["settings"]["epochs"]) == (1, 4, 2)
    assert main(["weights", "make", str(tmp_path), "name=too-early", f"out={tmp_path}"]) == 2
    assert "(1 of 2 epochs)" in capsys.readouterr().err


def test_a_folder_without_a_checkpoint_is_refused(tmp_path, capsys):
    assert main(["export", str(tmp_path)]) == 2
    assert "settings.yaml and checkpoint.pt missing" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "out=generator.pth"]) == 2
    assert ".safetensors" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
    torch.nn.init.constant_(network[0].weight, 1e6)
    with pytest.raises(StoreError, match=r"model\.0\.weight contains NaN or infinity"):
        export_network(network, tmp_path / "broken.safetensors", {}, half=True)
    assert not any(tmp_path.iterdir())
