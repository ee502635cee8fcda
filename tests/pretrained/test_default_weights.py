"""Weights cards decide which weights a model argument means, and under which name."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from f2vbench import Benchmark
from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import default_card
from f2vbench.utils.progress import Silent
from tests.helpers.completed_training import make_card, write_training
from tests.helpers.eyes import write_eyes


def test_a_family_without_weights_uses_those_of_its_default_card(card_folder, tmp_path):
    run = write_training(tmp_path / "run")
    assert make_card(run, card_folder, "fundus2video-tiny", "default=yes") == 0
    spec = parse_model("fundus2video")
    assert (spec.name, spec.family) == ("fundus2video-tiny", "fundus2video")
    assert spec.weights_file == card_folder / "fundus2video-tiny.safetensors"
    assert spec.weights_label.startswith("fundus2video-tiny.safetensors@")
    assert parse_model("fundus2video-tiny") == spec
    assert spec.identity() == parse_model(f"fundus2video:{run / 'generator.safetensors'}").identity()
    encoder = build(spec)
    assert encoder.channels[-1] == 64  # of the file: 16 times its 4 channels
    assert torch.equal(encoder.model[1].weight, load_file(run / "generator.safetensors")["model.1.weight"].float())
    assert encoder.generate(torch.rand(1, 3, 32, 32), 2).isfinite().all()


def test_named_weights_come_before_the_default_card(card_folder, tmp_path):
    make_card(write_training(tmp_path / "run"), card_folder, "fundus2video-tiny", "default=yes")
    other = write_training(tmp_path / "other", seed=4) / "generator.safetensors"
    for weights in (str(other), {"fundus2video": str(other)}):
        assert parse_model("fundus2video", weights).weights_file == other
    assert parse_model("fundus2video:untrained").weights == "untrained"
    assert parse_model("fundus2video-tiny", str(other)).weights_file == card_folder / "fundus2video-tiny.safetensors"
    with pytest.raises(SettingsError, match="keep one"):
        parse_model("fundus2video-tiny", {"fundus2video-tiny": str(other)})


def test_the_default_is_the_only_card_of_the_user_with_default_of(card_folder, tmp_path):
    make_card(write_training(tmp_path / "small"), card_folder, "pix-small")
    run = write_training(tmp_path / "run", "pix2pixhd")
    assert make_card(run, card_folder, "pix-a", "default=yes") == 0
    assert make_card(run, card_folder, "pix-b", "default=yes") == 2  # pix-a is the default already
    assert not (card_folder / "pix-b.yaml").exists()
    assert make_card(run, card_folder, "pix-b") == 0
    assert parse_model("pix2pixhd").name == "pix-a"
    a, b = card_folder / "pix-a.yaml", card_folder / "pix-b.yaml"
    b.write_text(b.read_text() + "default_of: pix2pixhd\n")
    with pytest.raises(WeightsError, match=r"pix-a\.yaml and .*pix-b\.yaml both have default_of: pix2pixhd"):
        parse_model("pix2pixhd")
    a.write_text(a.read_text().replace("default_of: pix2pixhd\n", ""))
    assert parse_model("pix2pixhd").name == "pix-b"
    assert make_card(run, tmp_path / "weights", "pix-c", "default=yes") == 0  # ./weights
    with pytest.raises(WeightsError, match=r"pix-c\.yaml and .*pix-b\.yaml both have default_of: pix2pixhd"):
        parse_model("pix2pixhd")
    b.unlink()
    assert parse_model("pix2pixhd").name == "pix-c"


def test_a_card_that_is_the_default_of_another_family_is_refused(card_folder, tmp_path):
    make_card(write_training(tmp_path / "run"), card_folder, "tiny", "default=yes")
    card = card_folder / "tiny.yaml"
    card.write_text(card.read_text().replace("default_of: fundus2video", "default_of: fundus2fa"))
    with pytest.raises(WeightsError, match="must be the card's family"):
        default_card("fundus2fa")


def test_results_name_weights_by_their_card(card_folder, tmp_path):
    make_card(write_training(tmp_path / "run"), card_folder, "fundus2video-tiny", "default=yes")
    settings = {
        "task": "folder",
        "model": "fundus2video",
        "baselines": "none",
        "shots": [0],
        "seeds": 1,
        "image_size": 64,
        "decoder": {"crop": 32},
    }
    bench = Benchmark(data=str(write_eyes(tmp_path / "eyes", 4)), out=tmp_path / "out", jobs=1, **settings)
    frame = bench.run(Silent()).frame
    assert set(frame.encoder) == {"fundus2video-tiny"}
    digest = file_sha256(card_folder / "fundus2video-tiny.safetensors")
    assert set(frame.weights) == {f"fundus2video-tiny.safetensors@{digest[:8]}"}


def test_load_encoder_accepts_the_name_of_a_card(card_folder, tmp_path):
    make_card(write_training(tmp_path / "run", "fundus2fa"), card_folder, "fa-tiny")
    assert load_encoder("fa-tiny").describe()["model"] == "fa-tiny"
