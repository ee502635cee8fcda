"""Feature sets: entries are read back bit for bit, by several writers, after crashes, damage and merging."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from f2vbench.errors import StoreError
from f2vbench.store import shard_folder
from f2vbench.store.features import FeatureSet
from f2vbench.store.row_index import RowIndex
from f2vbench.store.shard import Shard, ShardError, make_row, write_shard

WIDTH = 5


def entry(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def vector(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=WIDTH).astype(np.float32)


def fill(features: FeatureSet, numbers, group: int = 4) -> None:
    """Store vectors in work items of a few."""
    numbers = list(numbers)
    for start in range(0, len(numbers), group):
        with features.writing():
            for number in numbers[start : start + group]:
                features.put(entry(number), {"embedding": vector(number)})


def assert_complete(features: FeatureSet, numbers) -> None:
    """All vectors are read back, one by one and together."""
    numbers = list(numbers)
    values, stored = features.get_many([entry(number) for number in numbers], "embedding")
    assert stored.all()
    np.testing.assert_array_equal(values, np.stack([vector(number) for number in numbers]))
    for number in numbers[:3]:
        np.testing.assert_array_equal(features.get(entry(number))["embedding"], vector(number))


def shards_of(features: FeatureSet) -> list[Path]:
    return sorted(features.folder.glob("*.safetensors"))


@pytest.fixture
def features() -> FeatureSet:
    return FeatureSet({"model": "a"}, {"weights_sha256": "1"})


def test_features_are_found_by_content(features):
    features.put(entry(0), {"level0": np.arange(6, dtype=np.float16).reshape(2, 3)})
    np.testing.assert_array_equal(features.get(entry(0))["level0"], np.arange(6).reshape(2, 3))
    assert FeatureSet({"model": "a"}, {"weights_sha256": "2"}).get(entry(0)) is None
    assert FeatureSet({"model": "b"}, {"weights_sha256": "1"}).get(entry(0)) is None
    assert FeatureSet.planned({"model": "a"}).key == features.key
    assert FeatureSet.planned({"model": "b"}) is None


def test_a_shard_is_a_safetensors_file_whose_entries_may_differ_in_arrays(tmp_path):
    entries = {
        b"a" * 32: {"level0": np.ones((2, 3), np.float16), "level1": np.full((1, 1), 7, np.float32)},
        b"b" * 31 + b"\0": {"level0": np.full((2, 3), 1e6, np.float32), "level1": np.zeros((1, 1), np.float32)},
        b"c" * 32: {"level0": np.zeros((2, 3), np.float16), "level1": np.ones((1, 1), np.float32)},
        b"d" * 32: {"mask": np.array([True, False]), "count": np.array(3, np.int64)},
    }
    shard = Shard(write_shard(tmp_path, [make_row(name, arrays) for name, arrays in entries.items()]))
    read = dict(shard.rows())
    assert read.keys() == entries.keys()
    for name, arrays in entries.items():
        assert read[name].arrays.keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(read[name].arrays[key], array)
            assert (read[name].arrays[key].dtype, read[name].arrays[key].shape) == (array.dtype, array.shape)
    tensors = load_file(shard.path)
    np.testing.assert_array_equal(tensors["0/level0"], np.stack([np.ones((2, 3)), np.zeros((2, 3))]))
    assert tensors["entries"][2].tobytes() == b"b" * 31 + b"\0"


def test_entries_of_one_work_item_are_one_shard_and_appear_at_its_end(features):
    other = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    with features.writing():
        for number in range(3):
            features.put(entry(number), {"embedding": vector(number)})
        assert features.has(entry(2))
        np.testing.assert_array_equal(features.get(entry(2))["embedding"], vector(2))
        assert not other.has(entry(2))
    assert len(shards_of(features)) == 1
    assert other.has_many([entry(number) for number in (2, 7, 0)]).tolist() == [True, False, True]
    assert_complete(other, range(3))


def test_an_error_in_a_work_item_loses_no_entry(features):
    def encode():
        with features.writing():
            features.put(entry(0), {"embedding": vector(0)})
            raise RuntimeError("encoder")

    with pytest.raises(RuntimeError, match="encoder"):
        encode()
    assert_complete(FeatureSet({"model": "a"}, {"weights_sha256": "1"}), [0])


def test_a_process_that_is_killed_loses_at_most_its_work_item(features):
    script = """
import os
from pathlib import Path
from f2vbench.store.features import FeatureSet
from tests.store.test_features import entry, fill, vector
features = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
fill(features, range(8))
Path.replace = lambda *_: os._exit(9)  # between writing and renaming
fill(features, range(8, 12))
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == 9
    assert_complete(features, range(8))
    assert not features.has_many([entry(number) for number in range(8, 12)]).any()
    assert len(list(features.folder.glob(".*.part"))) == 1
    fill(features, range(8, 12))
    assert_complete(features, range(12))


def test_writers_in_several_threads_and_a_process_lose_nothing(features):
    script = """
from f2vbench.store.features import FeatureSet
from tests.store.test_features import fill
fill(FeatureSet({"model": "a"}, {"weights_sha256": "1"}), range(30, 100), 1)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    writers = [
        threading.Thread(
            target=lambda first=first: fill(
                FeatureSet({"model": "a"}, {"weights_sha256": "1"}), range(first, first + 40), 1
            )
        )
        for first in (0, 20, 100)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert process.wait() == 0
    assert_complete(features, range(140))
    assert len(shards_of(features)) < 100  # merged meanwhile


def test_the_same_entry_of_two_writers_is_stored_once_after_merging(features):
    other = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    other.put(entry(0), {"embedding": vector(1)})
    features.put(entry(0), {"embedding": vector(0)})
    features.put(entry(1), {"embedding": vector(1)})
    features.merge()
    assert [len(Shard(path)) for path in shards_of(features)] == [2]
    assert_complete(FeatureSet({"model": "a"}, {"weights_sha256": "1"}), range(2))


def test_small_shards_are_merged_and_readers_read_on(features, monkeypatch):
    fill(features, range(12), 1)
    reader = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    assert_complete(reader, range(12))
    before = shards_of(features)
    fill(features, range(12, 20), 1)
    assert len(shards_of(features)) == 5  # 16 of one entry became one
    assert not any(path.exists() for path in before)
    assert_complete(reader, range(12))  # from the retired shards
    assert_complete(reader, range(20))
    features.merge()
    assert [len(Shard(path)) for path in shards_of(features)] == [20]
    assert len(list((features.folder / "retired").iterdir())) > 16
    monkeypatch.setattr(shard_folder, "_RETIRED_SECONDS", 0.0)
    monkeypatch.setattr(shard_folder, "_CLEANING_SECONDS", 0.0)
    time.sleep(0.01)
    fill(features, range(20, 22), 1)
    features.merge()
    assert len(list((features.folder / "retired").iterdir())) == 3  # of the last merge alone
    assert_complete(reader, range(22))


def test_shards_are_bounded_by_entries_and_bytes(features, monkeypatch):
    monkeypatch.setattr(shard_folder, "ROWS_PER_SHARD", 4)
    monkeypatch.setattr(shard_folder, "BYTES_PER_SHARD", 1000)
    with features.writing():
        for number in range(10):
            features.put(entry(number), {"embedding": vector(number)})
        for number in range(10, 14):
            features.put(entry(number), {"embedding": vector(number), "map": np.zeros(100, np.float32)})
    assert [len(Shard(path)) for path in shards_of(features)] == [4, 4, 3, 2, 1]


def test_a_damaged_entry_is_set_aside_alone_and_counts_as_absent(features):
    fill(features, range(4))
    (path,) = shards_of(features)
    content = bytearray(path.read_bytes())
    content[content.index(vector(2).tobytes()) + 3] ^= 1
    path.write_bytes(content)
    reader = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    assert reader.has(entry(2))  # verified when it is read
    assert reader.get(entry(2)) is None
    assert not reader.has(entry(2))
    assert "features of 1 of 4 photographs set aside" in reader.set_aside[0]
    assert "computed again" in reader.set_aside[0]
    assert path.with_name(path.name + ".damaged").exists()
    assert_complete(reader, [0, 1, 3])
    fill(reader, [2])
    assert_complete(FeatureSet({"model": "a"}, {"weights_sha256": "1"}), range(4))


def test_damaged_entries_that_are_read_together_are_set_aside(features):
    fill(features, range(6), 6)
    (path,) = shards_of(features)
    content = path.read_bytes()
    path.write_bytes(content.replace(vector(1).tobytes(), vector(4).tobytes()))  # the values of another entry
    values, stored = FeatureSet({"model": "a"}, {"weights_sha256": "1"}).get_many(
        [entry(number) for number in range(6)], "embedding"
    )
    assert stored.tolist() == [True, False, True, True, True, True]
    np.testing.assert_array_equal(values[[0, 2, 3, 4, 5]], [vector(number) for number in (0, 2, 3, 4, 5)])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-7],
        lambda content: content[:6],
        lambda content: b"",
        lambda content: content[:20] + b"\xff" + content[21:],
        lambda content: content.replace(b'"version":"1"', b'"version":"2"'),
        lambda content: content.replace(b'"entries"', b'"entrees"'),
    ],
)
def test_a_damaged_shard_is_set_aside(features, damage):
    fill(features, range(3))
    (path,) = shards_of(features)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ShardError):
        Shard(path)
    reader = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    assert not reader.has(entry(0))
    assert "damaged shard of features set aside" in reader.set_aside[0]
    assert not path.exists()


def test_a_damaged_shard_in_a_folder_that_is_not_writable_is_named_once(features, monkeypatch):
    fill(features, range(3))
    (path,) = shards_of(features)
    path.write_bytes(b"")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    reader = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    assert not reader.has(entry(0))
    assert not reader.has(entry(1))
    (note,) = reader.set_aside
    assert "damaged, and can't be set aside (Permission denied)" in note
    assert path.exists()


def test_a_full_disk_is_an_error_and_leaves_no_partial_shard(features, monkeypatch):
    fill(features, range(2))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StoreError, match="the disk or the quota is full"):
            fill(features, range(2, 4))
    assert not list(features.folder.glob(".*.part"))
    assert_complete(features, range(2))
    assert not features.has(entry(2))


def test_entries_of_single_files_are_packed_and_damaged_ones_are_kept_aside(features):
    fill(features, [0])  # writes the key
    for number in range(1, 6):
        block = save({"embedding": vector(number)})
        digest = hashlib.sha256(block).digest()
        content = digest + (block[:-1] if number == 5 else block)
        (features.folder / f"{entry(number)}.features").write_bytes(content)
    reader = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    assert "features of 4 photographs packed" in reader.set_aside[0]
    assert_complete(reader, range(5))
    assert not reader.has(entry(5))
    assert not list(features.folder.glob("*.features"))
    assert [path.stem for path in features.folder.glob("*.damaged")] == [entry(5)]
    assert FeatureSet({"model": "a"}, {"weights_sha256": "1"}).set_aside == []


def test_single_files_in_a_folder_that_cannot_be_locked_are_an_error(features, monkeypatch):
    fill(features, [0])
    (features.folder / f"{entry(1)}.features").write_bytes(b"")
    (features.folder / ".pack.lock").mkdir()
    with pytest.raises(StoreError, match="one file each"):
        FeatureSet({"model": "a"}, {"weights_sha256": "1"})


@pytest.mark.parametrize("name", ["entry", "ab", entry(0) + "00", "g" * 64])
def test_names_of_entries_are_hashes(features, name):
    with pytest.raises(ValueError, match=r"hexadecimal|bytes"):
        features.put(name, {"embedding": vector(0)})
    with pytest.raises(ValueError, match="hexadecimal"):
        features.has(name)


def test_entries_without_arrays_or_with_other_dtypes_are_refused(features):
    with pytest.raises(ValueError, match="at least one array"):
        features.put(entry(0), {})
    with pytest.raises(ValueError, match="dtype complex128"):
        features.put(entry(0), {"embedding": np.ones(2, complex)})
    fill(features, [1])
    features.put(entry(2), {"embedding": np.ones(WIDTH + 1, np.float32)})
    with pytest.raises(StoreError, match="shape"):
        features.get_many([entry(1), entry(2)], "embedding")
    with pytest.raises(StoreError, match="no array 'level0'"):
        features.get_many([entry(1)], "level0")


def test_nothing_is_read_of_an_empty_set(features):
    values, stored = features.get_many([entry(0)], "embedding")
    assert (len(values), stored.tolist()) == (0, [False])
    assert features.has_many([]).tolist() == []
    assert features.bytes_per_entry() is None
    assert not features.folder.exists()


def test_the_index_agrees_with_a_dictionary():
    draw = np.random.default_rng(0)
    index, expected = RowIndex(), {}
    for shard in range(40):
        names = np.array([bytes([*draw.integers(0, 4, 3), 1]) for _ in range(draw.integers(1, 9))], "S32")
        names = draw.permutation(np.unique(names))
        index.add(shard, names)
        expected |= {name: (shard, row) for row, name in enumerate(names.tolist())}
        sought = np.array([bytes([a, b, c, 1]) for a in range(4) for b in range(4) for c in range(4)], "S32")
        shards, rows = index.find(sought)
        assert [(-1, -1) if s < 0 else (s, r) for s, r in zip(shards, rows, strict=True)] == [
            expected.get(name, (-1, -1)) for name in sought.tolist()
        ]
    assert len(index) < 200
    index.drop({39})
    gone = {name for name, (shard, _) in expected.items() if shard == 39}
    shards, _ = index.find(np.array(sorted(gone), "S32"))
    assert not (shards == 39).any()


def test_a_reader_sees_a_shard_that_appears_in_the_same_clock_tick(features):
    reader = FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    fill(features, [0])
    assert reader.has(entry(0))
    change = features.folder.stat().st_mtime_ns
    fill(features, [1])
    os.utime(features.folder, ns=(change, change))
    time.sleep(0.25)
    assert reader.has(entry(1))


def test_a_set_that_is_opened_was_used(features):
    fill(features, [0])
    key = features.folder / "key.json"
    os.utime(key, (0, 0))
    assert json.loads(key.read_bytes())["model"] == "a"
    FeatureSet({"model": "a"}, {"weights_sha256": "1"})
    assert time.time() - key.stat().st_mtime < 60
