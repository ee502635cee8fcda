"""Model arguments: what each form means, and messages about invalid ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from f2vbench.encoders import weights_argument
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.registry import baseline_names
from f2vbench.encoders.weights_argument import unused_weights
from f2vbench.errors import SettingsError, WeightsError


def save_generator(path: Path, seed: int = 0, shape: GeneratorShape = GeneratorShape(6, 3, 2)) -> Path:  # noqa: B008
    generator = global_generator(shape)
    initialise(generator, seed)
    torch.save({f"model.{key}": tensor for key, tensor in generator.state_dict().items()}, path)
    return path


@pytest.fixture
def weights(tmp_path):
    return save_generator(tmp_path / "latest_net_G.pth")


def test_an_untrained_model_has_this_in_its_name():
    spec = parse_model("fundus2video:untrained")
    assert (spec.name, spec.family, spec.kind) == ("fundus2video:untrained", "fundus2video", "features")
    assert (spec.weights, spec.weights_label, spec.cut) == ("untrained", "untrained", 19)
    assert spec.architecture == "pix2pixhd-global-ngf64"
    assert not spec.is_baseline
    assert spec.can_generate


@pytest.mark.parametrize("source", ["argument", "for all", "by family", "by argument"])
def test_weights_come_from_the_argument_or_from_the_weights_setting(weights, source):
    argument = f"fundus2video:{weights}" if source == "argument" else "fundus2video"
    settings = {
        "for all": str(weights),
        "by family": {"fundus2video": str(weights)},
        "by argument": {argument: str(weights)},
    }
    spec = parse_model(argument, settings.get(source))
    assert spec.name == "fundus2video:latest_net_G"
    assert spec.weights == str(weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert spec.weights_label == f"latest_net_G.pth@{digest[:8]}"
    assert spec.identity()["weights_sha256"] == digest


def test_weights_for_all_do_not_replace_those_of_an_argument(weights):
    assert parse_model("fundus2video:untrained", str(weights)).weights == "untrained"
    assert parse_model("tophat", str(weights)).weights == "none"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("fundus2fa-mini", "has its own weights; write model=fundus2fa with weights=, or leave weights= out"),
        ("timm:resnet18:untrained", "has its own weights; write model=timm with weights="),
        ("colour", "colour takes no weights; leave weights= out"),
    ],
)
def test_weights_that_no_model_uses_are_named(weights, argument, message):
    (problem,) = unused_weights([parse_model(argument, str(weights))], str(weights))
    assert message in problem
    assert "no such file" not in problem
    (problem,) = unused_weights([parse_model(argument, "nowhere.pth")], "nowhere.pth")
    assert "weights=nowhere.pth: no such file" in problem


def test_one_user_of_weights_is_enough(weights):
    specs = [parse_model(argument, str(weights)) for argument in ("tophat", "fundus2video", "fundus2fa:untrained")]
    assert unused_weights(specs, str(weights)) == []
    assert unused_weights(specs, None) == []
    (problem,) = unused_weights(specs, {"fundus2video": str(weights), "colour": "nowhere.pth"})
    assert problem.startswith("weights.colour=nowhere.pth")


def test_weights_that_are_named_twice_are_refused(weights):
    with pytest.raises(SettingsError, match="keep one"):
        parse_model("fundus2video:untrained", {"fundus2video:untrained": str(weights)})


def test_a_generator_without_weights_says_how_to_get_some(monkeypatch):
    monkeypatch.setattr(weights_argument, "default_card", lambda family: None)
    with pytest.raises(
        WeightsError,
        match=r"f2vbench train model=fundus2video.*weights=path/to/latest_net_G\.pth.*model=fundus2video:untrained",
    ):
        parse_model("fundus2video")


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        parse_model(f"fundus2fa:{tmp_path / 'nowhere.pth'}")
    with pytest.raises(WeightsError, match="did you mean 'untrained'"):
        parse_model("fundus2fa:untraned")


def test_timm_names_may_contain_dots(weights):
    hub = parse_model("timm:vit_base_patch16_224.augreg_in21k")
    assert (hub.name, hub.weights, hub.cut) == ("timm:vit_base_patch16_224.augreg_in21k", "hub", None)
    assert parse_model("timm:resnet18:untrained").name == "timm:resnet18:untrained"
    local = parse_model(f"timm:resnet18:{weights}")
    assert (local.name, local.architecture, local.weights) == ("timm:resnet18:latest_net_G", "resnet18", str(weights))
    assert parse_model("timm:resnet18", {"timm:resnet18": str(weights)}) == local
    assert not local.can_generate


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("fundus2vidoe", "did you mean 'fundus2video'"),
        ("resnet18", "timm:<model name>"),
        ("timm", "name a timm model"),
        ("tophat:fast", "no variants; write model=tophat"),
        ("colour:rgb", "no variants"),
        ("random:vgg", "resnet18, pix2pixhd"),
        ("fundus2video:", "nothing follows the colon"),
        ("retfound:", "nothing follows the colon"),
        ("", "no model family"),
        ("lpips-alex", "its weights are for the LPIPS"),
        ("retfound-mae-meh", "its weights are for model=retfound:mae_meh"),
        ("fundus2fa-mini:untrained", "fundus2fa-mini is a weights card.*write fundus2fa:untrained"),
        ("frames:nowhere", "no folder .*nowhere"),
        ("mae+", "joins two models or more"),
        ("mae+mae", "'mae-mini' occurs twice"),
        ("tophat+mae", "'tophat' has no embedding"),
        ("mae:untrained@mean", "mae has no mean, only pix2pixHD generators have; write mae:untrained"),
        ("fundus2fa@men", "no @men.*did you mean 'mean'"),
        ("fundus2fa@mean@levels", "both set the pooling"),
        ("fundus2fa@official", "fundus2fa has no official, there are @levels, @mean, @unet, @generator"),
        ("retfound@levels", "retfound has no levels, there are @official, @mean; write retfound$"),
        ("retfound@mean@official", "both set the pooling"),
        ("retfound-green@official", "retfound-green has no official, only pix2pixHD generators have"),
    ],
)
def test_invalid_arguments_are_explained(argument, message):
    with pytest.raises(SettingsError, match=message):
        parse_model(argument)


def test_an_encoder_ends_after_a_residual_block_that_its_generator_has(tmp_path):
    cuts = {None: 19, 17: 17, 18: 18, 25: 25, "whole": 39, 39: 39}  # the published shape: blocks 16 to 24
    assert {cut: parse_model("pix2pixhd:untrained", cut=cut).cut for cut in cuts} == cuts
    for cut in (16, 26, 38, 40):
        with pytest.raises(SettingsError, match=rf"cut={cut}: .*4 downsamplings and 9 .* 17 to 25 .* 39 or `whole`"):
            parse_model("pix2pixhd:untrained", cut=cut)
    small = save_generator(tmp_path / "small.pth", shape=GeneratorShape(6, 3, 2, downsamplings=3, blocks=6))
    cuts = {None: 15, 14: 14, 19: 19, "whole": 30}  # blocks 13 to 18, the last convolution is 29
    assert {cut: parse_model(f"fundus2video:{small}", cut=cut).cut for cut in cuts} == cuts
    for cut in (13, 20, 39):
        with pytest.raises(SettingsError, match=r"3 downsamplings and 6 .* 14 to 19 .* 30 or `whole`"):
            parse_model(f"fundus2video:{small}", cut=cut)
    assert parse_model("timm:resnet18", cut="whole").cut is None


def test_a_model_argument_may_end_in_the_pooling_and_the_decoder_of_a_generator(weights):
    plain, mean = parse_model("fundus2video:untrained"), parse_model("fundus2video:untrained@mean")
    assert (plain.name, plain.pooling, plain.decoder) == ("fundus2video:untrained", "levels", "unet")
    assert (mean.name, mean.pooling) == ("fundus2video:untrained@mean", "mean")
    assert parse_model("fundus2video:untrained", pooling="mean") == mean
    assert parse_model("fundus2video:untrained@levels", pooling="mean") == plain
    assert parse_model("fundus2video-mini@generator").name == "fundus2video-mini@generator"
    both = parse_model(f"fundus2video:{weights}@generator@mean")
    assert (both.name, both.pooling, both.decoder) == ("fundus2video:latest_net_G@mean@generator", "mean", "generator")
    assert parse_model("fundus2video@mean", {"fundus2video": str(weights)}).name == "fundus2video:latest_net_G@mean"
    assert parse_model("fundus2video-mini@mean+fundus2video-mini").part_names == (
        "fundus2video-mini@mean", "fundus2video-mini",
    )  # fmt: skip
    assert parse_model("mae:untrained", pooling="mean").pooling is None


def test_baselines_of_segmentation():
    specs = [parse_model(name) for name in baseline_names("segmentation")]
    assert [spec.kind for spec in specs] == ["score"] * 4 + ["scratch"]
    assert all(spec.is_baseline and spec.weights_label == "none" and spec.name == spec.family for spec in specs)


@pytest.mark.parametrize(
    ("argument", "name", "architecture", "label"),
    [
        ("colour", "colour", "colour", "none"),
        ("random", "random", "resnet18", "untrained"),
        ("random:resnet18", "random", "resnet18", "untrained"),
        ("random:pix2pixhd", "random:pix2pixhd", "pix2pixhd", "untrained"),
    ],
)
def test_baselines_with_embeddings(argument, name, architecture, label):
    spec = parse_model(argument)
    assert spec.kind == ("vector" if argument == "colour" else "features")
    assert (spec.name, spec.architecture, spec.weights_label) == (name, architecture, label)
    assert spec.is_baseline


@pytest.mark.parametrize(
    ("argument", "name", "variant"),
    [
        ("retfound", "retfound:mae_natureCFP", "mae_natureCFP"),
        ("retfound:mae_naturecfp", "retfound:mae_natureCFP", "mae_natureCFP"),
        ("retfound:RETFound_dinov2_meh", "retfound:dinov2_meh", "dinov2_meh"),
        ("retfound-green", "retfound-green", "retfound-green"),
    ],
)
def test_released_weights_have_one_name_each(argument, name, variant):
    spec = parse_model(argument)
    assert (spec.name, spec.architecture, spec.weights_label) == (name, variant, "released")
    assert spec.weights_file is None


def test_a_retfound_file_comes_from_the_argument_or_from_the_weights_setting(weights):
    assert parse_model(f"retfound:{weights}").name == "retfound:latest_net_G"
    assert parse_model("retfound", str(weights)).weights == str(weights)
    assert parse_model("retfound:mae_meh", str(weights)).weights == "released"
    assert parse_model("retfound:mae_meh", {"retfound": str(weights)}).weights == "released"
    assert parse_model("retfound:mae_meh", {"retfound:mae_meh": str(weights)}).weights == str(weights)
    assert parse_model(f"retfound-green:{weights}").name == "retfound-green:latest_net_G"
    assert parse_model("retfound:untrained").weights == "untrained"


def test_unknown_released_weights_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(SettingsError, match=r"did you mean 'mae_meh'.*dinov2_shanghai.*retfound:<weights file>"):
        parse_model("retfound:mae_mehh")
    with pytest.raises(WeightsError, match=r"no weights file .*nowhere\.pth"):
        parse_model(f"retfound:{tmp_path / 'nowhere.pth'}")


def test_a_fusion_joins_models_by_attention_unless_it_names_another_method(tmp_path):
    fusion = parse_model("mae:untrained+colour")
    assert (fusion.name, fusion.kind, fusion.architecture) == ("mae:untrained+colour", "fusion", "attention")
    assert fusion.part_names == ("mae:untrained", "colour")
    assert parse_model("attention:mae:untrained+colour") == fusion
    assert parse_model("mean:mae:untrained + colour").name == "mean:mae:untrained+colour"
    file = tmp_path / "a+b.pth"
    file.write_bytes(b"content")
    assert parse_model(f"mae:{file}").name == "mae:a+b"


def test_identities_are_json_values_and_differ_where_outputs_differ(weights):
    other = save_generator(weights.with_name("other.pth"), seed=1)
    arguments = [
        "fundus2video:untrained",
        "fundus2fa:untrained",
        "tophat",
        "sato",
        "timm:resnet18",
        "timm:resnet18:untrained",
        "retfound",
        "retfound@mean",
        "retfound:dinov2_meh",
        "retfound:untrained",
        "retfound-green",
        "retfound-green:untrained",
        "colour",
        "random",
        "random:pix2pixhd",
        f"fundus2video:{weights}",
        f"fundus2video:{other}",
    ]
    variants = ("fundus2video:untrained@mean", "fundus2video:untrained@generator")
    specs = [*map(parse_model, (*arguments, *variants)), parse_model("fundus2video:untrained", cut=17)]
    identities = {json.dumps(spec.identity(), sort_keys=True) for spec in specs}
    assert len(identities) == len(specs)
    assert all(type(value) in (str, int, type(None)) for spec in specs for value in spec.identity().values())


def test_identities_have_the_keys_that_stored_features_are_found_by(weights):
    """A changed key or value makes the features and units in users' caches and run folders unusable."""
    assert parse_model(f"fundus2video:{weights}").identity() == {
        "family": "fundus2video",
        "architecture": "pix2pixhd-global",
        "cut": 19,
        "pooling": "levels",
        "preprocessing": 1,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    assert parse_model("tophat").identity() == {
        "family": "tophat",
        "architecture": "tophat",
        "cut": None,
        "preprocessing": 1,
        "weights": "none",
    }
    untrained = parse_model("mae:untrained").identity()
    assert (untrained["init"], untrained["init_seed"]) == (1, 0)
    assert set(untrained) == {
        "family", "architecture", "cut", "preprocessing", "weights", "init", "init_seed", "torch", "timm",
    }  # fmt: skip
    assert "scikit_image" in parse_model("frangi").identity()
    assert set(parse_model("mean:thumbnail+colour").identity()) == {"fusion", "parts"}


def test_an_identity_depends_on_the_content_of_a_file_and_not_on_its_name(weights):
    copy = weights.with_name("renamed.pth")
    copy.write_bytes(weights.read_bytes())
    assert parse_model(f"fundus2video:{weights}").identity() == parse_model(f"fundus2video:{copy}").identity()


def test_models_of_an_extra_that_is_not_installed_name_it(monkeypatch):
    monkeypatch.setattr("f2vbench.encoders.model_family.find_spec", lambda name: None)
    message = (
        r"model=sam2:untrained needs the package transformers, which is not installed: run "
        r"`pip install \"f2vbench\[sam2\]\"`"
    )
    with pytest.raises(SettingsError, match=message):
        parse_model("sam2:untrained")
    assert parse_model("timm:resnet18:untrained").side is None


def test_prompts_are_for_sam2_alone():
    with pytest.raises(SettingsError, match="timm:resnet18:untrained receives no prompts, only sam2 and"):
        parse_model("timm:resnet18:untrained@oracle-click")


def test_a_folder_means_its_file_in_the_layout_of_the_hub(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(WeightsError, match=r"there is no weights file .*/mine/model\.safetensors"):
        parse_model(f"timm:resnet18:{tmp_path / 'mine'}")
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"content")
    assert parse_model(f"timm:resnet18:{tmp_path / 'mine'}").name == "timm:resnet18:model"
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert parse_model(f"timm:resnet18:{tmp_path / 'mine'}").name == "timm:resnet18:mine"


@pytest.mark.parametrize("argument", ["fundus2fa-mini", "colour", "timm:resnet18:untrained"])
def test_weights_that_the_only_model_does_not_use_are_refused(argument, tmp_path):
    file = tmp_path / "weights.safetensors"
    file.touch()
    with pytest.raises(SettingsError, match="no model uses it"):
        load_encoder(argument, weights=str(file))
