"""`f2vbench cache`: feature sets are listed, verified, packed and removed, and never those that a run writes to."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest

from f2vbench.cli.main import main
from f2vbench.store.feature_sets import stored_sets
from f2vbench.store.features import FeatureSet
from tests.store.test_features import entry, fill, shards_of

DAY = 86_400


def make_set(architecture: str, photographs: int, days: float = 0, group: int = 4) -> FeatureSet:
    """A set of embeddings that was last used some days ago, without a writer that is running."""
    model = {"family": "timm", "architecture": architecture, "preprocessing": 1, "weights": "hub"}
    features = FeatureSet({"model": model, "what": "embedding", "stored": "float32"}, {"arithmetic": "float32"})
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


def test_small_files_are_packed(capsys):
    features = make_set("resnet18", 6, group=1)
    assert "1 feature set: 6 files before, 1 after" in cache(capsys, "pack")
    assert len(shards_of(features)) == 1
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
