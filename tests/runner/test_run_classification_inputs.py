"""Inputs of classification runs: splits from files, label tables, embeddings; and which of them are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.utils.progress import Silent
from tests.helpers.patients import MODEL, TINY, write_cards, write_patients


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_patients(tmp_path_factory.mktemp("eyes"), 24, 25, 1)


@pytest.fixture(autouse=True)
def cards(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(write_cards(tmp_path / "cards")))


@pytest.fixture
def eyes(source, tmp_path) -> Path:
    """Copy of the data set whose table a test may change."""
    folder = tmp_path / "eyes"
    folder.mkdir()
    (folder / "photos").symlink_to(source / "photos")
    (folder / "eyes.csv").write_bytes((source / "eyes.csv").read_bytes())
    return folder


def change_table(folder: Path, change) -> None:
    table = pd.read_csv(folder / "eyes.csv", dtype=str)
    table = change(table)
    table.to_csv(folder / "eyes.csv", index=False)


PAPER = ["head.recipe=paper", "head.epochs=6", "head.warmup_epochs=1", "head.widths=16"]


def test_a_split_from_a_file_applies_to_every_seed(source, tmp_path, capsys):
    written, own = tmp_path / "split.csv", tmp_path / "own.csv"
    assert main(["data", "split", "task=tiny", f"data={source}", f"out={written}"]) == 0
    table = pd.read_csv(written)
    turned = table.assign(split=table.split.map({"train": "test", "test": "train", "val": "val"}))
    left_out = turned[turned.split == "test"].patient.iloc[0]
    turned = turned[turned.patient != left_out]
    turned[["image", "split"]].to_csv(own, index=False)
    arguments = ["task=tiny", "model=thumbnail", "baselines=none", "shots=2", "seeds=2", f"data={source}", "jobs=1"]
    out = tmp_path / "run"
    assert main(["run", *arguments, f"out={out}", f"split={own}", *PAPER]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "left out, not listed: 2 images" in output
    tested = set(turned[turned.split == "test"].image)
    images = Results.load(out).per_image
    assert len(tested) == 22
    assert {seed: set(group.image) for seed, group in images.groupby("seed")} == {0: tested, 1: tested}
    with pytest.raises(StoreError, match="images or labels"):
        Benchmark(**TINY, data=str(source), out=out).plan()


def test_a_split_file_is_for_one_classification_task(source, tmp_path):
    arguments = {**TINY, "data": {"tiny": str(source), "far": str(source)}, "out": tmp_path / "run"}
    with pytest.raises(SettingsError, match=r"write split\.<task>=file\.csv"):
        Benchmark(**{**arguments, "task": ["tiny", "far"]}, split="a.csv").plan()
    with pytest.raises(SettingsError, match=r"split\.tinny: no such task .*did you mean 'tiny'"):
        Benchmark(**{**arguments, "task": "tiny", "data": str(source)}, split={"tinny": "a.csv"}).plan()
    with pytest.raises(
        SettingsError, match=r"file not found; write one with f2vbench data split task=tiny out=split\.csv"
    ):
        Benchmark(**{**arguments, "data": str(source)}, split=str(tmp_path / "a.csv")).plan()
    with pytest.raises(SettingsError, match="phantom-retrieval is a retrieval task, whose seeds draw the test images"):
        Benchmark(task="phantom-retrieval", model="thumbnail", split="a.csv", out=tmp_path / "run").plan()


def unknown(table):
    return table.assign(ill=["7", *table.ill[1:]])


def missing(table):
    return table.drop(columns="ill")


def twice(table):
    return pd.concat([table, table.iloc[[3]]])


def absent(table):
    return table.assign(image=[*table.image[:-1], "photos/nobody.png"])


def only_in_the_test_part(table):
    return table[(table.ill == "0") | (table.split != "train")]


@pytest.mark.parametrize(
    ("change", "task", "message"),
    [
        (unknown, "tiny", r"label '7' of 1 image \(.*p0_left\.png\) is not a class of tiny"),
        (missing, "tiny", "column 'ill' .* not found"),
        (twice, "tiny", "p1_right"),
        (absent, "tiny", r"photos/nobody\.png"),
        (only_in_the_test_part, "tiny", "no training image of the class ill"),
        (None, "three", "no image of the class worse: the data has 2 of the 3 classes of the task"),
    ],
)
def test_inconsistent_label_tables_are_refused(eyes, tmp_path, change, task, message):
    if change is not None:
        change_table(eyes, change)
    with pytest.raises((DataError, SettingsError), match=message):
        Benchmark(**{**TINY, "task": task, "shots": [1]}, data=str(eyes), out=tmp_path / "run").plan()
    assert not (tmp_path / "run").exists()


def test_embeddings_that_are_not_finite_are_refused_with_the_image_id(source, tmp_path, monkeypatch):
    read = StoredEmbeddings.__call__

    def with_nan(self, images):
        vectors = read(self, images)
        vectors[[image.endswith("p0_left") for image in images], 0] = np.nan
        return vectors

    monkeypatch.setattr(StoredEmbeddings, "__call__", with_nan)
    benchmark = Benchmark(
        **{**TINY, "model": MODEL}, shots=["all"], seeds=1, data=str(source), out=tmp_path / "run", jobs=1
    )
    with pytest.raises(DataError, match=f"{MODEL}: the embedding of photos_p0_left contains values"):
        benchmark.run(Silent())
    assert not list((tmp_path / "run" / "units").glob(f"{MODEL}*"))
