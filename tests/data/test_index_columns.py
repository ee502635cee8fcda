"""Further columns of a data set's table reach the index, and do not change the identity of the data."""

from __future__ import annotations

import pandas as pd
import pytest
from PIL import Image

from f2vbench.data.external_validation import join_tasks
from f2vbench.data.index_rows import Row, added_columns, index_from_rows
from f2vbench.data.layouts import odir, retfound_folders
from f2vbench.data.task_data import open_task
from f2vbench.utils.progress import Silent
from tests.helpers.patients import write_cards, write_patients


@pytest.fixture
def patients(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(write_cards(tmp_path / "cards")))
    return write_patients(tmp_path / "eyes", 24, 25, 1)


def write_column(folder, name: str, values: list[str] | None) -> None:
    table = pd.read_csv(folder / "eyes.csv", dtype=str)
    table = table.drop(columns=name, errors="ignore") if values is None else table.assign(**{name: values})
    table.to_csv(folder / "eyes.csv", index=False)


def test_columns_of_the_table_are_in_the_index_and_not_in_the_fingerprint(patients):
    write_column(patients, "age", None)
    without = open_task("tiny", patients, Silent())
    assert added_columns(without.index) == {}
    write_column(patients, "age", [str(30 + row) if row else "" for row in range(48)])
    task = open_task("tiny", patients, Silent())
    assert added_columns(task.index) == {"age": "column:age"}
    assert task.index.set_index("image")["column:age"][["photos_p0_left", "photos_p0_right"]].tolist() == ["", "31"]
    assert task.fingerprint == without.fingerprint


def test_images_of_a_data_set_without_the_column_have_no_value(patients, tmp_path):
    other = write_patients(tmp_path / "others", 24, 25, 2)
    write_column(other, "age", None)
    joined = join_tasks(open_task("far", other, Silent()), open_task("tiny", patients, Silent()), near_copies="allow")
    ages = joined.index["column:age"]
    assert set(ages[joined.index["split"] != "test"]) == {""}
    assert set(ages[joined.index["split"] == "test"]) == {str(40 + patient) for patient in range(24)}


def test_rows_with_different_columns_make_one_table(tmp_path):
    rows = [Row("a", tmp_path, columns={"sex": "F"}), Row("b", tmp_path, columns={"age": "50"}), Row("c", tmp_path)]
    index = index_from_rows(rows)
    assert index[["column:sex", "column:age"]].to_numpy().tolist() == [["F", ""], ["", "50"], ["", ""]]


def test_simulated_eyes_have_the_age_and_sex_of_their_patient(tmp_path):
    names = {"train": "P00001_left", "val": "P00002_right", "test": "P00003_left"}
    for split, name in names.items():
        folder = tmp_path / "dr" / split / "anodr"
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    rows = [f"P0000{number},left,{60.25 + number},female" for number in (1, 2, 3)]
    (tmp_path / "eyes.csv").write_text("\n".join(["patient,eye,age,sex", *rows]))
    assert added_columns(retfound_folders.read(tmp_path, {"folder": "dr"})) == {}, "not marked as simulated"
    (tmp_path / "phantom.json").write_text("{}")
    index = retfound_folders.read(tmp_path, {"folder": "dr"}).set_index("patient")
    assert index["column:age"].to_dict() == {"P00001": "61.25", "P00002": "62.25", "P00003": "63.25"}
    assert set(index["column:sex"]) == {"female"}


def test_odir_keeps_the_age_and_sex_of_the_patient(tmp_path):
    (tmp_path / "preprocessed_images").mkdir()
    for eye in ("left", "right"):
        Image.new("RGB", (4, 4)).save(tmp_path / "preprocessed_images" / f"7_{eye}.jpg")
    headings = "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,Right-Diagnostic Keywords"
    row = "7,69,Female,7_left.jpg,7_right.jpg,cataract,normal fundus"
    (tmp_path / "full_df.csv").write_text(f"{headings}\n{row}\n")
    index = odir.read(tmp_path, {"label": "diseases"})
    assert index[["column:age", "column:sex"]].to_numpy().tolist() == [["69", "Female"]] * 2
