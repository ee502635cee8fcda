"""Preprocessing, embeddings and feature maps of RETFound's networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from f2vbench.adapters.fine_tuning import parameter_groups
from f2vbench.config.run import RunSettings
from f2vbench.data.field_of_view import field_of_view
from f2vbench.encoders.feature_identity import declared_features
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.retfound import resize_positions
from f2vbench.encoders.timm_encoder import crop_to_field
from tests.helpers.retfound_files import dinov2_checkpoint, mae_checkpoint, random_network, save_and_load


def test_position_embeddings_of_another_grid_are_interpolated_bicubically(tmp_path):
    network = random_network("dinov2", side=518)
    encoder = save_and_load(tmp_path / "w.pth", dinov2_checkpoint(network.state_dict()))
    original, found = network.pos_embed.detach(), encoder.model.pos_embed.detach()
    assert found.shape == (1, 1 + 16 * 16, 32)
    assert torch.equal(found[:, 0], original[:, 0])
    grid = original[0, 1:].reshape(37, 37, 32)
    # Keys' cubic kernel (a = −0.75), by hand at one cell of the new grid.
    row, column = (5 + 0.5) * 37 / 16 - 0.5, (9 + 0.5) * 37 / 16 - 0.5
    expected = sum(
        _cubic(row - i) * _cubic(column - j) * grid[i, j]
        for i in range(int(row) - 1, int(row) + 3)
        for j in range(int(column) - 1, int(column) + 3)
    )
    torch.testing.assert_close(found[0, 1 + 5 * 16 + 9], expected, rtol=1e-4, atol=1e-5)


def _cubic(distance: float, a: float = -0.75) -> float:
    t = abs(distance)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def test_position_embeddings_of_no_square_grid_are_unchanged():
    odd = torch.zeros(1, 1 + 15, 8)
    assert resize_positions(odd, (14, 14), 1) is odd


def _photograph(height=300, width=420, radius=110) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - 150) ** 2 + (columns - 200) ** 2 < radius**2
    texture = np.stack([150 + 60 * np.sin(rows / 9), 80 + 30 * np.cos(columns / 7), 40 + 0 * rows], -1)
    return (texture * inside[..., None]).astype(np.uint8)


def test_a_photograph_is_cropped_to_its_field_of_view_resized_to_256_and_cropped_to_224(tmp_path):
    encoder = save_and_load(tmp_path / "w.pth", mae_checkpoint(random_network("mae").state_dict()))
    photograph = _photograph()
    found = np.flatnonzero(field_of_view(photograph).any(1))
    top, bottom = found[0], found[-1] + 1
    assert abs(top - 40) <= 2
    assert abs(bottom - 260) <= 2
    square = crop_to_field(photograph)
    assert square.shape == (bottom - top, bottom - top, 3)
    assert crop_to_field(square) is square
    prepared = encoder.prepare(torch.from_numpy(square).permute(2, 0, 1)[None])
    # In floating point: Pillow rounds and clips 8-bit images between its two passes.
    planes = [Image.fromarray(square[..., channel].astype(np.float32)) for channel in range(3)]
    whole = np.stack([plane.resize((256, 256), Image.Resampling.BICUBIC) for plane in planes], -1).clip(0, 255)
    pillow = whole[16:240, 16:240]
    expected = (pillow / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    assert prepared.shape == (1, 3, 224, 224)
    assert np.abs(prepared[0].permute(1, 2, 0).numpy() - expected).max() < 1e-4


def test_a_photograph_that_is_not_square_keeps_its_aspect_ratio(tmp_path):
    encoder = save_and_load(tmp_path / "w.pth", mae_checkpoint(random_network("mae").state_dict()))
    ramp = np.broadcast_to(np.linspace(0, 255, 512).astype(np.uint8)[None, :, None], (256, 512, 3)).copy()
    resized = encoder.preprocessing.resize(torch.from_numpy(ramp).permute(2, 0, 1)[None])
    np.testing.assert_allclose(resized[0, 0, 0], ramp[0, 144:368, 0] / 255, atol=1e-6)


def _patch_tokens(network, prepared: torch.Tensor, patches: int) -> torch.Tensor:
    """(patches, 32) tokens of the last block, without the class token."""
    with torch.no_grad():
        x = network.patch_embed(prepared).reshape(1, patches, 32)
        x = torch.cat([network.cls_token, x], 1) + network.pos_embed
        for block in network.blocks:
            x = block(x)
    return x[0, 1:]


def _layer_norm(x: torch.Tensor, weight: torch.Tensor | float = 1.0, bias: torch.Tensor | float = 0.0) -> torch.Tensor:
    variance, mean = torch.var_mean(x, -1, unbiased=False, keepdim=True)
    return ((x - mean) / (variance + 1e-6).sqrt() * weight + bias).detach()


def _checkpoint(kind: str, network) -> dict:
    return (mae_checkpoint if kind == "mae" else dinov2_checkpoint)(network.state_dict())


@pytest.mark.parametrize(("kind", "patches"), [("mae", 196), ("dinov2", 256)])
def test_an_embedding_has_the_pooling_that_the_argument_names(tmp_path, kind, patches):
    network = random_network(kind)
    checkpoint = _checkpoint(kind, network)
    official, mean = (save_and_load(tmp_path / "w.pth", checkpoint, suffix=suffix) for suffix in ("", "@mean"))
    photograph = _photograph()
    prepared = official.prepare(torch.from_numpy(crop_to_field(photograph)).permute(2, 0, 1)[None])
    tokens = _patch_tokens(network, prepared, patches)
    normalised = _layer_norm(tokens, network.norm.weight, network.norm.bias)
    expected = _layer_norm((tokens if kind == "mae" else normalised).mean(0))
    np.testing.assert_allclose(official.embed([photograph])[0], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(mean.embed([photograph])[0], normalised.mean(0), rtol=1e-3, atol=1e-4)
    assert torch.cosine_similarity(expected, normalised.mean(0), 0) < 0.999
    with torch.no_grad():  # feature maps have the trained norm with both
        maps = [encoder.pyramid(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
                for encoder in (official, mean)]  # fmt: skip
    assert all(map(torch.equal, *maps))


_RECORDED = {
    "mae": [-1.615895, -0.024448, 1.596995, -0.151348, -0.615777, -0.043511],
    "dinov2": [0.320692, 2.016973, 1.052315, 0.279922, -0.556767, -1.21781],
}
"""First six numbers of the embedding of RETFound's own code for the weights and the input below, at 32 channels and 4
blocks: `VisionTransformer(global_pool=True)` of `models_vit.py` (rmaphoh/RETFound_MAE, revision ad280cb, with timm
1.0.31), and the branch for DINOv2 in its notebook `latent_feature.ipynb` (revision 897d71c)."""


@pytest.mark.parametrize("kind", ["mae", "dinov2"])
def test_an_embedding_equals_that_of_the_official_code(tmp_path, kind):
    network = random_network(kind)
    with torch.no_grad():
        for number, (name, parameter) in enumerate(sorted(network.named_parameters())):
            wave = 0.3 * torch.sin(0.7 * torch.arange(parameter.numel(), dtype=torch.float64) + number)
            is_scale = name.endswith("weight") and parameter.ndim == 1
            parameter.copy_((wave + 0.5 * is_scale).reshape(parameter.shape))
    encoder = save_and_load(tmp_path / "w.pth", _checkpoint(kind, network))
    x = torch.sin(0.013 * torch.arange(3 * 224 * 224, dtype=torch.float64)).float().reshape(1, 3, 224, 224)
    with torch.no_grad():
        np.testing.assert_allclose(encoder.pooled(x)[0, :6], _RECORDED[kind], atol=2e-4)


def test_stored_embeddings_of_one_pooling_are_never_used_for_the_other():
    official, mean, named = (parse_model(f"retfound{suffix}") for suffix in ("", "@mean", "@official"))
    assert (official.name, official.pooling) == ("retfound:mae_natureCFP", "official")
    assert (mean.name, mean.pooling) == ("retfound:mae_natureCFP@mean", "mean")
    assert named == official
    settings = RunSettings(task="rite")
    keys = [declared_features(spec, "embedding", settings)["model"].get("pooling") for spec in (official, mean)]
    assert keys == ["official", "mean"]  # neither is the key of earlier versions, which had none
    maps = [declared_features(spec, "pyramid", settings) for spec in (official, mean)]
    assert maps[0] == maps[1]
    assert parse_model("retfound-green").pooling is None


def test_fine_tuning_trains_fc_norm_as_fast_as_the_head(tmp_path):
    encoder = save_and_load(tmp_path / "w.pth", mae_checkpoint(random_network("mae").state_dict()))
    distances = encoder.layer_distances()
    parameters = dict(encoder.named_parameters())
    assert distances.keys() == parameters.keys()
    groups = parameter_groups(parameters, distances, 0.65, 0.05)
    scales = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    assert scales[id(encoder.fc_norm.weight)] == 1.0
    encoder.pooled(torch.rand(2, 3, 224, 224)).square().sum().backward()
    assert encoder.fc_norm.weight.grad.abs().sum() > 0
    assert encoder.model.patch_embed.proj.weight.grad.abs().sum() > 0


def test_the_embedding_of_green_excludes_register_and_class_tokens(tmp_path):
    network = random_network("green", side=392)
    encoder = save_and_load(tmp_path / "w.pth", network.state_dict(), "retfound-green")
    square = crop_to_field(_photograph())
    x = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255
    x = functional.interpolate(x, size=(392, 392), mode="bilinear", antialias=True) * 2 - 1
    with torch.no_grad():
        expected = network.forward_features(x)[0, 5:].mean(0)
    np.testing.assert_allclose(encoder.embed([square])[0], expected, rtol=1e-3, atol=1e-4)


def test_feature_maps_are_four_depths_of_one_stride(tmp_path):
    encoder = save_and_load(tmp_path / "w.pth", dinov2_checkpoint(random_network("dinov2").state_dict()))
    with torch.no_grad():
        maps = encoder.pyramid(torch.rand(1, 3, 65, 97))
    assert [tuple(each.shape) for each in maps] == [(1, 32, 5, 7)] * 4
