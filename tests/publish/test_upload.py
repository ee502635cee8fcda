"""Weights are uploaded to the Hub and downloaded again, against a stand-in of its HTTP interface on this machine."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from f2vbench.cli.main import main
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import F2VBenchError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.hub import fetch
from f2vbench.pretrained.weights_cards import parse_weights_card, weights_card
from f2vbench.publish.readme import model_card
from tests.helpers.commands import fork_server
from tests.helpers.completed_training import make_card, write_training
from tests.helpers.hub_stand_in import TOKEN, Hub, stand_in


@dataclass(frozen=True)
class Result:
    """Exit code and output of a call."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def user_folder(tmp_path_factory):
    """A working directory with the card of fundus2video-tiny, its run folder, and the Hub's cache."""
    folder = tmp_path_factory.mktemp("user")
    run = write_training(folder / "run")
    assert make_card(run, folder / "weights", "fundus2video-tiny", "default=yes") == 0
    return folder


@pytest.fixture
def card(user_folder, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(user_folder))
    return weights_card("fundus2video-tiny")


@pytest.fixture
def hub():
    with stand_in() as hub:
        yield hub


def call(folder: Path, hub: Hub, *calls: tuple[str, ...], **variables: str) -> list[Result]:
    """Results of calls in one process of its own, because the Hub's client reads its variables when it is imported.

    A call is `("f2vbench", *arguments)`, `("parse_model", *arguments)`, or `("token", token)`, which logs in.
    """
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
        "F2VBENCH_PATH": str(folder),
    }
    output = folder / "results.json"
    output.unlink(missing_ok=True)
    arguments = (calls, {**os.environ, **environment, **variables}, folder, output)
    process = fork_server().Process(target=_make_calls, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == 0, "the process ended without results; its traceback is above"
    return [Result(*result) for result in json.loads(output.read_text())]


def _make_calls(calls: Sequence[tuple[str, ...]], environment: Mapping[str, str], folder: Path, output: Path) -> None:
    """Make the calls in this process and write exit code, standard output and error of each."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]  # the fork server has imported it without these variables
    os.environ.update(environment)
    os.chdir(folder)
    results = []
    for each in calls:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            code = _make_call(*each)
        results.append((code, out.getvalue(), err.getvalue()))
    output.write_text(json.dumps(results))


def _make_call(kind: str, *arguments: str) -> int:
    if kind == "token":
        os.environ["HF_TOKEN"] = arguments[0]
        return 0
    if kind == "f2vbench":
        return main(list(arguments))
    try:
        spec = parse_model(*arguments)
        print(json.dumps([spec.name, spec.weights_label, spec.identity()["weights_sha256"]]))
    except F2VBenchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def test_uploaded_weights_are_downloaded_unchanged_and_cached_for_offline_use(user_folder, card, hub):
    upload = ("f2vbench", "weights", "push", card.name, "repo=me/tiny")
    loads = [("parse_model", "fundus2video:hf://me/tiny"), ("parse_model", "fundus2video", "hf://me/tiny")]
    first, again, *loaded = call(user_folder, hub, upload, upload, *loads)
    assert first.code == 0, first.err
    files = hub.files("me/tiny")
    assert set(files) == {".gitattributes", "README.md", "fundus2video-tiny.yaml", card.file}
    assert files[card.file] == (user_folder / "weights" / card.file).read_bytes()
    uploaded = parse_weights_card(files["fundus2video-tiny.yaml"].decode(), "fundus2video-tiny.yaml")
    # Each installation decides which weights are a family's default.
    assert uploaded.model_dump() == {**card.model_dump(), "default_of": None}
    commit = hub.oid("me/tiny")
    assert f"model=fundus2video:hf://me/tiny@{commit}" in first.out
    assert "nothing to upload" in again.out
    assert len(hub.commits["me/tiny"]) == 2

    expected = ["fundus2video-tiny", f"hf://me/tiny@{commit}/{card.file}@{card.sha256[:8]}", card.sha256]
    offline = call(user_folder, hub, *loads, HF_HUB_OFFLINE="1")
    assert [json.loads(result.out) for result in (*loaded, *offline)] == [expected] * 4


def test_a_run_folder_is_uploaded_under_the_name_of_the_repository(user_folder, hub):
    [result] = call(user_folder, hub, ("f2vbench", "weights", "push", "run", "repo=me/My.Eyes"))
    assert result.code == 0, result.err
    assert {"my-eyes.safetensors", "my-eyes.yaml"} < set(hub.files("me/My.Eyes"))


def test_weights_in_shards_are_uploaded_and_downloaded_whole(user_folder, hub, tmp_path_factory):
    run = write_training(user_folder / "large", limit=600_000)
    shards = [f"large-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    push = ("f2vbench", "weights", "push", "large", "repo=me/large")
    first, again = call(user_folder, hub, push, push)
    assert first.code == 0, first.err
    assert "nothing to upload" in again.out
    files = hub.files("me/large")
    index = "large.safetensors.index.json"
    assert set(files) == {".gitattributes", "README.md", "large.yaml", index, *shards}
    assert [files[name] for name in shards] == [
        (run / name.replace("large", "generator")).read_bytes() for name in shards
    ]
    assert f"`{index}` and the shards that it names (1.4 MB)" in files["README.md"].decode()
    digest = parse_weights_card(files["large.yaml"].decode(), "large.yaml").sha256
    assert digest == file_sha256(run / "generator.safetensors")

    label = f"hf://me/large@{hub.oid('me/large')}/large.safetensors@{digest[:8]}"
    arguments = {
        "fundus2video:hf://me/large": "large",
        f"fundus2video:hf://me/large/{index}": "fundus2video:large",
        "fundus2video:hf://me/large/large.safetensors": "fundus2video:large",
    }
    loads = [("parse_model", argument) for argument in arguments]
    loaded = call(user_folder, hub, *loads)
    offline = call(user_folder, hub, *loads, HF_HUB_OFFLINE="1")
    assert [json.loads(result.out) for result in (*loaded, *offline)] == [
        [name, label, digest] for name in arguments.values()
    ] * 2

    hub.commits["me/partial"] = [{name: content for name, content in files.items() if name != shards[1]}]
    hub.commits["me/mixed"] = [{**files, shards[0]: files[shards[0]][:-1] + b"x"}]
    missing, mixed, absent = call(
        user_folder,
        hub,
        ("parse_model", "fundus2video:hf://me/partial"),
        ("parse_model", "fundus2video:hf://me/mixed"),
        ("parse_model", "fundus2video:hf://me/large/other.safetensors"),
    )
    assert f"{shards[1]}, a shard of {index}, is not in the repository" in missing.err
    assert f"{shards[0]}: shard 1 of 3 of {index} is damaged or of another export" in mixed.err
    assert "no such file in the repository" in absent.err
    [offline] = call(user_folder, hub, loads[0], HF_HOME=str(tmp_path_factory.mktemp("hf")), HF_HUB_OFFLINE="1")
    assert "not downloaded before" in offline.err


def test_a_new_version_in_fewer_shards_deletes_those_of_the_earlier_one(user_folder, hub):
    push = ("f2vbench", "weights", "push", "versions", "repo=me/versions")
    calls = [push, (*push, "replace=yes"), ("parse_model", "fundus2video:hf://me/versions")]
    three = {"versions.safetensors.index.json", *(f"versions-{number:05}-of-00003.safetensors" for number in (1, 2, 3))}
    found = []
    for seed, limit in enumerate((300_000, 600_000, 10**9, 600_000)):
        for file in (user_folder / "versions").glob("*"):
            file.unlink()
        write_training(user_folder / "versions", seed=seed, limit=limit)
        first, replacing, loaded = call(user_folder, hub, *calls)
        assert (first.code, replacing.code, loaded.code) == (0 if seed == 0 else 2, 0, 0), replacing.err + loaded.err
        assert "has another versions.safetensors" in first.err or seed == 0
        found.append({name for name in hub.files("me/versions") if "safetensors" in name})
    assert len(found[0]) > len(three)
    assert found[1:] == [three, {"versions.safetensors"}, three]


def test_a_refused_upload_says_why(user_folder, card, hub):
    push = ("f2vbench", "weights", "push", card.name)
    _, no_token, _, invalid_token, _, no_right = call(
        user_folder,
        hub,
        ("token", ""),
        (*push, "repo=me/tiny"),
        ("token", "hf_invalid"),
        (*push, "repo=me/tiny"),
        ("token", TOKEN),
        (*push, "repo=you/tiny"),
    )
    [no_network] = call(user_folder, hub, (*push, "repo=me/tiny"), HF_ENDPOINT="http://127.0.0.1:9")
    for result, message in (
        (no_token, "not logged in"),
        (invalid_token, "your token is not valid"),
        (no_right, "your token has no right"),
        (no_network, "can't be reached"),
    ):
        assert result.code == 2
        assert message in result.err
    assert not hub.commits


def test_a_repository_with_other_content_is_not_changed(user_folder, card, hub):
    hub.commits["me/theirs"] = [{"model.bin": b"theirs", "README.md": b"theirs"}]
    hub.commits["me/tiny"] = [{card.file: b"an earlier training"}]
    push = ("f2vbench", "weights", "push", card.name)
    other, earlier = call(user_folder, hub, (*push, "repo=me/theirs", "replace=yes"), (*push, "repo=me/tiny"))
    assert (other.code, earlier.code) == (2, 2)
    assert "has other files (model.bin)" in other.err
    assert "replace=yes" in earlier.err
    assert [len(commits) for commits in hub.commits.values()] == [1, 1]
    [replaced] = call(user_folder, hub, (*push, "repo=me/tiny", "replace=yes"))
    assert replaced.code == 0
    assert hub.files("me/tiny")[card.file] == (user_folder / "weights" / card.file).read_bytes()


def test_a_dry_run_writes_the_files_and_uses_no_network(user_folder, card, hub, tmp_path):
    arguments = ("f2vbench", "weights", "push", card.name, "repo=me/tiny", "--dry-run", f"out={tmp_path / 'up'}")
    [result] = call(user_folder, hub, arguments, HF_TOKEN="", HF_HUB_OFFLINE="1")
    assert result.code == 0, result.err
    assert not hub.requests
    written = {path.name: path.read_bytes() for path in (tmp_path / "up").iterdir()}
    assert set(written) == {card.file, "fundus2video-tiny.yaml", "README.md"}
    assert all(name in result.out for name in written)
    assert written[card.file] == (user_folder / "weights" / card.file).read_bytes()


def test_the_readme_has_the_metadata_of_the_hub_and_the_limits_of_the_weights(card):
    text = model_card(card, "me/tiny")
    front, body = re.fullmatch(r"---\n(.*?)---\n(.*)", text, re.DOTALL).groups()
    metadata = yaml.safe_load(front)
    assert (metadata["license"], metadata["library_name"]) == ("mit", "f2vbench")
    assert {"fundus2video", "synthetic-data"} <= set(metadata["tags"])
    assert metadata["datasets"]
    assert card.training.command in body
    assert "90 minutes for 5 epochs on Abacus 3000" in body
    assert "| validation eyes of the training | psnr | 21.5 |" in body
    assert "Not for clinical use" in body
    assert "no image of a person" in body
    real = card.model_copy(update={"training_data": "angiograms of a hospital", "licence": "Research only"})
    other = model_card(real, "me/tiny")
    assert yaml.safe_load(other.split("---\n")[1])["license"] == "other"
    assert "simulated" not in other.replace(card.title, "").replace(card.training.command, "")


FAILED_DOWNLOADS = [
    ("fundus2video:hf://me/nothing", "no such repository"),
    ("fundus2video:hf://me/tiny@v9", "no such revision"),
    ("fundus2video:hf://me/tiny/nothing.safetensors", "no such file"),
    ("fundus2video:hf://me/foreign", "no weights card"),
    ("fundus2fa:hf://me/tiny", "model=fundus2video:hf://me/tiny"),
    ("fundus2video:hf://me/swapped", "not the file of weights/"),
    ("fundus2video:hf://me/gated", "/me/gated, then log in with `hf auth login` and run again"),
]


def test_a_failed_download_says_why(user_folder, card, hub):
    weights = (user_folder / "weights" / card.file).read_bytes()
    files = {card.file: weights, f"{card.name}.yaml": (user_folder / "weights" / f"{card.name}.yaml").read_bytes()}
    hub.commits["me/tiny"] = [files]
    hub.commits["me/swapped"] = [{**files, card.file: bytes([*weights[:-1], weights[-1] ^ 1])}]
    hub.commits["me/gated"] = [files]
    hub.gated.add("me/gated")
    hub.commits["me/foreign"] = [{"config.yaml": b"a: 1", "whole.safetensors": weights}]
    calls = [("parse_model", model) for model, _ in FAILED_DOWNLOADS]
    *failed, by_file = call(user_folder, hub, *calls, ("parse_model", "fundus2video:hf://me/foreign/whole.safetensors"))
    for result, (_, message) in zip(failed, FAILED_DOWNLOADS, strict=True):
        assert result.code == 2
        assert message in result.err
    assert json.loads(by_file.out)[0] == "fundus2video:whole"
    [offline] = call(user_folder, hub, calls[1], HF_HOME=str(user_folder / "empty"), HF_HUB_OFFLINE="1")
    assert "not downloaded before" in offline.err


@pytest.mark.parametrize("address", ["hf://tiny", "hf://me/tiny@", "hf://../..", "hf://me/tiny@a b"])
def test_malformed_addresses_are_refused(address):
    with pytest.raises(WeightsError, match=r"hf://owner/name"):
        fetch(address)


def test_weights_of_other_owners_are_not_uploaded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["weights", "push", "lpips-alex", "repo=me/x", "--dry-run"]) == 2
    assert "weights of other owners" in capsys.readouterr().err
    assert main(["weights", "push", "nowhere", "repo=me/x", "--dry-run"]) == 2
    assert "neither a weights card" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
