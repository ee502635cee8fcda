"""Embeddings of generators: generalised means of all feature maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import pmean

from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.pooling import generalised_mean, pool_levels


def test_a_generalised_mean_is_scipys_power_mean_of_the_positive_part():
    x = torch.randn(3, 5, 7, 9, generator=torch.Generator().manual_seed(0))
    positive = np.maximum(x.numpy(), 1e-6)
    for exponent in (1, 3, 5.5):
        expected = pmean(positive.reshape(3, 5, -1).astype(float), exponent, axis=2)
        np.testing.assert_allclose(generalised_mean(x, exponent), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3, 600, 500), (2, 9, 40, 30), (1, 2, 1, 1)])
def test_channels_that_are_pooled_block_by_block_have_the_bits_of_the_formula(shape, dtype):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    formula = x.float().clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    assert torch.equal(generalised_mean(x), formula)


def test_a_small_lesion_changes_a_generalised_mean_more_than_a_mean():
    background = torch.full((1, 1, 64, 64), 0.5)
    lesion = background.clone()
    lesion[..., 10:12, 20:22] = 5
    changes = [float(generalised_mean(lesion, p) / generalised_mean(background, p)) for p in (1, 3)]
    assert changes[1] - 1 > 10 * (changes[0] - 1) > 0


def test_both_signs_of_the_last_map_are_pooled_and_gradients_are_finite():
    maps = [torch.zeros(1, 2, 8, 8), torch.randn(1, 3, 4, 4)]
    last = maps[-1].requires_grad_()
    pooled = pool_levels(maps)
    assert pooled.shape == (1, 2 + 2 * 3)
    torch.testing.assert_close(pooled[:, 5:], generalised_mean(-last))
    pooled.sum().backward()
    assert last.grad.isfinite().all()
    assert last.grad.abs().min() >= 0


@pytest.fixture
def weights(tmp_path):
    generator = global_generator(GeneratorShape(6, 3, 4, 3, 6, "none", "plane"))
    path = tmp_path / "g.safetensors"
    save_file({f"model.{key}": tensor for key, tensor in generator.state_dict().items()}, path)
    return str(path)


def test_an_embedding_is_pooled_from_the_maps_of_the_pyramid(weights):
    encoder = load_encoder("fundus2video", weights)
    photographs = np.random.default_rng(0).integers(0, 256, (2, 512, 512, 3), dtype=np.uint8)
    found = encoder.embed(list(photographs))
    assert (encoder.width, found.shape) == (4 + 8 + 16 + 2 * 32, (2, 92))
    with torch.no_grad():
        maps = encoder.pyramid(torch.from_numpy(photographs).permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_allclose(found, pool_levels(maps), rtol=1e-4, atol=1e-5)


def test_the_embedding_of_a_photograph_does_not_depend_on_its_batch(weights):
    encoder = load_encoder("fundus2video", weights)
    photographs = list(np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8))
    with torch.autocast("cpu", torch.bfloat16):
        together, alone = encoder.embed(photographs), encoder.embed(photographs[1:2])
    np.testing.assert_array_equal(together[1:2], alone)
