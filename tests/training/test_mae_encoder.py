"""The encoder of a masked autoencoder: exported, published, and untrained weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from f2vbench.cli.main import main
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.mae import MEAN, STD, TransformerShape, initialise, vision_transformer
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import known_families
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.training.export import EXPORT
from f2vbench.training.masked_autoencoder import MaskedAutoencoder
from tests.helpers.training import SIDE


def is_encoder_key(key: str) -> bool:
    return not key.startswith("decoder_") and key != "mask_token"


def test_an_exported_encoder_equals_timms_with_the_same_weights(trained_mae):
    encoder = load_encoder("mae", str(trained_mae.folder / EXPORT))
    expected = vision_transformer(TransformerShape(64, 2, SIDE)).eval()
    weights = trained_mae.method.networks.best.state_dict()
    state = {key: value for key, value in weights.items() if is_encoder_key(key)}
    expected.load_state_dict(state)
    photograph = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    x = torch.from_numpy((photograph / 255 - np.array(MEAN)) / np.array(STD)).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        tokens = expected.forward_features(x)[:, 1:]
        maps = encoder.pyramid(torch.from_numpy(photograph / 255.0).float().permute(2, 0, 1)[None])
    torch.testing.assert_close(torch.from_numpy(encoder.embed([photograph])), tokens.mean(1))
    torch.testing.assert_close(maps[-1], tokens.transpose(1, 2).reshape(1, 64, 4, 4))
    assert encoder.embed_size == (SIDE, SIDE)
    assert encoder.describe()["parameters"] == sum(value.numel() for value in state.values())


def test_keys_are_those_of_the_published_checkpoints(trained_mae):
    keys = set(read_state_dict(trained_mae.folder / EXPORT))
    block = [f"{part}.{kind}" for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
             for kind in ("weight", "bias")]  # fmt: skip
    expected = {"cls_token", "pos_embed", "mask_token", "decoder_pos_embed"}
    layers = ["patch_embed.proj", "norm", "decoder_embed", "decoder_norm", "decoder_pred"]
    expected |= {f"{name}.{kind}" for name in layers for kind in ("weight", "bias")}
    expected |= {f"blocks.{index}.{part}" for index in range(2) for part in block}
    assert keys == expected | {f"decoder_blocks.0.{part}" for part in block}


def test_a_published_checkpoint_is_loaded_and_one_without_a_key_is_refused(trained_mae, tmp_path):
    state = read_state_dict(trained_mae.folder / EXPORT)
    torch.save({"model": state, "epoch": 3}, tmp_path / "checkpoint-3.pth")
    encoder = load_encoder(f"mae:{tmp_path / 'checkpoint-3.pth'}")
    assert torch.equal(encoder.model.norm.weight, state["norm.weight"])
    del state["blocks.1.mlp.fc2.bias"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=r"1 missing: blocks\.1\.mlp\.fc2\.bias"):
        load_encoder(f"mae:{tmp_path / 'cut.pth'}")
    torch.save({"model.1.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no encoder of a masked autoencoder"):
        load_encoder(f"mae:{tmp_path / 'other.pth'}")


def test_an_untrained_encoder_has_the_initial_weights_of_a_training_and_accepts_other_sizes():
    first, second = (load_encoder("mae:untrained") for _ in range(2))
    assert first.state_sha256() == second.state_sha256()
    initial = MaskedAutoencoder(TransformerShape(), 96, 2)
    initialise(initial, seed=0)
    assert all(torch.equal(value, initial.state_dict()[key]) for key, value in first.model.state_dict().items())
    with torch.no_grad():
        maps = first.pyramid(torch.rand(1, 3, 100, 130))
    assert [tuple(each.shape) for each in maps] == [(1, 192, 7, 9)] * 4
    assert first.embed_size == (224, 224)


def test_the_family_is_listed_and_generates_nothing(capsys):
    assert "mae" in known_families()
    assert main(["list", "models"]) == 0
    assert "masked autoencoder" in capsys.readouterr().out
    assert not parse_model("mae:untrained").can_generate
    assert parse_model("mae:untrained").identity()["timm"]
    with pytest.raises(SettingsError, match="generates no angiogram"):
        load_encoder("mae:untrained").generate(torch.rand(1, 3, 64, 64))
