"""Weights in shards are written and read in the layout of the Hugging Face Hub; wrong shards are refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import load_torch_model, save_torch_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from f2vbench.errors import StoreError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256, read_metadata, read_state_dict
from f2vbench.pretrained.shards import index_of, read_index, stored_files
from f2vbench.pretrained.state_dicts import load_in_parts
from f2vbench.pretrained.weights_writing import MAX_FILE_BYTES, encode_weights, renamed_weights, write_weights
from f2vbench.utils import files as files_module
from tests.helpers.shards import small_files

LIMIT, MORE, FEWER, WHOLE = 32_000, 17_000, 60_000, 10**6  # 3, 5, 2 shards, one file
INDEX = "w.safetensors.index.json"
SHARDS = [f"w-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def _network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.BatchNorm1d(60), *(nn.Linear(60, 60) for _ in range(5)))


def _write(folder: Path, seed: int = 0, stem: str = "w", limit: int = LIMIT) -> Path:
    with small_files(limit):
        return write_weights(folder, encode_weights(_network(seed).state_dict(), stem, {"seen": '{"enlarge":"2"}'}))


def _equal(state, other) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


def _edit_index(path: Path, edit) -> None:
    index = json.loads(path.read_text())
    edit(index)
    path.write_text(json.dumps(index))


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def index(tmp_path) -> Path:
    return _write(tmp_path / "weights")


def test_shards_and_index_have_the_layout_of_the_hub(index):
    assert _names(index.parent) == [*SHARDS, INDEX]
    content, state = json.loads(index.read_text()), _network().state_dict()
    assert content["metadata"]["total_size"] == sum(tensor.nbytes for tensor in state.values())
    assert content["weight_map"].keys() == state.keys()
    for name in SHARDS:
        file = index.with_name(name)
        assert file.stat().st_size <= LIMIT
        with safe_open(file, "pt") as shard:
            assert set(shard.keys()) == {key for key, value in content["weight_map"].items() if value == name}
        facts = content["metadata"]["shards"][name]
        assert facts == {"size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def test_shards_are_read_by_their_index_and_by_the_name_that_it_replaces(index):
    for path in (index, index.with_name("w.safetensors"), str(index)):
        assert _equal(read_state_dict(path), _network().state_dict())
        assert read_metadata(path) == {"seen": '{"enlarge":"2"}'}
        assert stored_files(path) == [index, *(index.with_name(name) for name in SHARDS)]


def test_a_whole_file_comes_before_an_index_of_its_name(index):
    whole = index.with_name("w.safetensors")
    save_file({"other": torch.zeros(1)}, whole)
    assert set(read_state_dict(whole)) == {"other"}
    assert _equal(read_state_dict(index), _network().state_dict())


def test_huggingface_hub_reads_what_is_written(index):
    network = _network(1)
    result = load_torch_model(network, index.parent, filename_pattern="w{suffix}.safetensors", strict=True)
    assert not result.missing_keys
    assert _equal(network.state_dict(), _network().state_dict())


def test_shards_that_huggingface_hub_writes_are_read(tmp_path):
    state = _network().state_dict()
    pattern, seen = "w{suffix}.safetensors", {"seen": '{"enlarge":"2"}'}
    save_torch_state_dict(state, tmp_path, filename_pattern=pattern, max_shard_size=30_000, metadata=seen)
    path = tmp_path / "w.safetensors"
    assert index_of(path).is_file()
    assert _equal(read_state_dict(path), state)
    assert read_metadata(path) == seen
    before = file_sha256(path)
    shard = read_index(index_of(path)).files[-1]
    save_file({key: tensor + 1 for key, tensor in load_file(shard).items()}, shard)
    assert file_sha256(path) != before


def test_a_network_is_loaded_in_parts_from_shards(index):
    with torch.device("meta"):
        network = _network()
    load_in_parts(network, index.with_name("w.safetensors"), lambda state: state)
    assert _equal(network.state_dict(), _network().state_dict())


def test_files_up_to_the_limit_are_whole(tmp_path):
    state = _network().state_dict()
    whole = encode_weights(state, "w")
    assert list(whole) == ["w.safetensors"]
    size = len(whole["w.safetensors"])
    with small_files(size):
        assert encode_weights(state, "w") == whole
    with small_files(size - 1):
        assert list(encode_weights(state, "w"))[-1] == INDEX


def test_no_shard_of_many_small_tensors_is_above_the_limit_with_its_header():
    state = {f"a.long.name.of.tensor.{number}": torch.zeros(100) for number in range(300)}
    limit = 60_000  # two shards' tensors alone; their headers have 15,000 bytes each
    with small_files(limit):
        *shards, _ = encode_weights(state, "w").values()
    assert len(shards) > 2
    assert max(map(len, shards)) <= limit


def test_a_tensor_above_the_limit_has_a_shard_of_its_own(tmp_path):
    state = {"a": torch.zeros(10), "big": torch.ones(4, MAX_FILE_BYTES // 15), "z": torch.zeros(10)}
    path = write_weights(tmp_path, encode_weights(state, "w"))
    assert [sorted(load_file(file)) for file in read_index(path).files] == [["big"], ["a", "z"]]
    assert _equal(read_state_dict(path), state)
    assert list(encode_weights({"big": state["big"]}, "w")) == ["w.safetensors"]  # nothing to divide


def test_equal_weights_give_equal_files(index, tmp_path):
    again = _write(tmp_path / "again")
    assert [file.read_bytes() for file in stored_files(again)] == [file.read_bytes() for file in stored_files(index)]


def test_the_hash_covers_every_shard_and_the_metadata_and_not_the_names(index, tmp_path):
    digest = file_sha256(index)
    hashes = sorted(hashlib.sha256(index.with_name(name).read_bytes()).hexdigest() for name in SHARDS)
    documented = (
        f'{{"metadata":{{"seen":"{{\\"enlarge\\":\\"2\\"}}"}},"shards":{json.dumps(hashes, separators=(",", ":"))}}}'
    )
    assert digest == hashlib.sha256(documented.encode()).hexdigest()
    assert file_sha256(index.with_name("w.safetensors")) == digest
    renamed = write_weights(tmp_path / "renamed", renamed_weights(index, "other"))
    assert renamed.name == "other.safetensors.index.json"
    assert file_sha256(renamed) == digest
    assert _equal(read_state_dict(renamed), _network().state_dict())
    _edit_index(index, lambda content: content["metadata"].update(seen="{}"))
    assert file_sha256(index) != digest
    digests = {digest, file_sha256(_write(tmp_path / "other", seed=1))}
    for name in SHARDS:  # one tensor differs
        state = _network().state_dict()
        changed = next(key for key, shard in read_index(index).weight_map.items() if shard == name)
        state[changed] += 1
        with small_files(LIMIT):
            path = write_weights(tmp_path / name, encode_weights(state, "w", {"seen": '{"enlarge":"2"}'}))
        digests.add(file_sha256(path))
    assert len(digests) == 2 + len(SHARDS)


def _remove(index: Path) -> None:
    index.with_name(SHARDS[1]).unlink()


def _truncate(index: Path) -> None:
    shard = index.with_name(SHARDS[1])
    shard.write_bytes(shard.read_bytes()[:-5])


def _exchange(index: Path) -> None:
    other = _write(index.parent / "other", seed=1)
    index.with_name(SHARDS[1]).write_bytes(other.with_name(SHARDS[1]).read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_remove, r"w-00002-of-00003\.safetensors: shard 2 of 3 of w\.safetensors\.index\.json is missing"),
        (_truncate, r"w-00002-of-00003\.safetensors: .* bytes, the index records .* truncated"),
        (_exchange, r"w-00002-of-00003\.safetensors: .* of another export \(its SHA-256"),
    ],
)
def test_a_shard_that_is_not_the_indexs_is_refused_by_name(index, change, message):
    change(index)
    for read in (read_state_dict, file_sha256):
        with pytest.raises(WeightsError, match=message):
            read(index)


def test_all_missing_shards_are_listed(index):
    for name in SHARDS[:2]:
        index.with_name(name).unlink()
    with pytest.raises(WeightsError) as caught:
        read_state_dict(index)
    assert len(caught.value.problems) == 2


def test_shards_without_their_index_and_single_shards_say_what_is_needed(index):
    with pytest.raises(WeightsError, match=r"a single shard, .* name its index w\.safetensors\.index\.json"):
        read_state_dict(index.with_name(SHARDS[0]))
    index.unlink()
    with pytest.raises(WeightsError, match=r"their index w\.safetensors\.index\.json is missing"):
        read_state_dict(index.with_name("w.safetensors"))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_index_is_refused(index, kept):
    index.write_bytes(index.read_bytes()[: int(kept * index.stat().st_size)])
    for read in (read_state_dict, file_sha256, read_metadata):
        with pytest.raises(WeightsError, match=r"w\.safetensors\.index\.json: "):
            read(index)


@pytest.mark.parametrize(
    "name", ["../w.safetensors", "/etc/w.safetensors", "a/w.safetensors", r"..\w.safetensors", "w.pt", 3, None]
)
def test_an_index_that_names_a_path_outside_its_folder_is_refused(index, name):
    outside = index.parent.parent / "w.safetensors"
    outside.write_bytes(index.with_name(SHARDS[0]).read_bytes())
    _edit_index(index, lambda content: content["weight_map"].update({"1.weight": name}))
    for read in (read_state_dict, file_sha256):
        with pytest.raises(WeightsError, match="refused, because it names the shard"):
            read(index)


def test_a_tensor_that_the_index_assigns_twice_is_refused(index):
    text = index.read_text()
    index.write_text(text.replace('"weight_map": {', f'"weight_map": {{"1.weight": "{SHARDS[2]}", ', 1))
    with pytest.raises(WeightsError, match=r"contains '1\.weight' twice"):
        read_state_dict(index)


def test_a_tensor_in_two_shards_is_refused(index):
    shard = index.with_name(SHARDS[1])
    _edit_index(index, lambda content: content["metadata"].pop("shards"))
    save_file({**load_file(shard), "1.weight": torch.zeros(60, 60)}, shard)
    with pytest.raises(WeightsError, match=r"contains 1\.weight, and 1\.weight is assigned to another shard"):
        read_state_dict(index)


def test_a_shard_without_its_tensors_or_with_unknown_ones_is_refused(index):
    shard = index.with_name(SHARDS[1])
    _edit_index(index, lambda content: content["metadata"].pop("shards"))
    save_file({**load_file(shard), "more": torch.zeros(1)}, shard)
    with pytest.raises(WeightsError, match=r"contains more, and more is not named"):
        read_state_dict(index)
    save_file({"more": torch.zeros(1)}, shard)
    with pytest.raises(WeightsError, match=r"missing, which w\.safetensors\.index\.json assigns to this shard"):
        read_state_dict(index)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content.pop("weight_map"), "no weight_map"),
        (lambda content: content.update(metadata=[]), "metadata are no JSON object"),
        (lambda content: content["metadata"]["shards"].pop(SHARDS[0]), "name different files"),
        (lambda content: content["metadata"]["shards"][SHARDS[0]].pop("sha256"), "size and sha256 of each"),
        (lambda content: content["metadata"].update(shards=[1]), "size and sha256 of each"),
    ],
)
def test_a_malformed_index_is_refused(index, edit, message):
    _edit_index(index, edit)
    with pytest.raises(WeightsError, match=message):
        read_state_dict(index)


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", '{"weight_map": {}}'])
def test_json_that_is_no_index_is_refused(index, content):
    index.write_text(content)
    with pytest.raises(WeightsError, match="no index of weights in shards"):
        read_state_dict(index)


class _KilledError(BaseException):
    """A process that ends between two file operations."""


@pytest.mark.parametrize("earlier", ["none", "whole", "fewer shards", "more shards", "as many shards"])
@pytest.mark.parametrize("later", ["whole", "shards"])
def test_a_process_that_is_killed_leaves_the_earlier_weights_or_none_or_the_new_ones(
    tmp_path, monkeypatch, earlier, later
):
    limits = {"whole": WHOLE, "fewer shards": FEWER, "more shards": MORE, "as many shards": LIMIT}
    operations = {name: getattr(files_module.Path, name) for name in ("replace", "unlink", "open")}
    outcomes, complete = set(), False
    for kill_at in range(50):
        folder = tmp_path / f"{kill_at}"
        if earlier != "none":
            _write(folder, 1, limit=limits[earlier])
        count = 0

        def operation(name, path, *arguments, kill_at=kill_at, folder=folder, **keywords):
            nonlocal count
            if path.parent == folder:
                count += 1
                if count > kill_at:
                    raise _KilledError
            return operations[name](path, *arguments, **keywords)

        try:
            with monkeypatch.context() as patched:
                for name in operations:
                    patched.setattr(
                        files_module.Path, name, lambda path, *a, name=name, **k: operation(name, path, *a, **k)
                    )
                _write(folder, 2, limit=LIMIT if later == "shards" else limits["whole"])
            complete = True
        except _KilledError:
            pass
        try:
            state = read_state_dict(folder / "w.safetensors")
            outcomes.add(next(seed for seed in (1, 2) if _equal(state, _network(seed).state_dict())))
        except WeightsError:
            outcomes.add("none")
        _write(folder, 3)
        assert _equal(read_state_dict(folder / "w.safetensors"), _network(3).state_dict())
        if complete:
            break
    assert complete
    assert 2 in outcomes
    assert (1 in outcomes) == (earlier != "none")


@pytest.mark.parametrize(("before", "after"), [(LIMIT, WHOLE), (WHOLE, LIMIT), (MORE, LIMIT), (LIMIT, MORE)])
def test_new_weights_leave_no_file_of_earlier_ones(tmp_path, before, after):
    _write(tmp_path / "w", 1, limit=before)
    _write(tmp_path / "w", 1, stem="w-2", limit=before)
    (tmp_path / "w" / "w.json").write_text("{}")
    path = _write(tmp_path / "w", 2, limit=after)
    expected = {file.name for file in stored_files(path)} | {"w.json"}
    others = {file.name for file in stored_files(tmp_path / "w" / "w-2.safetensors")}
    assert set(_names(tmp_path / "w")) == expected | others
    assert _equal(read_state_dict(path), _network(2).state_dict())


def test_a_folder_that_is_not_writable_keeps_the_earlier_weights(tmp_path, monkeypatch):
    path = _write(tmp_path / "w", 1)

    def full(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files_module, "_write_part", lambda part, content, durable: full(part, None))
        with pytest.raises(
            StoreError, match=r"w-00001-of-00003\.safetensors: can't be written: the disk .*No space left"
        ):
            _write(tmp_path / "w", 2)
    assert _equal(read_state_dict(path), _network(1).state_dict())
    assert _names(tmp_path / "w") == [*SHARDS, INDEX]
