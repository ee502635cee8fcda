"""`seg2vid` as a model: warping, the network, weights files, and generated frames."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from f2vbench.encoders.flow_vae import FlowShape, draw_codes, flow_autoencoder, warp
from f2vbench.encoders.loading import build_encoder, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from tests.helpers.video_models import FLOW_SHAPE, write_flow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of a small network."""
    return write_flow(tmp_path_factory.mktemp("weights") / "small.safetensors")


def slow_warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of an (h, w) image at displaced positions, pixel by pixel."""
    height, width = image.shape
    warped = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x = min(max(column + flow[0, row, column], 0), width - 1)
            y = min(max(row + flow[1, row, column], 0), height - 1)
            left, top = int(np.floor(x)), int(np.floor(y))
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            upper = image[top, left] * (1 - x + left) + image[top, right] * (x - left)
            lower = image[bottom, left] * (1 - x + left) + image[bottom, right] * (x - left)
            warped[row, column] = upper * (1 - y + top) + lower * (y - top)
    return warped


def test_warping_equals_a_loop_over_pixels():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 7, 9))
    flow = rng.normal(size=(2, 4, 2, 7, 9)) * 3
    found = warp(torch.from_numpy(images), torch.from_numpy(flow))
    by_frame = warp(torch.from_numpy(np.repeat(images[:, None], 4, 1)), torch.from_numpy(flow))
    for n in range(2):
        for t in range(4):
            for c in range(3):
                np.testing.assert_allclose(found[n, t, c], slow_warp(images[n, c], flow[n, t]), atol=1e-9)
    assert torch.equal(found, by_frame)


def test_without_flow_nothing_moves_and_a_flow_of_one_pixel_shifts_by_one_pixel():
    images = torch.rand(1, 1, 6, 8, dtype=torch.float64)
    flow = torch.zeros(1, 2, 2, 6, 8, dtype=torch.float64)
    flow[:, 1, 0] = 1
    found = warp(images, flow)[0, :, 0]
    torch.testing.assert_close(found[0], images[0, 0])
    torch.testing.assert_close(found[1, :, :-1], images[0, 0, :, 1:])


def test_gradients_of_warping_are_those_of_finite_differences():
    stream = torch.Generator().manual_seed(0)
    images = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=stream, requires_grad=True)
    # Fractions between 0.2 and 0.8: interpolation has kinks at whole pixels.
    flow = (torch.rand(1, 2, 2, 5, 6, dtype=torch.float64, generator=stream) * 0.6 + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(warp, (images, flow))


def test_at_the_start_nothing_moves_and_frames_are_in_range():
    network = flow_autoencoder(FlowShape(8, 6))
    photograph, frames = torch.rand(2, 3, 48, 32) * 2 - 1, torch.rand(2, 12, 48, 32) * 2 - 1
    motion, mean, log_variance = network(photograph, frames, torch.randn(2, 6))
    assert not motion.forward.any()
    assert not motion.backward.any()
    assert motion.frames.shape == (2, 12, 48, 32)
    assert motion.forward.shape == motion.backward.shape == (2, 12, 2, 48, 32)
    assert motion.visible_in_photograph.min() > 0.9
    assert mean.shape == log_variance.shape == (2, 6)
    assert motion.frames.abs().max() <= 1


def test_the_latent_vector_moves_pixels_and_its_noise_is_scaled_by_its_deviation(weights):
    network = build_encoder(parse_model(f"seg2vid:{weights}")).network
    photograph, frames = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 12, 32, 32) * 2 - 1
    noise = torch.randn(1, 6)
    motion, mean, log_variance = network(photograph, frames, noise)
    by_hand = network.decode(photograph, mean + noise * log_variance.exp().sqrt())
    torch.testing.assert_close(motion.frames, by_hand.frames, atol=1e-4, rtol=0)
    other = network.decode(photograph, -5 * torch.ones(1, 6))
    assert (motion.backward - other.backward).abs().max() > 0.05
    assert (motion.frames - other.frames).abs().max() > 0.01


def test_frames_depend_on_the_pixels_alone_and_have_the_size_of_the_photograph(weights):
    encoder = build_encoder(parse_model(f"seg2vid:{weights}"))
    x = torch.randint(0, 256, (2, 3, 48, 40), generator=torch.Generator().manual_seed(0)).float() / 255
    torch.manual_seed(9)
    together = encoder.generate(x)
    assert together.shape == (2, 12, 48, 40)
    assert 0 <= together.min() < together.max() <= 1
    alone = build_encoder(parse_model(f"seg2vid:{weights}")).generate(x[1:])
    torch.testing.assert_close(alone[0], together[1], atol=1e-5, rtol=0)
    assert torch.equal(encoder.generate(x[:1]), encoder.generate(x[:1]))
    assert encoder.generate(x[:1], frames=3).shape == (1, 3, 48, 40)
    codes = draw_codes([5, 6], 6, torch.device("cpu"))
    assert torch.equal(draw_codes([6], 6, torch.device("cpu"))[0], codes[1])


def test_an_untrained_network_is_that_of_mini_and_has_no_embedding():
    spec = parse_model("seg2vid:untrained")
    encoder = build_encoder(spec)
    assert encoder.network.shape == FlowShape()
    assert encoder.embed_size == (128, 128)
    initial = flow_autoencoder(FlowShape(), seed=0).state_dict()
    assert all(torch.equal(value, initial[key]) for key, value in encoder.network.state_dict().items())
    assert 2 * sum(parameter.numel() for parameter in encoder.parameters()) < 8e6
    with pytest.raises(SettingsError, match="has no embeddings"):
        load_encoder("seg2vid:untrained")
    with pytest.raises(SettingsError, match="seg2vid has no ddim-5, only diffusion models have"):
        parse_model("seg2vid:untrained@ddim-5")


def test_files_of_other_networks_and_damaged_shapes_are_refused(weights, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"model.1.weight": torch.zeros(2)}, other)
    with pytest.raises(WeightsError, match=r"other\.safetensors: no weights of seg2vid"):
        build_encoder(parse_model(f"seg2vid:{other}"))
    notes = {"photograph": "plain", "side": "32"}
    for shape, message in (({**FLOW_SHAPE, "width": 16}, "another architecture"), ({"width": 12}, "damaged")):
        save_file(read_state_dict(weights), other, {"seen": json.dumps({**notes, "seg2vid": json.dumps(shape)})})
        with pytest.raises(WeightsError, match=message):
            build_encoder(parse_model(f"seg2vid:{other}"))
