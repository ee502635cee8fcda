"""One registry entry describes a model family, built-in or from another package."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import get_args

import pytest
import torch

from f2vbench.adapters.registry import ADAPTERS
from f2vbench.cli.main import main
from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import ModelFamily
from f2vbench.encoders.registry import (
    ENTRY_POINT_GROUP,
    FAMILIES,
    baseline_names,
    known_families,
    trainable_families,
)
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import SettingsError
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.report.figures.encoder_style import encoder_colours
from f2vbench.training.settings import Model

ENCODER_CODE = """
import torch
from f2vbench.encoders.base import Encoder

class Mine(Encoder):
    def __init__(self, spec):
        super().__init__()
        self.spec = spec

    def prepare(self, images):
        return images

    def pooled(self, prepared):
        return prepared

    def pyramid(self, x):
        return [x]

def not_an_encoder(spec):
    return 3
"""


@pytest.fixture
def my_package(tmp_path, monkeypatch):
    """An importable module with an encoder."""
    (tmp_path / "my_package.py").write_text(ENCODER_CODE)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_new_family_is_one_entry_and_one_class(my_package, monkeypatch, capsys):
    entry = ModelFamily(
        "mine",
        "an encoder for a test",
        kind="features",
        loader="my_package:Mine",
        default_weights="card",
        how_to_get_weights="Ask its authors.",
        width=7,
        colour="#123456",
    )
    monkeypatch.setitem(FAMILIES, "mine", entry)
    spec = parse_model("mine:untrained")
    assert (spec.name, spec.family, spec.architecture, spec.cut) == ("mine:untrained", "mine", "mine", None)
    assert build(spec).spec is spec
    with pytest.raises(Exception, match=r"no weights card has default_of: mine\. Ask its authors\."):
        parse_model("mine")
    assert main(["list", "models"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mine"))
    assert "an encoder for a test" in row
    assert row.split()[1] == "7"


def test_entries_of_other_packages_are_families(my_package, tmp_path, monkeypatch):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"content")
    points = [
        metadata.EntryPoint("mine", "my_package:Mine", ENTRY_POINT_GROUP),
        metadata.EntryPoint("wrong", "my_package:not_an_encoder", ENTRY_POINT_GROUP),
        metadata.EntryPoint("broken", "no_such_package:Mine", ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == ENTRY_POINT_GROUP else [])
    assert known_families()["mine"].package == "my_package:Mine"
    spec = parse_model("mine:large")
    assert (spec.name, spec.architecture, spec.weights) == ("mine:large", "large", "package")
    assert spec.identity()["entry_point"] == "my_package:Mine"
    assert parse_model("mine", str(weights)).name == "mine:weights"
    assert build(spec).spec is spec
    with pytest.raises(SettingsError, match="returned a int"):
        build(parse_model("wrong"))
    with pytest.raises(SettingsError, match="can't be imported"):
        build(parse_model("broken"))
    points.append(metadata.EntryPoint("timm", "my_package:Mine", ENTRY_POINT_GROUP))
    with pytest.raises(SettingsError, match="that name is taken"):
        known_families()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_entries_are_complete(family):
    assert FAMILIES[family.name] is family
    assert family.description
    assert set(family.baseline_for) <= set(ADAPTERS)
    assert bool(family.how_to_get_weights) == (family.default_weights == "card")
    if family.loader is not None:
        assert callable(metadata.EntryPoint(family.name, family.loader, ENTRY_POINT_GROUP).load())
    if family.default_weights == "released":
        assert all(weights_card(family.card_of(variant)) for variant in family.variants)


def test_declared_widths_are_those_of_the_published_networks():
    for family in FAMILIES.values():
        if family.generator is not None:
            with torch.device("meta"):
                last = global_generator(family.generator)[:19][-1].conv_block[-2]
            assert family.generator.embedding_width("mean") == last.out_channels == 1024
    with torch.device("meta"):
        assert FAMILIES["retfound"].width == timm.create_model("vit_large_patch16_224").num_features
        assert FAMILIES["retfound-green"].width == timm.create_model("vit_small_patch14_reg4_dinov2").num_features


def test_trainable_families_are_the_models_of_the_training_settings():
    assert trainable_families() == get_args(Model)


def test_baselines_of_each_task_family():
    assert baseline_names() == ("tophat", "frangi", "sato", "green", "scratch")
    of_embeddings = ("thumbnail", "colour", "random", "imagenet-lite0")
    assert baseline_names("classification") == baseline_names("retrieval") == of_embeddings
    assert baseline_names("generation") == ("still", "still-inverted", "mean-video")
    assert baseline_names("no such task") == ()


def test_baselines_without_embeddings_are_not_loaded_as_encoders():
    with pytest.raises(SettingsError, match="support images"):
        build(parse_model("scratch"))
    with pytest.raises(SettingsError, match="only be run in a task"):
        load_encoder("tophat")


def test_figures_use_the_colour_of_the_entry():
    colours = encoder_colours(["retfound:mae_meh", "retfound-green", "mae-mini"])
    assert colours == {
        "retfound:mae_meh": FAMILIES["retfound"].colour,
        "retfound-green": FAMILIES["retfound-green"].colour,
        "mae-mini": FAMILIES["mae"].colour,
    }


def test_parsing_identities_and_baselines_import_no_torch():
    code = (
        "import sys\n"
        "from f2vbench.encoders.loading import build\n"
        "from f2vbench.encoders.model_argument import parse_model\n"
        "for model in ('fundus2video:untrained', 'timm:resnet18', 'sato', 'retfound', 'colour', 'random'):\n"
        "    parse_model(model).identity()\n"
        "assert not {'torch', 'timm', 'pandas', 'cv2'} & set(sys.modules)\n"
        "import numpy as np\n"
        "rgb = np.full((64, 64, 3), 99, np.uint8)\n"
        "for model in ('tophat', 'sato', 'frangi', 'green'): build(parse_model(model)).score(rgb, rgb[..., 0] > 0)\n"
        "build(parse_model('colour')).embed([rgb])\n"
        "assert not {'torch', 'timm', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
