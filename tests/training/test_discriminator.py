"""The discriminators against the published network, and the feature maps of the generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.training.discriminator import MultiScaleDiscriminator, initialise_normal
from f2vbench.training.generator_features import forward_layers


@pytest.mark.parametrize(("scales", "millions"), [(1, 2.768), (2, 5.536), (3, 8.303)])
def test_discriminators_have_the_published_number_of_parameters(scales, millions):
    with torch.device("meta"):
        discriminator = MultiScaleDiscriminator(6, scales)
    assert round(sum(parameter.numel() for parameter in discriminator.parameters()) / 1e6, 3) == millions


def test_discriminator_keys_are_those_of_pix2pixhd():
    keys = set(MultiScaleDiscriminator(6, 2, 2).state_dict())
    expected = {f"scale{i}_layer{j}.0.{kind}" for i in (0, 1) for j in range(5) for kind in ("weight", "bias")}
    assert keys == expected


def test_the_last_scale_processes_the_full_resolution_and_the_others_halves():
    discriminator = MultiScaleDiscriminator(3, 3, 2)
    x = torch.rand(1, 3, 64, 64)
    full, half, _ = discriminator(x)
    assert [scale[0].shape[-1] for scale in discriminator(x)] == [33, 17, 9]
    expected = x
    for layer in range(5):
        expected = discriminator.get_submodule(f"scale2_layer{layer}")(expected)
    torch.testing.assert_close(full[-1], expected)
    smaller = nn.AvgPool2d(3, 2, 1, count_include_pad=False)(x)
    torch.testing.assert_close(half[0], discriminator.get_submodule("scale1_layer0")(smaller))


def test_initial_weights_are_normal_with_deviation_002_and_depend_on_the_seed_alone():
    first, again, other = (MultiScaleDiscriminator(6, 1) for _ in range(3))
    for network, seed in ((first, 1), (again, 1), (other, 2)):
        initialise_normal(network, seed)
    weight = first.get_submodule("scale0_layer2")[0].weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert torch.equal(weight, again.get_submodule("scale0_layer2")[0].weight)
    assert not torch.equal(weight, other.get_submodule("scale0_layer2")[0].weight)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_forward_layers_returns_the_maps_of_the_layers_and_the_generators_output(checkpointing):
    generator = global_generator(GeneratorShape(6, 3, 4))
    initialise(generator)
    x = torch.rand(1, 6, 32, 32)
    output, maps = forward_layers(generator, x, (0, 4, 16, 36, 38), checkpointing=checkpointing)
    torch.testing.assert_close(output, generator(x))
    for layer, found in maps.items():
        torch.testing.assert_close(found, generator[: layer + 1](x))
