"""Weights go to the Hub and come back: against a stand-in of its HTTP interface on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml

from f2vbench.cli.main import main
from f2vbench.errors import WeightsError
from f2vbench.pretrained.hub import fetch
from f2vbench.pretrained.weights_cards import parse_weights_card, weights_card
from f2vbench.publish.readme import model_card
from tests.helpers.hub_stand_in import TOKEN, Hub, stand_in
from tests.helpers.shipped import finished


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the card of fundus2video-tiny, its run folder, and a place for the Hub's cache."""
    folder = tmp_path_factory.mktemp("place")
    run = finished(folder / "run")
    words = ["name=fundus2video-tiny", "default=yes", f"out={folder / 'weights'}"]
    assert main(["weights", "make", str(run), *words]) == 0
    return folder


@pytest.fixture
def card(place, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(place))
    return weights_card("fundus2video-tiny")


@pytest.fixture
def hub():
    with stand_in() as hub:
        yield hub


def call(place, hub: Hub, *words: str, code: str | None = None, **variables: str) -> subprocess.CompletedProcess:
    """f2vbench (or a line of Python) in a process of its own: the Hub's client reads its variables when imported."""
    own = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(place / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
        "F2VBENCH_PATH": str(place),
    }
    command = ["-c", code] if code else ["-m", "f2vbench", *words]
    env = {**os.environ, **own, **variables}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env, cwd=place)


def test_pushed_weights_come_back_the_same_also_without_a_network(place, card, hub):
    done = call(place, hub, "weights", "push", card.name, "repo=me/tiny")
    assert done.returncode == 0, done.stderr
    files = hub.files("me/tiny")
    assert set(files) == {".gitattributes", "README.md", "fundus2video-tiny.yaml", card.file}
    assert files[card.file] == (place / "weights" / card.file).read_bytes()
    there = parse_weights_card(files["fundus2video-tiny.yaml"].decode(), "fundus2video-tiny.yaml")
    # What is a family's default is for an installation to say, not for the Hub.
    assert there.model_dump() == {**card.model_dump(), "default_of": None}
    commit = hub.oid("me/tiny")
    assert f"model=fundus2video:hf://me/tiny@{commit}" in done.stdout

    again = call(place, hub, "weights", "push", card.name, "repo=me/tiny")
    assert "nothing to upload" in again.stdout
    assert len(hub.commits["me/tiny"]) == 2

    code = (
        "from f2vbench.encoders.model_argument import parse_model\n"
        "s = parse_model('fundus2video:hf://me/tiny'); t = parse_model('fundus2video', 'hf://me/tiny')\n"
        "print(s.name, s.weights_label, s.identity()['weights_sha256'], s == t)"
    )
    expected = ["fundus2video-tiny", f"hf://me/tiny@{commit}/{card.file}@{card.sha256[:8]}", card.sha256, "True"]
    fetched = call(place, hub, code=code)
    assert fetched.stdout.split() == expected, fetched.stderr
    assert call(place, hub, code=code, HF_HUB_OFFLINE="1").stdout.split() == expected


def test_a_run_folder_is_pushed_under_the_repositorys_name(place, hub):
    done = call(place, hub, "weights", "push", "run", "repo=me/My.Eyes")
    assert done.returncode == 0, done.stderr
    assert {"my-eyes.safetensors", "my-eyes.yaml"} < set(hub.files("me/My.Eyes"))


REFUSED = [
    ({"HF_TOKEN": ""}, "me/tiny", "not logged in"),
    ({"HF_TOKEN": "hf_wrong"}, "me/tiny", "your token is not valid"),
    ({}, "you/tiny", "your token has no right"),
    ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "me/tiny", "can't be reached"),
]


@pytest.mark.parametrize(("variables", "repo", "told"), REFUSED, ids=[told for *_, told in REFUSED])
def test_why_nothing_was_pushed_is_told(place, card, hub, variables, repo, told):
    done = call(place, hub, "weights", "push", card.name, f"repo={repo}", **variables)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not hub.commits


def test_a_repository_with_other_content_is_left_alone(place, card, hub):
    hub.commits["me/theirs"] = [{"model.bin": b"theirs", "README.md": b"theirs"}]
    done = call(place, hub, "weights", "push", card.name, "repo=me/theirs", "replace=yes")
    assert done.returncode == 2
    assert "has other files (model.bin)" in done.stderr
    hub.commits["me/tiny"] = [{card.file: b"an earlier training"}]
    done = call(place, hub, "weights", "push", card.name, "repo=me/tiny")
    assert done.returncode == 2
    assert "replace=yes" in done.stderr
    assert [len(commits) for commits in hub.commits.values()] == [1, 1]
    assert call(place, hub, "weights", "push", card.name, "repo=me/tiny", "replace=yes").returncode == 0
    assert hub.files("me/tiny")[card.file] == (place / "weights" / card.file).read_bytes()


def test_a_dry_run_writes_what_would_be_uploaded_and_needs_no_network(place, card, hub, tmp_path):
    words = ["weights", "push", card.name, "repo=me/tiny", "--dry-run", f"out={tmp_path / 'up'}"]
    done = call(place, hub, *words, HF_TOKEN="", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert not hub.requests
    written = {path.name: path.read_bytes() for path in (tmp_path / "up").iterdir()}
    assert set(written) == {card.file, "fundus2video-tiny.yaml", "README.md"}
    assert all(name in done.stdout for name in written)
    assert written[card.file] == (place / "weights" / card.file).read_bytes()


def test_the_readme_has_the_hubs_front_matter_and_says_what_the_weights_are_not_for(card):
    text = model_card(card, "me/tiny")
    front, body = re.fullmatch(r"---\n(.*?)---\n(.*)", text, re.DOTALL).groups()
    told = yaml.safe_load(front)
    assert (told["license"], told["library_name"]) == ("mit", "f2vbench")
    assert {"fundus2video", "synthetic-data"} <= set(told["tags"])
    assert told["datasets"]
    assert card.training.command in body
    assert "90 minutes for 5 epochs on Abacus 3000" in body
    assert "| validation eyes of the training | psnr | 21.5 |" in body
    assert "Not for clinical use" in body
    assert "no image of a person" in body
    real = card.model_copy(update={"training_data": "angiograms of a hospital", "licence": "Research only"})
    other = model_card(real, "me/tiny")
    assert yaml.safe_load(other.split("---\n")[1])["license"] == "other"
    assert "simulated" not in other.replace(card.title, "").replace(card.training.command, "")


PLACES = [
    ("'fundus2video:hf://me/nothing'", "no such repository"),
    ("'fundus2video:hf://me/tiny@v9'", "no such revision"),
    ("'fundus2video:hf://me/tiny/nothing.safetensors'", "no such file"),
    ("'fundus2video:hf://me/foreign'", "no weights card"),
    ("'fundus2fa:hf://me/tiny'", "model=fundus2video:hf://me/tiny"),
    ("'fundus2video:hf://me/swapped'", "not the file of weights/"),
]


def test_why_weights_can_not_be_fetched_is_told(place, card, hub):
    weights = (place / "weights" / card.file).read_bytes()
    files = {card.file: weights, f"{card.name}.yaml": (place / "weights" / f"{card.name}.yaml").read_bytes()}
    hub.commits["me/tiny"] = [files]
    other = bytes([*files[card.file][:-1], files[card.file][-1] ^ 1])
    hub.commits["me/swapped"] = [{**files, card.file: other}]
    hub.commits["me/foreign"] = [{"config.yaml": b"a: 1", "whole.safetensors": files[card.file]}]
    code = (
        "from f2vbench.encoders.model_argument import parse_model\nfrom f2vbench.errors import F2VBenchError\n"
        f"for word in [{', '.join(word for word, _ in PLACES)}]:\n"
        "    try: print(parse_model(word))\n"
        "    except F2VBenchError as error: print(str(error).replace(chr(10), ' '))\n"
        "print(parse_model('fundus2video:hf://me/foreign/whole.safetensors').name)"
    )
    done = call(place, hub, code=code)
    lines = done.stdout.splitlines()
    assert len(lines) == len(PLACES) + 1, done.stderr
    for line, (_, told) in zip(lines, PLACES, strict=False):
        assert told in line
    assert lines[-1] == "fundus2video:whole"
    nobody = call(place, hub, code=code, HF_HOME=str(place / "empty"), HF_HUB_OFFLINE="1")
    assert "not downloaded before" in nobody.stdout


@pytest.mark.parametrize("address", ["hf://tiny", "hf://me/tiny@", "hf://../..", "hf://me/tiny@a b"])
def test_malformed_places_are_refused(address):
    with pytest.raises(WeightsError, match=r"hf://owner/name"):
        fetch(address)


def test_weights_of_others_are_not_pushed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["weights", "push", "lpips-alex", "repo=me/x", "--dry-run"]) == 2
    assert "weights of other owners" in capsys.readouterr().err
    assert main(["weights", "push", "nowhere", "repo=me/x", "--dry-run"]) == 2
    assert "neither a weights card" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
