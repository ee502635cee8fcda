"""A table of images and labels in every form that users have, and the mistakes that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from f2vbench.data.index import build_index, find_folder
from f2vbench.data.index_rows import added_columns
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.progress import Silent
from tests.helpers.small_eyes import photograph, save
from tests.helpers.small_sets import touch, write_sheet, write_table

ROWS = [
    ["Image", "Diagnosis", "Patient ID", "Gender", "weight"],
    ["a.png", "mild", "p1", "F", "61.5"],
    ["b", "none", "p1", "F", ""],
    ["sub/c.jpg", "none", "p2", "M", "80"],
]
IMAGES = ("a.png", "deep/er/b.jpeg", "sub/c.jpg")


def table_card(**changes) -> TaskCard:
    return load_card("table").model_copy(update=changes)


def multi_label(**options) -> TaskCard:
    classes = [{"name": name, "meaning": "x"} for name in ("normal", "dr", "glaucoma")]
    values = load_card("table").model_dump() | {"label_kind": "multilabel", "classes": classes, "options": options}
    return TaskCard.model_validate(values)


def write_images(folder: Path, names=IMAGES) -> Path:
    for name in names:
        touch(folder / name)
    return folder


def refusal(task: TaskCard, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        build_index(task, folder)
    return str(caught.value)


def column(index: pd.DataFrame, name: str) -> dict[str, str]:
    return dict(zip(index["image"], index[name], strict=True))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "xlsx", "parquet", "jsonl"])
def test_all_formats_give_the_same_index(tmp_path, suffix):
    write_images(tmp_path)
    path = tmp_path / f"labels.{suffix}"
    if suffix == "xlsx":
        write_sheet(path, [[cell or None for cell in row] for row in ROWS])
    elif suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow reads Parquet files")
        frame = pd.DataFrame(ROWS[1:], columns=ROWS[0]).assign(weight=[61.5, None, 80])
        frame.set_index(pd.Index([7, 8, 9])).to_parquet(path)
    elif suffix == "jsonl":
        lines = [{name: cell for name, cell in zip(ROWS[0], row, strict=True) if cell} for row in ROWS[1:]]
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    else:
        write_table(path, ROWS, "\t" if suffix == "tsv" else ",")
    for place in (tmp_path, path):
        index = build_index(table_card(), place)
        assert column(index, "label") == {"a": "mild", "b": "none", "sub_c": "none"}
        assert column(index, "patient") == {"a": "p1", "b": "p1", "sub_c": "p2"}
        assert column(index, "column:sex") == {"a": "F", "b": "F", "sub_c": "M"}
        assert column(index, "column:weight") == {"a": "61.5", "b": "", "sub_c": "80"}
        assert column(index, "path")["b"] == str(tmp_path / "deep" / "er" / "b.jpeg")
        assert any(
            f"labels.{suffix}: columns image: image; label: diagnosis; patient: patient id; sex: gender; kept for "
            "subgroups: weight" in note
            for note in index.attrs["notes"]
        )


def test_a_table_is_found_below_the_folder_and_among_others(tmp_path):
    write_images(tmp_path / "set")
    write_table(tmp_path / "set" / "labels.csv", ROWS)
    write_table(tmp_path / "set" / "other.csv", [["x", "y"], ["1", "2"]])
    assert len(build_index(table_card(), tmp_path)) == 3
    write_table(tmp_path / "set" / "old.csv", ROWS)
    message = refusal(table_card(), tmp_path)
    assert "has 2 tables of labels" in message
    assert "data=<table>" in message
    assert len(build_index(table_card(options={"table": "old.csv"}), tmp_path)) == 3
    assert "expected the table none.csv" in refusal(table_card(options={"table": "none.csv"}), tmp_path)
    (tmp_path / "empty").mkdir()
    assert "expected a table (.csv, .tsv, .xlsx, .parquet, .jsonl)" in refusal(table_card(), tmp_path / "empty")
    assert find_folder(table_card(), tmp_path / "set" / "old.csv") == tmp_path / "set" / "old.csv"


def test_eyepacs_as_downloaded(tmp_path):
    write_table(
        tmp_path / "trainLabels.csv", [["image", "level"], ["10_left", "0"], ["10_right", "2"], ["13_left", "4"]]
    )
    write_table(tmp_path / "sampleSubmission.csv", [["image", "level"], ["1_left", "0"]])
    write_images(tmp_path / "train", ("10_left.jpeg", "10_right.jpeg", "13_left.jpeg"))
    index = build_index(load_card("eyepacs"), tmp_path)
    assert column(index, "label") == {"10_left": "no_dr", "10_right": "moderate", "13_left": "proliferative"}
    assert column(index, "patient") == {"10_left": "10", "10_right": "10", "13_left": "13"}
    assert column(index, "eye") == {"10_left": "left", "10_right": "right", "13_left": "left"}


def test_kaggles_tables_of_aptos_and_idrid(tmp_path):
    divided = tmp_path / "aptos"
    for split, name, grade in (("train", "train_1", "0"), ("val", "valid", "1"), ("test", "test", "2")):
        write_table(divided / f"{name}.csv", [["id_code", "diagnosis"], [f"{split}1", grade], ["same", "0"]])
        write_images(divided / f"{split}_images" / f"{split}_images", (f"{split}1.png", "same.png"))
    index = build_index(load_card("aptos2019"), tmp_path)
    assert column(index, "split") == {
        f"{split}_{name}": split for split in ("train", "val", "test") for name in (f"{split}1", "same")
    }
    assert column(index, "label")["val_val1"] == "mild"
    rows = [["id_code", "diagnosis"], ["IDRiD_001", "3"], ["IDRiD_001test", "4"]]
    write_table(tmp_path / "idrid" / "idrid_labels.csv", rows)
    write_images(tmp_path / "idrid" / "Imagenes" / "Imagenes", ("IDRiD_001.jpg", "IDRiD_001test.jpg"))
    index = build_index(load_card("idrid"), tmp_path / "idrid")
    assert column(index, "label") == {"IDRiD_001": "severe", "IDRiD_001test": "proliferative"}
    assert len(build_index(table_card(), tmp_path / "idrid")) == 2, "the card for any table reads it, too"


def test_an_image_folder_with_a_table_in_each_split(tmp_path):
    """The form of Hugging Face's image folders with metadata."""
    for split, names in (("train", "ab"), ("test", "c")):
        write_images(tmp_path / split, [f"{name}.png" for name in names])
        lines = [json.dumps({"file_name": f"{name}.png", "label": number % 2}) for number, name in enumerate(names)]
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    tables = {split: f"{split}/metadata.jsonl" for split in ("train", "test")}
    index = build_index(table_card(options={"table": tables}), tmp_path)
    assert column(index, "split") == {"train_a": "train", "train_b": "train", "test_c": "test"}
    assert column(index, "label") == {"train_a": "0", "train_b": "1", "test_c": "0"}
    message = refusal(table_card(options={"table": {"train": "metadata.jsonl", "test": "none.csv"}}), tmp_path)
    assert "the table metadata.jsonl occurs 2 times" in message
    assert "write its folder, too, as in test/metadata.jsonl" in message
    assert "the table none.csv of the split test not found" in message


def test_brset_with_its_codes(tmp_path):
    head = [
        "image_id",
        "patient_id",
        "camera",
        "patient_age",
        "patient_sex",
        "exam_eye",
        "DR_ICDR",
        "hypertensive_retinopathy",
    ]
    rows = [
        head,
        ["img00001", "1", "Canon CR", "48", "1", "1", "0", "0"],
        ["img00002", "1", "NIKON", "", "2", "2", "3", "1"],
    ]
    write_table(tmp_path / "labels_brset.csv", rows)
    write_images(tmp_path / "fundus_photos", ("img00001.jpg", "img00002.jpg"))
    index = build_index(load_card("brset"), tmp_path)
    assert column(index, "label") == {"img00001": "no_dr", "img00002": "severe"}
    assert index["eye"].tolist() == ["right", "left"]
    assert index["column:sex"].tolist() == ["male", "female"]
    assert index["column:age"].tolist() == ["48", ""]
    assert set(added_columns(index)) == {"age", "sex", "camera", "hypertensive_retinopathy"}
    rows[1][5] = "3"
    write_table(tmp_path / "labels_brset.csv", rows)
    assert "row 2: eye '3' must be left, right" in refusal(load_card("brset"), tmp_path)


def test_the_real_table_of_rfmid(photographs, tmp_path):
    text = (photographs / "label_files" / "rfmid" / "RFMiD_Training_Labels.csv").read_text(encoding="utf-8")
    lines = text.splitlines()
    for folder, inner, name, count in (
        ("Training_Set", "Training", "Training", 1920), ("Evaluation_Set", "Validation", "Validation", 9),
        ("Test_Set", "Test", "Testing", 9),
    ):  # fmt: skip
        place = tmp_path / folder
        write_images(place / inner, [f"{number + 1}.png" for number in range(count)])
        (place / f"RFMiD_{name}_Labels.csv").write_text("\n".join(lines[: count + 1]), encoding="utf-8")
    index = build_index(load_card("rfmid"), tmp_path)
    assert index["split"].value_counts().to_dict() == {"train": 1920, "val": 9, "test": 9}
    training = index[index["split"] == "train"]["label"].str.split(";")
    found = {name: sum(name in labels for labels in training) for name in ("dr", "armd", "tv", "normal", "other")}
    table = pd.read_csv(tmp_path / "Training_Set" / "RFMiD_Training_Labels.csv")
    rare = table[table.columns[29:]].any(axis=1)
    assert found == {"dr": 376, "armd": 100, "tv": 6, "normal": 401, "other": int(rare.sum())}
    assert column(index, "label")["train_4"] == "mh;odc"
    risk = build_index(load_card("rfmid-risk"), tmp_path)
    assert risk[risk["split"] == "train"]["label"].value_counts().to_dict() == {"disease": 1519, "normal": 401}


def test_several_labels_in_a_cell_or_in_columns(tmp_path):
    write_images(tmp_path)
    rows = [["image", "labels"], ["a", "dr|glaucoma"], ["b", "glaucoma; DR"], ["c", "normal"]]
    write_table(tmp_path / "t.csv", rows)
    expected = {"a": "dr;glaucoma", "b": "dr;glaucoma", "c": "normal"}
    assert column(build_index(multi_label(), tmp_path), "label") == expected
    rows = [["image", "Glaucoma", "risk", "DR"], ["a", "1", "0", "True"], ["b", "1.0", "1", "1"], ["c", "0", "0", "0"]]
    write_table(tmp_path / "t.csv", rows)
    index = build_index(multi_label(no_finding="normal"), tmp_path)
    assert column(index, "label") == expected
    assert added_columns(index) == {"risk": "column:risk"}
    assert "1 row with 0 in all label columns (row 4)" in refusal(multi_label(), tmp_path)
    write_table(tmp_path / "t.csv", [rows[0], ["a", "1", "0", ""], ["b", "2", "0", "0"], ["c", "0", "1", "1"]])
    message = refusal(multi_label(no_finding="normal"), tmp_path)
    assert "row 2: no value in dr: write 0 or 1" in message
    assert "row 3, column 'glaucoma': '2' must be 0 or 1" in message


def test_one_column_for_each_class_of_one(tmp_path):
    write_images(tmp_path)
    rows = [["image", "mild", "none"], ["a", "1", "0"], ["b", "0", "1"], ["c", "0", "1"]]
    write_table(tmp_path / "t.csv", rows)
    one_hot = table_card(options={"label": ["mild", "none"]})
    assert column(build_index(one_hot, tmp_path), "label") == {"a": "mild", "b": "none", "c": "none"}
    write_table(tmp_path / "t.csv", [*rows[:3], ["c", "1", "1"]])
    assert "row 4: the classes mild, none in one image" in refusal(one_hot, tmp_path)


def test_numbers_of_regression_and_survival(tmp_path):
    write_images(tmp_path)
    rows = [["image", "Age", "pressure", "years", "dead"], ["a", "63", "14.5", "2", "1"], ["b", "70", "", "5", "0"]]
    write_table(tmp_path / "t.csv", rows)
    texts = load_card("table").model_dump() | {"unit": "mmHg", "unlabelled": "leave-out"}
    task = TaskCard.model_validate(texts | {"family": "regression", "options": {"value": "pressure"}})
    index = build_index(task, tmp_path)
    assert (index["value"].tolist(), index["column:age"].tolist()) == (["14.5"], ["63"])
    age = TaskCard.model_validate(texts | {"family": "regression", "options": {"value": "age"}})
    index = build_index(age, tmp_path)
    assert (index["value"].tolist(), "column:age" in index) == (["63.0", "70.0"], False)
    follow_up = {"family": "survival", "unit": "years", "horizon": 5, "options": {"time": "years", "event": "dead"}}
    index = build_index(TaskCard.model_validate(texts | follow_up), tmp_path)
    assert (index["time"].tolist(), index["event"].tolist()) == (["2.0", "5.0"], ["1", "0"])
    with pytest.raises(SettingsError, match=r"options\.label: not a label of the family regression"):
        build_index(task.model_copy(update={"options": {"label": "age"}}), tmp_path)
    assert "no column recognised as value" in refusal(task.model_copy(update={"options": {}}), tmp_path)


def test_names_that_fit_several_files_or_none(tmp_path):
    write_images(tmp_path, ("x/1.png", "y/1.png", "y/2.png", "y/unlisted.png", "notes.txt"))
    table = write_table(
        tmp_path / "t.csv", [["file", "label"], ["y/1", "b"], ["C:\\data\\X\\1.tif", "a"], ["2.jpg", "a"]]
    )
    index = build_index(table_card(), tmp_path)
    assert column(index, "label") == {"x_1": "a", "y_1": "b", "2": "a"}
    assert index.attrs["extra"] == [str(tmp_path / "y" / "unlisted.png")]
    write_table(table, [["file", "label"], ["1", "b"], ["2", "a"]])
    assert "row 2: image '1' is the name of 2 files" in refusal(table_card(), tmp_path)
    write_table(table, [["file", "label"], ["y/1", "b"], ["gone", "a"], ["2", "a"]])
    assert "row 3: image 'gone' not found in" in refusal(table_card(), tmp_path)
    lenient = build_index(table_card(absent="leave-out"), tmp_path)
    assert any("1 listed image missing" in note and "left out" in note for note in lenient.attrs["notes"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [["a", "1"], ["b", "mild"], ["c", "2"]],
            "column 'label': numbers (row 2: '1') and text (1 row, row 3: 'mild')",
        ),
        ([["a", "1"], ["b", "1"], ["b.jpeg", "1"]], "row 4: image 'b.jpeg' is listed before, in"),
        ([["a", "1"], ["b", "1"], ["b", "2"]], "with the label '1' and here '2': keep the row that is right"),
        ([["a", "Mild"], ["b", "mild"], ["c", "x"]], "the labels Mild, mild differ in capitals or spaces only"),
        ([["a", "1"], ["", "1"], ["c", "2"]], "row 3: no image name"),
    ],
)
def test_mistakes_in_rows_are_refused(tmp_path, rows, message):
    write_images(tmp_path)
    write_table(tmp_path / "t.csv", [["image", "label"], *rows])
    assert message in refusal(table_card(), tmp_path)


def test_numbers_that_are_no_classes(tmp_path):
    write_images(tmp_path, [f"{number}.png" for number in range(30)])
    rows = [[str(number), str(40 + number)] for number in range(30)]
    write_table(tmp_path / "t.csv", [["image", "label"], *rows])
    assert "column 'label': 30 different numbers (40, 41" in refusal(table_card(), tmp_path)
    write_table(
        tmp_path / "t.csv", [["image", "label"], *([row[0], "1.0" if int(row[0]) % 2 else "1"] for row in rows)]
    )
    assert set(build_index(table_card(), tmp_path)["label"]) == {"1"}


def test_columns_that_do_not_exist_or_are_not_recognised(tmp_path):
    write_images(tmp_path)
    write_table(tmp_path / "t.csv", [["picture", "severity"], ["a", "1"], ["b", "2"], ["sub/c", "1"]])
    message = refusal(table_card(), tmp_path)
    assert "no column recognised as image; columns are picture, severity" in message
    assert "no column recognised as label" in message
    message = refusal(table_card(options={"image": "picture", "label": "severty"}), tmp_path)
    assert "column 'severty' (label in the options of the card) not found; did you mean 'severity'?" in message
    assert len(build_index(table_card(options={"image": "picture", "label": "severity"}), tmp_path)) == 3
    coded = {"image": "picture", "label": "severity", "values": {"sex": {"1": "m"}}}
    assert "column 'sex' (`values` in the options of the card) not found" in refusal(
        table_card(options=coded), tmp_path
    )
    with pytest.raises(
        SettingsError, match=r"(?s)unknown option 'labels'; did you mean 'label'.*options\.table.*must be a name"
    ):
        build_index(table_card(options={"labels": "x", "table": "../b.csv"}), tmp_path)


def test_a_role_can_be_left_without_a_column(tmp_path):
    write_images(tmp_path)
    write_table(tmp_path / "t.csv", [["image", "label", "side"], ["a", "1", "up"], ["b", "2", "up"], ["c", "1", "x"]])
    assert "eye 'up' must be left, right" in refusal(table_card(), tmp_path)
    index = build_index(table_card(options={"eye": None}), tmp_path)
    assert column(index, "column:side") == {"a": "up", "b": "up", "c": "x"}


def test_splits_of_the_table(tmp_path):
    names = [f"{number}.png" for number in range(8)]
    for seed, name in enumerate(names):
        save(tmp_path / name, photograph(seed))
    words = ["train", "Training", "test", "valid", "train", "train", "testing", "dev"]
    rows = [
        [name, str(number % 2), f"p{number}", word]
        for number, (name, word) in enumerate(zip(names, words, strict=True))
    ]
    head = ["image", "label", "patient", "partition"]
    table = write_table(tmp_path / "t.csv", [head, *rows])
    task = open_task("table", tmp_path, Silent())
    assert task.card.split == "official"
    assert task.index["split"].tolist() == ["train", "train", "test", "val", "train", "train", "test", "val"]
    rows[2][2] = "p0"
    write_table(table, [head, *rows])
    with pytest.raises(
        DataError, match=r"patient p0 is in several splits of the official split: 0 \(train\), 2 \(test\)"
    ):
        open_task("table", tmp_path, Silent())
    assert any(finding.kind == "patient" for finding in survey(table_card(), tmp_path, alike=1).findings)
    rows[2][1:3] = ["2", ""]
    rows[3][3] = "fold 1"
    write_table(table, [head, *rows])
    message = refusal(table_card(), tmp_path)
    assert "row 4: image '2.png' has no patient in column 'patient'" in message
    assert "row 5: split 'fold 1' must be train, val, test or empty" in message
    assert "row 4: the class '2' occurs only outside the training split (1 image)" in message
