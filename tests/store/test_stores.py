"""Run folder, feature store and files: contents are read back, damage is detected, and files are never partial."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from f2vbench.errors import StoreError
from f2vbench.store.features import halved
from f2vbench.store.runs import RunFolder
from f2vbench.store.score_maps import decode, encode
from f2vbench.utils.files import Memo, sealed, unseal, write_atomically

RECORD = {"unit": {"encoder": "a"}, "result": {"maps": {}}, "value": 0.1}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.open_for_writing()
    return folder


def test_a_record_is_read_back_unchanged(run):
    run.write("unit", RECORD)
    assert run.read("unit") == RECORD
    assert list(run.records()) == [RECORD]
    assert run.read("another") is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "not json"])
def test_a_damaged_record_is_set_aside_and_counts_as_absent(run, damage):
    run.write("unit", RECORD)
    path = run.path / "units" / "unit.json"
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncate": content[: len(content) // 2],
            "flip": content.replace(b"0.1", b"0.2"),
            "empty": b"",
            "not json": b"\x00\xff",
        }[damage]
    )
    assert run.read("unit") is None
    assert not path.exists()
    assert len(list((run.path / "set-aside").iterdir())) == 1
    assert "unit.json" in run.set_aside[0]


def test_a_record_of_a_newer_schema_is_refused_and_kept(run):
    run.write("unit", {**RECORD, "schema_version": 2})
    with pytest.raises(StoreError, match="has schema version 2, and this f2vbench reads versions up to 1; update"):
        run.read("unit")
    assert (run.path / "units" / "unit.json").exists()


def test_sealed_files_cannot_contain_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        sealed({"value": float("nan")})
    assert unseal(sealed({"a": [1, None, "ü"]})) == {"a": [1, None, "ü"]}


def test_a_full_disk_leaves_the_old_file_and_no_partial_file(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def full(self, mode="r", *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StoreError, match="No space left on device"):
            write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if not path.is_dir()] == ["file"]


def test_only_stale_partial_files_are_removed(run):
    old, new = (run.path / "units" / name for name in (".a.json.1.x.part", ".b.json.1.x.part"))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    run.open_for_writing()
    assert not old.exists()
    assert new.exists()


def test_a_run_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="can't create"):
        RunFolder(tmp_path / "file" / "run").open_for_writing()


def test_a_unit_is_claimed_by_one_process(run):
    with run.claim("unit") as claimed:
        assert claimed
        script = "import sys; from pathlib import Path; from f2vbench.store.runs import RunFolder\n"
        script += f"with RunFolder(Path({str(run.path)!r})).claim('unit') as claimed: print(claimed)"
        import subprocess
        import sys

        output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert output.strip() == "False"


def test_unit_names_cannot_point_outside_the_folder(run):
    run.write("../../evil/unit", RECORD)
    assert [path.parent.name for path in run.path.rglob("*evil*.json")] == ["units"]


def test_score_maps_are_shared_by_content_and_damage_is_detected(run):
    name = run.put_map(b"png")
    assert run.put_map(b"png") == name
    assert run.get_map(name) == b"png"
    record = {"result": {"maps": {"image": {"sha256": name, "bytes": 3}}}}
    assert run.files_are_whole(record)
    next((run.path / "maps").rglob("*.png")).write_bytes(b"pn")
    assert not run.files_are_whole(record)
    with pytest.raises(StoreError, match="set aside"):
        run.get_map(name)


def test_predictions_of_any_memory_order_are_stored_as_they_are(run):
    """safetensors 0.8 stores what follows in memory, see findings/safetensors_transposed_arrays.sh."""
    table = np.arange(24.0).reshape(2, 4, 3)
    arrays = {"transposed": table.transpose(2, 0, 1), "columns": table[..., ::2], "reversed": table[::-1]}
    stored = run.get_predictions(run.put_predictions(arrays)["sha256"])
    for name, array in arrays.items():
        np.testing.assert_array_equal(stored[name], array)


def test_predictions_are_read_back_and_damage_is_detected(run):
    arrays = {"found": np.array([[3, -1]], np.int32), "similarity": np.array([[0.5, np.nan]], np.float32)}
    entry = run.put_predictions(arrays)
    assert run.put_predictions(dict(reversed(arrays.items()))) == entry
    for name, array in run.get_predictions(entry["sha256"]).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
    record = {"result": {"predictions": entry}}
    assert run.files_are_whole(record)
    path = next((run.path / "predictions").rglob("*.safetensors"))
    path.write_bytes(b"x" * entry["bytes"])
    with pytest.raises(StoreError, match="set aside"):
        run.get_predictions(entry["sha256"])
    assert not run.files_are_whole(record)


def test_probability_maps_keep_ranks_and_the_threshold_of_one_half():
    draw = np.random.default_rng(0)
    scores = (1 / (1 + np.exp(-np.clip(draw.normal(size=(60, 70)) * 4, -9, 9)))).astype(np.float32)
    png, meta = encode(scores, probability=True)
    back = decode(png, meta)
    logits = np.log(scores / (1 - scores.astype(np.float64)))
    assert np.abs(np.log(back / (1 - back.astype(np.float64))) - logits).max() < 0.006
    assert ((back >= 0.5) == (scores >= 0.5)).mean() > 0.999
    assert back.shape == (60, 70)


def test_other_score_maps_have_a_relative_precision_of_one_in_sixty_thousand():
    scores = np.random.default_rng(1).normal(size=(20, 30)).astype(np.float32) * 40
    back = decode(*encode(scores, probability=False))
    assert np.abs(back - scores).max() <= np.ptp(scores) / 65535
    flat = np.full((4, 4), 3.0, np.float32)
    np.testing.assert_array_equal(decode(*encode(flat, probability=False)), flat)
    with pytest.raises(ValueError, match="not finite"):
        encode(np.full((2, 2), np.nan, np.float32), probability=False)


def test_values_beyond_float16_are_kept_in_single_precision():
    assert halved(np.array([1.0, 2.0], np.float32)).dtype == np.float16
    assert halved(np.array([1.0, 1e6], np.float32)).dtype == np.float32


def test_a_memo_ignores_changed_files_and_damaged_lines(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"one")
    Memo("facts.jsonl").put(file, {"n": 1})
    memo_path = tmp_path / "cache" / "facts.jsonl"
    memo_path.write_bytes(b"{damaged\n" + memo_path.read_bytes() + b"[]\n")
    assert Memo("facts.jsonl").get(file) == {"n": 1}
    file.write_bytes(b"three")
    assert Memo("facts.jsonl").get(file) is None
    assert json.loads(memo_path.read_bytes().splitlines()[1])["fact"] == {"n": 1}
