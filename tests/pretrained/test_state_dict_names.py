"""Weights under a prefix, with statistics or of another image size load; what can't be weights is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import checkpoint_filter_fn

from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import WeightsError, WeightsNote
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import without_prefix
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.pretrained.weights_files import find_weights

PHOTOGRAPH = [np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)]


@pytest.fixture(scope="module")
def generator() -> dict[str, torch.Tensor]:
    """Tensors of a shipped generator."""
    return read_state_dict(find_weights(weights_card("pix2pixhd-mini")))


def _save(path: Path, state: dict[str, torch.Tensor]) -> str:
    torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "netG.", "model.", "module.netG.", "backbone."])
def test_a_generator_under_a_prefix_has_the_same_features_and_says_so(tmp_path, generator, prefix):
    plain = load_encoder(f"pix2pixhd:{_save(tmp_path / 'plain.pth', generator)}").embed(PHOTOGRAPH)
    path = _save(tmp_path / "a.pth", {prefix + name: tensor for name, tensor in generator.items()})
    with pytest.warns(WeightsNote, match="is removed from the names of its tensors"):
        encoder = load_encoder(f"pix2pixhd:{path}")
    np.testing.assert_array_equal(encoder.embed(PHOTOGRAPH), plain)


def test_statistics_of_instance_norms_are_left_out_and_mentioned(tmp_path, generator):
    plain = load_encoder(f"pix2pixhd:{_save(tmp_path / 'plain.pth', generator)}").embed(PHOTOGRAPH)
    names = [name for name in generator if name.endswith("weight")]
    statistics = {name.replace("weight", "running_mean"): torch.ones(len(generator[name])) for name in names}
    path = _save(tmp_path / "a.pth", generator | statistics)
    with pytest.warns(WeightsNote, match=f"{len(names)} statistics of instance norms are not used"):
        encoder = load_encoder(f"pix2pixhd:{path}")
    np.testing.assert_array_equal(encoder.embed(PHOTOGRAPH), plain)


def test_two_networks_in_a_file_are_refused():
    state = {f"{prefix}{name}": torch.ones(1) for prefix in ("netA.", "netB.") for name in ("x.weight", "y.weight")}
    with pytest.raises(WeightsError, match=r"contains several such networks, netA\., netB\."):
        without_prefix(state, ["x.weight", "y.weight"], "a.pth")


def test_position_embeddings_of_another_size_are_resized_as_timm_does(tmp_path):
    name = "test_vit"
    trained = timm.create_model(name, num_classes=0, img_size=96)
    model = timm.create_model(name, num_classes=0)
    expected = checkpoint_filter_fn(trained.state_dict(), model)["pos_embed"]
    assert expected.shape != trained.pos_embed.shape
    with pytest.warns(WeightsNote, match="position embeddings resized"):
        encoder = load_encoder(f"timm:{name}:{_save(tmp_path / 'a.pth', trained.state_dict())}")
    torch.testing.assert_close(encoder.model.pos_embed.data, expected, rtol=0, atol=0)


def test_a_fine_tuned_head_fc_norm_and_torchscript_are_named(tmp_path):
    model = timm.create_model("test_vit", num_classes=0)
    state = model.state_dict()
    path = _save(tmp_path / "head.pth", state | {"classifier.1.weight": torch.ones(2, 2)})
    with pytest.raises(WeightsError, match="head of a fine-tuned classifier"):
        load_encoder(f"timm:test_vit:{path}")
    renamed = {name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: t for name, t in state.items()}
    with pytest.raises(WeightsError, match="fc_norm replaces the final norm"):
        load_encoder(f"timm:test_vit:{_save(tmp_path / 'fc.pth', renamed)}")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(WeightsError, match="a TorchScript program"):
        load_encoder(f"timm:test_vit:{tmp_path / 'script.pt'}")


@pytest.mark.parametrize(
    ("change", "message"),
    [(torch.zeros_like, "all its matrices are zero"), (lambda t: t.to(torch.int8), "has the type torch.int8")],
)
def test_zero_and_integer_weights_are_refused(tmp_path, generator, change, message):
    path = _save(tmp_path / "a.pth", {name: change(tensor) for name, tensor in generator.items()})
    with pytest.raises(WeightsError, match=message):
        load_encoder(f"pix2pixhd:{path}")
