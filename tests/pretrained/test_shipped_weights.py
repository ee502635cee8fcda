"""A finished training becomes weights with a card, and cards decide what a family means without weights."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from f2vbench import Benchmark
from f2vbench.cli.main import main
from f2vbench.config.parsing import build as build_settings
from f2vbench.config.parsing import parse
from f2vbench.encoders.loading import build, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import default_card, weights_card
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from f2vbench.utils.progress import Silent
from tests.helpers.eyes import write_eyes
from tests.helpers.shipped import finished

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """A folder of cards nearer to the user than those that come with the package."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine" / "weights"
    folder.mkdir(parents=True)
    monkeypatch.setenv("F2VBENCH_PATH", str(folder.parent))
    return folder


def make(run: Path, cards: Path, name: str, *more: str) -> int:
    return main(["weights", "make", str(run), f"name={name}", f"out={cards}", *more])


def test_a_family_without_weights_has_those_of_its_card_under_the_cards_name(cards, tmp_path):
    run = finished(tmp_path / "run")
    assert make(run, cards, "fundus2video-tiny", "default=yes") == 0
    spec = parse_model("fundus2video")
    assert (spec.name, spec.family) == ("fundus2video-tiny", "fundus2video")
    assert spec.weights_file == cards / "fundus2video-tiny.safetensors"
    assert spec.weights_label.startswith("fundus2video-tiny.safetensors@")
    assert parse_model("fundus2video-tiny") == spec
    assert spec.identity() == parse_model(f"fundus2video:{run / 'generator.safetensors'}").identity()
    encoder = build(spec)
    assert encoder.width == 64  # 16 times the 4 channels of the file, found in the file
    assert torch.equal(encoder.model[1].weight, load_file(run / "generator.safetensors")["model.1.weight"].float())
    assert encoder.generate(torch.rand(1, 3, 32, 32), 2).isfinite().all()


def test_weights_that_are_given_come_before_the_cards(cards, tmp_path):
    make(finished(tmp_path / "run"), cards, "fundus2video-tiny", "default=yes")
    other = finished(tmp_path / "other", seed=4) / "generator.safetensors"
    for beside in (str(other), {"fundus2video": str(other)}):
        assert parse_model("fundus2video", beside).weights_file == other
    assert parse_model("fundus2video:untrained").weights == "untrained"
    assert parse_model("fundus2video-tiny", str(other)).weights_file == cards / "fundus2video-tiny.safetensors"
    with pytest.raises(SettingsError, match="keep one"):
        parse_model("fundus2video-tiny", {"fundus2video-tiny": str(other)})


def test_a_larger_card_takes_over_by_data_alone_and_the_nearest_folder_decides(cards, tmp_path, monkeypatch):
    make(finished(tmp_path / "small"), cards, "pix-small")
    run = finished(tmp_path / "run", "pix2pixhd")
    assert make(run, cards, "pix-a", "default=yes") == 0
    assert make(run, cards, "pix-b", "default=yes") == 2  # pix-a is it already
    assert not (cards / "pix-b.yaml").exists()
    assert make(run, cards, "pix-b") == 0
    assert parse_model("pix2pixhd").name == "pix-a"
    a, b = cards / "pix-a.yaml", cards / "pix-b.yaml"
    b.write_text(b.read_text() + "default_of: pix2pixhd\n")
    with pytest.raises(WeightsError, match=r"pix-a\.yaml and pix-b\.yaml both have default_of: pix2pixhd"):
        parse_model("pix2pixhd")
    a.write_text(a.read_text().replace("default_of: pix2pixhd\n", ""))
    assert parse_model("pix2pixhd").name == "pix-b"
    assert make(run, tmp_path / "weights", "pix-c", "default=yes") == 0  # ./weights
    assert parse_model("pix2pixhd").name == "pix-c"


def test_a_card_that_is_another_familys_default_is_refused(cards, tmp_path):
    make(finished(tmp_path / "run"), cards, "tiny", "default=yes")
    card = cards / "tiny.yaml"
    card.write_text(card.read_text().replace("default_of: fundus2video", "default_of: fundus2fa"))
    with pytest.raises(WeightsError, match="must be the card's family"):
        default_card("fundus2fa")


def test_a_file_that_is_not_the_cards_is_refused_by_the_model_and_by_check(cards, tmp_path, capsys):
    make(finished(tmp_path / "run"), cards, "tiny", "default=yes")
    assert main(["weights", "check", "tiny"]) == 0
    assert "loads as fundus2video" in capsys.readouterr().out
    other = finished(tmp_path / "other", seed=4) / "generator.safetensors"
    (cards / "tiny.safetensors").write_bytes(other.read_bytes())
    with pytest.raises(WeightsError, match="not the file"):
        parse_model("fundus2video")
    assert main(["weights", "check"]) == 2
    assert "tiny.safetensors: not the file" in capsys.readouterr().err


def test_results_name_shipped_weights_by_their_card(cards, tmp_path):
    make(finished(tmp_path / "run"), cards, "fundus2video-tiny", "default=yes")
    words = {
        "task": "folder",
        "model": "fundus2video",
        "baselines": "none",
        "shots": [0],
        "seeds": 1,
        "image_size": 64,
        "decoder": {"crop": 32},
    }
    bench = Benchmark(data=str(write_eyes(tmp_path / "eyes", 4)), out=tmp_path / "out", jobs=1, **words)
    frame = bench.run(Silent()).frame
    assert set(frame.encoder) == {"fundus2video-tiny"}
    digest = file_sha256(cards / "fundus2video-tiny.safetensors")
    assert set(frame.weights) == {f"fundus2video-tiny.safetensors@{digest[:8]}"}


def test_a_made_card_tells_what_the_training_told(cards, tmp_path):
    measured = tmp_path / "measured.yaml"
    measured.write_text("- {data: RITE training half, metric: auroc, value: 0.95, note: zero-shot}\n")
    run = finished(tmp_path / "run")
    assert make(run, cards, "tiny", f"quality={measured}") == 0
    card, facts = weights_card("tiny"), json.loads((run / "generator.json").read_text())
    assert (card.sha256, card.size) == (facts["sha256"], facts["bytes"])
    assert (cards / card.file).read_bytes() == (run / "generator.safetensors").read_bytes()
    assert (card.family, card.default_of, card.licence) == ("fundus2video", None, "MIT")
    assert card.network == {"name": "pix2pixhd-global", "inputs": 6, "outputs": 3, "ngf": 4}
    assert (card.training.seed, card.training.epochs, card.training.seconds) == (3, 5, 5400.0)
    assert card.training.machine == "Abacus 3000, 8 cores, 1 used"
    assert card.training.software == {"f2vbench": "9.9", "python": "3.12.1", "torch": "2.9.0"}
    assert "simulated eyes" in card.training_data
    assert [(m.data, m.metric, m.value, m.note) for m in card.quality] == [
        ("RITE training half", "auroc", 0.95, "zero-shot"),
        ("validation eyes of the training", "psnr", 21.5, None),
    ]


COMMANDS = [
    {},
    {"preset": "paper", "crop": "256", "split": "80/10/10"},
    {"preset": "released", "loss": {"vgg": "vgg19-dcbb9e9d.pth", "gan": 0.3}},
    {"preset": "mini", "ablation": "none", "truth_videos": "none", "seed": 7},
    {"model": "fundus2fa", "phase": "late", "ema": 0.5},
    {"model": "pix2pixhd", "preset": "mini", "out": "/somewhere/private", "threads": 2},
]


@pytest.mark.parametrize("words", COMMANDS, ids=str)
def test_the_command_of_a_card_gives_the_settings_that_were_trained_with(words):
    settings = build_settings(TrainSettings, words)
    command = training_command(settings)
    assert "private" not in command
    program, verb, *told = shlex.split(command)
    assert (program, verb) == ("f2vbench", "train")
    assert parse(TrainSettings, told).identity() == settings.identity()


def test_a_command_tells_private_folders_by_their_last_name_and_only_what_differs():
    settings = build_settings(TrainSettings, {"preset": "mini", "data": "/home/someone/pairs.csv", "seed": 2})
    command = "f2vbench train model=fundus2video preset=mini seed=2 data=pairs.csv"
    assert training_command(settings) == command


@pytest.mark.parametrize(
    ("harm", "words", "told"),
    [
        (lambda run: finished(run, done=4), [], "incomplete (4 of 5 epochs)"),
        (lambda run: (run / "generator.json").unlink(), [], "no exported weights"),
        (lambda run: (run / "generator.json").write_text("{"), [], "no description of a training"),
        (lambda run: (run / "generator.safetensors").write_bytes(b"x" * 99), [], "not the file"),
        (lambda run: finished(run, data="pairs.csv"), [], "training_data: required"),
        (lambda run: None, ["quality=nowhere.yaml"], "quality=nowhere.yaml"),
        (lambda run: None, ["name=fundus2fa"], "a model family has this name"),
        (lambda run: None, ["name=Tiny"], "name"),
    ],
)
def test_what_can_not_be_shipped_is_told_and_nothing_is_written(cards, tmp_path, capsys, harm, words, told):
    run = finished(tmp_path / "run")
    harm(run)
    named = words if any(word.startswith("name=") for word in words) else ["name=tiny", *words]
    assert main(["weights", "make", str(run), f"out={cards}", *named]) == 2
    assert told in capsys.readouterr().err
    assert not list(cards.iterdir())


def test_all_problems_of_measured_numbers_are_told_at_once(cards, tmp_path, capsys):
    measured = tmp_path / "measured.yaml"
    measured.write_text("- {data: RITE, value: 0.9}\n- {data: RITE, metric: dice, value: much}\n")
    assert make(finished(tmp_path / "run"), cards, "tiny", f"quality={measured}") == 2
    told = capsys.readouterr().err
    assert "entry 1: metric" in told
    assert "entry 2: value" in told


def test_other_weights_of_the_same_name_are_not_overwritten_unasked(cards, tmp_path, capsys):
    make(finished(tmp_path / "run"), cards, "tiny")
    before = (cards / "tiny.safetensors").read_bytes()
    other = finished(tmp_path / "other", seed=4)
    assert make(other, cards, "tiny") == 2
    assert "replace=yes" in capsys.readouterr().err
    assert (cards / "tiny.safetensors").read_bytes() == before
    assert make(other, cards, "tiny", "replace=yes") == 0
    assert weights_card("tiny").sha256 == file_sha256(other / "generator.safetensors")


def test_list_show_and_where_tell_what_is_there(cards, tmp_path, capsys):
    make(finished(tmp_path / "run"), cards, "tiny", "default=yes")
    capsys.readouterr()
    assert main(["weights", "list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny"))
    assert "default of fundus2video" in row
    assert str(cards / "tiny.safetensors") in row
    assert main(["weights", "show", "tiny"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["training"]["seed"] == 3
    assert main(["weights", "where", "tiny"]) == 0
    assert capsys.readouterr().out == f"{cards / 'tiny.safetensors'}\n"
    assert main(["weights", "where", "tyny"]) == 2
    assert "did you mean 'tiny'" in capsys.readouterr().err
    assert main(["weights", "chek"]) == 2
    assert "did you mean 'check'" in capsys.readouterr().err
    assert main(["list", "models"]) == 0
    assert any(
        line.split()[0] == "fundus2video" and line.endswith("tiny") for line in capsys.readouterr().out.splitlines()
    )


def test_files_of_a_weights_folder_that_are_no_cards_are_passed_over(cards, capsys):
    (cards / "config.yaml").write_text("lr: 1\n")
    (cards / "broken.yaml").write_text("used_for: [\n")
    assert main(["weights", "list"]) == 0
    told = capsys.readouterr().out
    assert "config" not in told
    assert "damaged card" in told
    assert parse_model("fundus2video:untrained").weights == "untrained"


def test_weights_files_and_their_cards_are_found_in_a_wheel(tmp_path):
    """Built from a copy with weights in it, and read from the wheel itself in a bare interpreter."""
    import shutil

    copy = tmp_path / "copy"
    for name in ("f2vbench", "tasks", "weights", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy / name)
    for card in copy.glob("weights/*.yaml"):
        card.write_text(card.read_text().replace("default_of: fundus2video\n", ""))
    assert make(finished(tmp_path / "run"), copy / "weights", "fundus2video-tiny", "default=yes") == 0
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(copy)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    code = (
        "import f2vbench; from f2vbench.encoders.model_argument import parse_model; s = parse_model('fundus2video'); "
        "print(f2vbench.__file__, s.name, s.weights)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=site,
        env={"PYTHONPATH": str(site)},
    )
    found, name, weights = done.stdout.split()
    assert Path(found).is_relative_to(site)
    assert name == "fundus2video-tiny"
    assert Path(weights) == site / "f2vbench" / "weights" / "fundus2video-tiny.safetensors"


def test_load_encoder_takes_the_name_of_a_card(cards, tmp_path):
    make(finished(tmp_path / "run", "fundus2fa"), cards, "fa-tiny")
    assert load_encoder("fa-tiny").describe()["model"] == "fa-tiny"
