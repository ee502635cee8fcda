"""RETFound's released layouts: every tensor is loaded, or an error is raised."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.retfound import load_retfound
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained import state_dicts
from tests.helpers.retfound_files import (
    TINY,
    dinov2_checkpoint,
    has_weights_of,
    mae_checkpoint,
    random_network,
    save_and_load,
)


def test_an_mae_checkpoint_with_decoder_and_optimiser_sets_every_tensor_of_the_encoder(tmp_path):
    network = random_network("mae")
    encoder = save_and_load(tmp_path / "RETFound_mae.pth", mae_checkpoint(network.state_dict()))
    assert has_weights_of(encoder, network)
    assert not any(parameter.is_meta for parameter in encoder.parameters())
    assert isinstance(encoder.model.fc_norm, nn.Identity)
    assert encoder.model.norm.eps == 1e-6


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dinov2_teacher_sets_every_tensor_of_the_encoder(tmp_path, chunked):
    network = random_network("dinov2")
    encoder = save_and_load(tmp_path / "w.pth", dinov2_checkpoint(network.state_dict(), chunked))
    assert has_weights_of(encoder, network)


def test_a_plain_mlp_with_names_of_a_swiglu_is_loaded_as_its_two_layers(tmp_path):
    network = random_network("dinov2")
    encoder = save_and_load(tmp_path / "w.pth", dinov2_checkpoint(network.state_dict(), gated=True))
    assert has_weights_of(encoder, network)


def test_a_gated_mlp_computes_the_same_as_that_of_dinov2(tmp_path):
    network = random_network("dinov2", mlp_layer=timm.layers.SwiGLUPacked, act_layer=nn.SiLU, mlp_ratio=168.5 / 32)
    encoder = save_and_load(tmp_path / "w.pth", dinov2_checkpoint(network.state_dict(), gated=True))
    assert has_weights_of(encoder, network)
    mlp, x = encoder.model.blocks[1].mlp, torch.randn(2, 5, 32)
    gate, value = functional.linear(x, mlp.fc1.weight, mlp.fc1.bias).split(84, -1)
    expected = functional.linear(gate * gate.sigmoid() * value, mlp.fc2.weight, mlp.fc2.bias)
    torch.testing.assert_close(mlp(x), expected)


def test_a_whole_training_gives_its_teacher_and_not_its_student(tmp_path):
    network = random_network("dinov2")
    checkpoint = dinov2_checkpoint(network.state_dict())
    teacher = {f"teacher.{key}": tensor for key, tensor in checkpoint["teacher"].items()}
    student = {f"student.backbone.{key}": tensor + 1 for key, tensor in network.state_dict().items()}
    assert has_weights_of(save_and_load(tmp_path / "w.pth", {"model": student | teacher}), network)


def test_retfound_green_is_a_bare_state_dict(tmp_path):
    network = random_network("green", side=392)
    encoder = save_and_load(tmp_path / "w.pth", network.state_dict(), "retfound-green")
    assert has_weights_of(encoder, network)
    assert encoder.embed_size == (392, 392)


def test_a_large_file_is_mapped_again_after_each_part(tmp_path, monkeypatch):
    monkeypatch.setattr(state_dicts, "_MAPPED_BYTES", 20_000)
    read, reads = state_dicts.read_state_dict, []
    monkeypatch.setattr(state_dicts, "read_state_dict", lambda path: reads.append(path) or read(path))
    network = random_network("mae")
    assert has_weights_of(save_and_load(tmp_path / "w.pth", mae_checkpoint(network.state_dict())), network)
    own_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    assert 5 < len(reads) <= 1 + own_bytes / 20_000


@pytest.mark.parametrize("suffix", ["safetensors", "legacy"])
def test_files_that_cannot_be_mapped_are_loaded_as_well(tmp_path, suffix):
    from safetensors.torch import save_file

    network = random_network("mae")
    path = tmp_path / ("w.safetensors" if suffix == "safetensors" else "w.pth")
    if suffix == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"model": network.state_dict()}, path, _use_new_zipfile_serialization=False)
    assert has_weights_of(load_retfound(parse_model(f"retfound:{path}"), **TINY), network)


def test_half_precision_files_give_single_precision_encoders(tmp_path):
    network = random_network("mae")
    halves = {key: tensor.half() for key, tensor in network.state_dict().items()}
    encoder = save_and_load(tmp_path / "w.pth", {"model": halves})
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert has_weights_of(encoder, network.half().float())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "blocks.1.attn.qkv.weight",
            "blocks.1.attn.qkv_weight",
            r"1 missing: blocks\.1\.attn\.qkv\.weight; 1 not part",
        ),
        ("norm.weight", "fc_norm.weight", r"1 missing: norm\.weight; 1 not part of it: fc_norm\.weight"),
        ("cls_token", "module.cls_token", r"1 missing: cls_token; 1 not part of it: module\.cls_token"),
    ],
)
def test_a_tensor_with_another_name_is_an_error(tmp_path, old, new, message):
    state = random_network("mae").state_dict()
    state[new] = state.pop(old)
    with pytest.raises(WeightsError, match=message):
        save_and_load(tmp_path / "w.pth", mae_checkpoint(state))


def test_every_tensor_of_the_encoder_is_required(tmp_path):
    state = random_network("dinov2").state_dict()
    keys = [key for key in state if not key.startswith("blocks.") or key.startswith("blocks.2.")]
    for removed in (keys[start : start + 5] for start in range(0, len(keys), 5)):  # messages list five names
        incomplete = {name: tensor for name, tensor in state.items() if name not in removed}
        with pytest.raises(WeightsError, match=f"{len(removed)} missing: {re.escape(', '.join(removed))}"):
            save_and_load(tmp_path / "w.pth", dinov2_checkpoint(incomplete))


def test_a_file_of_another_layout_under_a_released_name_is_refused(tmp_path, monkeypatch):
    torch.save(mae_checkpoint(random_network("mae").state_dict()), tmp_path / "RETFound_dinov2_meh.pth")
    monkeypatch.setattr("f2vbench.encoders.retfound.fetch_weights", lambda card: tmp_path / card.file)
    with pytest.raises(WeightsError, match=r"8 missing: blocks\.0\.ls1\.gamma.*of another shape"):
        load_retfound(parse_model("retfound:dinov2_meh"), **TINY)


def test_two_tensors_of_one_name_and_values_that_are_not_finite_are_refused(tmp_path):
    state = random_network("mae").state_dict()
    with pytest.raises(WeightsError, match=r"two tensors for cls_token"):
        save_and_load(tmp_path / "w.pth", {"model": state | {"backbone.cls_token": state["cls_token"]}})
    state["norm.bias"] = torch.full((32,), torch.nan)
    with pytest.raises(WeightsError, match=r"NaN or infinity: norm\.bias"):
        save_and_load(tmp_path / "w.pth", {"model": state})
