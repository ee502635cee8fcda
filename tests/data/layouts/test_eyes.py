"""The same words and separators name an eye in every layout and table."""

from __future__ import annotations

import pytest

from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.layouts.angiogram_table import _eye
from f2vbench.data.layouts.papila import _patient_and_eye
from f2vbench.errors import DataError
from tests.helpers.small_sets import touch, write_table

PAIRS = [("OD", "OS"), ("od", "os"), ("R", "L"), ("r", "l"), ("right", "left"), ("RIGHT", "Left")]
SEPARATORS = ["_", "-", " ", "."]
TABLES = {
    "outcome_table": ("systemic.csv", ["patient", "stroke"], ["p", "1"]),
    "retrieval_table": ("retrieval.csv", ["patient", "modality"], ["p", "CF"]),
    "image_bank": ("export.csv", ["case", "modality"], ["p", "color"]),
}


@pytest.mark.parametrize(("right", "left"), PAIRS)
@pytest.mark.parametrize("layout", TABLES)
def test_eye_columns(tmp_path, layout, right, left):
    name, columns, values = TABLES[layout]
    rows = [["image", "eye", *columns], ["a.png", right, *values], ["b.png", left, *values], ["c.png", "", *values]]
    for image in "abc":
        touch(tmp_path / f"{image}.png")
    write_table(tmp_path / name, rows)
    assert LAYOUTS[layout](tmp_path, {})["eye"].tolist() == ["right", "left", ""]
    write_table(tmp_path / name, [*rows[:3], ["c.png", "both", *values]])
    with pytest.raises(DataError, match=rf"{name}, row 4: eye 'both' must be left, right \(or OS, OD, L, R\) or empty"):
        LAYOUTS[layout](tmp_path, {})


@pytest.mark.parametrize(("right", "left"), PAIRS)
@pytest.mark.parametrize("separator", SEPARATORS)
class TestNames:
    def test_label_tables(self, tmp_path, right, left, separator):
        names = [f"10{separator}{right}", f"10{separator}{left}", "11"]
        for name in names:
            touch(tmp_path / "train_images" / f"{name}.png")
        write_table(tmp_path / "train.csv", [["id_code", "diagnosis"], *([name, "0"] for name in names)])
        index = LAYOUTS["aptos2019"](tmp_path, {})
        assert index["patient"].tolist() == ["10", "10", "11"]
        assert index["eye"].tolist() == ["right", "left", ""]
        assert "patients are read from 2 file names" in index.attrs["warnings"][0]

    def test_image_folders(self, tmp_path, right, left, separator):
        for name in (f"7{separator}{right}", f"8{separator}{left}"):
            touch(tmp_path / "les" / "images" / f"{name}.png")
            touch(tmp_path / "les" / "masks" / f"{name}.png")
            touch(tmp_path / "les" / "vessel-segmentations" / f"{name}.png")
            touch(tmp_path / "classes" / ("a" if name[0] == "7" else "b") / f"{name}.png")
            touch(tmp_path / "folds" / ("train" if name[0] == "7" else "test") / "a" / f"{name}.png")
        for layout, place in (
            ("les_av", "les"), ("folder", "les"), ("class_folders", "classes"), ("retfound_folders", "folds"),
        ):  # fmt: skip
            index = LAYOUTS[layout](tmp_path / place, {}).sort_values("patient")
            assert list(zip(index["patient"], index["eye"], strict=True)) == [("7", "right"), ("8", "left")], layout

    def test_messidor_and_idrid(self, tmp_path, right, left, separator):
        names = [f"10{separator}{right}", f"10{separator}{left}"]
        folder = tmp_path / "idrid" / "1. Original Images" / "a. Training Set"
        for name in names:
            touch(tmp_path / "messidor" / "IMAGES" / f"{name}.png")
            touch(folder / f"{name}.jpg")
        write_table(
            tmp_path / "messidor" / "messidor_data.csv", [["image_id", "diagnosis"], *([name, "0"] for name in names)]
        )
        write_table(
            tmp_path / "idrid" / "2. Groundtruths" / "a. IDRiD_Disease Grading_Training Labels.csv",
            [["Image name", "Retinopathy grade"], *([name, "0"] for name in names)],
        )
        for layout, place in (("messidor2", "messidor"), ("idrid", "idrid")):
            index = LAYOUTS[layout](tmp_path / place, {})
            assert index["patient"].tolist() == ["10", "10"], layout
            assert index["eye"].tolist() == ["right", "left"]

    def test_case_names_and_papila(self, right, left, separator):
        assert (_eye(f"0012{separator}{right}"), _eye(f"0012{separator}{left}")) == ("right", "left")
        assert _patient_and_eye(f"x_ret002{separator}{right}") == ("RET002", "right")
        assert _patient_and_eye(f"RET002{separator}{left}_2") == ("RET002", "left")


def test_numbers_and_case_of_chase_db1(tmp_path):
    for name in ("Image_01l", "Image_01R"):
        touch(tmp_path / f"{name}.jpg")
        touch(tmp_path / f"{name}_1stHO.png")
    index = LAYOUTS["chase_db1"](tmp_path, {})
    assert list(zip(index["patient"], index["eye"], strict=True)) == [("01", "right"), ("01", "left")]


def test_a_table_names_the_patients_of_a_label_table(tmp_path):
    for name in "ab":
        touch(tmp_path / "train_images" / f"{name}.png")
    write_table(tmp_path / "train.csv", [["id_code", "diagnosis"], ["a", "0"], ["b", "1"]])
    assert LAYOUTS["aptos2019"](tmp_path, {}).attrs["notes"] == [
        "patients are unknown: every photograph counts as its own patient"
    ]
    write_table(tmp_path / "patients.csv", [["image", "patient", "eye"], ["a", "x", "OS"], ["b", "x", "R"]])
    index = LAYOUTS["aptos2019"](tmp_path, {})
    assert list(zip(index["patient"], index["eye"], strict=True)) == [("x", "left"), ("x", "right")]
    assert index.attrs["notes"] == index.attrs["warnings"] == []
    write_table(tmp_path / "patients.csv", [["image", "patient", "Age"], ["a", "x", "63"], ["b", "y", ""]])
    assert LAYOUTS["aptos2019"](tmp_path, {})["column:age"].tolist() == ["63", ""]
    for name, place in (("class_folders", "x"), ("retfound_folders", "train/x")):
        root = tmp_path / name
        touch(root / place / "a.png")
        touch(root / place.replace("x", "y") / "b.png")
        write_table(root / "patients.csv", [["image", "patient", "sex"], ["a", "x", "f"], ["b", "y", "m"]])
        assert LAYOUTS[name](root, {})["column:sex"].tolist() == ["f", "m"]
    write_table(tmp_path / "patients.csv", [["image", "patient"], ["a", "x"], ["b", ""]])
    with pytest.raises(DataError, match="image 'b' has no patient"):
        LAYOUTS["aptos2019"](tmp_path, {})
