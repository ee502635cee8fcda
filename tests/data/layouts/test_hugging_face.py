"""Data sets of the library `datasets`: local copies, and repositories of the Hub without a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from f2vbench.data import hugging_face
from f2vbench.data.images import read_rgb
from f2vbench.data.index import build_index, find_folder
from f2vbench.data.layouts.hugging_face import wanted_dataset
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.errors import DataError, SettingsError

hf = pytest.importorskip("datasets", reason='needs pip install "f2vbench[datasets]"')

GRADES = ["none", "mild", "severe"]


def rows(split: int) -> dict[str, list]:
    """Three photographs of one grey each."""
    return {
        "photo": [Image.fromarray(np.full((4, 4, 3), 60 * split + 10 * number, np.uint8)) for number in range(3)],
        "grade": [0, 2, -1 if split else 1],
        "findings": [[0], [], [0, 1]],
        "words": [["a", "b"], [], ["a"]],
        "age": [61, None, 63],
        "box": [{"x": 1}] * 3,
        "patient": [f"p{split}{number}" for number in range(3)],
    }


FEATURES = hf.Features(
    {
        "photo": hf.Image(),
        "grade": hf.ClassLabel(names=GRADES),
        "findings": hf.Sequence(hf.ClassLabel(names=["drusen", "scar"])),
        "words": hf.Sequence(hf.Value("string")),
        "age": hf.Value("int64"),
        "box": {"x": hf.Value("int64")},
        "patient": hf.Value("string"),
    }
)


@pytest.fixture(scope="module")
def data() -> hf.DatasetDict:
    parts = {name: hf.Dataset.from_dict(rows(number), FEATURES) for number, name in enumerate(("train", "validation"))}
    return hf.DatasetDict(parts)


def card(**changes) -> TaskCard:
    values = {
        **dict.fromkeys(("labels", "source", "terms", "citation", "obtain"), "x"),
        "name": "grades",
        "title": "Grades",
        "family": "classification",
        "layout": "hugging_face",
        "label_kind": "ordinal",
        "classes": [{"name": name, "meaning": name} for name in GRADES],
        "unlabelled": "leave-out",
        "split": "auto",
    }
    return TaskCard.model_validate({**values, **changes})


def test_a_copy_in_arrow_files_and_one_in_parquet_files_are_the_same(data, tmp_path):
    data.save_to_disk(str(tmp_path / "arrow"))
    for name, part in data.items():
        part.to_parquet(tmp_path / "parquet" / "data" / f"{name}-00000-of-00001.parquet")
    indexes = [build_index(card(), tmp_path / kind) for kind in ("arrow", "parquet")]
    for index in indexes:
        assert index["split"].tolist() == ["train"] * 3 + ["val"] * 2
        assert index["label"].tolist() == ["none", "severe", "mild", "none", "severe"]
        assert index["column:age"].tolist() == ["61", "", "63", "61", ""]
        assert index["patient"].tolist() == ["p00", "p01", "p02", "p10", "p11"]
        assert [int(read_rgb(path)[0, 0, 0]) for path in index["path"]] == [0, 10, 20, 60, 70]
        assert "columns that are no text or numbers are left out: box" in index.attrs["notes"][0]
        assert any("left out, no label" in note for note in index.attrs["notes"])
    assert indexes[0]["image"].tolist() == indexes[1]["image"].tolist()


def test_several_classes_a_cell_and_chosen_splits(data, tmp_path):
    data.save_to_disk(str(tmp_path / "copy"))
    findings = [{"name": name, "meaning": name} for name in ("drusen", "scar")]
    options = {"label": "findings", "splits": {"test": "train", "train": "validation"}}
    task = card(options=options, label_kind="multilabel", classes=findings)
    index = build_index(task, tmp_path / "copy")
    assert index["label"].tolist() == ["drusen", "drusen;scar"] * 2
    assert index["split"].tolist() == ["test"] * 2 + ["train"] * 2
    with pytest.raises(DataError, match="no split other; splits are train, validation"):
        build_index(card(options={"splits": {"test": "other"}}), tmp_path / "copy")


def test_a_folder_of_images_with_a_folder_for_each_class(tmp_path):
    for name, grey in (("none/a", 1), ("severe/b", 2)):
        path = tmp_path / "eyes" / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((4, 4, 3), grey, np.uint8)).save(path)
    index = build_index(card(), tmp_path / "eyes")
    assert dict(zip(index["label"], [int(read_rgb(path)[0, 0, 0]) for path in index["path"]], strict=True)) == {
        "none": 1,
        "severe": 2,
    }
    assert set(index["split"]) == {""}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"no rows")
    with pytest.raises(DataError, match="no data set in the format of Hugging Face"):
        build_index(card(), tmp_path / "broken")


def test_what_a_copy_lacks_is_named(data, tmp_path):
    data["train"].remove_columns("photo").save_to_disk(str(tmp_path / "text"))
    with pytest.raises(DataError, match="no column with images; columns are grade"):
        build_index(card(), tmp_path / "text")
    photos = {**rows(0), "second": rows(1)["photo"]}
    hf.Dataset.from_dict(photos, hf.Features({**FEATURES, "second": hf.Image()})).save_to_disk(str(tmp_path / "two"))
    with pytest.raises(DataError, match=r"several columns have images \(photo, second\)"):
        build_index(card(), tmp_path / "two")
    assert len(build_index(card(options={"image": "second"}), tmp_path / "two")) == 3
    empty = data["train"].map(lambda row: {"photo": None}, features=FEATURES)
    empty.save_to_disk(str(tmp_path / "empty"))
    with pytest.raises(DataError, match="row 0: there is no image in this row"):
        build_index(card(), tmp_path / "empty")
    with pytest.raises(SettingsError, match="did you mean 'config'"):
        wanted_dataset({"confg": "x"})
    with pytest.raises(SettingsError, match="must be owner/name"):
        wanted_dataset({"dataset": "name"})


@pytest.fixture
def hub(data, monkeypatch):
    """A Hub with one data set, whose newest revision can be changed."""
    state = SimpleNamespace(commit="a" * 40, asked=[], reachable=True)

    def check() -> None:
        if not state.reachable:
            raise ConnectionError("no route")

    def info(_, name, revision):
        return SimpleNamespace(sha=state.commit)

    def load(path, config, *, cache_dir, revision):
        state.asked.append((path, config, revision))
        return data

    monkeypatch.setattr(hugging_face, "check_hub", check)
    monkeypatch.setattr(
        "huggingface_hub.HfApi.dataset_info", lambda _, name, revision: SimpleNamespace(sha=state.commit)
    )
    monkeypatch.setattr(hf, "load_dataset", load)
    return state


def test_a_data_set_by_name_has_its_commit_in_the_notes_and_is_there_without_a_network(hub):
    task = card(options={"dataset": "clinic/grades", "config": "small", "revision": "main"})
    folder = find_folder(task)
    assert hub.asked == [("clinic/grades", "small", "a" * 40)]
    index = build_index(task, folder)
    assert len(index) == 5
    note = index.attrs["notes"][0]
    assert note.startswith(
        f"data set clinic/grades, configuration small, revision {'a' * 40}; splits train: train, val"
    )
    hub.reachable = False
    assert find_folder(task) == folder
    assert len(hub.asked) == 1
    hub.reachable, hub.commit = True, "b" * 40
    assert find_folder(task) != folder
    assert hub.asked[-1][2] == "b" * 40


def test_a_data_set_that_was_never_downloaded_needs_a_network(hub, tmp_path, data):
    hub.reachable = False
    task = card(options={"dataset": "clinic/other"})
    with pytest.raises(DataError, match=r"clinic/other: the Hub can't be reached .*\n?.*set data=<its folder>"):
        find_folder(task)
    data.save_to_disk(str(tmp_path / "copy"))
    assert len(build_index(task, find_folder(task, tmp_path / "copy"))) == 5


def test_without_the_library_the_message_has_the_line_that_installs_it(tmp_path, monkeypatch):
    (tmp_path / "train.parquet").touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r'pip install "f2vbench\[datasets\]"'):
        build_index(load_card("hugging-face"), tmp_path)


def test_the_card_of_local_copies(data, tmp_path):
    data.save_to_disk(str(tmp_path / "copy"))
    shutil.copytree(tmp_path / "copy", tmp_path / "same")
    task = load_card("hugging-face").model_copy(update={"unlabelled": "leave-out"})
    index = build_index(task, tmp_path / "same")
    assert set(index["label"]) == set(GRADES)
    assert all(Path(path).is_file() for path in index["path"])
