"""Encoders in fine-tuning: distances of layers, stochastic depth, crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import nn

from f2vbench.adapters.fine_tuning import parameter_groups
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder
from f2vbench.encoders.retfound import load_retfound
from tests.helpers.retfound_files import TINY


def mae_layer(name: str, depth: int) -> int:
    """Layer of a transformer's parameter as MAE's fine-tuning counts them; the head has depth + 1."""
    if name in ("model.cls_token", "model.pos_embed", "model.reg_token") or name.startswith("model.patch_embed"):
        return 0
    if name.startswith("model.blocks"):
        return int(name.split(".")[2]) + 1
    return depth + 1


@pytest.mark.parametrize("model", ["retfound:untrained", "retfound-green:untrained"])
def test_the_layers_of_a_transformer_are_those_of_the_published_fine_tuning(model):
    encoder = load_retfound(parse_model(model), **TINY)
    found = encoder.layer_distances()
    assert list(found) == [name for name, _ in encoder.named_parameters()]
    assert found == {name: TINY["depth"] + 1 - mae_layer(name, TINY["depth"]) for name in found}
    assert found["model.norm.weight"] == 0


def test_learning_rates_decay_by_layer_and_only_matrices_have_weight_decay():
    encoder = load_retfound(parse_model("retfound:untrained"), **TINY)
    named = dict(encoder.named_parameters())
    groups = parameter_groups(named, encoder.layer_distances(), 0.65, 0.05)
    group_of = {id(parameter): group for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(named) == len(group_of)
    for name, parameter in named.items():
        layer = mae_layer(name, TINY["depth"])
        assert group_of[id(parameter)]["scale"] == pytest.approx(0.65 ** (TINY["depth"] + 1 - layer))
        without_decay = parameter.ndim == 1 or name in ("model.cls_token", "model.pos_embed")
        assert group_of[id(parameter)]["weight_decay"] == (0 if without_decay else 0.05)


def test_the_layers_of_a_generator_are_in_the_order_of_its_modules():
    found = Pix2PixHDEncoder.layer_distances(_Holder(global_generator(GeneratorShape(6, 3, 2))[:19]))
    order = ["1", "4", "7", "10", "13", "16", "17", "18"]
    assert {name.split(".")[1]: distance for name, distance in found.items()} == {
        index: len(order) - position for position, index in enumerate(order)
    }


class _Holder(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model


def test_by_default_the_layers_of_an_encoder_are_its_children_in_order():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1))
            self.stem, self.empty = nn.Linear(2, 2), nn.ReLU()
            self.body = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))

    found = Encoder.layer_distances(_Holder(Own()))
    assert found == {
        "model.token": 3,
        "model.stem.weight": 2,
        "model.stem.bias": 2,
        **{f"model.body.{index}.{kind}": 1 for index in (0, 1) for kind in ("weight", "bias")},
    }


@pytest.mark.parametrize(("name", "blocks"), [("test_vit", 6), ("test_resnet", 4), ("test_convnext", 9)])
def test_residual_branches_are_skipped_only_in_training(name, blocks):
    encoder = load_encoder(f"timm:{name}:untrained")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.05  # timm starts the last normalisation of a branch at zero, so that it does nothing
        before = encoder.pooled(x)
        assert encoder.add_drop_path(0.5) == blocks
        rates = [part.drop_prob for part in encoder.modules() if isinstance(part, DropPath)]
        expected = [0.5 * block / (blocks - 1) for block in range(blocks)]
        assert rates == pytest.approx(np.repeat(expected, len(rates) // blocks))
        for part in encoder.modules():
            if isinstance(part, DropPath):
                part.train()
        assert len({tuple(encoder.pooled(x)[0].tolist()) for _ in range(6)}) > 1, "branches are skipped at random"
        assert torch.equal(encoder.eval().pooled(x), before)


def test_a_crop_for_training_is_not_cropped_again():
    """RETFound's input is the centre of a photograph, but the whole of a crop."""
    encoder = load_retfound(parse_model("retfound:untrained"), **TINY)
    view = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(encoder.prepare_view(view), (view / 255 - mean) / std)
    assert not torch.allclose(encoder.prepare(view), encoder.prepare_view(view), atol=0.1)
    plain = load_encoder("mae:untrained")
    assert torch.equal(plain.prepare(view), plain.prepare_view(view))
