"""RETFound's released layouts: every key in its place, or an error."""

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
from tests.helpers.retfound_files import TINY, dinov2_file, load, mae_file, network_of, same


def test_an_mae_checkpoint_with_decoder_and_optimiser_fills_every_tensor_of_the_encoder(tmp_path):
    network = network_of("mae")
    encoder = load(tmp_path / "RETFound_mae.pth", mae_file(network.state_dict()))
    assert same(encoder, network)
    assert not any(parameter.is_meta for parameter in encoder.parameters())
    assert isinstance(encoder.model.fc_norm, nn.Identity)
    assert encoder.model.norm.eps == 1e-6


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dinov2_teacher_fills_every_tensor_of_the_encoder(tmp_path, chunked):
    network = network_of("dinov2")
    assert same(load(tmp_path / "w.pth", dinov2_file(network.state_dict(), chunked)), network)


def test_swiglu_names_of_a_plain_mlp_are_its_two_layers(tmp_path):
    network = network_of("dinov2")
    assert same(load(tmp_path / "w.pth", dinov2_file(network.state_dict(), gated=True)), network)


def test_a_gated_mlp_computes_what_dinov2s_does(tmp_path):
    network = network_of("dinov2", mlp_layer=timm.layers.SwiGLUPacked, act_layer=nn.SiLU, mlp_ratio=168.5 / 32)
    encoder = load(tmp_path / "w.pth", dinov2_file(network.state_dict(), gated=True))
    assert same(encoder, network)
    mlp, x = encoder.model.blocks[1].mlp, torch.randn(2, 5, 32)
    gate, value = functional.linear(x, mlp.fc1.weight, mlp.fc1.bias).split(84, -1)
    expected = functional.linear(gate * gate.sigmoid() * value, mlp.fc2.weight, mlp.fc2.bias)
    torch.testing.assert_close(mlp(x), expected)


def test_a_whole_training_gives_its_teacher_and_not_its_student(tmp_path):
    network = network_of("dinov2")
    teacher = {f"teacher.{key}": tensor for key, tensor in dinov2_file(network.state_dict())["teacher"].items()}
    student = {f"student.backbone.{key}": tensor + 1 for key, tensor in network.state_dict().items()}
    assert same(load(tmp_path / "w.pth", {"model": student | teacher}), network)


def test_retfound_green_is_a_bare_state_dict(tmp_path):
    network = network_of("green", side=392)
    encoder = load(tmp_path / "w.pth", network.state_dict(), "retfound-green")
    assert same(encoder, network)
    assert encoder.embed_size == (392, 392)


def test_the_file_is_mapped_anew_between_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(state_dicts, "_MAPPED_BYTES", 20_000)
    network = network_of("mae")
    reads = []
    monkeypatch.setattr(
        state_dicts, "read_state_dict", lambda path, read=state_dicts.read_state_dict: reads.append(path) or read(path)
    )
    assert same(load(tmp_path / "w.pth", mae_file(network.state_dict())), network)
    own = sum(tensor.nbytes for tensor in network.state_dict().values())
    assert 5 < len(reads) <= 1 + own / 20_000


@pytest.mark.parametrize("suffix", ["safetensors", "legacy"])
def test_files_that_cannot_be_mapped_load_as_well(tmp_path, suffix):
    from safetensors.torch import save_file

    network = network_of("mae")
    path = tmp_path / ("w.safetensors" if suffix == "safetensors" else "w.pth")
    if suffix == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"model": network.state_dict()}, path, _use_new_zipfile_serialization=False)
    assert same(load_retfound(parse_model(f"retfound:{path}"), **TINY), network)


def test_half_precision_files_become_single_precision_encoders(tmp_path):
    network = network_of("mae")
    halves = {key: tensor.half() for key, tensor in network.state_dict().items()}
    encoder = load(tmp_path / "w.pth", {"model": halves})
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert same(encoder, network.half().float())


@pytest.mark.parametrize(
    ("old", "new", "told"),
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
def test_a_key_that_does_not_match_is_an_error_never_a_weight_left_in_place(tmp_path, old, new, told):
    state = network_of("mae").state_dict()
    state[new] = state.pop(old)
    with pytest.raises(WeightsError, match=told):
        load(tmp_path / "w.pth", mae_file(state))


def test_every_key_of_the_encoder_is_needed(tmp_path):
    state = network_of("dinov2").state_dict()
    for key in [key for key in state if not key.startswith("blocks.") or key.startswith("blocks.2.")]:
        less = {name: tensor for name, tensor in state.items() if name != key}
        with pytest.raises(WeightsError, match=f"1 missing: {re.escape(key)}"):
            load(tmp_path / "w.pth", dinov2_file(less))


def test_one_kind_of_file_under_the_name_of_another_is_refused(tmp_path):
    torch.save(mae_file(network_of("mae").state_dict()), tmp_path / "RETFound_dinov2_meh.pth")
    spec = parse_model("retfound:dinov2_meh")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("f2vbench.encoders.retfound.fetch_weights", lambda card: tmp_path / card.file)
        with pytest.raises(WeightsError, match=r"8 missing: blocks\.0\.ls1\.gamma.*of another shape"):
            load_retfound(spec, **TINY)


def test_two_tensors_of_one_name_and_numbers_that_are_none_are_refused(tmp_path):
    state = network_of("mae").state_dict()
    with pytest.raises(WeightsError, match=r"two tensors for cls_token"):
        load(tmp_path / "w.pth", {"model": state | {"backbone.cls_token": state["cls_token"]}})
    state["norm.bias"] = torch.full((32,), torch.nan)
    with pytest.raises(WeightsError, match=r"NaN or infinity: norm\.bias"):
        load(tmp_path / "w.pth", {"model": state})
