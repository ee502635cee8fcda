"""RETFound's released layouts, at tiny size: every key in its place, or an error; what the network is shown."""

from __future__ import annotations

import argparse
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from f2vbench.data.images import field_of_view
from f2vbench.encoders.registry import load_encoder, parse_model
from f2vbench.encoders.retfound import load_retfound, resized_positions
from f2vbench.encoders.timm_models import square_on_field, timm
from f2vbench.errors import WeightsError
from f2vbench.store import checkpoints

TINY = {"embed_dim": 32, "depth": 4, "num_heads": 2}
NAMES = {
    "mae": "vit_large_patch16_224",
    "dinov2": "vit_large_patch14_dinov2",
    "green": "vit_small_patch14_reg4_dinov2",
}


def _network(kind: str, side: int = 224, **options) -> nn.Module:
    """timm's own network with numbers that no initialisation gives."""
    network = timm.create_model(NAMES[kind], num_classes=0, img_size=side, dynamic_img_size=True, **TINY, **options)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draw))
    return network.eval()


def _mae_file(state) -> dict:
    """A training checkpoint: encoder and decoder, AdamW's state, scaler, options."""
    decoder = {
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_pos_embed": torch.zeros(1, 197, 16),
        "decoder_embed.weight": torch.zeros(16, 32),
        "decoder_blocks.0.attn.qkv.weight": torch.zeros(48, 16),
        "decoder_norm.bias": torch.zeros(16),
        "decoder_pred.weight": torch.zeros(768, 16),
    }
    model = {**state, **decoder}
    optimizer = torch.optim.AdamW([nn.Parameter(tensor) for tensor in model.values()])
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    options = argparse.Namespace(model="mae_vit_large_patch16", blr=1.5e-4)
    scaler = {"scale": 65536.0, "_growth_tracker": 7}
    return {
        "model": state | decoder,
        "optimizer": optimizer.state_dict(),
        "epoch": 799,
        "scaler": scaler,
        "args": options,
    }


def _dinov2_file(state, chunked: bool = False, gated: bool = False) -> dict:
    """The teacher of a DINOv2 training, with its heads."""
    teacher = {"dino_head.last_layer.weight_v": torch.zeros(8, 4), "ibot_head.mlp.0.weight": torch.zeros(4, 4)}
    for key, tensor in (state | {"mask_token": torch.zeros(1, 32)}).items():
        if gated:
            key = key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        if chunked and key.startswith("blocks."):
            key = f"blocks.{int(key.split('.')[1]) // 2}.{key.removeprefix('blocks.')}"
        teacher[f"backbone.{key}"] = tensor
    return {"teacher": teacher, "iteration": 12}


def _load(path, content, family="retfound", **size):
    torch.save(content, path)
    return load_retfound(parse_model(f"{family}:{path}"), **TINY, **size).eval()


def _same(encoder, network) -> bool:
    found, expected = encoder.model.state_dict(), network.state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def test_an_mae_checkpoint_with_decoder_and_optimiser_fills_every_tensor_of_the_encoder(tmp_path):
    network = _network("mae")
    encoder = _load(tmp_path / "RETFound_mae.pth", _mae_file(network.state_dict()))
    assert _same(encoder, network)
    assert not any(parameter.is_meta for parameter in encoder.parameters())
    assert isinstance(encoder.model.fc_norm, nn.Identity)
    assert encoder.model.norm.eps == 1e-6


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dinov2_teacher_fills_every_tensor_of_the_encoder(tmp_path, chunked):
    network = _network("dinov2")
    assert _same(_load(tmp_path / "w.pth", _dinov2_file(network.state_dict(), chunked)), network)


def test_swiglu_names_of_a_plain_mlp_are_its_two_layers(tmp_path):
    network = _network("dinov2")
    assert _same(_load(tmp_path / "w.pth", _dinov2_file(network.state_dict(), gated=True)), network)


def test_a_gated_mlp_computes_what_dinov2s_does(tmp_path):
    network = _network("dinov2", mlp_layer=timm.layers.SwiGLUPacked, act_layer=nn.SiLU, mlp_ratio=168.5 / 32)
    encoder = _load(tmp_path / "w.pth", _dinov2_file(network.state_dict(), gated=True))
    assert _same(encoder, network)
    mlp, x = encoder.model.blocks[1].mlp, torch.randn(2, 5, 32)
    gate, value = functional.linear(x, mlp.fc1.weight, mlp.fc1.bias).split(84, -1)
    expected = functional.linear(gate * gate.sigmoid() * value, mlp.fc2.weight, mlp.fc2.bias)
    torch.testing.assert_close(mlp(x), expected)


def test_a_whole_training_gives_its_teacher_and_not_its_student(tmp_path):
    network = _network("dinov2")
    teacher = {f"teacher.{key}": tensor for key, tensor in _dinov2_file(network.state_dict())["teacher"].items()}
    student = {f"student.backbone.{key}": tensor + 1 for key, tensor in network.state_dict().items()}
    assert _same(_load(tmp_path / "w.pth", {"model": student | teacher}), network)


def test_retfound_green_is_a_bare_state_dict(tmp_path):
    network = _network("green", side=392)
    encoder = _load(tmp_path / "w.pth", network.state_dict(), "retfound-green")
    assert _same(encoder, network)
    assert encoder.embed_size == (392, 392)


def test_the_file_is_mapped_anew_between_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_MAPPED_AT_ONCE", 20_000)
    network = _network("mae")
    reads = []
    monkeypatch.setattr(
        checkpoints, "read_state_dict", lambda path, read=checkpoints.read_state_dict: reads.append(path) or read(path)
    )
    assert _same(_load(tmp_path / "w.pth", _mae_file(network.state_dict())), network)
    own = sum(tensor.nbytes for tensor in network.state_dict().values())
    assert 5 < len(reads) <= 1 + own / 20_000


@pytest.mark.parametrize("suffix", ["safetensors", "legacy"])
def test_files_that_cannot_be_mapped_load_as_well(tmp_path, suffix):
    from safetensors.torch import save_file

    network = _network("mae")
    path = tmp_path / ("w.safetensors" if suffix == "safetensors" else "w.pth")
    if suffix == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"model": network.state_dict()}, path, _use_new_zipfile_serialization=False)
    assert _same(load_retfound(parse_model(f"retfound:{path}"), **TINY), network)


def test_half_precision_files_become_single_precision_encoders(tmp_path):
    network = _network("mae")
    halves = {key: tensor.half() for key, tensor in network.state_dict().items()}
    encoder = _load(tmp_path / "w.pth", {"model": halves})
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert _same(encoder, network.half().float())


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
    state = _network("mae").state_dict()
    state[new] = state.pop(old)
    with pytest.raises(WeightsError, match=told):
        _load(tmp_path / "w.pth", _mae_file(state))


def test_every_key_of_the_encoder_is_needed(tmp_path):
    state = _network("dinov2").state_dict()
    for key in [key for key in state if not key.startswith("blocks.") or key.startswith("blocks.2.")]:
        less = {name: tensor for name, tensor in state.items() if name != key}
        with pytest.raises(WeightsError, match=f"1 missing: {re.escape(key)}"):
            _load(tmp_path / "w.pth", _dinov2_file(less))


def test_one_kind_of_file_under_the_name_of_another_is_refused(tmp_path):
    torch.save(_mae_file(_network("mae").state_dict()), tmp_path / "RETFound_dinov2_meh.pth")
    spec = parse_model("retfound:dinov2_meh")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("f2vbench.encoders.retfound.fetch_weights", lambda card: tmp_path / card.file)
        with pytest.raises(WeightsError, match=r"8 missing: blocks\.0\.ls1\.gamma.*of another shape"):
            load_retfound(spec, **TINY)


def test_two_tensors_of_one_name_and_numbers_that_are_none_are_refused(tmp_path):
    state = _network("mae").state_dict()
    with pytest.raises(WeightsError, match=r"two tensors for cls_token"):
        _load(tmp_path / "w.pth", {"model": state | {"backbone.cls_token": state["cls_token"]}})
    state["norm.bias"] = torch.full((32,), torch.nan)
    with pytest.raises(WeightsError, match=r"NaN or infinity: norm\.bias"):
        _load(tmp_path / "w.pth", {"model": state})


def test_position_embeddings_of_another_grid_are_resized_bicubically(tmp_path):
    network = _network("dinov2", side=518)
    encoder = _load(tmp_path / "w.pth", _dinov2_file(network.state_dict()))
    given, found = network.pos_embed.detach(), encoder.model.pos_embed.detach()
    assert found.shape == (1, 1 + 16 * 16, 32)
    assert torch.equal(found[:, 0], given[:, 0])
    grid = given[0, 1:].reshape(37, 37, 32)
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


def test_position_embeddings_of_no_square_grid_are_left_to_the_comparison():
    odd = torch.zeros(1, 1 + 15, 8)
    assert resized_positions(odd, (14, 14), 1) is odd


def _photograph(height=300, width=420, radius=110) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - 150) ** 2 + (columns - 200) ** 2 < radius**2
    texture = np.stack([150 + 60 * np.sin(rows / 9), 80 + 30 * np.cos(columns / 7), 40 + 0 * rows], -1)
    return (texture * inside[..., None]).astype(np.uint8)


def test_a_photograph_is_cropped_to_its_field_resized_to_256_and_cropped_to_224(tmp_path):
    encoder = _load(tmp_path / "w.pth", _mae_file(_network("mae").state_dict()))
    photograph = _photograph()
    found = np.flatnonzero(field_of_view(photograph).any(1))
    top, bottom = found[0], found[-1] + 1
    assert abs(top - 40) <= 2
    assert abs(bottom - 260) <= 2
    square = square_on_field(photograph)
    assert square.shape == (bottom - top, bottom - top, 3)
    assert square_on_field(square) is square
    prepared = encoder.prepare(torch.from_numpy(square).permute(2, 0, 1)[None])
    # In floating point: Pillow rounds and clips 8-bit images between its two passes.
    planes = [Image.fromarray(square[..., channel].astype(np.float32)) for channel in range(3)]
    whole = np.stack([plane.resize((256, 256), Image.Resampling.BICUBIC) for plane in planes], -1).clip(0, 255)
    pillow = whole[16:240, 16:240]
    expected = (pillow / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    assert prepared.shape == (1, 3, 224, 224)
    assert np.abs(prepared[0].permute(1, 2, 0).numpy() - expected).max() < 1e-4


def test_what_is_no_square_keeps_its_aspect_ratio(tmp_path):
    encoder = _load(tmp_path / "w.pth", _mae_file(_network("mae").state_dict()))
    ramp = np.broadcast_to(np.linspace(0, 255, 512).astype(np.uint8)[None, :, None], (256, 512, 3)).copy()
    seen = encoder.sight.seen(torch.from_numpy(ramp).permute(2, 0, 1)[None])
    np.testing.assert_allclose(seen[0, 0, 0], ramp[0, 144:368, 0] / 255, atol=1e-6)


def test_an_embedding_is_the_mean_of_the_patch_tokens_after_the_norm(tmp_path):
    network = _network("mae")
    encoder = _load(tmp_path / "w.pth", _mae_file(network.state_dict()))
    photograph = _photograph()
    prepared = encoder.prepare(torch.from_numpy(square_on_field(photograph)).permute(2, 0, 1)[None])
    with torch.no_grad():
        x = network.patch_embed(prepared).reshape(1, 196, 32)
        x = torch.cat([network.cls_token, x], 1) + network.pos_embed
        for block in network.blocks:
            x = block(x)
        x = x[0, 1:]
        variance, mean = torch.var_mean(x, -1, unbiased=False, keepdim=True)
        tokens = (x - mean) / (variance + 1e-6).sqrt() * network.norm.weight + network.norm.bias
    np.testing.assert_allclose(encoder.embed([photograph])[0], tokens.mean(0), rtol=1e-3, atol=1e-4)


def test_registers_and_class_token_are_no_part_of_greens_embedding(tmp_path):
    network = _network("green", side=392)
    encoder = _load(tmp_path / "w.pth", network.state_dict(), "retfound-green")
    square = square_on_field(_photograph())
    x = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255
    x = functional.interpolate(x, size=(392, 392), mode="bilinear", antialias=True) * 2 - 1
    with torch.no_grad():
        expected = network.forward_features(x)[0, 5:].mean(0)
    np.testing.assert_allclose(encoder.embed([square])[0], expected, rtol=1e-3, atol=1e-4)


def test_maps_for_segmentation_are_four_depths_of_one_stride(tmp_path):
    encoder = _load(tmp_path / "w.pth", _dinov2_file(_network("dinov2").state_dict()))
    with torch.no_grad():
        maps = encoder.pyramid(torch.rand(1, 3, 65, 97))
    assert [tuple(each.shape) for each in maps] == [(1, 32, 5, 7)] * 4


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    from huggingface_hub import constants

    for variable in ("F2VBENCH_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_absent_released_weights_say_where_to_ask_and_how_to_log_in(no_network):
    with pytest.raises(WeightsError) as caught:
        load_encoder("retfound:mae_meh")
    told = str(caught.value)
    for part in (
        "RETFound_mae_meh.pth is not on this machine",
        "ask for access at https://huggingface.co/YukunZhou/RETFound_mae_meh",
        "CC BY-NC 4.0",
        "hf auth login",
        "hf download YukunZhou/RETFound_mae_meh RETFound_mae_meh.pth --local-dir",
        str(no_network / "F2VBENCH_CACHE" / "weights" / "RETFound_mae_meh.pth"),
    ):
        assert part in told


def test_absent_green_weights_say_what_to_download(no_network):
    with pytest.raises(
        WeightsError, match=r"retfoundgreen_statedict\.pth is not on this machine; download https://git"
    ):
        load_encoder("retfound-green")


def test_released_weights_are_taken_from_this_machine_before_the_hub(no_network):
    folder = no_network / "F2VBENCH_CACHE" / "weights"
    folder.mkdir(parents=True)
    network = _network("mae")
    torch.save(_mae_file(network.state_dict()), folder / "RETFound_mae_natureCFP.pth")
    assert _same(load_retfound(parse_model("retfound"), **TINY), network)


def test_what_the_hub_refuses_is_told_with_its_reason(no_network, monkeypatch):
    import huggingface_hub

    asked = []

    def refuse(repo, file, revision):
        asked.append((repo, file, revision))
        raise PermissionError("Access to model is restricted\nask first")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match=r"\(PermissionError: Access to model is restricted\); ask for access at"):
        load_encoder("retfound:dinov2_shanghai")
    assert asked == [("YukunZhou/RETFound_dinov2_shanghai", "RETFound_dinov2_shanghai.pth", None)]


def test_every_released_name_has_a_card_of_its_own_file():
    from f2vbench.encoders.retfound_names import GREEN, VARIANTS, card_name
    from f2vbench.weights_cards import weights_card

    for variant in VARIANTS:
        card = weights_card(card_name(variant))
        assert (card.file, card.gated) == (f"RETFound_{variant}.pth", True)
        assert card.hub is not None
        assert card.hub.repo == f"YukunZhou/RETFound_{variant}"
        assert card.licence == "CC BY-NC 4.0"
    assert weights_card(card_name(GREEN)).file == "retfoundgreen_statedict.pth"
