"""Generators of every shape: read from their tensors, and used as encoder, whole generator and video."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from f2vbench.encoders.global_generator import window_input
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_family import GeneratorShape
from tests.helpers.generators import random_generator, save_generator

SHAPES = {
    "fundus2video": [
        GeneratorShape(6, 3, 4),
        GeneratorShape(6, 3, 4, 3, 6, "none", "plane"),
        GeneratorShape(6, 3, 2, 2, 3, "additive", "plane"),
        GeneratorShape(3, 3, 4, 3, 1, "additive", "plane"),
        GeneratorShape(6, 3, 3, 1, 2),
        GeneratorShape(6, 3, 2, 5, 4, "additive"),
    ],
    "fundus2fa": [GeneratorShape(3, 1, 4), GeneratorShape(3, 3, 3, 3, 6, "additive")],
    "truth": [GeneratorShape(3, 7, 4, 3, 6), GeneratorShape(3, 2, 4, 2, 3, "additive")],
}
EVERY_SHAPE = [pytest.param(family, shape, id=f"{family} {shape}") for family in SHAPES for shape in SHAPES[family]]


def _reference_maps(generator, inputs):
    """All maps of a generator and its output, by a plain loop; the skips are those of the definition."""
    shape, levels, maps, x = generator.shape, [], [], inputs
    for index, layer in enumerate(generator.children()):
        x = layer(x.clone())
        if index + 1 in shape.down_ends:
            levels.append(x)
        if shape.skips == "additive" and index + 1 in shape.up_ends:
            skipped = [*levels, None][shape.downsamplings - shape.up_ends.index(index + 1)]
            x = x if skipped is None else x + skipped
        maps.append(x)
        if shape.time == "plane" and index == shape.last_feature_map:
            window = round((float(inputs[0, -1, 0, 0]) + 1) * 11 / 2)
            scale, offset = generator.time[window]
            x = x * scale.exp()[:, None, None] + offset[:, None, None]
    return maps


@pytest.mark.parametrize(("family", "shape"), EVERY_SHAPE)
def test_a_generator_of_any_shape_is_read_from_its_tensors(tmp_path, family, shape):
    generator = random_generator(shape)
    path = save_generator(generator, tmp_path / "g.safetensors")
    default = shape.blocks_start + math.ceil(shape.blocks / 3)
    encoder = load_encoder(family, path, pooling="mean")
    assert (encoder.shape, encoder.spec.cut, encoder.multiple) == (shape, default, 2**shape.downsamplings)
    photograph = torch.rand(1, 3, 64, 96)
    inputs = window_input(2 * photograph - 1, shape=shape)
    with torch.no_grad():
        maps = _reference_maps(generator, inputs)
        found = encoder.pyramid(photograph)
    for level, end in zip(found, (*shape.down_ends, default), strict=True):
        torch.testing.assert_close(level, maps[end - 1])
    assert encoder.strides == tuple(2**level for level in range(shape.downsamplings + 1))
    assert encoder.channels == tuple(shape.ngf * stride for stride in encoder.strides)
    described = encoder.describe()
    assert (described["blocks"], described["skips"], described["cut"]) == (shape.blocks, shape.skips, default)
    if encoder.can_generate:
        frame = maps[-1][:, :1] if family == "fundus2video" else maps[-1].mean(1, keepdim=True)
        torch.testing.assert_close(encoder.generate(photograph, 1), (frame + 1) / 2)


@pytest.mark.parametrize(("family", "shape"), EVERY_SHAPE)
def test_the_whole_generator_has_the_maps_of_both_halves_and_its_outputs(tmp_path, family, shape):
    generator = random_generator(shape)
    path = save_generator(generator, tmp_path / "g.safetensors")
    whole, front = load_encoder(family, path, "whole"), load_encoder(family, path, shape.blocks_end)
    photograph = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        reference = _reference_maps(generator, window_input(2 * photograph - 1, shape=shape))
        maps, first_half = whole.pyramid(photograph), front.pyramid(photograph)
        for level, end in enumerate(reversed(shape.up_ends[1:])):
            channels = first_half[level].shape[1]
            assert torch.equal(maps[level][:, :channels], first_half[level])
            torch.testing.assert_close(maps[level][:, channels : 2 * channels], reference[end - 1])
        assert torch.equal(maps[-1], first_half[-1])
        outputs = reference[-1] if family == "truth" else 2 * whole.generate(photograph) - 1
    torch.testing.assert_close(maps[0][:, 2 * shape.ngf :], outputs)
    assert tuple(each.shape[1] for each in maps) == whole.channels
    odd = whole.pyramid(torch.rand(1, 3, 65, 79))
    assert [each.shape[2:] for each in odd] == [
        (math.ceil(65 / stride), math.ceil(79 / stride)) for stride in whole.strides
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(whole.embed([pixels]), front.embed([pixels]))


@pytest.mark.parametrize("shape", SHAPES["fundus2video"], ids=str)
def test_a_video_of_any_shape_is_the_chain_of_its_windows(tmp_path, shape):
    generator = random_generator(shape)
    encoder = load_encoder("fundus2video", save_generator(generator, tmp_path / "g.safetensors"))
    photograph = torch.rand(1, 3, 64, 64)
    x, previous, predictions = 2 * photograph - 1, None, [[] for _ in range(14)]
    with torch.no_grad():
        for window in range(12):
            parts = [x] if shape.inputs == 3 else [x, x if previous is None else previous]
            if shape.time == "plane":
                time = 2 * torch.tensor(float(window)) / 11 - 1  # in float32: the chain amplifies rounding
                parts.append(time.expand(1, 1, 64, 64))
            previous = _reference_maps(generator, torch.cat(parts, 1))[-1]
            for position in range(3):
                predictions[window + position].append(previous[:, position])
        expected = torch.stack([torch.stack(each).mean(0) for each in predictions[:12]], 1)
    torch.testing.assert_close(encoder.generate(photograph), (expected + 1) / 2)
