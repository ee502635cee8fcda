"""Exported generators: at the end of a training, from a checkpoint, and in half precision."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from f2vbench.cli.main import main
from f2vbench.encoders.global_generator import global_generator, roll_out
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import StoreError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256, read_state_dict
from f2vbench.pretrained.shards import stored_files
from f2vbench.pretrained.weights_writing import MAX_FILE_BYTES
from f2vbench.training.checkpoints import CHECKPOINT
from f2vbench.training.export import EXPORT, export_network
from f2vbench.training.trainer import Trainer
from tests.helpers.completed_training import write_training
from tests.helpers.shards import small_files
from tests.helpers.training import CPU, SIDE, train_batches, video_data, video_settings


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
    assert card["architecture"] == {"name": "pix2pixhd-global", **shape, "classes": 0}
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


@pytest.fixture(scope="module")
def large_network():
    """A generator of 46 MB."""
    torch.manual_seed(0)
    return global_generator(GeneratorShape(inputs=6, outputs=3, ngf=16))


def test_a_large_export_in_shards_gives_the_features_and_frames_of_a_whole_file_to_the_last_bit(
    large_network, tmp_path
):
    seen = {"enlarge": "1", "photograph": "normalised"}
    index = export_network(large_network, tmp_path / EXPORT, {}, input_metadata=seen)
    assert index.name == f"{EXPORT}.index.json"
    *_, shard = files = stored_files(index)
    assert len(files) == 1 + 4
    assert max(file.stat().st_size for file in files) <= MAX_FILE_BYTES == 15_000_000
    card = json.loads((tmp_path / "generator.json").read_text())
    assert (card["file"], card["sha256"]) == (index.name, file_sha256(index))
    assert card["bytes"] == sum(file.stat().st_size for file in files)

    whole = tmp_path / "whole" / EXPORT
    whole.parent.mkdir()
    state = {f"model.{key}": tensor for key, tensor in large_network.state_dict().items()}
    save_file(state, whole, {"seen": json.dumps(seen)})
    assert whole.stat().st_size > 2 * MAX_FILE_BYTES
    expected = load_encoder("fundus2video", str(whole))
    photographs = [np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)]
    picture = torch.rand(1, 3, 32, 32)
    for path in (index, tmp_path / EXPORT):
        encoder = load_encoder("fundus2video", str(path))
        assert encoder.normalised
        assert np.array_equal(encoder.embed(photographs), expected.embed(photographs))
        maps = zip(encoder.pyramid(picture), expected.pyramid(picture), strict=True)
        assert all(torch.equal(found, other) for found, other in maps)
        assert torch.equal(encoder.generate(picture, 2), expected.generate(picture, 2))
        assert encoder.state_sha256() == expected.state_sha256()  # one key in the feature store
    shard.unlink()
    with pytest.raises(WeightsError, match=r"generator-00004-of-00004\.safetensors: shard 4 of 4 .* is missing"):
        load_encoder("fundus2video", str(index))


def test_the_names_of_an_export_in_shards_mean_the_same_model(tmp_path):
    run = write_training(tmp_path / "a+b", limit=600_000)
    index, name = run / f"{EXPORT}.index.json", run / EXPORT
    assert index.is_file()
    assert not name.exists()
    specs = [parse_model(f"fundus2video:{index}"), parse_model("fundus2video", str(name))]
    assert {spec.name for spec in specs} == {"fundus2video:generator"}
    assert {spec.weights_label for spec in specs} == {f"generator.safetensors@{file_sha256(index)[:8]}"}
    assert specs[0].identity() == specs[1].identity()
    other = write_training(tmp_path / "other", seed=4, limit=600_000)
    assert parse_model(f"fundus2video:{other / EXPORT}").identity() != specs[0].identity()


def test_a_checkpoint_is_exported_in_shards_and_again_as_one_file(trained_video, tmp_path, capsys):
    folder, out = trained_video.folder, tmp_path / "again.safetensors"
    expected = load_file(folder / EXPORT)
    with small_files(200_000):
        assert main(["export", str(folder), f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}.index.json of " in printed
    assert f"its description: {tmp_path / 'again.json'}" in printed
    state = read_state_dict(out)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in state)
    assert main(["export", str(folder), f"out={out}"]) == 0
    assert out.read_bytes() == (folder / EXPORT).read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["again.json", "again.safetensors"]


def test_a_training_starts_from_shards(trained_video, tmp_path):
    network = trained_video.method.networks.best
    with small_files(200_000):
        export_network(network, tmp_path / EXPORT, {})
    trainer = Trainer(video_settings(tmp_path / "run", start=tmp_path / EXPORT), video_data(1), CPU)
    trainer.start_or_resume()
    expected = network.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in trainer.method.networks.best.state_dict().items())
