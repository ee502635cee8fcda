"""Preparation of assessments, the key, and the files of raters: what is written, and what is refused."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import numpy as np
import pytest

from f2vbench.analysis.assessment import read_assessment
from f2vbench.cli.main import main
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.utils.files import sealed
from f2vbench.videos.assessment.key import draw_raters, read_key, select_images
from f2vbench.videos.assessment.rater_files import read_ratings
from tests.helpers.assessments import prepare_small, write_cases, write_ratings
from tests.helpers.case_files import grey_eye, save


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    return write_cases(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def prepared(cases, tmp_path_factory):
    return prepare_small(cases, tmp_path_factory.mktemp("prepared") / "assessment", seed=4)


@pytest.fixture
def key(prepared):
    return read_key(prepared.key)


def page_data(page: Path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def test_each_rater_sees_every_video_of_every_method_in_an_order_of_their_own(key):
    orders = [[(item["image"], item["method"]) for item in rater["items"]] for rater in key["raters"]]
    everything = {(case["image"], method) for case in key["cases"] for method in ("near", "far")}
    assert len(everything) == 10
    assert all(set(order) == everything for order in orders)
    assert orders[0] != orders[1]
    for rater in key["raters"]:
        for method in key["methods"]:
            sides = [item["generated"] for item in rater["items"] if item["method"] == method]
            assert sorted((sides.count("A"), sides.count("B"))) == [2, 3]


def test_order_and_sides_depend_on_the_seed_and_the_names_on_the_salt_alone():
    images = [f"e{number}" for number in range(6)]
    first = draw_raters(images, ["m"], 2, 1, "salt")
    same = draw_raters(images, ["m"], 2, 1, "pepper")
    other = draw_raters(images, ["m"], 2, 2, "salt")
    without_names = [[{**item, "video": ""} for item in rater["items"]] for rater in (*first, *same, *other)]
    assert without_names[:2] == without_names[2:4] != without_names[4:]
    names = [{item["video"] for rater in drawn for item in rater["items"]} for drawn in (first, same)]
    assert len(names[0]) == 12
    assert not names[0] & names[1]


def test_the_selection_takes_one_eye_of_each_patient_first():
    images = [f"p{number}_{eye}" for number in range(8) for eye in ("left", "right")]
    patients = {image: image.split("_")[0] for image in images}
    for seed in range(5):
        assert len({patients[image] for image in select_images(images, patients, 8, seed)}) == 8
        assert len({patients[image] for image in select_images(images, patients, 12, seed)}) == 8
    assert select_images(images, patients, 8, 0) != select_images(images, patients, 8, 1)


def test_pages_do_not_name_methods_cases_or_sides(prepared, key):
    for page, rater in zip(prepared.pages, key["raters"], strict=True):
        data = page_data(page)
        assert [item["video"] for item in data["items"]] == [item["video"] for item in rater["items"]]
        assert all(item["generated"] == "" for item in data["items"])
        text = re.sub(r'<script type="text/plain".*?</script>', "", page.read_text(), flags=re.DOTALL)
        text = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
        for word in ("near", "far", "c0", "photograph/", key["salt"]):
            assert not re.search(rf"\b{word}\b", text), word
        assert "http" not in text.replace("http-equiv", "")
    assert stat.S_IMODE(prepared.key.stat().st_mode) == 0o600
    assert prepared.key.parent != prepared.pages[0].parent


def test_labelled_pages_say_which_video_is_generated_and_do_not_ask(cases, tmp_path):
    labelled = prepare_small(cases, tmp_path / "labelled", blind="method", criteria="quality", view="one-at-a-time")
    data, items = page_data(labelled.pages[0]), read_key(labelled.key)["raters"][0]["items"]
    assert [item["generated"] for item in data["items"]] == [item["generated"] for item in items]
    assert [question["name"] for question in data["questions"]] == ["quality"]
    assert data["view"] == "one-at-a-time"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"videos": 9}, SettingsError, "videos=9: there are 5 examinations"),
        ({"criteria": "lesion"}, SettingsError, "no such criterion.*did you mean 'lesions'"),
        ({"run": "runs/x"}, SettingsError, "give one of both"),
        ({"frames": {"near": "nowhere"}}, DataError, "nowhere: folder not found"),
    ],
)
def test_wrong_settings_are_refused_and_nothing_is_written(cases, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        prepare_small(cases, tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_frames_of_another_size_or_of_other_cases_are_refused(cases, tmp_path):
    for frame in range(12):
        save(tmp_path / "large" / "c1" / f"{frame:02d}.png", grey_eye(90, side=64))
        save(tmp_path / "other" / "x1" / f"{frame:02d}.png", grey_eye(90))
    with pytest.raises(DataError, match=r"c1/00\.png: 64 × 64 pixels, but the photograph has 48 × 48.*restore=yes"):
        prepare_small(cases, tmp_path / "new", frames={"large": str(tmp_path / "large")}, videos=1)
    with pytest.raises(DataError, match=r"frames\.other=.*none of its cases is one of the 5 cases"):
        prepare_small(cases, tmp_path / "new", frames={"other": str(tmp_path / "other")}, videos=1)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_an_assessment_is_never_written_again(cases, prepared):
    before = prepared.key.read_bytes()
    with pytest.raises(StoreError, match="has an assessment, whose pages and key belong together"):
        prepare_small(cases, prepared.key.parent)
    assert prepared.key.read_bytes() == before


def test_a_changed_key_is_noticed(prepared, key, tmp_path):
    ratings = write_ratings(tmp_path / "a.csv", key, 0, lambda item, criterion: "1")
    changed = tmp_path / "changed.json"
    changed.write_bytes(prepared.key.read_bytes().replace(b'"near"', b'"nearer"', 1))
    with pytest.raises(DataError, match="its checksum does not match its content: it was changed"):
        read_key(changed)
    resealed = {**key, "methods": ["far", "near"]}
    changed.write_bytes(sealed(resealed))
    with pytest.raises(DataError, match=r"a\.csv, row 2, column assessment: .* or the key was changed after its pages"):
        read_ratings([ratings], read_key(changed))
    changed.write_text('{"sha256": "0", "payload": 1')
    with pytest.raises(DataError, match="truncated or not a sealed file"):
        read_key(changed)


def test_ratings_are_joined_with_methods_cases_and_right_guesses(key, tmp_path):
    file = write_ratings(tmp_path / "a.csv", key, 0, lambda item, criterion: "1" if item["method"] == "near" else "4")
    rows = read_ratings([file], key)
    assert len(rows) == 10 * 4
    scores = rows[rows.question == "lesions"].groupby("method").value
    assert scores.mean().to_dict() == {"near": 1, "far": 4}
    assert (rows[rows.question == "acquired"].value == 1).all()
    assert rows.patient.nunique() == 5


def edited(file: Path, row: int, **values: str) -> None:
    """Change fields of a row, counted as a spreadsheet counts."""
    lines = [line.split(",") for line in file.read_text(encoding="utf-8-sig").splitlines()]
    for name, value in values.items():
        lines[row - 1][lines[0].index(name)] = value
    file.write_text("\n".join(",".join(line) for line in lines) + "\n")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lesions": "6"}, "row 4, column lesions: '6' is off the scale; scores are 1 to 5, or empty"),
        ({"perfusion": "2.5"}, "row 4, column perfusion: '2.5' is off the scale"),
        ({"acquired": "left"}, "row 4, column acquired: 'left' must be A, B or empty"),
        ({"video": "v000000"}, "row 4, column video: 'v000000' is not on the page of rater-1"),
        ({"rater": "rater-7"}, "row 4, column rater: 'rater-7' is no rater of this assessment"),
        ({"rater": "rater-2"}, "row 4, column rater: 'rater-2' after 'rater-1'"),
        ({"assessment": "0" * 16}, "row 4, column assessment: '0000000000000000', but the key is of"),
    ],
)
def test_invalid_answers_are_refused_with_file_row_and_column(key, tmp_path, values, message):
    file = write_ratings(tmp_path / "a.csv", key, 0, lambda item, criterion: "1")
    edited(file, 4, **values)
    with pytest.raises(DataError, match=re.escape(f"a.csv, {message}")):
        read_ratings([file], key)


def test_two_files_of_one_rater_repeated_videos_and_missing_columns_are_refused(key, tmp_path):
    first = write_ratings(tmp_path / "a.csv", key, 0, lambda item, criterion: "1")
    second = write_ratings(tmp_path / "b.csv", key, 0, lambda item, criterion: "2")
    with pytest.raises(DataError, match=r"a\.csv and .*b\.csv: are both of rater-1"):
        read_ratings([first, second], key)
    edited(second, 3, video=key["raters"][0]["items"][0]["video"])
    with pytest.raises(DataError, match=r"b\.csv, row 3, column video: .* is also in row 2"):
        read_ratings([second], key)
    second.write_text(second.read_text().replace("lesions", "lesion", 1))
    with pytest.raises(DataError, match="column lesions not found"):
        read_ratings([second], key)


def test_scores_of_one_unfinished_rater_have_a_checklist_of_missing_answers(prepared, key, tmp_path, capsys):
    ratings = tmp_path / "ratings"
    ratings.mkdir()
    file = write_ratings(ratings / "a.csv", key, 0, lambda item, criterion: "2")
    edited(file, 5, lesions="", acquired="")
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1]))  # the last video has no row
    assert main(["assess", "score", str(ratings), f"key={prepared.key}", f"out={tmp_path / 'out'}"]) == 0
    output = capsys.readouterr().out
    assert "2 pairs without all answers; no file of rater-2" in output
    missing = (tmp_path / "out" / "missing.csv").read_text().splitlines()
    items = key["raters"][0]["items"]
    assert missing == [
        "rater,position,video,questions",
        f"rater-1,4,{items[3]['video']},lesions acquired",
        f"rater-1,10,{items[9]['video']},perfusion lesions coherence acquired",
    ]
    stored = read_assessment(tmp_path / "out" / "assessment.json")
    assert int(stored.ratings.value.isna().sum()) == 6
    assert np.nanmax(stored.ratings.value) == 2


def test_scores_of_another_assessment_are_not_replaced(prepared, key, cases, tmp_path, capsys):
    other = prepare_small(cases, tmp_path / "other", videos=2)
    file = write_ratings(tmp_path / "a.csv", key, 0, lambda item, criterion: "2")
    assert main(["assess", "score", str(file), f"key={prepared.key}", f"out={other.key.parent}"]) == 2
    assert "is the folder of another assessment" in capsys.readouterr().err
    table = file.rename(prepared.key.parent / "scores.csv")
    assert main(["assess", "score", str(table), f"key={prepared.key}"]) == 2
    assert "scores.csv: a table of this name would replace it" in capsys.readouterr().err
    table.unlink()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    file = write_ratings(tmp_path / "a.csv", key, 0, lambda item, criterion: "2")
    assert main(["assess", "score", str(file), f"key={prepared.key}", f"out={tmp_path / 'full'}"]) == 2
    assert "has other files (notes.txt)" in capsys.readouterr().err
    assert main(["assess", "score", str(tmp_path / "none"), f"key={prepared.key}"]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
