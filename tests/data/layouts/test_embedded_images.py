"""Parquet files that contain images, in the form of the Hugging Face Hub."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from f2vbench.data.images import read_rgb
from f2vbench.data.index import build_index
from f2vbench.data.layouts.embedded_images import files_with_images
from f2vbench.data.task_cards import load_card
from f2vbench.errors import DataError
from f2vbench.utils.files import cache_folder

pa = pytest.importorskip("pyarrow", reason="pyarrow reads Parquet files")

from pyarrow import parquet  # noqa: E402


def encoded(grey: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), grey, np.uint8)).save(file, kind)
    return file.getvalue()


def write_shard(path: Path, columns: dict, names: dict[str, list[str]] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    features = {name: {"names": classes, "_type": "ClassLabel"} for name, classes in (names or {}).items()}
    features["image"] = {"_type": "Image"}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


@pytest.fixture
def shards(tmp_path) -> Path:
    names = {"label": ["none", "mild"], "sex": ["F", "M"]}
    for part, split, grey in ((0, "train", 10), (1, "train", 20), (0, "validation", 30), (0, "test", 40)):
        rows = [("10_left.jpeg", 0, 63, 0), ("11_right.png", 1, None, 1), (None, -1, 70, 1)]
        columns = {
            "image": [{"bytes": encoded(grey + i), "path": row[0]} for i, row in enumerate(rows)],
            "label": [row[1] for row in rows], "age": [row[2] for row in rows], "sex": [row[3] for row in rows],
            "boxes": [[1], [2], [3]],
        }  # fmt: skip
        write_shard(tmp_path / "set" / "data" / f"{split}-0000{part}-of-00002.parquet", columns, names)
    return tmp_path / "set"


def test_shards_of_the_hub(shards):
    task = load_card("table").model_copy(update={"unlabelled": "leave-out"})
    index = build_index(task, shards).set_index("image")
    assert index["split"].value_counts().to_dict() == {"train": 4, "val": 2, "test": 2}
    first = index.loc["train_000003_10_left"]
    assert (first.label, first.patient, first.eye) == ("none", "10", "left")
    assert (first["column:age"], first["column:sex"]) == ("63", "F")
    assert read_rgb(first.path).tolist() == np.full((4, 4, 3), 20).tolist(), "the first row of the second shard"
    assert index.loc["test_000001_11_right", "column:age"] == ""
    assert sum("left out, no label" in note for note in index.attrs["notes"]) == 1


def test_files_are_unpacked_once_and_again_if_they_change(shards):
    task = load_card("table").model_copy(update={"unlabelled": "leave-out"})
    build_index(task, shards)
    (unpacked,) = (cache_folder() / "unpacked").iterdir()
    (unpacked / "mark").touch()
    build_index(task, shards)
    assert [place.name for place in (cache_folder() / "unpacked").iterdir()] == [unpacked.name]
    assert (unpacked / "mark").exists()
    for file in (shards / "data").glob("train-00001*"):
        file.unlink()
    assert (build_index(task, shards)["split"] == "train").sum() == 2
    assert len(list((cache_folder() / "unpacked").iterdir())) == 2


def test_one_file_without_a_split(tmp_path):
    columns = {"image": [encoded(1), encoded(2, "JPEG")], "label": ["a", "b"]}
    file = write_shard(tmp_path / "eyes.parquet", columns)
    for place in (tmp_path, file):
        index = build_index(load_card("table"), place)
        assert sorted(Path(path).suffix for path in index["path"]) == [".jpg", ".png"]
        assert set(index["split"]) == {""}
    write_shard(tmp_path / "test.parquet", columns)
    with pytest.raises(DataError, match=r"eyes\.parquet: no train, val or test in its path"):
        build_index(load_card("table"), tmp_path)


def test_tables_without_images_and_rows_without_bytes(tmp_path):
    assert files_with_images(write_shard(tmp_path / "plain.parquet", {"image": ["a"], "label": ["x"]})) == []
    columns = {"image": [{"bytes": None, "path": "/home/me/1.png"}], "label": ["a"]}
    columns["image"] = pa.array(columns["image"], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    write_shard(tmp_path / "x" / "train.parquet", columns)
    with pytest.raises(DataError, match=r"row 0: the file has no bytes of the image, only the path /home/me/1\.png"):
        build_index(load_card("table"), tmp_path / "x")
    assert not any((cache_folder() / "unpacked").iterdir()), "nothing half-written remains"
