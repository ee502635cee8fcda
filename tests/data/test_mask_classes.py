"""Masks of several classes: values in one file, a file each, pixels that do not count, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.data.file_facts import add_file_facts
from f2vbench.data.images import read_class_bits, read_mask
from f2vbench.data.index import build_index
from f2vbench.data.mask_declaration import ClassDeclaration
from f2vbench.data.photographs import open_photograph
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import card_hash, load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError
from tests.helpers.mask_sets import SIDE, save, structures, write_card, write_class_folders

AV = ClassDeclaration((("artery", "#ff0000,#00ff00"), ("vein", "#0000ff,#00ff00")), ignore="#ffffff")
CLASSES = [{"name": "disc"}, {"name": "cup"}, {"name": "spot"}]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_colours_are_classes_that_overlap_and_pixels_that_do_not_count(tmp_path):
    red, blue, green, white, black = [255, 0, 0], [0, 0, 255], [0, 255, 0], [255] * 3, [0] * 3
    path = save(tmp_path / "av.png", np.array([[red, blue, green], [white, black, black]], np.uint8))
    bits, ignored = read_class_bits(path, AV)
    np.testing.assert_array_equal(bits & 1 > 0, [[True, False, True], [False] * 3])
    np.testing.assert_array_equal(bits & 2 > 0, [[False, True, True], [False] * 3])
    np.testing.assert_array_equal(ignored, [[False] * 3, [True, False, False]])
    assert ClassDeclaration.parse(AV.text()) == AV


def test_undeclared_values_are_named_with_the_file_and_the_remedy(tmp_path):
    grey = save(tmp_path / "grey.png", np.array([[0, 128, 255, 255]], np.uint8))
    disc = ClassDeclaration((("disc", "0,128"), ("cup", "0")), background="255")
    bits, _ = read_class_bits(grey, disc)
    np.testing.assert_array_equal(bits, [[3, 1, 0, 0]])
    with pytest.raises(
        DataError, match=r"grey.png: undeclared values 255 \(50.0% of the pixels\).*`background_values`"
    ):
        read_class_bits(grey, ClassDeclaration((("disc", "128"),)))
    colour = save(tmp_path / "colour.png", np.array([[[255, 0, 0], [255, 255, 0]]], np.uint8))
    with pytest.raises(DataError, match=r"colour.png: undeclared colours #ffff00 \(50.0% of the pixels\)"):
        read_class_bits(colour, AV)


def test_a_file_a_class_and_images_without_a_class_are_negatives(tmp_path):
    write_class_folders(tmp_path / "set", images=6)
    write_card(tmp_path, mask_classes=CLASSES)
    task = open_task("mine", tmp_path / "set")
    assert task.classes == ["disc", "cup", "spot"]
    assert any("spot in 3 of 6; images without a class count as negatives" in note for note in task.notes)
    for row in task.index.itertuples():
        photograph = open_photograph(task.index.set_index("image", drop=False).loc[row.image])
        for number, mask in enumerate(structures(int(row.image[1:]))[1].values()):
            np.testing.assert_array_equal(photograph.annotation.mask(number), mask)
    targets, counted = photograph.square_targets(32)
    assert targets.shape == (3, 32, 32)
    assert counted.shape == (32, 32)
    assert survey(load_card("mine"), tmp_path / "set").counts()["spot"]["all"] == 3


def test_the_fingerprint_depends_on_classes_and_on_pixels_that_do_not_count(tmp_path):
    folder = write_class_folders(tmp_path / "set", images=3)
    write_card(tmp_path, mask_classes=CLASSES)
    write_card(tmp_path, "fewer", mask_classes=CLASSES[:2])
    first = open_task("mine", folder).fingerprint
    assert first != open_task("fewer", folder).fingerprint
    assert card_hash(load_card("mine")) != card_hash(load_card("fewer").model_copy(update={"name": "mine"}))
    save(folder / "ignore" / "p00.png", np.eye(SIDE, dtype=np.uint8) * 255)
    with_ignored = open_task("mine", folder)
    assert with_ignored.fingerprint != first
    photograph = open_photograph(with_ignored.index.iloc[0])
    np.testing.assert_array_equal(photograph.counted, photograph.fov & ~np.eye(SIDE, dtype=bool))


def test_images_without_any_mask_are_refused_or_negatives(tmp_path):
    folder = write_class_folders(tmp_path / "set", images=4)
    save(folder / "images" / "healthy.png", structures(9)[0])
    write_card(tmp_path, mask_classes=CLASSES)
    with pytest.raises(DataError, match=r"1 photograph without a label: .*healthy\.png"):
        open_task("mine", folder)
    write_card(tmp_path, "lesions", mask_classes=CLASSES, unlabelled="negative")
    index = open_task("lesions", folder).index
    healthy = open_photograph(index.iloc[0])
    assert healthy.name == "healthy"
    assert not healthy.annotation.bits.any()


def test_patterns_describe_the_folders_of_a_data_set(tmp_path):
    """The structure of IDRiD's part A."""
    for split, number in (("a. Training Set", 1), ("b. Testing Set", 55)):
        name = f"IDRiD_{number:02}"
        save(tmp_path / "set" / "1. Images" / split / f"{name}.jpg", structures(number)[0])
        for folder, short in (("1. Microaneurysms", "MA"), ("5. Optic Disc", "OD")):
            path = tmp_path / "set" / "2. Truths" / split / folder / f"{name}_{short}.tif"
            save(path, structures(number)[1]["disc"].astype(np.uint8) * 255)
    write_card(
        tmp_path,
        options={
            "images": "1. Images/{split}/{image}",
            "masks": "2. Truths/{split}/*/{image}_{class}",
            "splits": {"train": "a. Training Set", "test": "b. Testing Set"},
        },
        mask_classes=[{"name": "microaneurysm", "read": ["MA"]}],
        split="official",
    )
    index = build_index(load_card("mine"), tmp_path / "set")
    assert index["image"].tolist() == ["test_IDRiD_55", "train_IDRiD_01"]
    assert index["split"].tolist() == ["test", "train"]
    assert all("_MA.tif" in files and "_OD" not in files for files in index["mask_files"])
    assert any("not used: OD (2 files)" in note for note in index.attrs["notes"])


def test_values_in_one_file_need_no_option(tmp_path):
    image, masks = structures(2)
    save(tmp_path / "set" / "images" / "P1_left.png", image)
    save(tmp_path / "set" / "images" / "P1_right.png", image[:, ::-1].copy())
    values = (masks["disc"].astype(np.uint8) + masks["cup"]) * 100
    for name, array in (("left", values), ("right", values[:, ::-1].copy())):
        save(tmp_path / "set" / "masks" / f"P1_{name}.png", array)
    write_card(tmp_path, mask_classes=[{"name": "disc", "values": [100, 200]}, {"name": "cup", "values": [200]}])
    index = build_index(load_card("mine"), tmp_path / "set")
    assert index[["patient", "eye"]].to_numpy().tolist() == [["P1", "left"], ["P1", "right"]]
    task = open_task("mine", tmp_path / "set")
    np.testing.assert_array_equal(open_photograph(task.index.iloc[0]).annotation.mask(1), masks["cup"])
    write_card(tmp_path, "fewer", mask_classes=[{"name": "disc", "values": [100]}])
    with pytest.raises(DataError, match=r"P1_left.png: undeclared values 200 .* `values` of a class") as refused:
        open_task("fewer", tmp_path / "set")
    assert all(f"P1_{eye}.png" in str(refused.value) for eye in ("left", "right"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mask_classes": CLASSES, "mask_values": [1]}, "mask_values and mask_classes: set one of them"),
        ({"ignore_values": [9]}, "ignore_values: needs mask_classes"),
        ({"mask_classes": [{"name": "a", "read": ["x"]}, {"name": "b", "read": ["X"]}]}, "'x' is a spelling of both"),
        ({"mask_classes": [{"name": "a", "values": [0]}]}, "0 is also a value of the class a"),
        ({"mask_classes": [{"name": "ignore"}]}, "use the key ignore_values"),
        ({"unlabelled": "negative"}, "unlabelled: negative needs mask_classes"),
        ({"mask_classes": CLASSES, "family": "retrieval"}, "is a key of the family segmentation"),
    ],
)
def test_keys_of_a_card_that_contradict_each_other(tmp_path, values, message):
    write_card(tmp_path, **values)
    with pytest.raises(SettingsError, match=message):
        load_card("mine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": "masks/{id}"}, r"unknown word \{id\}"),
        ({"images": "images/*"}, r"needs the word \{image\}"),
        ({"fov": "../{image}"}, "must be a path below"),
        ({"splits": {"training": "a"}}, "must map train, val, test"),
        ({"mask": "x"}, "unknown option 'mask'; did you mean 'masks'"),
    ],
)
def test_options_that_are_no_patterns(tmp_path, options, message):
    write_class_folders(tmp_path / "set", images=1)
    write_card(tmp_path, mask_classes=CLASSES, options=options)
    with pytest.raises(SettingsError, match=message):
        build_index(load_card("mine"), tmp_path / "set")


def test_two_masks_of_one_class_and_unknown_splits_are_refused(tmp_path):
    folder = write_class_folders(tmp_path / "set", images=1)
    save(folder / "masks" / "DISC" / "p00.jpg", np.zeros((SIDE, SIDE), np.uint8))
    write_card(tmp_path, mask_classes=CLASSES, options={"masks": "masks/*/{image}"})
    with pytest.raises(DataError, match="are both the mask of p00"):
        build_index(load_card("mine"), folder)
    write_card(tmp_path, "divided", mask_classes=CLASSES, options={"images": "{split}/{image}"})
    with pytest.raises(DataError, match="'images' names no split: add it to `splits`"):
        build_index(load_card("divided"), folder)


def test_rite_has_arteries_veins_and_crossings(photographs):
    card = load_card("rite-av")
    row = build_index(card, photographs / "rite").iloc[0]
    bits, ignored = read_class_bits(row.mask_path, card.class_declaration)
    vessels = read_mask(row.mask_path.replace("/av/", "/vessel/"))
    assert row.mask_path != row.mask_path.replace("/av/", "/vessel/")
    np.testing.assert_array_equal((bits > 0) | ignored, vessels)
    assert 0 < (bits == 3).sum() < 0.1 * vessels.sum()


@pytest.mark.parametrize(("inner", "kind"), [("Drishti-GS1_files/", ""), ("", "GLAUCOMA/")])
def test_soft_maps_of_drishti_gs_count_where_three_experts_agree(tmp_path, inner, kind):
    levels = np.array([[0, 64, 128, 191, 255]], np.uint8)
    for split, truth, name in (("Training", "GT", "drishtiGS_002"), ("Test", "Test_GT", "drishtiGS_001")):
        root = tmp_path / inner / split
        save(root / "Images" / kind / f"{name}.png", np.full((20, 20, 3), 120, np.uint8))
        for class_name, map_ in (("ODsegSoftmap", levels), ("cupsegSoftmap", np.minimum(levels, 191))):
            square = np.repeat(np.repeat(map_, 4, 1), 20, 0)
            save(root / truth / name / "SoftMap" / f"{name}_{class_name}.png", square)
    index = build_index(load_card("drishti-gs"), tmp_path)
    assert index[["image", "split"]].to_numpy().tolist() == [
        ["test_drishtiGS_001", "test"],
        ["train_drishtiGS_002", "train"],
    ]
    task = add_file_facts(index)
    assert set(task["problem"]) == {""}
    annotation = open_photograph(task.iloc[0]).annotation
    for number in (0, 1):
        assert annotation.mask(number)[0].tolist() == [False] * 12 + [True] * 8
