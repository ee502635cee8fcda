"""timm models as encoders: feature maps, embeddings, weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from f2vbench.encoders import timm_models
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import SettingsError, WeightsError


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("resnet18", (64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
        ("convnext_atto", (40, 80, 160, 320), (4, 8, 16, 32)),
        ("swin_tiny_patch4_window7_224", (96, 192, 384, 768), (4, 8, 16, 32)),
        ("swinv2_tiny_window8_256", (96, 192, 384, 768), (4, 8, 16, 32)),
        ("vit_small_patch16_dinov3", (384,) * 4, (16,) * 4),
        ("maxvit_pico_rw_256", (32, 32, 64, 128, 256), (2, 4, 8, 16, 32)),
        ("vit_tiny_patch16_224", (192,) * 4, (16,) * 4),
        ("vit_small_patch14_reg4_dinov2", (384,) * 4, (16,) * 4),
    ],
)
def test_feature_maps_have_the_declared_sizes(name, channels, strides):
    encoder = load_encoder(f"timm:{name}:untrained")
    assert (encoder.channels, encoder.strides) == (channels, strides)
    with torch.no_grad():
        for height, width in ((64, 64), (65, 97)):
            maps = encoder.pyramid(torch.rand(1, 3, height, width))
            expected = [
                (1, c, math.ceil(height / s), math.ceil(width / s)) for c, s in zip(channels, strides, strict=True)
            ]
            assert [tuple(each.shape) for each in maps] == expected


def _unit(side: int) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def _reference(name: str, **options) -> torch.nn.Module:
    """timm's own model, initialised like the untrained encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(name, num_classes=0, **options).eval()


def test_feature_maps_are_those_of_timm():
    x = _unit(64)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        found = load_encoder("timm:resnet18:untrained").pyramid(x)
        expected = _reference("resnet18").forward_intermediates((x - mean) / std, intermediates_only=True)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_feature_maps_of_a_transformer_are_four_normalised_depths():
    x = _unit(64)
    model = _reference("vit_tiny_patch16_224", dynamic_img_size=True)
    with torch.no_grad():
        found = load_encoder("timm:vit_tiny_patch16_224:untrained").pyramid(x)
        tokens = model.forward_features((x - 0.5) / 0.5)[:, 1:]
        expected = model.forward_intermediates(
            (x - 0.5) / 0.5, indices=[2, 5, 8, 11], intermediates_only=True, norm=True
        )
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    torch.testing.assert_close(found[-1], tokens.transpose(1, 2).reshape(1, 192, 4, 4))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_an_embedding_is_the_spatial_mean_of_the_features(name):
    photograph = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    encoder = load_encoder(f"timm:{name}:untrained")
    found = encoder.embed([photograph, photograph[:100, :50]])
    assert found.shape == (2, encoder.width)
    assert found.dtype == np.float32
    config = encoder.model.pretrained_cfg
    x = (photograph / 255 - np.array(config["mean"])) / np.array(config["std"])
    with torch.no_grad():
        features = _reference(name).forward_features(torch.from_numpy(x).float().permute(2, 0, 1)[None])
    expected = features.mean((2, 3)) if features.ndim == 4 else features[:, 1:].mean(1)
    np.testing.assert_allclose(found[:1], expected, rtol=1e-4, atol=1e-5)


def test_an_embedding_excludes_register_tokens():
    encoder = load_encoder("timm:vit_small_patch14_reg4_dinov2:untrained")
    assert encoder.embed_size == (518, 518)
    prepared = torch.rand(1, 3, 56, 56)
    with torch.no_grad():
        tokens = encoder.model.forward_features(prepared)
        pooled = encoder.pooled(prepared)
    assert tokens.shape[1] == 1 + 4 + 16
    torch.testing.assert_close(pooled, tokens[:, -16:].mean(1))


def test_an_embedding_excludes_class_and_register_tokens_of_dinov3():
    encoder = load_encoder("timm:vit_small_patch16_dinov3:untrained")
    prepared = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        tokens = encoder.model.forward_features(prepared)
        pooled = encoder.pooled(prepared)
    assert tokens.shape[1] == 1 + 4 + 16
    torch.testing.assert_close(pooled, tokens[:, 5:].mean(1))


def test_missing_pretrained_weights_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    message = (
        r"could not be downloaded.*huggingface\.co/timm/vit_small_patch16_dinov3\.lvd1689m.*hf auth login"
        ".*HF_HUB_OFFLINE.*timm:vit_small_patch16_dinov3:untrained"
    )
    with pytest.raises(WeightsError, match=message):
        load_encoder("timm:vit_small_patch16_dinov3")


def test_feature_maps_are_differentiable_and_frames_are_refused():
    encoder = load_encoder("timm:resnet18:untrained")
    encoder.pyramid(_unit(32))[0].sum().backward()
    assert encoder.model.conv1.weight.grad is not None
    assert not encoder.can_generate
    with pytest.raises(SettingsError, match="generates no angiogram"):
        encoder.generate(_unit(32))


def test_untrained_weights_are_reproducible():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second = (load_encoder("timm:vit_tiny_patch16_224:untrained") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.state_sha256() == second.state_sha256()
    assert first.describe()["weights"] == "untrained"


def test_a_local_file_needs_every_tensor_except_the_classifiers(tmp_path):
    path = tmp_path / "mine.pth"
    state = timm.create_model("test_resnet", num_classes=10).state_dict()
    torch.save({"state_dict": state}, path)
    encoder = load_encoder(f"timm:test_resnet:{path}")
    assert encoder.spec.name == "timm:test_resnet:mine"
    assert all(torch.equal(tensor, state[key]) for key, tensor in encoder.model.state_dict().items())
    with pytest.raises(WeightsError, match="made for another architecture"):
        load_encoder(f"timm:test_vit:{path}")
    del state["layer4.0.conv1.weight"]
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"1 missing: layer4\.0\.conv1\.weight"):
        load_encoder(f"timm:test_resnet:{path}")


def test_unknown_names_are_answered_with_similar_ones():
    with pytest.raises(SettingsError, match=r"similar names: .*resnet18"):
        load_encoder("timm:resnet_18:untrained")
    with pytest.raises(SettingsError, match=r"tagged 'nobody'.*resnet18\.a1_in1k"):
        load_encoder("timm:resnet18.nobody:untrained")
    with pytest.raises(WeightsError, match="timm:vit_small_patch16_18x2_224:untrained"):
        load_encoder("timm:vit_small_patch16_18x2_224")


def test_a_failed_download_says_what_to_do(monkeypatch):
    def create_model(*_, **__):
        raise OSError("no connection")

    monkeypatch.setattr(timm_models.timm, "create_model", create_model)
    monkeypatch.setattr(timm_models, "check_hub", lambda: None)
    with pytest.raises(WeightsError, match=r"no connection.*hf auth login.*HF_HUB_OFFLINE.*timm:resnet18:untrained"):
        load_encoder("timm:resnet18")


def test_a_model_without_feature_maps_has_embeddings(monkeypatch):
    monkeypatch.delattr(timm.models.ResNet, "forward_intermediates")
    encoder = load_encoder("timm:test_resnet:untrained")
    assert encoder.channels == ()
    assert encoder.embed([np.zeros((40, 40, 3), np.uint8)]).shape == (1, encoder.width)
    with pytest.raises(SettingsError, match="no intermediate feature maps"):
        encoder.pyramid(_unit(32))


def test_a_model_without_a_single_sequence_of_tokens_is_refused():
    encoder = load_encoder("timm:coat_tiny:untrained")
    with pytest.raises(SettingsError, match="use another model"):
        encoder.embed([np.zeros((40, 40, 3), np.uint8)])
