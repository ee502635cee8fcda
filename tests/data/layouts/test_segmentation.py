"""Published structures of segmentation data sets give the expected index, and messages name what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from f2vbench.data.images import read_mask, read_rgb
from f2vbench.data.index import build_index, find_folder
from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.errors import DataError, SettingsError
from tests.helpers.small_eyes import (
    field_of_view,
    label,
    photograph,
    save,
    write_drive,
    write_folder,
    write_hrf,
    write_rite,
)


def card(name: str, **changes) -> TaskCard:
    return load_card(name).model_copy(update=changes)


# Task cards whose name differs from their layout.
CARDS = {
    "angio_report": "angioreport",
    "image_bank": "image-bank",
    "odir_eyes": "odir-eyes",
    "angiogram_table": "phantom-video",
    "class_folders": "jsiec",
    "hugging_face": "hugging-face",
    "masks": "refuge",
    "outcome_table": "phantom-systemic",
    "retfound_folders": "phantom-dr",
    "retrieval_table": "phantom-retrieval",
    "uk_biobank": "ukb-stroke",
}


def names(index, column: str) -> list[str]:
    return [Path(path).name for path in index[column]]


def test_the_index_has_the_promised_columns(tmp_path):
    write_folder(tmp_path)
    index = build_index(card("folder"), tmp_path)
    assert list(index) == [
        "image",
        "path",
        "mask_path",
        "fov_path",
        "patient",
        "eye",
        "modality",
        "split",
        "mask_files",
        "mask_values",
        "fov_values",
        "mask_classes",
    ]
    assert list(index["image"]) == ["a", "b", "c", "d"]
    assert all(Path(path).is_absolute() for path in index["path"])
    assert set(index["modality"]) == {"CF"}


@pytest.mark.parametrize("start", [".", "AV_groundTruth", ".."])
def test_rite_is_found_from_folders_above_and_below_its_root(tmp_path, start):
    root = tmp_path / "download" / "RITE"
    write_rite(root)
    index = build_index(card("rite"), root / start)
    assert len(index) == 40
    assert list(index["image"])[:2] == ["01_test", "02_test"]
    assert index["split"].value_counts().to_dict() == {"test": 20, "train": 20}
    assert index["patient"].is_unique
    assert set(index["fov_path"]) == {""}
    assert index.attrs["notes"] == ["fields of view: 0 given by masks, 40 computed from the photographs"]


def test_rite_reads_the_fields_of_view_of_drive(tmp_path):
    write_rite(tmp_path)
    save(tmp_path / "drive_fov" / "training" / "21_training_mask.gif", field_of_view())
    save(tmp_path / "test" / "mask" / "01_test_mask.gif", field_of_view())
    index = build_index(card("rite"), tmp_path / "AV_groundTruth").set_index("image")
    assert Path(index.loc["21_training", "fov_path"]).name == "21_training_mask.gif"
    assert Path(index.loc["01_test", "fov_path"]).name == "01_test_mask.gif"
    assert (index["fov_path"] == "").sum() == 38


def test_rite_with_test_images_and_colours_only_has_notes_on_both(tmp_path):
    write_rite(tmp_path, splits=("test",), label_folder="av")
    index = build_index(card("rite"), tmp_path)
    assert names(index, "mask_path")[0] == "01_test.png"
    notes = " ".join(index.attrs["notes"])
    assert "training images are not in" in notes
    assert "artery/vein colours" in notes
    assert "20 labelled images found; the complete data set has 40" in notes


def test_the_shared_part_of_rite(photographs):
    index = build_index(card("rite"), photographs / "rite")
    assert list(index["patient"]) == [str(number) for number in range(21, 41)]
    assert names(index, "fov_path") == [f"{number}_training_mask.gif" for number in range(21, 41)]
    assert {Path(path).parent.name for path in index["mask_path"]} == {"vessel"}


def test_drive_whole(tmp_path):
    write_drive(tmp_path / "DRIVE")
    index = build_index(card("drive"), tmp_path)
    assert len(index) == 40
    assert index.attrs["notes"] == []
    first = index.set_index("image").loc["01_test"]
    assert (first["patient"], first["split"]) == ("01", "test")
    assert [Path(first[key]).name for key in ("path", "mask_path", "fov_path")] == [
        "01_test.tif",
        "01_manual1.gif",
        "01_test_mask.gif",
    ]


def test_drive_without_test_labels_leaves_the_test_images_out(tmp_path):
    write_drive(tmp_path, test_labels=False)
    index = build_index(card("drive"), tmp_path)
    assert set(index["split"]) == {"train"}
    assert any("test images are left out" in note for note in index.attrs["notes"])


def test_drive_with_the_second_observer_has_test_images_only(tmp_path):
    write_drive(tmp_path)
    index = build_index(card("drive", options={"observer": 2}), tmp_path)
    assert names(index, "mask_path") == [f"{number:02}_manual2.gif" for number in range(1, 21)]
    np.testing.assert_array_equal(read_mask(index["mask_path"][0]), label(2))


def test_an_image_without_its_mask_stays_in_the_index(tmp_path):
    write_drive(tmp_path)
    (tmp_path / "training" / "1st_manual" / "25_manual1.gif").unlink()
    index = build_index(card("drive"), tmp_path)
    assert list(index.loc[index["mask_path"] == "", "image"]) == ["25_training"]


@pytest.mark.parametrize(("observer", "suffix"), [(1, "1stHO"), (2, "2ndHO")])
def test_chase_db1(photographs, observer, suffix):
    index = build_index(card("chase_db1", options={"observer": observer}), photographs / "chase_db1")
    assert len(index) == 28
    assert index.groupby("patient")["eye"].apply(set).map(lambda eyes: eyes == {"left", "right"}).all()
    assert index["patient"].nunique() == 14
    row = index.set_index("image").loc["Image_03R"]
    assert (row["patient"], row["eye"], row["split"]) == ("03", "right", "")
    assert Path(row["mask_path"]).name == f"Image_03R_{suffix}.png"
    assert Path(row["fov_path"]).parent.name == "fov"


def test_hrf_with_its_official_names(tmp_path):
    write_hrf(tmp_path / "all")
    (tmp_path / "__MACOSX" / "images").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "manual1").mkdir()
    index = build_index(card("hrf"), tmp_path)
    assert len(index) == 45
    assert index.attrs["notes"] == []
    row = index.set_index("image").loc["15_h"]
    assert [Path(row[key]).name for key in ("path", "mask_path", "fov_path")] == [
        "15_h.JPG",
        "15_h.tif",
        "15_h_mask.tif",
    ]


def test_hrf_names_the_photographs_without_label_that_are_left_out(photographs):
    index = build_index(card("hrf"), photographs / "hrf")
    assert len(index) == 42
    assert "left out, no label: 11_h, 12_h, 13_h" in index.attrs["notes"]
    refusing = build_index(card("hrf", unlabelled="refuse"), photographs / "hrf")
    assert list(refusing.loc[refusing["mask_path"] == "", "image"]) == ["11_h", "12_h", "13_h"]


def test_les_av_with_official_and_other_names(tmp_path, photographs):
    for seed, stem in enumerate(("111", "12")):
        save(tmp_path / "images" / f"{stem}.png", photograph(seed))
        save(tmp_path / "vessel-segmentations" / f"{stem}.png", label(seed))
        save(tmp_path / "masks" / f"{stem}_mask.gif", field_of_view())
    official = build_index(card("les_av"), tmp_path)
    assert names(official, "fov_path") == ["111_mask.gif", "12_mask.gif"]
    assert {Path(path).parent.name for path in official["mask_path"]} == {"vessel-segmentations"}
    shared = build_index(card("les_av"), photographs / "les_av")
    assert len(shared) == 22
    assert (shared["mask_path"] != "").all()
    assert (shared["fov_path"] != "").all()


@pytest.mark.parametrize("suffix", ["ppm", "ppm.gz"])
@pytest.mark.parametrize("folders", [("", "", ""), ("stare-images", "labels-ah", "labels-vk")])
def test_stare(tmp_path, suffix, folders):
    for number in (1, 2, 77):
        save(tmp_path / folders[0] / f"im{number:04}.{suffix}", photograph(number))
        save(tmp_path / folders[1] / f"im{number:04}.ah.{suffix}", label(number))
        save(tmp_path / folders[2] / f"im{number:04}.vk.{suffix}", label(number + 1))
    save(tmp_path / folders[0] / f"im0300.{suffix}", photograph(300))
    index = build_index(card("stare"), tmp_path)
    assert list(index["image"]) == ["im0001", "im0002", "im0077"]
    np.testing.assert_array_equal(read_rgb(index["path"][2]), photograph(77))
    np.testing.assert_array_equal(read_mask(index["mask_path"][2]), label(77))
    second = build_index(card("stare", options={"observer": "vk"}), tmp_path)
    np.testing.assert_array_equal(read_mask(second["mask_path"][2]), label(78))


def test_stare_twice_is_refused(tmp_path):
    for folder in ("stare-images", "all-images"):
        save(tmp_path / folder / "im0001.ppm", photograph(1))
    with pytest.raises(DataError, match="both im0001"):
        build_index(card("stare"), tmp_path)


def test_own_images_with_suffixes_patients_and_unusual_names(tmp_path):
    save(tmp_path / "images" / "eye 1 (OD).JPEG", photograph(1))
    save(tmp_path / "masks" / "eye 1 (OD)_label.png", label(1))
    save(tmp_path / "fov" / "eye 1 (OD)_mask.png", field_of_view())
    save(tmp_path / "images" / "b.tif", photograph(2))
    save(tmp_path / "masks" / "b_manual1.gif", label(2))
    save(tmp_path / "masks" / "c.gif", label(3))
    (tmp_path / "images" / "Thumbs.db").touch()
    (tmp_path / "images" / ".b.png").touch()
    (tmp_path / "patients.csv").write_text(
        "Image ,patient,split,age\neye 1 (OD).JPEG, P7 ,train,61\nb,P8,test,\n", encoding="utf-8-sig"
    )
    index = build_index(card("folder"), tmp_path)
    assert index[["image", "patient", "split"]].to_numpy().tolist() == [
        ["b", "P8", "test"],
        ["eye_1__OD_", "P7", "train"],
    ]
    assert names(index, "mask_path") == ["b_manual1.gif", "eye 1 (OD)_label.png"]
    assert names(index, "fov_path") == ["", "eye 1 (OD)_mask.png"]
    assert index.attrs["notes"] == [
        "label files without a photograph, not used: c.gif",
        "fields of view: 1 given by masks, 1 computed from the photographs",
    ]
    assert index.attrs["warnings"] == index.attrs["notes"][:1]


def test_own_images_with_an_official_split(tmp_path):
    write_folder(tmp_path / "set" / "train", ("a", "b"))
    write_folder(tmp_path / "set" / "test", ("a",), first_seed=7)
    index = build_index(card("folder"), tmp_path)
    assert list(zip(index["image"], index["split"], strict=True)) == [
        ("test_a", "test"),
        ("train_a", "train"),
        ("train_b", "train"),
    ]
    assert index["patient"].is_unique
    assert sum("counts as its own patient" in note for note in index.attrs["notes"]) == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,patient\na,1\nb,1\nc,2\n", "images without a row: d.png"),
        ("image,patient\na,1\nb,1\nc,2\nd,2\ne,2\n", "row 6: image 'e' not found in images/"),
        ("image,patient\na,1\nb,1\nc,2\nd,2\nd.png,3\n", "row 6: image 'd.png' is listed twice"),
        ("image,patient\na,1\nb,\nc,2\nd,2\n", "row 3: image 'b' has no patient"),
        ("image,patient,split\na,1,val\nb,1,\nc,2,\nd,2,\n", "row 2: split 'val' must be train, test or empty"),
        ("file,patient\na,1\n", "column image not found; columns are file, patient"),
    ],
)
def test_errors_in_patients_csv_name_the_row(tmp_path, table, message):
    write_folder(tmp_path)
    (tmp_path / "patients.csv").write_text(table)
    with pytest.raises(DataError) as caught:
        build_index(card("folder"), tmp_path)
    assert message in str(caught.value)


def test_ambiguous_files_are_refused(tmp_path):
    write_folder(tmp_path)
    save(tmp_path / "masks" / "a_mask.png", label(1))
    with pytest.raises(DataError, match=r"a\.png and a_mask\.png both fit image a"):
        build_index(card("folder"), tmp_path)
    (tmp_path / "masks" / "a_mask.png").unlink()
    save(tmp_path / "images" / "b.bmp", photograph(1))
    with pytest.raises(DataError, match=r"b\.bmp and b\.png have the same name"):
        build_index(card("folder"), tmp_path)
    (tmp_path / "images" / "b.bmp").unlink()
    save(tmp_path / "images" / "A.png", photograph(9))
    with pytest.raises(DataError, match=r"the same id.*A\.png"):
        build_index(card("folder"), tmp_path)


@pytest.mark.parametrize("name", [CARDS.get(layout, layout) for layout in sorted(LAYOUTS)])
def test_a_folder_without_the_files_is_refused_with_the_expected_structure(tmp_path, name):
    with pytest.raises(DataError, match=r"expected .*; the folder is empty"):
        build_index(card(name), tmp_path)
    (tmp_path / "holiday").mkdir()
    save(tmp_path / "beach.jpg", photograph(0))
    with pytest.raises(DataError, match=r"found beach\.jpg, holiday/|no patient in the names of beach\.jpg"):
        build_index(card(name), tmp_path)


def test_a_folder_with_two_copies_of_the_data_is_refused(tmp_path):
    for copy in ("first", "second"):
        write_hrf(tmp_path / copy)
    with pytest.raises(DataError, match="contains the data set twice"):
        build_index(card("hrf"), tmp_path)


def test_unknown_options_are_refused(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(SettingsError, match=r"task card folder: options: unknown option 'observer'"):
        build_index(card("folder", options={"observer": 1}), tmp_path)
    with pytest.raises(SettingsError, match="unknown option 'observr'; did you mean 'observer'"):
        build_index(card("drive", options={"observr": 1}), tmp_path)
    with pytest.raises(SettingsError, match=r"options\.observer: 3 must be one of 1, 2"):
        build_index(card("chase_db1", options={"observer": 3}), tmp_path)


def test_the_folder_is_found_by_name_or_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"(?s)rite: .*Iowa.*terms: .*how to get it: .*form.*task=folder data="):
        find_folder(load_card("rite"))
    monkeypatch.setenv("F2VBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"save it as .* in F2VBENCH_DATA={tmp_path}"):
        find_folder(load_card("rite"))
    (tmp_path / "RITE").mkdir()
    assert find_folder(load_card("rite")) == tmp_path / "RITE"
    (tmp_path / "mine").mkdir()
    assert find_folder(load_card("rite"), tmp_path / "mine") == tmp_path / "mine"
    with pytest.raises(DataError, match=r"data=.*elsewhere: folder not found"):
        find_folder(load_card("rite"), tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"folder: set data=<folder>"):
        find_folder(load_card("folder"))
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match=r"F2VBENCH_DATA=.*folder not found"):
        find_folder(load_card("rite"))
