"""The global generator, its encoder, and Fundus2Video's chain of windows."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from f2vbench.encoders.global_generator import global_generator, initialise, roll_out
from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.registry import FAMILIES
from f2vbench.errors import DataError, WeightsError
from tests.helpers.generators import official_state, random_generator, save_generator

NGF = 4


@pytest.fixture
def latest(tmp_path):
    """A small Fundus2Video generator and its weights file in the official layout."""
    generator = random_generator(GeneratorShape(6, 3, NGF))
    torch.save(official_state(generator), tmp_path / "latest_net_G.pth")
    return generator, tmp_path / "latest_net_G.pth"


@pytest.fixture
def small_families(monkeypatch):
    """Registry entries with generators of width 4 instead of 64."""
    for name in ("fundus2video", "pix2pixhd"):
        shape = replace(FAMILIES[name].generator, ngf=NGF)
        monkeypatch.setitem(FAMILIES, name, replace(FAMILIES[name], generator=shape))


def _millions(module: torch.nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 3)


def test_the_published_parameter_counts():
    with torch.device("meta"):
        generator = global_generator(GeneratorShape(6, 3))
    counts = {cut: _millions(generator[:cut]) for cut in (16, 17, 19, 25)}
    assert counts == {16: 6.288, 17: 25.164, 19: 62.917, 25: 176.175}
    assert _millions(generator) == 182.453
    assert _millions(generator[16]) == 18.876


def test_tensor_names_are_those_of_the_official_checkpoints():
    ends = ("weight", "bias")
    expected = {f"model.{i}.{end}" for i, end in product((1, 4, 7, 10, 13, 25, 28, 31, 34, 38), ends)}
    expected |= {f"model.{i}.conv_block.{j}.{end}" for i, j, end in product(range(16, 25), (1, 5), ends)}
    with torch.device("meta"):
        assert set(official_state(global_generator(GeneratorShape(6, 3)))) == expected


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("cut", [17, 19, 25])
def test_a_weights_file_is_loaded_as_the_generator_that_wassave_generator(tmp_path, suffix, cut):
    generator = random_generator(GeneratorShape(6, 3, NGF))
    path = tmp_path / f"latest_net_G.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(official_state(generator), path)
    encoder = load_encoder("fundus2video", str(path), cut, "mean")
    photograph = torch.rand(2, 3, 48, 64)
    inputs = torch.cat([2 * photograph - 1] * 2, 1)
    with torch.no_grad():
        maps = encoder.pyramid(photograph)
        assert torch.equal(maps[0], generator[:4](inputs))
        assert torch.equal(maps[3], generator[:13](inputs))
        assert torch.equal(maps[4], generator[:cut](inputs))
        first = (generator(inputs)[:, :1] + 1) / 2
    assert torch.equal(encoder.generate(photograph, frames=1), first)
    assert encoder.channels == (4, 8, 16, 32, 64)
    assert encoder.width == 64


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (100, 65)])
def test_map_sizes_are_rounded_up(latest, height, width):
    encoder = load_encoder("fundus2video", str(latest[1]))
    maps = encoder.pyramid(torch.rand(1, 3, height, width, requires_grad=True))
    assert encoder.strides == (1, 2, 4, 8, 16)
    for each, channels, stride in zip(maps, encoder.channels, encoder.strides, strict=True):
        assert each.shape == (1, channels, math.ceil(height / stride), math.ceil(width / stride))
    assert maps[-1].requires_grad
    assert encoder.generate(torch.rand(1, 3, height, width), frames=2).shape == (1, 2, height, width)


def test_invalid_photographs_are_refused(latest):
    encoder = load_encoder("fundus2video", str(latest[1]))
    for wrong in (torch.rand(1, 3, 31, 64), torch.rand(1, 6, 64, 64), torch.zeros(1, 3, 64, 64, dtype=torch.uint8)):
        with pytest.raises(DataError, match="sides of at least 32"):
            encoder.pyramid(wrong)
    with pytest.raises(DataError, match="image 1"):
        encoder.embed([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)])


def test_with_mean_pooling_an_embedding_is_the_mean_of_the_last_map_at_512_px(latest):
    encoder = load_encoder("fundus2video", str(latest[1]), pooling="mean")
    photograph = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    found = encoder.embed([photograph, photograph[:200, :300]])
    assert found.shape == (2, 16 * NGF)
    assert found.dtype == np.float32
    unit = torch.from_numpy(photograph).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = encoder.pyramid(unit)[-1].mean((2, 3))
    np.testing.assert_allclose(found[:1], expected, rtol=1e-4, atol=1e-6)
    assert encoder.embed([]).shape == (0, 16 * NGF)


def test_the_chain_feeds_back_the_last_window_and_averages_overlaps():
    received = []

    def generator(inputs):
        """Window n predicts 100n, 100n + 1, 100n + 2."""
        received.append(inputs)
        window = len(received) - 1
        return torch.tensor([0.0, 1.0, 2.0])[None, :, None, None] + 100 * window + torch.zeros(1, 3, 2, 2)

    photograph = torch.full((1, 3, 2, 2), -7.0)
    frames = roll_out(generator, photograph)[0, :, 0, 0]
    assert len(received) == 12
    assert torch.equal(received[0], torch.cat([photograph, photograph], 1))
    assert received[5][0, :, 0, 0].tolist() == [-7, -7, -7, 400, 401, 402]  # as predicted, not averaged
    assert frames[0] == 0  # window 0 alone
    assert frames[1] == (1 + 100) / 2  # windows 0 and 1
    assert frames[2] == (2 + 101 + 200) / 3  # windows 0, 1 and 2
    assert frames[11] == (902 + 1001 + 1100) / 3  # windows 9, 10 and 11: the last frame too has three


def test_every_frame_but_the_first_two_has_three_predictions():
    """A generator that marks one position of its window shows how many predictions a frame is the mean of."""
    for position, first_two in ((0, [1, 1 / 2]), (1, [0, 1 / 2]), (2, [0, 0])):
        marked = torch.zeros(1, 3, 1, 1)
        marked[:, position] = 1
        frames = roll_out(lambda inputs, marked=marked: marked, torch.zeros(1, 3, 1, 1))
        assert frames.flatten().tolist() == pytest.approx([*first_two, *[1 / 3] * 10])


def test_a_shorter_video_has_the_first_frames_of_a_longer_one(latest):
    generator = latest[0]
    photograph = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        whole = roll_out(generator, photograph)
        for frames in (1, 2, 5):
            assert torch.equal(roll_out(generator, photograph, frames), whole[:, :frames])
    with pytest.raises(ValueError, match="at least one"):
        roll_out(generator, photograph, 0)


def test_generation_does_not_change_the_encoder(latest):
    encoder = load_encoder("fundus2video", str(latest[1]))
    before = encoder.state_sha256(), encoder.describe()
    generated = encoder.generate(torch.rand(1, 3, 40, 40))
    assert generated.shape == (1, 12, 40, 40)
    assert 0 <= generated.min() < generated.max() <= 1
    assert (encoder.state_sha256(), encoder.describe()) == before


def test_a_file_that_was_replaced_after_loading_is_refused(latest):
    encoder = load_encoder("fundus2video", str(latest[1]))
    torch.save(official_state(random_generator(GeneratorShape(6, 3, NGF), seed=6)), latest[1])
    with pytest.raises(WeightsError, match="changed since"):
        encoder.generate(torch.rand(1, 3, 32, 32))


@pytest.mark.parametrize("outputs", [1, 3])
def test_fundus2fa_generates_one_frame(tmp_path, outputs):
    generator = random_generator(GeneratorShape(3, outputs, NGF))
    torch.save(official_state(generator), tmp_path / "fa.pth")
    encoder = load_encoder("fundus2fa", str(tmp_path / "fa.pth"))
    photograph = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        expected = (generator(2 * photograph - 1).mean(1, keepdim=True) + 1) / 2
    assert torch.equal(encoder.generate(photograph), expected)


@pytest.mark.parametrize(
    ("family", "shape", "message"),
    [
        ("fundus2video", GeneratorShape(3, 3, NGF), "3 input.*fundus2video has 6 and 3.*model=fundus2fa"),
        ("fundus2video", GeneratorShape(6, 1, NGF), "6 input and 1 output"),
        ("fundus2fa", GeneratorShape(6, 3, NGF), "6 input.*model=fundus2video:<weights file>"),
        ("pix2pixhd", GeneratorShape(1, 3, NGF), "1 input"),
    ],
)
def test_a_generator_of_another_family_is_refused(tmp_path, family, shape, message):
    torch.save(official_state(random_generator(shape)), tmp_path / "net_G.pth")
    with pytest.raises(WeightsError, match=message):
        load_encoder(family, str(tmp_path / "net_G.pth"))


def test_another_architecture_is_refused(tmp_path):
    path = tmp_path / "net_G.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7), "bn1.weight": torch.zeros(64)}, path)
    with pytest.raises(WeightsError, match=r"no pix2pixHD generator: .* its 2 tensors are bn1\.weight, conv1\.weight"):
        load_encoder("fundus2video", str(path))
    shallow = official_state(random_generator(GeneratorShape(6, 3, NGF)))
    del shallow["model.24.conv_block.5.weight"]  # beyond the cut, but part of the generator
    torch.save(shallow, path)
    with pytest.raises(WeightsError, match=r"1 missing: model\.24\.conv_block\.5\.weight"):
        load_encoder("fundus2video", str(path))


def test_a_truncated_checkpoint_is_refused(latest):
    path = latest[1]
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(WeightsError, match=r"latest_net_G\.pth: .*damaged"):
        load_encoder("fundus2video", str(path))


@pytest.mark.usefixtures("small_families")
def test_untrained_weights_are_reproducible():
    state = torch.get_rng_state()
    first, second = (build(parse_model("fundus2video:untrained")) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.state_sha256() == second.state_sha256()
    kernels = torch.cat([p.detach().flatten() for name, p in first.named_parameters() if name.endswith("weight")])
    assert float(kernels.mean()) == pytest.approx(0, abs=2e-4)
    assert float(kernels.std()) == pytest.approx(0.02, rel=1e-2)
    assert not any(p.any() for name, p in first.named_parameters() if name.endswith("bias"))


def test_a_part_of_an_untrained_generator_has_the_weights_of_the_whole():
    whole, part = global_generator(GeneratorShape(6, 3, NGF)), global_generator(GeneratorShape(6, 3, NGF))[19:]
    initialise(whole)
    initialise(part)
    assert all(torch.equal(whole.state_dict()[key], tensor) for key, tensor in part.state_dict().items())


@pytest.mark.usefixtures("small_families")
def test_the_random_baseline_is_the_untrained_encoder_of_pix2pixhd():
    baseline, encoder = load_encoder("random:pix2pixhd"), load_encoder("pix2pixhd:untrained")
    assert baseline.state_sha256() == encoder.state_sha256()
    assert baseline.spec.name == "random:pix2pixhd"


@pytest.mark.usefixtures("small_families")
def test_an_untrained_encoder_describes_itself():
    encoder = load_encoder("fundus2video:untrained")
    description = encoder.describe()
    assert description["weights"] == "untrained"
    assert description["parameters"] == sum(p.numel() for p in encoder.parameters())
    assert (description["width"], description["strides"]) == (47 * NGF, [1, 2, 4, 8, 16])
    assert encoder.channels == (NGF, 2 * NGF, 4 * NGF, 8 * NGF, 16 * NGF)


def _refused(tmp_path, state, family: str = "fundus2video") -> str:
    path = tmp_path / "g.safetensors"
    save_file(state, path)
    with pytest.raises(WeightsError) as error:
        load_encoder(family, str(path))
    assert str(path) in str(error.value)
    return str(error.value)


def test_checkpoints_that_fit_no_shape_are_explained(tmp_path):
    state = official_state(random_generator(GeneratorShape(6, 3, NGF, 3, 6)))
    without_block = {key: tensor for key, tensor in state.items() if not key.startswith("model.15.")}
    assert "13, 14, 16, 17, 18" in _refused(tmp_path, without_block)
    shifted = {key.replace("model.13.", "model.12."): tensor for key, tensor in without_block.items()}
    assert "start at 4 + 3 × (downsampling layers)" in _refused(tmp_path, shifted)
    assert "1 missing: model.7.weight" in _refused(tmp_path, {k: t for k, t in state.items() if k != "model.7.weight"})
    narrower = {**state, "model.4.weight": state["model.4.weight"][:-1].contiguous()}
    assert "1 of another shape: model.4.weight is (7, 4, 3, 3), needs (8, 4, 3, 3)" in _refused(tmp_path, narrower)
    normalised = {**state, "model.2.weight": torch.ones(NGF)}  # pix2pixHD's --norm batch
    assert "1 not part of it: model.2.weight" in _refused(tmp_path, normalised)
    enhancer = {"model1_1.1.weight": torch.zeros(4, 6, 7, 7), **state}
    del enhancer["model.1.weight"]
    assert "local enhancer" in _refused(tmp_path, enhancer)


def test_a_generator_with_one_class_is_no_truth(tmp_path):
    state = official_state(random_generator(GeneratorShape(3, 1, NGF, 2, 2)))
    assert "3 input and 1 output channels, truth has 3 and 2 or more" in _refused(tmp_path, state, "truth")


def test_photographs_smaller_than_two_strides_of_a_deep_generator_are_refused(tmp_path):
    path = save_generator(random_generator(GeneratorShape(6, 3, 2, 5, 2)), tmp_path / "g.safetensors")
    encoder = load_encoder("fundus2video", path)
    with pytest.raises(DataError, match="sides of at least 64 px"):
        encoder.generate(torch.rand(1, 3, 63, 64))
    assert encoder.generate(torch.rand(1, 3, 64, 65), 1).isfinite().all()


def test_an_enlargement_beyond_the_coarsest_map_is_refused(tmp_path):
    path = save_generator(random_generator(GeneratorShape(3, 1, 2, 1, 2)), tmp_path / "g.safetensors", enlarge="4")
    with pytest.raises(WeightsError, match="enlarge=4 with 1 downsamplings"):
        load_encoder("fundus2fa", path)
