"""Facts about files are cached until the files change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from f2vbench.data import file_facts
from f2vbench.data.file_facts import add_file_facts, data_fingerprint
from f2vbench.data.images import content_hash
from f2vbench.data.index import build_index
from f2vbench.data.task_cards import load_card
from tests.helpers.small_eyes import HEIGHT, WIDTH, field_of_view, label, photograph, save, write_folder


@pytest.fixture
def folder(tmp_path) -> Path:
    write_folder(tmp_path / "set")
    save(tmp_path / "set" / "fov" / "b.png", field_of_view())
    return tmp_path / "set"


def described(folder: Path):
    return add_file_facts(build_index(load_card("folder"), folder))


def _forbid_reading(monkeypatch) -> None:
    def refuse(path, *_):
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(file_facts, "read_part", refuse)
    monkeypatch.setattr(file_facts, "read_mask", refuse)


def test_the_facts_are_hashes_and_sizes(folder):
    table = described(folder)
    assert list(table["sha256"]) == [content_hash(photograph(seed)) for seed in range(4)]
    assert list(table["label_sha256"]) == [content_hash(label(seed)) for seed in range(4)]
    assert list(table["fov_sha256"]) == ["", content_hash(field_of_view()), "", ""]
    assert set(table["height"]) == {HEIGHT}
    assert set(table["width"]) == {WIDTH}
    assert set(table["problem"]) == {""}
    assert "patients.csv" in " ".join(table.attrs["notes"])


def test_a_second_call_reads_no_image(folder, monkeypatch):
    first = described(folder)
    _forbid_reading(monkeypatch)
    assert described(folder).equals(first)


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_changed_file_is_read_again(folder, kind):
    before = described(folder)
    path = folder / kind / "c.png"
    save(path, photograph(77) if kind == "images" else label(5))
    after = described(folder)
    column = "sha256" if kind == "images" else "label_sha256"
    assert list(before[column] != after[column]) == [False, False, True, False]
    assert data_fingerprint(before) != data_fingerprint(after)


def test_damaged_lines_of_the_cache_are_ignored(folder):
    expected = described(folder)
    for file in Path(os.environ["F2VBENCH_CACHE"]).iterdir():
        lines = file.read_bytes().splitlines()
        lines[0] = lines[0][: len(lines[0]) // 2]
        lines[1] = lines[1].replace(b'"sha256":"', b'"sha256":"tampered')
        lines[2] = b"\xff\xfe{}"
        file.write_bytes(b"\n".join(lines))
    assert described(folder).equals(expected)


def test_without_a_writable_cache_files_are_read_again(folder, tmp_path, monkeypatch):
    expected = described(folder)
    (tmp_path / "file").touch()
    monkeypatch.setenv("F2VBENCH_CACHE", str(tmp_path / "file" / "cache"))
    again = described(folder)
    assert again.equals(expected)
    assert any("is not writable" in note for note in again.attrs["notes"])


def test_problems_are_not_cached(folder):
    save(folder / "masks" / "a.png", np.zeros((HEIGHT, WIDTH), bool))
    (folder / "images" / "b.png").write_text("no image")
    for _ in range(2):
        problems = list(described(folder)["problem"])
        assert "no vessel pixel" in problems[0]
        assert "b.png" in problems[1]
        assert problems[2:] == ["", ""]
    save(folder / "masks" / "a.png", label(0))
    assert described(folder)["problem"][0] == ""


def test_the_fingerprint_depends_on_contents_and_not_on_locations(folder, tmp_path):
    table = described(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert data_fingerprint(described(tmp_path / "elsewhere")) == data_fingerprint(table)
    assert data_fingerprint(table.iloc[::-1]) == data_fingerprint(table)
    for column in ("image", "patient", "split", "label_sha256", "fov_sha256"):
        changed = table.copy()
        changed.loc[0, column] = "other"
        assert data_fingerprint(changed) != data_fingerprint(table), column
