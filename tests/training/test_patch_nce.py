"""PatchNCE against the formula and a slow computation, and the positions of its patches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.training.generator_features import nce_layers
from f2vbench.training.patch_nce import (
    PATCHES,
    PatchSampler,
    ProjectionHeads,
    nce_channels,
    patch_nce,
    patch_nce_losses,
)

SHAPE = GeneratorShape(6, 3, 4)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def generator():
    network = global_generator(SHAPE)
    initialise(network)
    return network


def test_patch_nce_equals_the_formula_patch_by_patch():
    query = functional.normalize(torch.randn(5, 8), dim=1)
    key = functional.normalize(torch.randn(5, 8), dim=1)
    terms = []
    for i in range(5):
        weights = [math.exp(float(query[i] @ key[j]) / 0.07) for j in range(5)]
        terms.append(-math.log(weights[i] / sum(weights)))
    assert float(patch_nce(query, key)) == pytest.approx(np.mean(terms), rel=1e-4)


def test_an_empty_mask_multiplied_into_the_images_gives_ln_256(generator):
    heads = ProjectionHeads(nce_channels(SHAPE))
    images = [torch.rand(1, 3, 256, 256) for _ in range(3)]
    mask, rngs = torch.zeros(1, 1, 256, 256), [np.random.default_rng(0)]
    up, sp = patch_nce_losses(generator, heads, images[0], images[1:], PatchSampler(), rngs, multiply=mask)
    assert float(up.detach()) == pytest.approx(math.log(PATCHES), abs=1e-3)
    assert float(sp.detach()) == pytest.approx(math.log(PATCHES), abs=1e-3)
    rngs = [np.random.default_rng(0)]
    in_mask = patch_nce_losses(generator, heads, images[0], images[1:], PatchSampler(mask), rngs)
    assert abs(float(in_mask[0].detach()) - math.log(PATCHES)) > 0.01


def test_patch_nce_losses_equal_a_slow_computation(generator):
    heads = ProjectionHeads(nce_channels(SHAPE), width=16)
    fake, photograph, real = (torch.rand(2, 3, 32, 32) for _ in range(3))
    rngs = [np.random.default_rng(i) for i in range(2)]
    found = patch_nce_losses(generator, heads, fake, (photograph, real), PatchSampler(), rngs)
    rngs = [np.random.default_rng(i) for i in range(2)]
    terms = ([], [])
    for position, layer in enumerate(nce_layers(SHAPE)):

        def encode(image, layer=layer):
            x = torch.cat([image, image], 1)
            for part in generator[: layer + 1]:
                x = part(x)
            return x.relu() if layer == 8 else x

        query, *keys = (encode(image) for image in (fake, photograph, real))
        for image in range(2):
            count = query.shape[2] * query.shape[3]
            drawn = rngs[image].choice(count, min(256, count), replace=False)
            row, column = drawn // query.shape[3], drawn % query.shape[3]
            features = [functional.normalize(heads.heads[position](x[image][:, row, column].T)) for x in (query, *keys)]
            for kind in range(2):
                similarity = features[0] @ features[1 + kind].T / 0.07
                terms[kind].append(float(-similarity.detach().log_softmax(1).diagonal().mean()))
    assert [float(value.detach()) for value in found] == pytest.approx([np.mean(kind) for kind in terms], rel=1e-4)


def test_heads_generator_and_frames_have_gradients_and_the_photograph_has_none(generator):
    heads = ProjectionHeads(nce_channels(SHAPE))
    fake = torch.rand(1, 3, 64, 64, requires_grad=True)
    photograph = torch.rand(1, 3, 64, 64, requires_grad=True)
    (loss,) = patch_nce_losses(generator, heads, fake, [photograph], PatchSampler(), [np.random.default_rng(0)])
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in heads.parameters() if parameter.ndim == 2)
    assert generator[1].weight.grad.abs().sum() > 0
    assert fake.grad.abs().sum() > 0
    assert photograph.grad is None
    before = [parameter.detach().clone() for parameter in heads.parameters()]
    torch.optim.Adam(heads.parameters()).step()
    assert any(not torch.equal(old, new) for old, new in zip(before, heads.parameters(), strict=True))


def test_patches_are_drawn_inside_the_mask_at_every_size():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 8:40] = 1
    for size in (70, 64, 32, 16):
        (drawn,) = PatchSampler(mask).draw(size, size, [np.random.default_rng(0)])
        assert len(set(drawn)) == len(drawn)
        offset = max(0, (size - 64) // 2)
        scale = 64 / min(size, 64)
        rows, columns = (drawn // size - offset) * scale, (drawn % size - offset) * scale
        assert (rows >= 16).all()
        assert (rows < 48).all()
        assert (columns >= 8).all()
        assert (columns < 40).all()


def test_patches_of_an_image_with_an_empty_mask_are_drawn_everywhere():
    (drawn,) = PatchSampler(torch.zeros(1, 1, 64, 64)).draw(64, 64, [np.random.default_rng(0)])
    assert len(set(drawn)) == PATCHES
