"""What the words for models mean, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest
import torch  # noqa: F401  (here, because at its first import it asks for entry points, which a test replaces)

from f2vbench.encoders import weights_argument
from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import ENTRY_POINT_GROUP, baseline_names, known_families
from f2vbench.errors import SettingsError, WeightsError


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "latest_net_G.pth"
    path.write_bytes(b"content")
    return path


def test_an_untrained_model_is_named_so():
    spec = parse_model("fundus2video:untrained")
    assert (spec.name, spec.family, spec.kind) == ("fundus2video:untrained", "fundus2video", "features")
    assert (spec.weights, spec.weights_label, spec.cut) == ("untrained", "untrained", 19)
    assert spec.architecture == "pix2pixhd-global-ngf64"
    assert not spec.is_baseline
    assert spec.can_generate


@pytest.mark.parametrize("given", ["in the word", "for all", "by family", "by word"])
def test_weights_come_from_the_word_or_beside_it(weights, given):
    text = f"fundus2video:{weights}" if given == "in the word" else "fundus2video"
    beside = {"for all": str(weights), "by family": {"fundus2video": str(weights)}, "by word": {text: str(weights)}}
    spec = parse_model(text, beside.get(given))
    assert spec.name == "fundus2video:latest_net_G"
    assert spec.weights == str(weights)
    assert spec.weights_label == "latest_net_G.pth@ed7002b4"  # printf content | sha256sum
    assert spec.identity()["weights_sha256"].startswith("ed7002b4")


def test_weights_for_all_leave_words_that_name_theirs_alone(weights):
    assert parse_model("fundus2video:untrained", str(weights)).weights == "untrained"
    assert parse_model("tophat", str(weights)).weights == "none"


def test_weights_named_twice_are_refused(weights):
    with pytest.raises(SettingsError, match="keep one"):
        parse_model("fundus2video:untrained", {"fundus2video:untrained": str(weights)})


def test_a_generator_without_weights_says_how_to_give_some(monkeypatch):
    monkeypatch.setattr(weights_argument, "default_card", lambda family: None)
    with pytest.raises(WeightsError, match=r"weights=path/to/latest_net_G\.pth.*model=fundus2video:untrained"):
        parse_model("fundus2video")


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        parse_model(f"fundus2fa:{tmp_path / 'nowhere.pth'}")
    with pytest.raises(WeightsError, match="did you mean 'untrained'"):
        parse_model("fundus2fa:untraned")


def test_timm_names_may_hold_dots(weights):
    hub = parse_model("timm:vit_base_patch16_224.augreg_in21k")
    assert (hub.name, hub.weights, hub.cut) == ("timm:vit_base_patch16_224.augreg_in21k", "hub", None)
    assert parse_model("timm:resnet18:untrained").name == "timm:resnet18:untrained"
    local = parse_model(f"timm:resnet18:{weights}")
    assert (local.name, local.architecture, local.weights) == ("timm:resnet18:latest_net_G", "resnet18", str(weights))
    assert parse_model("timm:resnet18", {"timm:resnet18": str(weights)}) == local
    assert not local.can_generate


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fundus2vidoe", "did you mean 'fundus2video'"),
        ("resnet18", "timm:<model name>"),
        ("timm", "name a timm model"),
        ("tophat:fast", "no variants"),
        ("fundus2video:", "nothing follows the colon"),
        ("", "no model family"),
    ],
)
def test_a_word_that_means_nothing_is_explained(text, told):
    with pytest.raises(SettingsError, match=told):
        parse_model(text)


def test_only_the_known_cuts_are_taken():
    assert parse_model("pix2pixhd:untrained", cut=25).cut == 25
    with pytest.raises(SettingsError, match="17, 19, 25"):
        parse_model("pix2pixhd:untrained", cut=18)


def test_baselines():
    assert baseline_names() == ("tophat", "frangi", "sato", "green", "scratch")
    assert baseline_names("classification") == baseline_names("retrieval") == ("thumbnail", "colour", "random")
    assert baseline_names("generation") == ("still", "still-inverted", "mean-video")
    specs = [parse_model(name) for name in baseline_names()]
    assert [spec.kind for spec in specs] == ["score"] * 4 + ["scratch"]
    assert all(spec.is_baseline and spec.weights_label == "none" and spec.name == spec.family for spec in specs)
    with pytest.raises(SettingsError, match="support images"):
        build(specs[-1])
    with pytest.raises(SettingsError, match="only be run in a task"):
        load_encoder("tophat")


@pytest.mark.parametrize(
    ("text", "name", "architecture", "weights_kept"),
    [
        ("colour", "colour", "colour", "none"),
        ("random", "random", "resnet18", "untrained"),
        ("random:resnet18", "random", "resnet18", "untrained"),
        ("random:pix2pixhd", "random:pix2pixhd", "pix2pixhd", "untrained"),
    ],
)
def test_baselines_that_give_vectors(text, name, architecture, weights_kept):
    spec = parse_model(text)
    assert spec.kind == ("vector" if text == "colour" else "features")
    assert (spec.name, spec.architecture, spec.weights_label) == (name, architecture, weights_kept)
    assert spec.is_baseline


@pytest.mark.parametrize(("text", "told"), [("colour:rgb", "no variants"), ("random:vgg", "resnet18, pix2pixhd")])
def test_other_variants_of_those_baselines_are_refused(text, told):
    with pytest.raises(SettingsError, match=told):
        parse_model(text)


@pytest.mark.parametrize(
    ("text", "name", "released"),
    [
        ("retfound", "retfound:mae_natureCFP", "mae_natureCFP"),
        ("retfound:mae_naturecfp", "retfound:mae_natureCFP", "mae_natureCFP"),
        ("retfound:RETFound_dinov2_meh", "retfound:dinov2_meh", "dinov2_meh"),
        ("retfound-green", "retfound-green", "retfound-green"),
    ],
)
def test_released_retfound_weights_have_one_name_each(text, name, released):
    spec = parse_model(text)
    assert (spec.name, spec.architecture, spec.weights_label) == (name, released, "released")
    assert spec.weights_file is None


def test_a_retfound_file_comes_from_the_word_or_beside_it(weights):
    assert parse_model(f"retfound:{weights}").name == "retfound:latest_net_G"
    assert parse_model("retfound", str(weights)).weights == str(weights)
    assert parse_model("retfound:mae_meh", str(weights)).weights == "released"
    assert parse_model("retfound:mae_meh", {"retfound": str(weights)}).weights == "released"
    assert parse_model("retfound:mae_meh", {"retfound:mae_meh": str(weights)}).weights == str(weights)
    assert parse_model(f"retfound-green:{weights}").name == "retfound-green:latest_net_G"
    assert parse_model("retfound:untrained").weights == "untrained"


def test_unknown_retfound_weights_are_met_with_the_released_ones(tmp_path):
    with pytest.raises(SettingsError, match=r"did you mean 'mae_meh'.*dinov2_shanghai.*retfound:<weights file>"):
        parse_model("retfound:mae_mehh")
    with pytest.raises(WeightsError, match=r"no weights file .*nowhere\.pth"):
        parse_model(f"retfound:{tmp_path / 'nowhere.pth'}")
    with pytest.raises(SettingsError, match="nothing follows the colon"):
        parse_model("retfound:")


def test_identities_are_plain_and_differ_where_outputs_do(weights):
    other = weights.with_name("other.pth")
    other.write_bytes(b"other content")
    words = [
        "fundus2video:untrained",
        "fundus2fa:untrained",
        "tophat",
        "sato",
        "timm:resnet18",
        "timm:resnet18:untrained",
        "retfound",
        "retfound:dinov2_meh",
        "retfound:untrained",
        "retfound-green",
        "retfound-green:untrained",
        "colour",
        "random",
        "random:pix2pixhd",
    ]
    specs = [parse_model(word) for word in [*words, f"fundus2video:{weights}", f"fundus2video:{other}"]]
    specs.append(parse_model("fundus2video:untrained", cut=17))
    identities = {json.dumps(spec.identity(), sort_keys=True) for spec in specs}
    assert len(identities) == len(specs)
    assert all(type(value) in (str, int, type(None)) for spec in specs for value in spec.identity().values())


def test_an_identity_follows_the_content_not_the_name(weights):
    copy = weights.with_name("renamed.pth")
    copy.write_bytes(weights.read_bytes())
    assert parse_model(f"fundus2video:{weights}").identity() == parse_model(f"fundus2video:{copy}").identity()


def test_another_packages_encoder(tmp_path, monkeypatch, weights):
    (tmp_path / "their_package.py").write_text(
        "import torch\nfrom f2vbench.encoders.base import Encoder\n"
        "class Theirs(Encoder):\n"
        "    def __init__(self, spec):\n        super().__init__()\n        self.spec = spec\n"
        "    def prepare(self, images): return images\n"
        "    def pooled(self, prepared): return prepared\n"
        "    def pyramid(self, x): return [x]\n"
        "def wrong(spec): return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        metadata.EntryPoint("theirs", "their_package:Theirs", ENTRY_POINT_GROUP),
        metadata.EntryPoint("wrong", "their_package:wrong", ENTRY_POINT_GROUP),
        metadata.EntryPoint("broken", "no_such_package:Theirs", ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == ENTRY_POINT_GROUP else [])
    assert "theirs" in known_families()
    spec = parse_model("theirs:large")
    assert (spec.name, spec.architecture, spec.weights) == ("theirs:large", "large", "package")
    assert spec.identity()["entry_point"] == "their_package:Theirs"
    assert parse_model("theirs", str(weights)).name == "theirs:latest_net_G"
    assert build(spec).spec is spec
    with pytest.raises(SettingsError, match="returned a int"):
        build(parse_model("wrong"))
    with pytest.raises(SettingsError, match="can't be imported"):
        build(parse_model("broken"))
    points.append(metadata.EntryPoint("timm", "their_package:Theirs", ENTRY_POINT_GROUP))
    with pytest.raises(SettingsError, match="that name is taken"):
        known_families()


def test_every_family_has_a_line():
    assert set(baseline_names()) | {"fundus2video", "pix2pixhd", "timm", "retfound", "colour"} <= set(known_families())
    assert all(family.description for family in known_families().values())


def test_words_identities_and_baselines_need_no_torch():
    code = (
        "import sys\n"
        "from f2vbench.encoders.loading import build\n"
        "from f2vbench.encoders.model_argument import parse_model\n"
        "words = ('fundus2video:untrained', 'timm:resnet18', 'sato', 'retfound', 'colour', 'random')\n"
        "for word in words: parse_model(word).identity()\n"
        "assert not {'torch', 'timm', 'pandas'} & set(sys.modules)\n"
        "import numpy as np\n"
        "rgb = np.full((64, 64, 3), 99, np.uint8)\n"
        "for word in ('tophat', 'sato', 'frangi', 'green'): build(parse_model(word)).score(rgb, rgb[..., 0] > 0)\n"
        "build(parse_model('colour')).embed([rgb])\n"
        "assert not {'torch', 'timm', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_card_takes_no_other_weights_and_the_message_names_its_family():
    with pytest.raises(SettingsError, match=r"fundus2fa-mini is a weights card.*write fundus2fa:untrained"):
        parse_model("fundus2fa-mini:untrained")
