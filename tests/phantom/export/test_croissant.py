"""Croissant metadata of a simulated data set, read by mlcroissant."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil

import pytest

from f2vbench.cli.main import main

ARGUMENTS = ["phantom", "patients=1", "size=64", "jobs=1", "parts=systemic,retrieval,video", "croissant=yes"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("croissant") / "eyes"
    assert main([*ARGUMENTS, f"out={out}"]) == 0
    return out


def test_hashes_and_columns_are_those_of_the_tables(folder):
    content = json.loads((folder / "croissant.json").read_text())
    files = {each["name"]: each for each in content["distribution"] if each["@type"] == "cr:FileObject"}
    assert files.keys() == {path.name for path in folder.glob("*.csv")}
    for name, each in files.items():
        assert each["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    records = {each["name"]: each for each in content["recordSet"]}
    for path in folder.glob("*.csv"):
        with path.open() as lines:
            assert [field["name"] for field in records[path.stem]["field"]] == next(csv.reader(lines))
    assert {field["name"] for field in records["eyes"]["field"] if field["dataType"] == "sc:Text"} >= {"image", "eye"}


def test_metadata_can_be_added_to_a_complete_data_set_and_changes_no_other_file(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "croissant.json").unlink()
    assert main([*ARGUMENTS[:-1], f"out={copy}"]) == 0
    assert not (copy / "croissant.json").exists()
    assert main([*ARGUMENTS, f"out={copy}"]) == 0
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "lock":
            assert (copy / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_metadata_without_a_data_set_is_an_error(tmp_path, capsys):
    assert main(["phantom", f"sheet={tmp_path / 'eyes.png'}", "croissant=yes"]) == 2
    assert "set out=folder" in capsys.readouterr().err


def test_mlcroissant_validates_the_file_and_reads_every_record(folder):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed: f2vbench[croissant]")
    data = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert data.metadata.ctx.issues.errors == set()
    assert all("datePublished" in warning for warning in data.metadata.ctx.issues.warnings)
    with (folder / "eyes.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    read = list(data.records("eyes"))
    assert [record["eyes/patient"].decode() for record in read] == [row["patient"] for row in rows]
    assert [record["eyes/dr_grade"] for record in read] == [int(row["dr_grade"]) for row in rows]
    assert [record["eyes/age"] for record in read] == pytest.approx([float(row["age"]) for row in rows])
    for name, pattern in (("images-files", "images/*.png"), ("frames-files", "frames/*/*.png")):
        paths = sorted(record[f"{name}/path"].decode() for record in data.records(name))
        assert paths == sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))
    assert sum(1 for _ in data.records("video")) == 24
