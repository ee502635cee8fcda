"""Generators of any pix2pixHD shape: indices of their layers, additive skips, and the time plane."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from f2vbench.encoders.global_generator import ResidualBlock, global_generator, initialise, roll_out, window_input
from f2vbench.encoders.model_family import GeneratorShape

SHAPES = [GeneratorShape(3, 1, 2, 1, 1), GeneratorShape(6, 3, 2, 3, 4, time="plane"), GeneratorShape(6, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_indices_of_a_shape_are_those_of_its_layers(shape):
    layers = list(global_generator(shape))
    down = [index for index, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    blocks = [index for index, layer in enumerate(layers) if isinstance(layer, ResidualBlock)]
    up = [index for index, layer in enumerate(layers) if isinstance(layer, nn.ConvTranspose2d)]
    assert list(shape.down_ends) == down[1:-1]
    assert (shape.blocks_start, shape.blocks_end) == (blocks[0], blocks[-1] + 1)
    assert list(shape.up_ends) == [*up, shape.last_convolution - 1]
    assert shape.last_convolution == down[-1] == len(layers) - 2
    assert layers[shape.last_convolution].in_channels == shape.ngf
    assert (len(down) - 2, len(blocks), len(up)) == (shape.downsamplings, shape.blocks, shape.downsamplings)
    assert layers[1].in_channels == shape.input_channels
    side = 2 * shape.multiple
    x = torch.rand(1, shape.input_channels, side, side)
    assert global_generator(shape)[: shape.blocks_end](x).shape == (1, shape.widths[-1], 2, 2)


@pytest.mark.parametrize("skips", ["none", "additive"])
def test_additive_skips_equal_a_forward_pass_by_hand(skips):
    shape = GeneratorShape(3, 1, 2, downsamplings=2, blocks=2, skips=skips)
    generator = global_generator(shape)
    initialise(generator, seed=1)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 5
    weights = generator.state_dict()
    x = 2 * torch.rand(2, 3, 16, 24) - 1

    def convolve(x, layer, **options):
        return functional.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], **options)

    def normalise(x):
        mean = x.mean((2, 3), keepdim=True)
        return (x - mean) / (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()

    def enlarge(x, layer):
        options = {"stride": 2, "padding": 1, "output_padding": 1}
        return functional.conv_transpose2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], **options)

    def pad(x, width):
        return functional.pad(x, (width,) * 4, mode="reflect")

    full = normalise(convolve(pad(x, 3), "1")).relu()
    half = normalise(convolve(full, "4", stride=2, padding=1)).relu()
    quarter = normalise(convolve(half, "7", stride=2, padding=1)).relu()
    for block in (10, 11):
        change = normalise(convolve(pad(quarter, 1), f"{block}.conv_block.1")).relu()
        quarter = quarter + normalise(convolve(pad(change, 1), f"{block}.conv_block.5"))
    added = 1.0 if skips == "additive" else 0.0  # not at the coarsest stride, where the blocks are residual
    up_half = normalise(enlarge(quarter, "12")).relu() + added * half
    up_full = normalise(enlarge(up_half, "15")).relu() + added * full
    expected = convolve(pad(up_full, 3), "19").tanh()
    torch.testing.assert_close(generator(x), expected, rtol=1e-4, atol=1e-5)


def test_the_time_plane_is_minus_one_in_the_first_window_and_one_from_the_twelfth_on():
    shape = GeneratorShape(6, 3, 2, time="plane")
    photograph, previous = torch.rand(4, 3, 2, 5), torch.rand(4, 3, 2, 5)
    found = window_input(photograph, previous, torch.tensor([0, 4, 11, 30]), shape)
    assert torch.equal(found[:, :6], torch.cat([photograph, previous], 1))
    expected = torch.tensor([-1.0, -3 / 11, 1.0, 1.0])
    torch.testing.assert_close(found[:, 6], expected[:, None, None].expand(4, 2, 5))
    single = window_input(photograph, shape=GeneratorShape(3, 1, time="plane"))
    assert torch.equal(single, torch.cat([photograph, -torch.ones(4, 1, 2, 5)], 1))


def test_a_video_is_rolled_out_with_the_time_of_each_window():
    """A generator that adds the time plane to the last of the preceding frames."""
    shape = GeneratorShape(6, 3, 2, time="plane")
    received = []

    def generator(inputs):
        received.append(inputs)
        return inputs[:, 5:6].expand(-1, 3, -1, -1) + inputs[:, 6:]

    photograph = torch.full((1, 3, 1, 1), 0.5)
    video = roll_out(generator, photograph, 12, shape).flatten().tolist()
    windows, value = [], 0.5
    for window in range(12):
        value += 2 * window / 11 - 1
        windows.append(value)
    expected = [sum(windows[max(0, t - 2) : t + 1]) / min(3, t + 1) for t in range(12)]
    assert video == pytest.approx(expected, abs=1e-5)
    assert all(inputs.shape[1] == 7 and torch.equal(inputs[:, :3], photograph) for inputs in received)
