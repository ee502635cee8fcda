"""Encoders preprocess photographs as in the training of the generator, by the metadata of its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from f2vbench.config.parsing import build
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.shading_correction import normalised_picture
from f2vbench.encoders import photograph_input
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_metadata
from f2vbench.training.checkpoints import TrainingPosition, TrainingStatus
from f2vbench.training.export import EXPORT, export_network, export_training
from f2vbench.training.methods import build_method
from f2vbench.training.settings import TrainSettings
from tests.helpers.training import CPU, video_settings


def export_untrained(path: Path, shape: GeneratorShape = GeneratorShape(3, 1, 2), **metadata: str) -> str:  # noqa: B008
    generator = global_generator(shape)
    initialise(generator)
    export_network(generator, path, {}, input_metadata=metadata)
    return str(path)


def to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def test_an_encoder_enlarges_photographs_for_a_generator_of_enlarged_ones(tmp_path):
    plain = load_encoder("fundus2fa", export_untrained(tmp_path / "plain.safetensors"))
    twice = load_encoder("fundus2fa", export_untrained(tmp_path / "twice.safetensors", enlarge="2"))
    assert (plain.strides, twice.strides) == ((1, 2, 4, 8, 16), (1, 2, 4, 8))
    assert plain.state_sha256() != twice.state_sha256()
    photograph = torch.rand(1, 3, 64, 64)
    larger = torch.nn.functional.interpolate(photograph, scale_factor=2, mode="bicubic").clamp(0, 1)
    for found, expected in zip(twice.pyramid(photograph), plain.pyramid(larger)[1:], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert [tuple(m.shape[1:]) for m in twice.pyramid(photograph)] == [
        (channels, 64 // stride, 64 // stride) for channels, stride in zip(twice.channels, twice.strides, strict=True)
    ]
    generated = torch.nn.functional.avg_pool2d(plain.generate(larger), 2)
    torch.testing.assert_close(twice.generate(photograph), generated, rtol=1e-3, atol=1e-4)


def test_an_encoder_corrects_the_shading_for_a_generator_of_corrected_photographs(tmp_path):
    plain = load_encoder("fundus2fa", export_untrained(tmp_path / "plain.safetensors"))
    corrected = load_encoder("fundus2fa", export_untrained(tmp_path / "n.safetensors", photograph="normalised"))
    rows, columns = np.mgrid[:64, :64]
    fov_mask = (rows - 32) ** 2 + (columns - 32) ** 2 < 28**2
    rng = np.random.default_rng(0)
    picture = (fov_mask[..., None] * (60 + columns[..., None] + rng.integers(0, 40, (64, 64, 3)))).astype(np.uint8)
    expected = to_tensor(normalised_picture(picture, field_of_view(picture)))
    torch.testing.assert_close(corrected.generate(to_tensor(picture)), plain.generate(expected))
    for found, other in zip(corrected.pyramid(to_tensor(picture)), plain.pyramid(expected), strict=True):
        torch.testing.assert_close(found, other)
    assert corrected.state_sha256() != plain.state_sha256()


def test_models_that_receive_the_same_photograph_share_its_correction(monkeypatch):
    """Corrected photographs are kept up to a number of bytes; which ones were kept changes no result."""
    corrections = []

    def corrected(picture, field):
        corrections.append(picture.sum())
        return normalised_picture(picture, field)

    monkeypatch.setattr(photograph_input, "normalised_picture", corrected)
    monkeypatch.setattr(photograph_input, "_recent", photograph_input._RecentPictures(2 * 3 * 40 * 48))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3)).astype(np.uint8)
    expected = [normalised_picture(picture, field_of_view(picture)) for picture in pictures]
    for turn, (number, computed) in enumerate([(0, 1), (0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4)]):
        found = photograph_input.scaled_photographs(to_tensor(pictures[number]), without_shading=True)
        assert torch.equal(found, 255 * to_tensor(expected[number]) / 127.5 - 1)
        assert len(corrections) == computed, f"turn {turn}"


def test_the_generator_receives_nearly_the_photograph_of_the_training_where_the_field_of_view_is_detected(tmp_path):
    encoder = load_encoder("fundus2fa", export_untrained(tmp_path / "n.safetensors", photograph="normalised"))
    inputs = []
    encoder.model[0].register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    rows, columns = np.mgrid[:128, :128]
    radius = np.hypot(rows - 63.5, columns - 63.5)
    fov_mask = radius < 60
    light = (160 - radius)[..., None] * [1.0, 0.6, 0.3] + 8 * np.sin(columns / 3)[..., None]
    picture = (light * fov_mask[..., None]).astype(np.uint8)
    encoder.generate(to_tensor(picture))
    found = 127.5 * (inputs[0][0].permute(1, 2, 0).numpy() + 1)
    expected = normalised_picture(picture, fov_mask)
    assert np.abs(found - expected)[radius < 54].mean() < 3
    assert np.abs(found - 128)[radius > 63].max() < 1


def test_a_soft_edge_of_the_field_of_view_is_not_dark_after_the_shading_correction():
    rows, columns = np.mgrid[:512, :512]
    radius = np.hypot(rows - 255.5, columns - 255.5)
    light = np.clip((250 - radius) / 3 + 0.5, 0, 1)  # decreases over 3 pixels
    noise = np.random.default_rng(0).normal(0, 3, (512, 512, 3))
    picture = (light[..., None] * ([150, 90, 50] + noise)).clip(0, 255).astype(np.uint8)
    corrected = normalised_picture(picture, field_of_view(picture)).astype(float)
    assert corrected[np.abs(radius - 250) < 6].min() > corrected[radius < 200].min() - 10


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"enlarge": "7"}, "enlarge=7 in its metadata"),
        ({"phase": "choroidal"}, "phase=choroidal in its metadata"),
    ],
)
def test_invalid_metadata_is_refused(tmp_path, metadata, message):
    file = export_untrained(tmp_path / "w.safetensors", **metadata)
    with pytest.raises(WeightsError, match=message):
        load_encoder("fundus2fa", file)


@pytest.mark.parametrize(
    ("model", "phase", "stored"), [("fundus2fa", "late", "late"), ("fundus2video", "venous", None)]
)
def test_the_phase_of_a_single_frame_model_is_stored_with_the_weights(tmp_path, model, phase, stored):
    settings = build(TrainSettings, {"model": model, "preset": "mini"} | ({"phase": phase} if stored else {}))
    metadata = settings.input_metadata()
    assert metadata.get("phase") == stored
    shape = GeneratorShape(6 if model == "fundus2video" else 3, 3, 2)
    encoder = load_encoder(model, export_untrained(tmp_path / "w.safetensors", shape, **metadata))
    assert (encoder.phase, encoder.enlarge, encoder.normalised) == (phase, settings.enlarge, True)


def test_additive_skips_are_stored_with_the_weights_because_no_tensor_tells_of_them(trained_video, tmp_path):
    settings = video_settings(tmp_path, skips="additive", time="plane", blocks=1, downsamplings=2)
    method = build_method(settings, CPU, bf16=False)
    export_training(method, settings, tmp_path / EXPORT, TrainingStatus(TrainingPosition(), {}), half=False)
    with_skips, without = (
        json.loads(read_metadata(folder / EXPORT)["seen"]) for folder in (tmp_path, trained_video.folder)
    )
    assert with_skips == {"enlarge": "1", "photograph": "plain", "skips": "additive"}
    assert without == {"enlarge": "1", "photograph": "plain"}
    card = json.loads((tmp_path / "generator.json").read_text())
    assert (card["architecture"]["skips"], card["architecture"]["time"]) == ("additive", "plane")
