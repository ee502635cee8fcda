"""SAM2: its files in every layout give the maps and masks of the original modules, or an error that says why."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.sam2_configuration import RELEASED
from f2vbench.encoders.sam2_weights import VIDEO_NAMES, find_configuration, with_transformers_names
from f2vbench.errors import DataError, SettingsError, WeightsError
from f2vbench.pretrained.state_dicts import compare_state_dict
from f2vbench.runner.extraction import encode_squares
from tests.helpers.sam2_files import (
    CLICK,
    RECORDED,
    SIDE,
    TINY,
    original_state,
    pixels,
    shapes,
    write_hub_folder,
    write_original,
    write_training_checkpoint,
)

pytest.importorskip("transformers", reason="needs transformers: pip install 'f2vbench[sam2]'")

from f2vbench.encoders.sam2 import sam2_model
from f2vbench.encoders.sam2_decoder import Sam2Decoder


@pytest.fixture
def tiny_is_released(monkeypatch):
    """Files of the tiny shape are recognised from their tensors."""
    monkeypatch.setitem(RELEASED, "tiny", TINY)
    monkeypatch.setattr("f2vbench.encoders.sam2_configuration.DEFAULT_CONFIGURATION", "tiny")


@torch.no_grad()
def outputs(encoder) -> dict[str, np.ndarray]:
    maps = encoder.pyramid(pixels())
    recorded = {f"level{i}": level[0, ::4, ::2, ::2] for i, level in enumerate(maps)}
    decoder = Sam2Decoder(encoder).eval()
    recorded["no_prompt"] = decoder(maps, (SIDE // 4, SIDE // 4))[0, 0]
    recorded["click"] = decoder(maps, (SIDE // 4, SIDE // 4), torch.tensor([CLICK]))[0, 0]
    return {name: tensor.numpy() for name, tensor in recorded.items()}


def check_recorded(encoder) -> None:
    found = outputs(encoder)
    with np.load(RECORDED / "outputs.npz") as recorded:
        assert set(recorded) == set(found)
        for name in recorded:
            assert np.std(recorded[name]) > 0.2
            np.testing.assert_allclose(found[name], recorded[name], atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize("write", [write_original, write_training_checkpoint])
def test_original_files_give_the_outputs_of_the_original_modules(write, tmp_path, tiny_is_released):
    spec = parse_model(f"medical-sam2:{write(tmp_path / 'weights.pt')}")
    assert (spec.name, spec.side, spec.decoder) == ("medical-sam2:weights", SIDE, "mask-decoder")
    check_recorded(build(spec))


def test_a_folder_in_the_layout_of_the_hub_gives_the_same_outputs(tmp_path):
    spec = parse_model(f"medical-sam2:{write_hub_folder(tmp_path / 'my-sam2')}")
    assert (spec.name, spec.side) == ("medical-sam2:my-sam2", SIDE)
    assert spec.architecture.startswith("medical-sam2-config-")
    check_recorded(build(spec))


def test_sam2_normalises_photographs_and_medical_sam2_does_not(tmp_path):
    folder = write_hub_folder(tmp_path / "my-sam2")
    ours, medical = (build(parse_model(f"{family}:{folder}")) for family in ("sam2", "medical-sam2"))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        for level, expected in zip(ours.pyramid(pixels()), medical.pyramid((pixels() - mean) / std), strict=True):
            torch.testing.assert_close(level, expected)
        photograph = (pixels()[0].permute(1, 2, 0) * 255).byte().numpy()
        whole = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None] / 255
        coarsest = ours.pyramid(whole)[-1].mean((2, 3))
    np.testing.assert_allclose(ours.embed([photograph]), coarsest.numpy(), atol=1e-5)
    with pytest.raises(DataError, match=r"128 × 128 px for this network, got \(1, 3, 64, 64\)"):
        ours.pyramid(pixels()[:, :, :64, :64])


def test_maps_in_bfloat16_are_nearly_the_same(tmp_path):
    encoder = build(parse_model(f"sam2:{write_hub_folder(tmp_path / 'my-sam2')}"))
    square = (pixels()[0].permute(1, 2, 0) * 255).byte().numpy()
    single, half = (encode_squares(encoder, "pyramid", [square], torch.device("cpu"), p) for p in ("float32", "bf16"))
    for name, level in single[0].items():
        assert np.abs(half[0][name] - level).max() < 0.1 * level.std()


def test_every_tensor_of_the_released_small_model_has_a_place():
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in shapes("hiera-small").items()}
        expected = sam2_model(RELEASED["hiera-small"], "small").state_dict()
    named = with_transformers_names(state, "small")
    assert find_configuration(named, "small") == "hiera-small"
    compare_state_dict(expected, named, "small", ignore=VIDEO_NAMES)
    assert sum(tensor.numel() for tensor in state.values()) == pytest.approx(46.0e6, rel=0.01)  # as published


def test_files_of_models_for_videos_and_without_repeated_positions_load(tmp_path):
    folder = write_hub_folder(tmp_path / "video")
    state = load_file(folder / "model.safetensors")
    state.pop("prompt_encoder.shared_embedding.positional_embedding", None)
    extra = {"memory_attention.layers.0.linear1.weight": torch.ones(2, 2), "no_object_pointer": torch.ones(1, 32)}
    save_file({**state, **extra}, folder / "model.safetensors")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "model_type": "sam2_video", "memory_encoder": {}}))
    check_recorded(build(parse_model(f"medical-sam2:{folder}")))


def test_missing_and_unknown_tensors_are_listed(tmp_path, tiny_is_released):
    state = original_state()
    state["sam_mask_decoder.adapter.weight"] = state.pop("sam_mask_decoder.iou_token.weight")
    state["image_encoder.neck.convs.0.conv.bias"] = torch.zeros(5)
    torch.save({"model": state}, tmp_path / "other.pt")
    with pytest.raises(WeightsError) as error:
        build(parse_model(f"sam2:{tmp_path / 'other.pt'}"))
    message = str(error.value)
    assert "1 missing: mask_decoder.iou_token.weight" in message
    assert "1 of another shape: vision_encoder.neck.convs.0.bias is (5,), needs (32,)" in message
    assert "1 not part of it: mask_decoder.adapter.weight" in message


def test_other_sizes_are_refused_with_the_sizes_that_exist(tmp_path):
    path = write_original(tmp_path / "tiny.pt")
    with pytest.raises(WeightsError, match=r"8/16/32/64 channels in 1/2/3/1 blocks, which is no released size of SAM2"):
        build(parse_model(f"sam2:{path}"))
    torch.save({"model": {"conv.weight": torch.ones(3)}}, path)
    with pytest.raises(WeightsError, match="contains no image encoder of SAM2"):
        build(parse_model(f"sam2:{path}"))


def test_a_released_variant_refuses_the_file_of_another_size(tmp_path, monkeypatch, tiny_is_released):
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    write_original(folder / "sam2_hiera_large.pt")
    with pytest.raises(WeightsError, match=r"contains tiny, and sam2:hiera-large needs hiera-large"):
        build(parse_model("sam2:hiera-large"))


def test_missing_weights_say_where_to_get_them(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"sam2_hiera_small\.pt is not on this machine.*facebook/sam2-hiera-small"):
        load_encoder("medical-sam2")


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("sam2", "sam2:hiera-small"),
        ("sam2:facebook/sam2-hiera-small", "sam2:hiera-small"),
        ("sam2:hf://facebook/sam2.1-hiera-base-plus", "sam2:2.1-hiera-base-plus"),
        ("sam2:2.1-hiera-tiny@oracle-click", "sam2:2.1-hiera-tiny@oracle-click"),
        ("medical-sam2", "medical-sam2"),
        ("medical-sam2@oracle-click", "medical-sam2@oracle-click"),
    ],
)
def test_released_weights_are_named_by_variant_or_repository(argument, name):
    spec = parse_model(argument)
    assert (spec.name, spec.weights, spec.side) == (name, "released", 1024)
    assert spec.decoder == ("mask-decoder-click" if "@" in name else "mask-decoder")


def test_untrained_weights_are_the_same_each_time(tiny_is_released, monkeypatch):
    monkeypatch.setattr("f2vbench.encoders.sam2.DEFAULT_CONFIGURATION", "tiny")
    first, second = (build(parse_model("sam2:untrained")) for _ in range(2))
    assert first.state_sha256() == second.state_sha256()
    assert first.describe()["weights"] == "untrained"


def test_an_import_of_transformers_that_fails_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SettingsError, match=r"transformers with Sam2Model can't be imported.*f2vbench\[sam2\]"):
        sam2_model(TINY, "tiny")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "sam"}, "model_type is 'sam', needs sam2 or sam2_video"),
        ({"prompt_encoder_config": {"image_size": "big"}}, "prompt_encoder_config.image_size is 'big'"),
        ({"prompt_encoder_config": {"image_size": 100}}, "image_size=100 is not a multiple of patch_size=16"),
        ("{", "not readable as JSON"),
    ],
)
def test_damaged_configurations_are_refused(change, message, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    text = change if isinstance(change, str) else json.dumps({"model_type": "sam2", **TINY, **change})
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        parse_model(f"sam2:{tmp_path}")


def test_another_configuration_is_another_identity(tmp_path):
    folder = write_hub_folder(tmp_path / "my-sam2")
    first = parse_model(f"sam2:{folder}").identity()
    content = json.loads((folder / "config.json").read_text())
    content["vision_config"]["backbone_config"]["global_attention_blocks"] = [3]
    (folder / "config.json").write_text(json.dumps(content))
    assert parse_model(f"sam2:{folder}").identity() != first
