"""Feature maps of generators of any shape, for the attention, PatchNCE and truth losses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from f2vbench.encoders.global_generator import ResidualBlock, global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.training.generator_features import attention_layer, forward_layers, nce_layers
from f2vbench.training.patch_nce import nce_channels

MINI = GeneratorShape(6, 3, 2, downsamplings=3, blocks=2, skips="additive", time="plane")


def test_the_layers_of_the_published_shape_are_those_of_the_paper_and_the_released_code():
    published = GeneratorShape(6, 3)
    assert nce_layers(published) == (0, 4, 8, 12, 16)
    assert [attention_layer(published, layer) for layer in (36, 38)] == [36, 38]


@pytest.mark.parametrize("shape", [MINI, GeneratorShape(3, 1, 2, downsamplings=2, blocks=1)], ids=str)
def test_other_shapes_have_layers_of_the_same_kinds(shape):
    generator = global_generator(shape)
    layers = nce_layers(shape)
    assert len(layers) == shape.downsamplings + 1
    assert isinstance(generator[layers[0]], nn.ReflectionPad2d)
    assert isinstance(generator[layers[-1]], ResidualBlock)
    assert not any(isinstance(layer, ResidualBlock) for layer in generator[: layers[-1]])
    last = attention_layer(shape, 38)
    assert isinstance(generator[last], nn.Conv2d)
    assert isinstance(generator[last + 1], nn.Tanh)
    assert attention_layer(shape, 36) == last - 2 == shape.last_feature_map
    _, maps = forward_layers(generator, torch.rand(1, shape.input_channels, 32, 32), layers)
    assert [maps[layer].shape[1] for layer in layers] == nce_channels(shape)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_maps_of_the_second_half_contain_the_skips(checkpointing):
    generator = global_generator(MINI)
    initialise(generator, seed=2)
    x = 2 * torch.rand(1, MINI.input_channels, 32, 32) - 1
    last = MINI.last_feature_map
    output, maps = forward_layers(generator, x, {last}, checkpointing=checkpointing)
    assert torch.equal(output, generator(x))
    # The last convolution and the tanh make the output of the map alone.
    torch.testing.assert_close(generator[last + 1 :](maps[last]), output)
    plain = GeneratorShape(6, 3, 2, downsamplings=3, blocks=2, time="plane")
    without = global_generator(plain)
    without.load_state_dict(generator.state_dict())
    assert not torch.allclose(forward_layers(without, x, {last})[1][last], maps[last])


def test_two_z_before_the_tanh_is_the_logit_of_the_probability_that_the_tanh_gives():
    generator = global_generator(MINI)
    initialise(generator, seed=2)
    with torch.no_grad():
        generator[MINI.last_convolution].weight *= 20
    output, maps = forward_layers(generator, torch.rand(1, 7, 32, 32), {MINI.last_convolution})
    z = maps[MINI.last_convolution].double()
    assert z.std() > 0.3
    torch.testing.assert_close((output.double() + 1) / 2, 1 / (1 + (-2 * z).exp()), rtol=0, atol=1e-6)
