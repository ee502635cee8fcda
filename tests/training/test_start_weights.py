"""Trainings that start from the weights of another training or of a weights card."""

from __future__ import annotations

import pytest
import torch

from f2vbench.config.parsing import build
from f2vbench.encoders.global_generator import global_generator, initialise, roll_out
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import WeightsError
from f2vbench.training.data.truth_maps import TRUTH_CLASSES
from f2vbench.training.export import EXPORT, export_network
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trainer import Trainer
from tests.helpers.training import CPU, video_data, video_settings


def started_trainer(settings: TrainSettings) -> Trainer:
    trainer = Trainer(settings, video_data(1), CPU)
    trainer.start_or_resume()
    return trainer


def test_generator_and_average_start_from_an_exported_file(trained_video, tmp_path):
    exported = trained_video.folder / EXPORT
    networks = started_trainer(video_settings(tmp_path, start=exported, seed=5, export_half=False)).method.networks
    for name, tensor in trained_video.method.networks.best.state_dict().items():
        assert torch.equal(networks.generator.state_dict()[name], tensor)
        assert torch.equal(networks.best.state_dict()[name], tensor)


def test_files_of_another_width_and_missing_files_are_refused_by_name(trained_video, tmp_path):
    with pytest.raises(WeightsError, match=r"generator\.safetensors"):
        started_trainer(video_settings(tmp_path / "wider", start=trained_video.folder / EXPORT, ngf=3))
    with pytest.raises(WeightsError, match=r"nothing\.safetensors: can.t be read"):
        started_trainer(video_settings(tmp_path / "missing", start=tmp_path / "nothing.safetensors"))


def test_generators_of_another_number_of_layers_are_refused_by_name(tmp_path):
    single = global_generator(GeneratorShape(3, 1, 2, downsamplings=2, blocks=1))
    export_network(single, tmp_path / "single.safetensors", {})
    for name, changes in (("blocks", {"downsamplings": 2, "blocks": 2}), ("layers", {"downsamplings": 3, "blocks": 1})):
        with pytest.raises(WeightsError, match=r"single\.safetensors"):
            started_trainer(video_settings(tmp_path / name, start=tmp_path / "single.safetensors", **changes))


@pytest.mark.parametrize(
    "changes",
    [{}, {"downsamplings": 2, "blocks": 2, "skips": "additive", "time": "plane"}],
    ids=["published", "with skips and time"],
)
def test_a_video_generator_that_starts_from_a_single_frame_model_generates_that_frame_twelve_times(tmp_path, changes):
    settings = video_settings(tmp_path / "video", start=tmp_path / "single.safetensors", **changes)
    shape = {key: getattr(settings, key) for key in ("ngf", "downsamplings", "blocks", "skips")}
    single = global_generator(GeneratorShape(3, 1, **shape))
    initialise(single, seed=3)
    export_network(single, tmp_path / "single.safetensors", {})
    networks = started_trainer(settings).method.networks
    photograph = 2 * torch.rand(1, 3, 32, 32) - 1
    # In the memory format of the other network, so that sums have the same order.
    generator = networks.best.eval().to(memory_format=torch.contiguous_format)
    video = roll_out(generator, photograph, 12, networks.generator.shape)
    torch.testing.assert_close(video, single(photograph).expand_as(video))


def test_the_layer_of_the_truth_is_copied_where_file_and_training_have_one(tmp_path):
    loss = {"squared": 1.0, "truth": 0.5}
    settings = video_settings(tmp_path / "with", seed=4, loss=loss)
    shape = {key: getattr(settings, key) for key in ("ngf", "downsamplings", "blocks")}
    for name, classes in (("with", len(TRUTH_CLASSES)), ("without", 0)):
        network = global_generator(GeneratorShape(6, 3, **shape, classes=classes))
        initialise(network, seed=3)
        if network.truth_bias is not None:
            torch.nn.init.ones_(network.truth_bias)
        export_network(network, tmp_path / f"{name}.safetensors", {})

    def started(file: str, loss: dict[str, float]):
        folder = tmp_path / f"{file}-{len(loss)}"
        chosen = video_settings(folder, start=tmp_path / f"{file}.safetensors", seed=4, loss=loss)
        return started_trainer(chosen).method.networks.best

    assert (started("with", loss).truth_bias == 1).all()
    assert (started("without", loss).truth_bias == 0).all()
    assert started("with", {"squared": 1.0}).truth_bias is None


def test_a_training_starts_from_the_file_of_a_weights_card(tmp_path):
    encoder = load_encoder("fundus2fa-mini")
    shape = {key: getattr(encoder.shape, key) for key in ("ngf", "downsamplings", "blocks", "skips", "time")}
    values = {"model": "fundus2fa", "preset": "mini", "start": "fundus2fa-mini", "out": tmp_path, "batch_size": 1}
    networks = started_trainer(build(TrainSettings, {**values, **shape})).method.networks
    part = networks.generator[: len(encoder.model)]
    for found, expected in zip(part.parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
