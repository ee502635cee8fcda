"""FLAIR, UrFound and VisionFM: files in the layouts of their training code set every tensor, or an error is raised."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.open_releases import LAYOUTS, load_open_release
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.weights_cards import weights_card
from tests.helpers.retfound_files import TINY, has_weights_of

FAMILY_NAMES = ("flair", "urfound", "visionfm")


def randomised(network: nn.Module) -> nn.Module:
    """A network in evaluation mode with weights and statistics that no initialisation gives."""
    stream = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(0.05 * torch.randn(tensor.shape, generator=stream))
                if "running_var" in name or ("bn" in name and name.endswith("weight")):
                    tensor.abs_().add_(0.5)
    return network.eval()


def transformer() -> nn.Module:
    return randomised(timm.create_model("vit_base_patch16_224", num_classes=0, **TINY))


def resnet() -> nn.Module:
    """torchvision's ResNet-50 without its classifier, as FLAIR's code builds it."""
    from torchvision.models import resnet50

    network = resnet50(weights=None)
    network.fc = nn.Identity()
    return randomised(network)


def flair_file(network: nn.Module) -> dict[str, Any]:
    """The state dict of the whole vision and language model."""
    return {
        "logit_scale": torch.tensor(2.6),
        **{f"vision_model.model.{name}": tensor for name, tensor in network.state_dict().items()},
        "vision_model.projection_head_vision.projection.weight": torch.zeros(512, 2048),
        "text_model.model.embeddings.position_ids": torch.arange(5)[None],
        "text_model.model.embeddings.word_embeddings.weight": torch.zeros(9, 8),
        "text_model.projection_head_text.projection.weight": torch.zeros(512, 768),
    }


def urfound_file(network: nn.Module) -> dict[str, Any]:
    """A training checkpoint of the masked autoencoder with its text encoder."""
    others = {
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_pos_embed": torch.zeros(1, 197, 16),
        "decoder_embed.weight": torch.zeros(16, 32),
        "decoder_blocks.0.norm1.weight": torch.ones(16),
        "decoder_norm.bias": torch.zeros(16),
        "decoder_pred.weight": torch.zeros(3072, 16),
        "bert_encoder.model.bert.embeddings.word_embeddings.weight": torch.zeros(9, 8),
        "bert_mlp.weight": torch.zeros(384, 32),
    }
    model = network.state_dict() | others
    args = argparse.Namespace(model="urmodel", mask_ratio=0.75)
    return {"model": model, "optimizer": {"state": {}, "param_groups": []}, "epoch": 199, "scaler": {}, "args": args}


def visionfm_file(network: nn.Module) -> dict[str, Any]:
    """A training checkpoint of iBOT: student and teacher with their heads."""
    head = {
        "head.mlp.0.weight": torch.zeros(8, 32),
        "head.last_layer.weight_g": torch.ones(8, 1),
        "head.last_layer2.weight_v": torch.ones(8, 4),
    }
    teacher = {f"backbone.{name}": tensor for name, tensor in network.state_dict().items()} | head
    student = {f"module.{name}": tensor + 1 for name, tensor in teacher.items()}
    student["module.backbone.masked_embed"] = torch.zeros(1, 32)
    return {
        "student": student,
        "teacher": teacher,
        "optimizer": {"state": {}, "param_groups": []},
        "epoch": 400,
        "args": argparse.Namespace(arch="vit_base", patch_size=16),
        "ibot_loss": {"center": torch.zeros(1, 8), "center2": torch.zeros(1, 1, 8)},
    }


FILES = {"flair": flair_file, "urfound": urfound_file, "visionfm": visionfm_file}


def content_of(family: str) -> tuple[nn.Module, dict[str, Any], dict[str, int]]:
    """A network, the content of a file that contains it, and the size of the network."""
    network = resnet() if family == "flair" else transformer()
    return network, FILES[family](network), {} if family == "flair" else TINY


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_every_tensor_of_the_released_layout_is_loaded(family, tmp_path):
    network, content, size = content_of(family)
    torch.save(content, tmp_path / "w.pth")
    encoder = load_open_release(parse_model(f"{family}:{tmp_path / 'w.pth'}"), **size).eval()
    assert has_weights_of(encoder, network)
    assert not any(parameter.is_meta for parameter in encoder.parameters())


def test_flair_gives_the_features_of_torchvision_before_the_projection(tmp_path):
    network, content, _ = content_of("flair")
    torch.save(content, tmp_path / "flair_resnet.pth")
    encoder = load_open_release(parse_model(f"flair:{tmp_path / 'flair_resnet.pth'}")).eval()
    photograph = torch.randint(0, 256, (1, 3, 512, 512), dtype=torch.uint8)
    prepared = encoder.prepare(photograph)
    torch.testing.assert_close(prepared, photograph / 255)  # no normalisation beyond [0, 1]
    with torch.inference_mode():
        torch.testing.assert_close(encoder.pooled(prepared), network(photograph / 255), rtol=1e-4, atol=1e-5)
        assert encoder.pooled(prepared).std() > 0
    assert [tuple(level.shape[1:]) for level in encoder.pyramid(torch.rand(1, 3, 64, 64))][-1] == (2048, 2, 2)


def test_transformers_give_the_mean_of_the_patch_tokens(tmp_path):
    for family in ("urfound", "visionfm"):
        network, content, size = content_of(family)
        torch.save(content, tmp_path / f"{family}.pth")
        encoder = load_open_release(parse_model(f"{family}:{tmp_path / f'{family}.pth'}"), **size).eval()
        image = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
        prepared = encoder.prepare(torch.from_numpy(image).permute(2, 0, 1)[None])
        with torch.inference_mode():
            expected = network.forward_features(prepared)[:, 1:].mean(1)
            torch.testing.assert_close(encoder.pooled(prepared), expected)


def test_visionfm_normalises_by_the_statistics_of_its_fundus_photographs(tmp_path):
    encoder = load_open_release(parse_model("visionfm:untrained"), **TINY)
    grey = torch.full((1, 3, 224, 224), 51, dtype=torch.uint8)
    expected = (0.2 - torch.tensor([0.42373750, 0.26094607, 0.12840390])) / torch.tensor(
        [0.29482535, 0.20167366, 0.13668020]
    )
    torch.testing.assert_close(encoder.prepare(grey)[0, :, 0, 0], expected)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("change", ["missing", "unknown", "another shape"])
def test_a_file_that_differs_in_one_tensor_is_refused(family, change, tmp_path):
    _, content, size = content_of(family)
    tensors = content if family == "flair" else content[{"urfound": "model", "visionfm": "teacher"}[family]]
    name = next(key for key in tensors if key.endswith(("layer2.1.conv2.weight", "blocks.2.attn.proj.weight")))
    tensor = tensors[name]
    if change == "missing":
        del tensors[name]
    elif change == "unknown":
        tensors[name.replace("weight", "lora_weight")] = tensor.clone()
    else:
        tensors[name] = tensor[:-1].clone()
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"layer2\.1\.conv2|blocks\.2\.attn\.proj"):
        load_open_release(parse_model(f"{family}:{tmp_path / 'w.pth'}"), **size)


def test_the_cards_state_source_licence_and_data():
    for family in FAMILY_NAMES:
        card = weights_card(FAMILIES[family].card_of(family))
        assert card.kind == "download"
        assert card.licence
        assert set(LAYOUTS) == set(FAMILY_NAMES)
    seen = parse_model("flair")
    assert seen.trained_on(["odir-dr", "odir"]) == ["odir"]
    assert seen.trained_on(["messidor2", "messidor"]) == []
    assert parse_model("urfound").trained_on(["papila", "hrf"]) == ["hrf"]
    assert parse_model("flair:untrained").pretrained_on == ()


def test_a_file_of_a_family_with_one_release_has_seen_its_data(tmp_path):
    path = Path(tmp_path / "my-copy.pth")
    torch.save({"anything": torch.ones(1)}, path)
    assert parse_model(f"flair:{path}").trained_on(["idrid"]) == ["idrid"]
    other = tmp_path / "RETFound_mae_natureCFP.pth"
    torch.save({"anything": torch.ones(1)}, other)
    assert parse_model(f"retfound:{other}").trained_on(["EyePACS"]) == ["EyePACS"]
    assert parse_model(f"retfound:{path}").pretrained_on == ()


def test_a_missing_file_says_where_to_get_it(monkeypatch, tmp_path):
    for variable in ("F2VBENCH_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    with pytest.raises(WeightsError, match=r"Download flair_resnet\.pth from https://github\.com/jusiro/FLAIR"):
        load_encoder("flair")
    with pytest.raises(WeightsError, match=r"Download VFM_Fundus_weights\.pth from https://github\.com/ABILab"):
        load_encoder("visionfm")
