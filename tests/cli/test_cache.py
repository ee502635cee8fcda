"""`f2vbench cache`: feature sets are listed, verified, packed and removed, and never those that a run writes to."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest

from f2vbench.cli.main import main
from f2vbench.errors import StoreError
from f2vbench.store.feature_sets import remove, stored_sets
from f2vbench.store.features import FeatureSet
from tests.store.test_features import entry, fill, shards_of

DAY = 86_400


def make_set(
    architecture: str, photographs: int, days: float = 0, group: int = 4, family: str = "timm", **declared: str
) -> FeatureSet:
    """A set of embeddings that was last used some days ago, without a writer that is running."""
    model = {"family": family, "architecture": architecture, "preprocessing": 1, "weights": "hub"}
    declared = {"model": model, "what": "embedding", "stored": "float32", **declared}
    features = FeatureSet(declared, {"arithmetic": "float32"})
    fill(features, range(photographs), group)
    features.close()
    used = time.time() - days * DAY
    os.utime(features.folder / "key.json", (used, used))
    return features


def cache(capsys, *arguments: str, code: int = 0) -> str:
    assert main(["cache", *arguments]) == code
    return capsys.readouterr().out if code != 2 or arguments[0] == "verify" else capsys.readouterr().err


def test_sets_are_listed_with_model_kind_size_and_last_use(capsys):
    assert "no features in" in cache(capsys, "list")
    one, two = make_set("resnet18", 8, days=10), make_set("resnet50", 3)
    text = cache(capsys, "list")
    lines = text.splitlines()
    assert lines[2].split()[:3] == [two.key[:8], "timm:resnet50", "(hub)"]
    assert lines[3].split()[:3] == [one.key[:8], "timm:resnet18", "(hub)"]
    assert "v1, float32" in lines[3]
    assert lines[3].endswith("10 days ago")
    assert "2 feature sets with 0.0 MB" in text
    (found,) = json.loads(cache(capsys, "list", "model=timm:resnet18", "format=json"))
    size = sum(path.stat().st_size for path in one.folder.iterdir())
    assert (found["set"], found["photographs"], found["files"], found["bytes"]) == (one.key, 8, 2, size)
    assert found["identity"] == one.identity
    assert one.key[:8] in cache(capsys, "list", f"set={one.key[:8]}")


def test_damaged_entries_are_named(capsys):
    features = make_set("resnet18", 8)
    assert "8 photographs in 1 feature set: all undamaged" in cache(capsys, "verify")
    first, second = shards_of(features)
    content = bytearray(first.read_bytes())
    content[-3] ^= 1
    first.write_bytes(content)
    second.write_bytes(b"half")
    text = cache(capsys, "verify", code=2)
    assert f"{first}: the entry {entry(3)} is damaged" in text
    assert f"{second}: damaged (it is truncated" in text
    assert "2 problems" in text
    assert first.exists()
    assert second.exists()


def test_damaged_imported_vectors_have_to_be_imported_again(capsys):
    features = make_set("good", 4, family="embeddings")
    (path,) = shards_of(features)
    path.write_bytes(path.read_bytes()[:-9])
    again = "import the vectors again: f2vbench cache import <file> name=good"
    text = cache(capsys, "verify", "model=embeddings:good", code=2)
    assert f"it is set aside when it is read, and {again}" in text
    assert "computed again" not in text
    reader = FeatureSet.of_identity(features.identity)
    assert not reader.has(entry(0))
    (note,) = reader.set_aside
    assert again in note
    assert "computed again" not in note


@pytest.mark.parametrize("damage", ["damaged", "missing"])
def test_a_set_without_its_identity_is_listed_named_and_removed(capsys, damage):
    features = make_set("resnet18", 8)
    key = features.folder / "key.json"
    if damage == "damaged":
        key.write_text("{")
    else:
        key.unlink()
    assert cache(capsys, "list").splitlines()[2].split()[:4] == [features.key[:8], "unknown", "?", "8"]
    text = cache(capsys, "verify", code=2)
    assert f"{key}: {damage}, so that the model of these features is unknown" in text
    assert "8 photographs in 1 feature set: 1 problem" in text
    assert f"removed: {features.key[:8]} unknown" in cache(capsys, "prune", "model=unknown", "delete=yes")
    assert not features.folder.exists()
    assert stored_sets() == []


def test_sets_that_differ_in_the_requested_precision_have_different_rows(capsys):
    make_set("resnet18", 4, precision="auto", device="cpu")
    make_set("resnet18", 4, precision="float32", device="cpu")
    text = cache(capsys, "list")
    assert "v1, float32, precision=auto, device=cpu, stored as float32" in text
    assert "v1, float32, precision=float32, device=cpu, stored as float32" in text


def test_a_set_in_a_folder_that_is_not_writable_is_kept(capsys, monkeypatch):
    features = make_set("colour", 4, family="colour")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))  # root may write
    text = cache(capsys, "prune", "model=colour", "delete=yes")
    assert f"kept, its folder is not writable: {features.key[:8]}" in text
    assert "a running process" not in text
    assert "0 feature sets" in text
    with pytest.raises(StoreError, match="the folder is not writable"):
        remove(stored_sets()[0])
    assert features.folder.exists()


def test_small_files_are_packed(capsys):
    features = make_set("resnet18", 6, group=1)
    text = cache(capsys, "pack")
    assert "1 feature set: 6 files before, 1 after" in text
    assert "the files that were replaced stay for ten minutes" in text
    assert len(shards_of(features)) == 1
    replaced = list((features.folder / "retired").iterdir())
    assert len(replaced) == 6
    for path in replaced[:4]:
        os.utime(path, (time.time() - 601,) * 2)
    assert "stay for ten minutes" not in cache(capsys, "pack")
    assert sorted((features.folder / "retired").iterdir()) == sorted(replaced[4:])
    assert stored_sets()[0].entries == 6


def test_sets_are_listed_before_they_are_removed(capsys):
    old, new = make_set("resnet18", 8, days=40), make_set("resnet50", 8, days=1)
    text = cache(capsys, "prune", "unused=30d")
    assert f"would be removed: {old.key[:8]} timm:resnet18 (hub), embedding, 8 photographs" in text
    assert "add delete=yes" in text
    assert old.folder.exists()
    assert f"removed: {old.key[:8]}" in cache(capsys, "prune", "unused=30d", "delete=yes")
    assert not old.folder.exists()
    assert new.folder.exists()
    assert "0 feature sets with 0.0 MB to remove" in cache(capsys, "prune", "unused=4w")


def test_sets_unused_longest_are_removed_until_the_rest_is_small_enough(capsys, monkeypatch):
    sets = [make_set(f"resnet{number}", 200, days=number) for number in (3, 1, 2)]
    size = stored_sets()[0].bytes
    text = cache(capsys, "prune", f"to={1.5 * size / 1e6:.3f}MB", "delete=yes")
    assert [features.folder.exists() for features in sets] == [False, True, False]
    assert text.index("resnet3") < text.index("resnet2")
    assert "2 feature sets with" in text


def test_a_set_that_a_process_writes_to_is_kept(capsys):
    features = make_set("resnet18", 4)
    writer = FeatureSet.planned({key: features.identity[key] for key in ("model", "what", "stored")})
    writer.put(entry(9), {"embedding": np.zeros(5, np.float32)})
    text = cache(capsys, "prune", "model=timm", "delete=yes")
    assert f"kept, a running process writes to it: {features.key[:8]}" in text
    assert "0 feature sets" in text
    assert writer.has(entry(9))
    writer.close()
    assert "1 feature set with" in cache(capsys, "prune", "model=timm", "delete=yes")
    assert not features.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "choose what to remove"),
        (["prune", "unused=30"], "'30' is no age"),
        (["prune", "to=50"], "'50' is no size"),
        (["prune", "unused=-3d"], "is no age"),
        (["list", "set=xyz0"], "set: 'xyz0'"),
        (["list", "set=ab"], "set: 'ab'"),
        (["list", "model=retfound"], "model=retfound: no such feature set"),
        (["lisst"], "did you mean 'list'"),
    ],
)
def test_wrong_arguments_are_named(capsys, arguments, message):
    assert message in cache(capsys, *arguments, code=2)
