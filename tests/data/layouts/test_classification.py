"""Published structures of classification data sets give the expected labels, patients and splits."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from f2vbench.data.index import build_index, survey_index
from f2vbench.data.layouts.odir import findings
from f2vbench.data.task_cards import TaskCard, all_cards, load_card
from f2vbench.errors import DataError, SettingsError
from tests.helpers.small_sets import touch, write_sheet, write_split_folders, write_table

DR_TASKS = ("aptos2019", "brset", "eyepacs", "idrid", "messidor2")
DR = ["no_dr", "mild", "moderate", "severe", "proliferative"]
RETFOUND_FOLDERS = {
    "aptos2019": ["anodr", "bmilddr", "cmoderatedr", "dseveredr", "eproliferativedr"],
    "idrid": ["anoDR", "bmildDR", "cmoderateDR", "dsevereDR", "eproDR"],
    "messidor2": ["anodr", "bmilddr", "cmoderatedr", "dseveredr", "eproliferativedr"],
    "papila": ["anormal", "bsuspectglaucoma", "cglaucoma"],
    "glaucoma_fundus": ["anormal_control", "bearly_glaucoma", "cadvanced_glaucoma"],
    "retina": ["anormal", "bcataract", "cglaucoma", "ddretina_disease"],
}


def card(name: str, **changes) -> TaskCard:
    return load_card(name).model_copy(update=changes)


def labels(index) -> dict[str, int]:
    return index["label"].value_counts().to_dict()


def refusal(task: TaskCard, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        build_index(task, folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "below"), list(zip(RETFOUND_FOLDERS, ["", "download", "download/set"] * 2, strict=True))
)
def test_retfound_folders_are_recognised_and_their_classes_named(tmp_path, name, below):
    folders = RETFOUND_FOLDERS[name]
    write_split_folders(tmp_path / below, {split: dict.fromkeys(folders, 2) for split in ("train", "val", "test")})
    index = build_index(card(name), tmp_path)
    assert labels(index) == dict.fromkeys([entry.name for entry in load_card(name).classes], 6)
    assert index["split"].value_counts().to_dict() == dict.fromkeys(("train", "val", "test"), 2 * len(folders))
    for row in index.itertuples():
        folder = Path(row.path).parent
        assert row.label == load_card(name).classes[folders.index(folder.name)].name
        assert row.split == folder.parent.name
    assert index.attrs["variant"] == "retfound"


def test_aptos_from_kaggle(tmp_path):
    rows = [["id_code", "diagnosis"], ["000c1434d8d7", "2"], ["001639a390f0", "4"], ["0024cdab0c1e", "1"]]
    write_table(tmp_path / "aptos" / "train.csv", rows)
    write_table(tmp_path / "aptos" / "test.csv", [["id_code"], ["0005cfc8afb6"]])
    for name in ("000c1434d8d7", "001639a390f0", "0024cdab0c1e", "unlisted"):
        touch(tmp_path / "aptos" / "train_images" / f"{name}.png")
    touch(tmp_path / "aptos" / "test_images" / "0005cfc8afb6.png")
    index = build_index(card("aptos2019"), tmp_path).set_index("image")
    assert index["label"].to_dict() == {
        "000c1434d8d7": "moderate",
        "001639a390f0": "proliferative",
        "0024cdab0c1e": "mild",
    }
    assert index["patient"].is_unique
    assert any("not used: unlisted.png" in note for note in index.attrs["notes"])


def test_the_real_lists_of_aptos(photographs, tmp_path):
    lists = photographs / "label_files" / "aptos2019"
    expected: Counter = Counter()
    for file in sorted(lists.iterdir()):
        shutil.copy(file, tmp_path)
        for line in file.read_text().splitlines():
            path, grade = line.split(" ")
            touch(tmp_path / path)
            expected[DR[int(grade)]] += 1
    index = build_index(card("aptos2019"), tmp_path)
    assert labels(index) == dict(expected)
    assert {entry.name: entry.images for entry in load_card("aptos2019").classes} == dict(expected)
    assert len(index) == load_card("aptos2019").images == sum(expected.values())


def write_idrid(root: Path, photographs: Path) -> None:
    tables = root / "B. Disease Grading" / "2. Groundtruths"
    shutil.copytree(photographs / "label_files" / "idrid", tables)
    images = root / "B. Disease Grading" / "1. Original Images"
    for place, last in (("a. Training Set", 413), ("b. Testing Set", 103)):
        for number in range(1, last + 1):
            touch(images / place / f"IDRiD_{number:03}.jpg")


def test_the_real_tables_of_idrid(photographs, tmp_path):
    write_idrid(tmp_path, photographs)
    index = build_index(card("idrid"), tmp_path)
    assert index.attrs["notes"] == ["patients are unknown: every photograph counts as its own patient"]
    assert index["split"].value_counts().to_dict() == {"train": 413, "test": 103} == load_card("idrid").parts["owner"]
    for split, letter, kind in (("train", "a", "Training"), ("test", "b", "Testing")):
        file = photographs / "label_files" / "idrid" / f"{letter}. IDRiD_Disease Grading_{kind} Labels.csv"
        with file.open(newline="") as lines:
            grades = {row[0]: DR[int(row[1])] for row in list(csv.reader(lines))[1:]}
        rows = index[index["split"] == split]
        assert dict(zip(rows["image"].str.removeprefix(f"{split}_"), rows["label"], strict=True)) == grades
        for entry in load_card("idrid").classes:
            assert entry.expected(split) == list(grades.values()).count(entry.name)
    edema = build_index(card("idrid", options={"label": "macular-edema"}, classes=[], label_kind=None), tmp_path)
    assert set(edema["label"]) == {"0", "1", "2"}


def test_the_real_table_of_messidor2(photographs, tmp_path):
    table = photographs / "label_files" / "messidor2" / "messidor_data.csv"
    shutil.copy(table, tmp_path)
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:  # some of the owner's files have another suffix than in the table
        touch(tmp_path / "IMAGES" / row["id_code"].replace(".png", ".tif"))
    index = build_index(card("messidor2"), tmp_path)
    assert labels(index) == dict(Counter(DR[int(row["diagnosis"])] for row in rows))
    assert {entry.name: entry.images for entry in load_card("messidor2").classes} == labels(index)
    assert index["patient"].nunique() == len(rows)
    names = [row["id_code"] for row in rows]
    pairs = [["left", "right"], *([names[place], names[place + 1]] for place in range(0, len(names), 2))]
    write_table(tmp_path / "messidor-2.csv", pairs, separator=";")
    paired = build_index(card("messidor2"), tmp_path)
    assert paired["patient"].nunique() == len(rows) / 2
    assert (paired.groupby("patient")["eye"].apply(set) == {"left", "right"}).all()
    assert not any("messidor-2.csv" in note for note in paired.attrs["notes"])


def test_messidor2_with_the_graders_headings_leaves_ungradable_images_out(tmp_path):
    rows = [
        ["image_id", "adjudicated_dr_grade", "adjudicated_dme", "adjudicated_gradable"],
        ["20051020_43808_0100_PP.png", "0", "0", "1"],
        ["20051020_43832_0100_PP.png", "4.0", "0", "1"],
        ["IM000001.JPG", "", "", "0"],
    ]
    write_table(tmp_path / "messidor_data.csv", rows)
    for row in rows[1:]:
        touch(tmp_path / "IMAGES" / row[0])
    index = build_index(card("messidor2"), tmp_path)
    assert list(index["label"]) == ["no_dr", "proliferative"]
    assert "left out, no label: IM000001" in index.attrs["notes"]


def write_papila(root: Path, patients: dict[int, tuple[int, int]], kind: str = "xlsx") -> None:
    for short, side in (("od", 0), ("os", 1)):
        rows: list[list[str | int | float | None]] = [
            [None, "Age", "Gender", "Diagnosis", "Refractive_Defect", None, None, "Phakic/Pseudophakic"],
            [None, None, None, None, "dioptre_1", "dioptre_2", "astigmatism", None],
            ["ID"],
            *([f"#{number:03}", 60 + number, 0, both[side], -0.5] for number, both in patients.items()),
        ]
        path = root / "ClinicalData" / f"patient_data_{short}.{kind}"
        if kind == "xlsx":
            write_sheet(path, rows)
        else:
            write_table(path, [["" if cell is None else str(cell) for cell in row] for row in rows])
        for number in patients:
            touch(root / "FundusImages" / f"RET{number:03}{short.upper()}.jpg")


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_papila(tmp_path, kind):
    patients = {2: (1, 2), 4: (0, 0), 113: (0, 1)}
    write_papila(tmp_path / "PapilaDB-PAPILA-17f8fa", patients, kind)
    index = build_index(card("papila"), tmp_path).set_index("image")
    names = ["healthy", "glaucoma", "suspect"]
    for number, (right, left) in patients.items():
        od, os = index.loc[f"RET{number:03}OD"], index.loc[f"RET{number:03}OS"]
        assert (od.label, os.label) == (names[right], names[left])
        assert (od.eye, os.eye) == ("right", "left")
        assert od.patient == os.patient == f"RET{number:03}"
        assert (od["column:age"], os["column:sex"]) == (str(60 + number), "0")


def test_papila_in_retfound_folders_keeps_its_patients(tmp_path):
    for split, folder, name in (
        ("train", "anormal", "RET002OD"),
        ("train", "cglaucoma", "RET002OS"),
        ("test", "anormal", "other"),
    ):
        touch(tmp_path / split / folder / f"{name}.jpg")
    index = build_index(card("papila"), tmp_path)
    known = index.set_index(index["path"].map(lambda path: Path(path).stem))[["patient", "eye"]]
    assert known.loc["RET002OD"].tolist() == ["RET002", "right"]
    assert known.loc["RET002OS"].tolist() == ["RET002", "left"]
    assert known.loc["other", "eye"] == ""


def test_papila_tables_with_mistakes_are_refused_with_file_and_sheet(tmp_path):
    write_papila(tmp_path, {2: (1, 2)})
    table = tmp_path / "ClinicalData" / "patient_data_os.xlsx"
    heading = [None, "Age", "Gender", "Diagnosis"]
    write_sheet(table, [heading, [None, "x"], ["ID"], ["#002", 62, 0, 2], ["total", 1]], title="OS")
    assert "patient_data_os.xlsx, sheet 'OS', row 5: 'total' is not a patient" in refusal(card("papila"), tmp_path)
    write_sheet(table, [["ID", "Age"], ["#002", 62]], title="OS")
    assert "patient_data_os.xlsx, sheet 'OS': no column Diagnosis" in refusal(card("papila"), tmp_path)


@pytest.mark.parametrize("name", ["jsiec", "retina", "glaucoma_fundus"])
def test_class_folders_as_owners_name_them(tmp_path, name):
    task = load_card(name)
    folders = {entry.name: entry.read[0] for entry in task.classes}
    for place, folder in enumerate(folders.values()):
        touch(tmp_path / "archive" / "set" / folder / f"{place}..JPG")  # JSIEC's names have two dots
        touch(tmp_path / "archive" / "set" / folder / f"x{place}.png")
    touch(tmp_path / "archive" / "set" / "1000images" / "nested" / "a.jpg")
    index = build_index(task, tmp_path)
    assert labels(index) == dict.fromkeys(folders, 2)
    assert all(folders[row.label] == Path(row.path).parent.name for row in index.itertuples())
    assert set(index["split"]) == {""}


def test_hrf_labels_are_in_the_file_names(photographs):
    index = build_index(card("hrf-disease"), photographs / "hrf")
    assert labels(index) == {"healthy": 15, "diabetic_retinopathy": 15, "glaucoma": 15}
    assert set(index["mask_path"]) == {""}


def test_odir_labels_of_an_eye_agree_with_an_independent_derivation(photographs):
    """`per_eye_labels.csv` was derived from the same keywords by others."""
    with (photographs / "odir" / "per_eye_labels.csv").open(newline="") as lines:
        rows = {row["image"].removesuffix(".jpg"): row for row in csv.DictReader(lines)}
    names = dict(zip("NDGCAHMO", [entry.name for entry in load_card("odir").classes], strict=True))
    index = build_index(card("odir"), photographs / "odir").set_index("image")
    assert sorted(index.index) == sorted(rows)
    assert set(index["column:sex"]) == {"Female", "Male"}
    assert index["column:age"].astype(int).between(1, 95).all()
    for image, row in rows.items():
        if image != "1250_right":  # "myopic maculopathy": other in that file, myopia in the published labels
            assert set(index.loc[image, "label"].split(";")) == {names[letter] for letter in row["labels8"].split(";")}
        assert index.loc[image, "patient"] == row["patient_id"]
        assert index.loc[image, "eye"] == row["eye"].lower()
    graded = {image: DR[int(float(row["dr_grade_0_4"]))] for image, row in rows.items() if row["dr_grade_0_4"]}
    grades = build_index(card("odir-grade"), photographs / "odir").set_index("image")["label"].to_dict()
    assert grades == graded
    binary = build_index(card("odir-dr"), photographs / "odir").set_index("image")["label"].to_dict()
    two = {**dict.fromkeys(DR[2:], "referable_dr"), "no_dr": "no_dr"}
    assert binary == {image: two[grade] for image, grade in graded.items() if grade != "mild"}


def test_odir_labels_of_both_eyes_combine_to_the_published_labels_of_patients(photographs):
    with (photographs / "odir" / "full_df.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        published = {letter for letter, value in zip("NDGCAHMO", list(row.values())[7:], strict=True) if value == "1"}
        both = findings(row["Left-Diagnostic Keywords"]) + findings(row["Right-Diagnostic Keywords"])
        assert (set(both) - {"N"} or set(both)) == published, row["ID"]


def test_odir_in_the_structure_of_the_challenge(tmp_path):
    head = ["ID", "Patient Age", "Patient Sex", "Left-Fundus", "Right-Fundus", "Left-Diagnostic Keywords "]
    head += ["Right-Diagnostic Keywords", *"NDGCAHMO"]
    rows = [
        [0, 69, "Female", "0_left.jpg", "0_right.jpg", "cataract，mild nonproliferative retinopathy", "normal fundus"],
        [1, 57, "Male", "1_left.jpg", "1_right.jpg", "normal fundus，lens dust", "low image quality"],
        [2, 42, "Male", "2_left.jpg", "2_right.jpg", "tessellated fundus", "severe proliferative diabetic retinopathy"],
    ]
    write_sheet(tmp_path / "ODIR-5K_Training_Annotations(Updated)_V2.xlsx", [head, *rows])
    for number in range(3):
        for eye in ("left", "right"):
            touch(tmp_path / "ODIR-5K_Training_Images" / f"{number}_{eye}.jpg")
    found = build_index(card("odir"), tmp_path).set_index("image")["label"].to_dict()
    assert found == {
        "0_left": "diabetes;cataract",
        "0_right": "normal",
        "1_left": "normal",
        "2_left": "other",
        "2_right": "diabetes",
    }
    grades = build_index(card("odir-grade"), tmp_path).set_index("image")["label"].to_dict()
    assert grades == {"0_left": "mild", "0_right": "no_dr", "1_left": "no_dr", "2_right": "proliferative"}


def write_biobank(root: Path, people: list[tuple[str, float, str]], visits: dict[str, list[str]]) -> None:
    rows = [["eid", "age", "stroke"], *([eid, str(age), outcome] for eid, age, outcome in people)]
    write_table(root / "outcomes.csv", rows)
    for eid, names in visits.items():
        for name in names:
            touch(root / "21016" / eid[:2] / f"{eid}_{name}.png")


def test_uk_biobank_uses_one_photograph_per_participant_balanced_by_age(tmp_path):
    people = [(f"1000{n:03}", 50 + n % 10, "1" if n % 5 == 0 else "0") for n in range(100)]
    people += [("2000001", 52, ""), ("2000002", 52, "1")]
    visits = {eid: ["21016_0_0", "21016_0_1", "21015_0_0"] for eid, _, _ in people[:-1]}
    visits["1000000"] = ["21016_1_0"]
    visits["3000000"] = ["21016_0_0"]
    write_biobank(tmp_path, people, visits)
    index = build_index(card("ukb-stroke"), tmp_path).set_index("patient")
    ages = {eid: age for eid, age, _ in people}
    bands: Counter = Counter((ages[eid] // 5, label) for eid, label in index["label"].items())
    cases = Counter(age // 5 for eid, age, outcome in people[:-2] if outcome == "1")
    assert bands == {(band, side): count for band, count in cases.items() for side in ("with", "without")}
    assert index.index.is_unique
    assert index.loc["1000000", "image"] == "1000000_1_0"
    assert set(index["eye"]) == {"right"}
    assert index["column:age"].to_dict() == {eid: str(ages[eid]) for eid in index.index}
    assert not {"2000001", "2000002", "3000000"} & set(index.index)
    other = build_index(card("ukb-stroke", options={"balance": "none", "visit": 1}), tmp_path)
    assert list(other["image"]) == ["1000000_1_0"]


def test_uk_biobank_tables_with_mistakes(tmp_path):
    people = [("1", 50, "0"), ("1", 51, "1"), ("2", 52, "yes"), ("3", 0, "1")]
    write_biobank(tmp_path, people, {"1": ["21016_0_0"]})
    message = refusal(card("ukb-stroke"), tmp_path)
    for problem in ("row 3: participant 1 is listed twice", "row 4: stroke 'yes' must be 0, 1", "row 5: age '0' must"):
        assert problem in message
    write_table(tmp_path / "outcomes.csv", [["eid", "age"], ["1", "50"]])
    assert "column stroke not found" in refusal(card("ukb-stroke"), tmp_path)


def test_label_files_with_mistakes_are_refused_by_row(tmp_path):
    rows = [["id_code", "diagnosis"], ["a", "2"], ["b", "7"], ["a", "1"], ["gone", "0"]]
    table = write_table(tmp_path / "train.csv", rows)
    for name in "ab":
        touch(tmp_path / "train_images" / f"{name}.png")
    assert "row 4: image 'a' is listed before, in" in refusal(card("aptos2019"), tmp_path)
    write_table(table, [*rows[:3], rows[4]])
    message = refusal(card("aptos2019"), tmp_path)
    assert "1 listed image missing" in message
    assert "row 4: image 'gone' not found in" in message
    assert "label '7' of 1 image (" in message
    assert "no_dr (0, anodr, nodr, none)" in message
    lenient = card("aptos2019", absent="leave-out")
    assert "gone" not in refusal(lenient, tmp_path)
    index, problems = survey_index(lenient, tmp_path)
    assert (len(index), len(problems)) == (2, 1)
    write_table(table, [["id", "grade"], ["a", "2"]])
    assert "column id_code not found; columns are id, grade" in refusal(card("aptos2019"), tmp_path)


def test_unknown_class_folders_are_refused_with_a_suggestion(tmp_path):
    write_split_folders(tmp_path, {"train": {"anormal": 1, "bcatarract": 2}, "test": {"anormal": 1}})
    message = refusal(card("retina"), tmp_path)
    assert "label 'bcatarract' of 2 images" in message
    assert "did you mean 'bcataract'" in message


def test_both_structures_in_one_folder_are_refused(tmp_path):
    write_split_folders(tmp_path / "retfound", {"train": {"anormal": 1}, "test": {"anormal": 1}})
    for name in ("1_normal", "2_cataract"):
        touch(tmp_path / "dataset" / name / "a.png")
    assert "contains the data set twice" in refusal(card("retina"), tmp_path)


def test_cards_with_contradicting_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    text = load_card("phantom-systemic").path.read_text().replace("name: phantom-systemic", "name: mine")
    for change, message in (
        (('read: ["1"]', 'read: ["0"]'), "'0' is a spelling of both without and with"),
        (("label_kind: binary\n", ""), "classes and label_kind go together"),
        (("family: classification", "family: retrieval"), "are keys of the family classification"),
    ):
        (tmp_path / "tasks" / "mine.yaml").write_text(text.replace(*change))
        with pytest.raises(SettingsError, match=message):
            load_card("mine")


def test_every_classification_card_has_classes_meanings_and_patients():
    for name, task in all_cards().items():
        assert isinstance(task, TaskCard), name
        of_data = name in ("table", "hugging-face")  # whose classes are those of the user's data
        if task.family == "classification" and not of_data:
            assert len(task.classes) >= 2, name
            assert task.patients, name
            assert all(entry.meaning for entry in task.classes)
    assert [entry.name for entry in load_card("aptos2019").classes] == DR
    schemes = {tuple(entry.name for entry in load_card(name).classes) for name in DR_TASKS}
    assert len(schemes) == 1
