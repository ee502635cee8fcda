"""Weights files are read without running code in them, and loaded tensor by tensor or not at all."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from f2vbench.errors import WeightsError
from f2vbench.pretrained import checkpoints
from f2vbench.pretrained.checkpoints import file_sha256, read_state_dict, read_tensor_shapes
from f2vbench.pretrained.state_dicts import compare_state_dict, match_state_dict


class _Attack:
    """Unpickling it would write a marker file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (os.system, (f"touch {self.marker}",))


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def _equal(state, other) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_tensors_are_read_from_each_format(tmp_path, form):
    state = _network().state_dict()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    assert _equal(read_state_dict(path), state)


@pytest.mark.parametrize("wrap", ["state_dict", "model", "netG"])
def test_usual_wrappers_are_removed(tmp_path, wrap):
    state = _network().state_dict()
    parallel = {f"module.{key}": tensor for key, tensor in state.items()}
    torch.save({wrap: parallel, "epoch": 3, "args": argparse.Namespace(lr=0.1), "optimizer": {}}, tmp_path / "w.pth")
    assert _equal(read_state_dict(tmp_path / "w.pth"), state)


def test_the_module_prefix_is_kept_where_only_some_keys_have_it(tmp_path):
    state = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    torch.save(state, tmp_path / "w.pth")
    assert _equal(read_state_dict(tmp_path / "w.pth"), state)


def test_two_state_dicts_in_one_file_are_ambiguous(tmp_path):
    torch.save({"model": {"a": torch.zeros(1)}, "netG": {"a": torch.ones(1)}}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="model, netG"):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle 0", "pickle 4"])
def test_code_in_a_file_is_not_run(tmp_path, form):
    path, marker = tmp_path / "w.pth", tmp_path / "executed"
    content = {"model.1.weight": torch.zeros(1), "x": _Attack(marker)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(_Attack(marker), protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError, match=r"w\.pth: refused.*safetensors"):
        read_state_dict(path)
    assert not marker.exists()


def test_a_pickled_module_is_refused_with_instructions(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.linear\.Linear.*save_file"):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path, form, part):
    state = {"a": torch.rand(50, 50), "b": torch.rand(500)}
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(WeightsError, match=path.name):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"<html>404</html>", b"\0" * 99])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_other_files_are_refused_as_no_weights_files(tmp_path, content, suffix):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file"):
        read_state_dict(path)


def test_missing_files_and_files_without_tensors_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        read_state_dict(tmp_path / "w.pth")
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no tensors under the keys epoch"):
        read_state_dict(tmp_path / "w.pth")
    torch.save([torch.zeros(1)], tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="contains a list"):
        read_state_dict(tmp_path / "w.pth")


def test_a_mismatch_lists_missing_reshaped_and_extra_keys_and_loads_nothing():
    network = _network()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    state = {**_network().state_dict(), "0.weight": torch.zeros(4, 1, 3, 3), "head.bias": torch.zeros(2)}
    del state["2.bias"]
    with pytest.raises(WeightsError) as caught:
        match_state_dict(network, state, "some.pth", ignore=("fc.*",))
    message = str(caught.value)
    assert "Of the 9 tensors needed, 7 match" in message
    assert "1 missing: 2.bias" in message
    assert "0.weight is (4, 1, 3, 3), needs (4, 3, 3, 3)" in message
    assert "1 not part of it: head.bias" in message
    assert _equal(network.state_dict(), before)


def test_long_lists_of_names_are_shortened():
    with pytest.raises(WeightsError, match=r"8 missing.* and 3 more"):
        compare_state_dict({f"layer{i}": torch.zeros(1) for i in range(8)}, {}, "some.pth")


def test_a_match_copies_every_tensor_and_may_ignore_a_head():
    source, target = _network(), _network()
    match_state_dict(target, {**source.state_dict(), "head.bias": torch.zeros(2)}, "some.pth", ignore=("head.*",))
    assert _equal(source.state_dict(), target.state_dict())


def test_weights_that_are_not_finite_are_refused():
    state = {**_network().state_dict(), "2.bias": torch.tensor([1.0, float("nan")])}
    with pytest.raises(WeightsError, match=r"NaN or infinity: 2\.bias"):
        match_state_dict(_network(), state, "some.pth")


def _with_old_time(path: Path) -> Path:
    os.utime(path, (1e9, 1e9))
    return path


def test_a_hash_is_cached_until_the_file_changes(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    path.write_bytes(b"one")
    _with_old_time(path)
    assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "hashlib", None)  # would fail if it were hashed again
        assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    assert file_sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_the_hash_of_a_recent_file_is_not_cached(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"one")
    stamp = path.stat().st_mtime_ns
    file_sha256(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(stamp, stamp))  # a second write within one tick of the clock
    assert file_sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_hashing_works_without_a_writable_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert file_sha256(_with_old_time(tmp_path / "file")) == hashlib.sha256(b"in the way").hexdigest()
    with pytest.raises(WeightsError, match="can't be read"):
        file_sha256(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_shapes_are_those_of_the_tensors_and_a_safetensors_header_needs_no_torch(tmp_path, suffix):
    state = {"module.a": torch.zeros(2, 3), "module.b": torch.zeros(())}
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)
    assert read_tensor_shapes(path) == {"a": (2, 3), "b": ()}
    if suffix == "safetensors":
        code = (
            "import sys\nfrom f2vbench.pretrained.checkpoints import read_metadata, read_tensor_shapes\n"
            f"read_tensor_shapes({str(path)!r}), read_metadata({str(path)!r})\nassert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(WeightsError, match=rf"w\.{suffix}: "):
        read_tensor_shapes(path)
