"""The trainer's data: cases found, checked, split by patient, sampled, cropped and augmented."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch.utils.data import DataLoader

from f2vbench.data.case_table import COLUMNS, read_table
from f2vbench.data.cases import PHASES, read_folder
from f2vbench.errors import DataError, SettingsError
from f2vbench.training.data.augmentation import AUGMENTATIONS, Augmentation, change_colours, draw_geometry, warp
from f2vbench.training.data.case_images import RegisteredEye, angiogram_field, square_eye
from f2vbench.training.data.case_split import split_patients
from f2vbench.training.data.dataset import CaseSet, Sample, collate, open_cases
from f2vbench.training.data.sources import evenly_spaced

SIDE = 48
OPEN = {"size": 32, "seed": 0, "augment": "none"}


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def disc(radius: float = 20.0, side: int = SIDE) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(rows, columns) < radius


def grey_eye(level: int, side: int = SIDE) -> np.ndarray:
    """A frame whose level tells which one it is."""
    return (disc(side=side) * level).astype(np.uint8)


def colour_eye(side: int = SIDE) -> np.ndarray:
    return (disc(side=side)[..., None] * np.array([190, 110, 50])).astype(np.uint8)


class Table:
    """A table in the released format, with its images; frame number n of a case has the level 20 + 5 n."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.rows: list[dict[str, str]] = []

    def case(self, name: str, patient: str, counts=(4, 4, 4), absolute: bool = False) -> Table:
        photograph = save(self.folder / "images" / f"{name}.png", colour_eye())
        number = 0
        for phase, count in zip(("Arterial", "venous", "LATE "), counts, strict=True):
            for _ in range(count):
                frame = save(self.folder / "frames" / f"{name}_{number}.png", grey_eye(20 + 5 * number))
                files = [str(f if absolute else f.relative_to(self.folder)) for f in (photograph, frame)]
                values = [patient, name, phase, str(10.0 + number), *files]
                self.rows.append(dict(zip(COLUMNS, values, strict=True)))
                number += 1
        return self

    def write(self, encoding: str = "utf-8", columns=COLUMNS) -> Path:
        path = self.folder / "video.csv"
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        return path


@pytest.fixture
def table(tmp_path) -> Table:
    made = Table(tmp_path / "data")
    for number in range(6):
        made.case(f"c{number}", f"patient{number}")
    return made


def everything(opened: CaseSet) -> list[Sample]:
    parts = (opened.train, opened.validation, opened.test)
    return [part[index] for part in parts for index in range(len(part))]


def levels(sample: Sample) -> list[int]:
    """The grey level of each frame's middle, back on 0 … 255."""
    middle = sample.frames.shape[-1] // 2
    return [round(float(value + 1) * 127.5) for value in sample.frames[:, 0, middle, middle]]


# The table


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_gives_cases_with_frames_in_order_of_phase_and_time(table, encoding):
    table.rows.reverse()
    opened = open_cases(table.write(encoding), **OPEN)
    found = {sample.case: sample for sample in everything(opened)}
    assert sorted(found) == [f"c{number}" for number in range(6)]
    assert levels(found["c3"]) == [20 + 5 * number for number in range(12)]


def test_absolute_paths_and_a_folder_with_the_table_are_read_too(tmp_path):
    table = Table(tmp_path)
    for number in range(3):
        table.case(f"c{number}", f"p{number}", absolute=True)
    table.write()
    assert len(everything(open_cases(tmp_path, **OPEN))) == 3


def test_samples_are_what_the_trainer_was_promised(table):
    sample = everything(open_cases(table.write(), **OPEN))[0]
    assert sample.photograph.shape == (3, 32, 32)
    assert sample.photograph.dtype == torch.float32
    assert sample.frames.shape == (12, 1, 32, 32)
    assert sample.frames.dtype == torch.float32
    assert sample.inside.shape == (1, 32, 32)
    assert sample.inside.dtype == torch.bool
    assert sample.lesions is None
    red, green, blue = sample.photograph[:, 16, 16].tolist()
    assert (red, green, blue) == pytest.approx((190 / 127.5 - 1, 110 / 127.5 - 1, 50 / 127.5 - 1), abs=1e-6)
    assert (sample.photograph[:, ~sample.inside[0]] == -1).all()
    assert (sample.frames[:, :, ~sample.inside[0]] == -1).all()
    # The field was 40 of 48 px wide; cropped to its box it touches all four edges.
    assert all(edge.any() for edge in (sample.inside[0, 0], sample.inside[0, -1], sample.inside[0, :, 0]))


def test_missing_columns_are_named_with_the_likely_one(table):
    for row in table.rows:
        row["fa_rigit"] = row["fa_rigid"]
    path = table.write(columns=("orgid", "pid_eye", "Phase", "co_rigid", "fa_rigit"))
    with pytest.raises(DataError) as caught:
        open_cases(path, **OPEN)
    assert "among orgid, pid_eye, phase, co_rigid, fa_rigit; did you mean 'fa_rigit'?" in str(caught.value)
    assert "no column 'level_1'" in str(caught.value)


def test_missing_files_are_listed_with_row_and_path_up_to_ten(table):
    for row in table.rows[:13]:
        row["fa_rigid"] = f"gone/{row['fa_rigid']}"
    with pytest.raises(DataError) as caught:
        open_cases(table.write(), **OPEN)
    problems = caught.value.problems
    assert len(problems) == 11
    assert "row 2: fa_rigid: there is no file" in problems[0]
    assert str(table.folder / "gone/frames/c0_0.png") in problems[0]
    assert "row 11" in problems[9]
    assert "3 more" in problems[10]


def test_unusable_values_of_a_table_are_named(table):
    table.rows[0]["Phase"] = "arteriel"
    table.rows[1]["level_1"] = "nan"
    table.rows[2]["orgid"] = ""
    table.rows[14]["orgid"] = "another"
    with pytest.raises(DataError) as caught:
        read_table(table.write())
    text = str(caught.value)
    assert "row 2: Phase 'arteriel' must be one of arterial, venous, late; did you mean 'arterial'?" in text
    assert "row 3: level_1 'nan'" in text
    assert "row 4: no orgid" in text
    assert "'c1' belongs to several patients (orgid): another, patient1" in text


def test_an_empty_table_and_data_that_is_not_there_are_told(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        open_cases(Table(tmp_path).write(), **OPEN)
    with pytest.raises(DataError, match=r"phantm.*did you mean 'phantom'"):
        open_cases("phantm", **OPEN)


def test_a_second_photograph_doubled_frames_and_overlapping_phases_are_noted(table):
    other = save(table.folder / "other.png", colour_eye())
    table.rows[0]["co_rigid"] = other.name
    table.rows.append(dict(table.rows[13]))
    table.rows[24]["level_1"] = "999"
    found = read_table(table.write())
    notes = "\n".join(found.notes)
    assert "c0: c0.png is used with its 11 frames; 1 other photographs with 1 frames are left out" in notes
    assert "c1: 1 frames are listed more than once" in notes
    assert "c2: its phases overlap in time" in notes
    assert [frame.phase for frame in found.cases[2].frames] == [phase for phase in PHASES for _ in range(4)]


# Frames of a phase


@pytest.mark.parametrize(
    ("count", "places"),
    [
        (1, [0, 0, 0, 0]),
        (2, [0, 0, 1, 1]),
        (3, [0, 1, 1, 2]),
        (4, [0, 1, 2, 3]),
        (7, [0, 2, 4, 6]),
        (10, [0, 3, 6, 9]),
    ],
)
def test_uniform_sampling_spreads_from_first_to_last_and_repeats_the_nearest(count, places):
    assert evenly_spaced(count, 4) == places


def test_cases_short_of_frames_are_left_out_or_repeat_them_and_both_are_noted(table):
    table.case("short", "a", counts=(4, 1, 4)).case("two", "b", counts=(4, 2, 4)).case("single", "c", counts=(1, 0, 0))
    opened = open_cases(table.write(), **OPEN)
    found = {sample.case: sample for sample in everything(opened)}
    assert set(found) == {*(f"c{number}" for number in range(6)), "two"}
    assert levels(found["two"])[4:8] == [40, 40, 45, 45]
    notes = "\n".join(opened.notes)
    assert "short: left out: 4 arterial, 1 venous, 4 late frames, at least 2 of each phase are needed" in notes
    assert "single: left out: 1 arterial, 0 venous, 0 late" in notes
    assert "two: 4 arterial, 2 venous, 4 late frames where 4 a phase are shown: the nearest are repeated" in notes


def test_nothing_but_single_frames_is_an_error_that_says_why(tmp_path):
    table = Table(tmp_path)
    for number in range(3):
        table.case(f"c{number}", f"p{number}", counts=(1, 0, 0))
    with pytest.raises(DataError, match="none of 3 cases has 2 or more frames in each phase"):
        open_cases(table.write(), **OPEN)


def test_random_sampling_takes_other_frames_each_epoch_each_once_and_in_order(tmp_path):
    table = Table(tmp_path)
    for number in range(3):
        table.case(f"c{number}", f"p{number}", counts=(9, 9, 9))
    opened = open_cases(table.write(), sampling="random", **OPEN)
    seen = set()
    for epoch in range(8):
        opened.set_epoch(epoch)
        shown = levels(opened.train[0])
        assert shown == sorted(set(shown))
        assert [sum(20 + 45 * p <= level < 65 + 45 * p for level in shown) for p in range(3)] == [4, 4, 4]
        seen.add(tuple(shown))
    assert len(seen) > 4
    # Held-out parts stay uniform.
    assert levels(opened.validation[0])[:4] == [20 + 5 * at for at in (0, 3, 5, 8)]


# Folders


def case_folder(folder: Path, frames: int, suffix: str = ".png") -> Path:
    save(folder / f"photograph{suffix}", colour_eye())
    for number in range(frames):
        save(folder / "frames" / f"f{number + 1}.png", grey_eye(20 + 5 * number))
    return folder


def test_frames_of_a_folder_are_in_order_of_their_numbers_in_equal_thirds(tmp_path):
    case_folder(tmp_path / "a", 13, ".jpg")
    case = read_folder(tmp_path).cases[0]
    assert [frame.path.stem for frame in case.frames] == [f"f{number}" for number in range(1, 14)]
    assert [len(case.in_phase(phase)) for phase in PHASES] == [5, 4, 4]
    assert [frame.path.stem for frame in case.in_phase("venous")] == ["f6", "f7", "f8", "f9"]


def test_patients_of_a_folder_come_from_its_table_or_are_the_cases_which_is_noted(tmp_path):
    for name in ("a_left", "a_right", "b"):
        case_folder(tmp_path / name, 12)
    assert "every case counts as a patient of its own" in read_folder(tmp_path).notes[0]
    table = tmp_path / "patients.csv"
    table.write_text("case,patient\na_left,a\na_right,a\nb,b\n")
    assert [case.patient for case in read_folder(tmp_path).cases] == ["a", "a", "b"]
    table.write_text("case,patient\na_left,a\na_rigth,a\n")
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path)
    assert "no patient for the case 'b'" in str(caught.value)
    assert "no folder of the case 'a_rigth'; did you mean 'a_right'?" in str(caught.value)


def test_lesion_masks_of_a_folder_reach_the_sample_and_the_batch(tmp_path):
    for name in ("a", "b", "c"):
        case_folder(tmp_path / name, 12)
        marked = np.zeros((SIDE, SIDE), np.uint8)
        marked[20:28, 20:28] = 255
        save(tmp_path / name / "lesions.png", marked)
    samples = everything(open_cases(tmp_path, **{**OPEN, "size": 40}))
    assert samples[0].lesions is not None
    assert samples[0].lesions.shape == (1, 40, 40)
    assert samples[0].lesions.sum() == 64  # the field's box is 40 px: nothing is resized
    batch = collate(samples)
    assert batch.lesions is not None
    assert batch.frames.shape == (3, 12, 1, 40, 40)
    assert collate([samples[0], replace(samples[1], lesions=None)]).lesions is None


def test_folders_that_are_not_cases_are_told(tmp_path):
    (tmp_path / "stray").mkdir()
    with pytest.raises(DataError, match=r"expected a table video.csv, or a folder a case"):
        open_cases(tmp_path, **OPEN)
    case_folder(tmp_path / "a", 12)
    save(tmp_path / "b" / "fundus.png", colour_eye())
    with pytest.raises(DataError) as caught:
        open_cases(tmp_path, **OPEN)
    assert "b: no photograph.png or photograph.jpg; found fundus.png" in str(caught.value)
    assert "b: no images in a folder named frames" in str(caught.value)


# Images


def test_images_that_cannot_be_used_are_all_listed_before_training(table):
    (table.folder / "frames/c0_0.png").write_bytes(b"")
    (table.folder / "frames/c1_0.png").write_bytes((table.folder / "frames/c1_1.png").read_bytes()[:60])
    save(table.folder / "frames/c2_3.png", grey_eye(50, side=40))
    save(table.folder / "images/c3.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    nan = np.full((SIDE, SIDE), np.nan, np.float32)
    save(table.folder / "frames/c4_0.tif", nan)
    next(row for row in table.rows if row["fa_rigid"] == "frames/c4_0.png")["fa_rigid"] = "frames/c4_0.tif"
    with pytest.raises(DataError) as caught:
        open_cases(table.write(), **OPEN)
    text = str(caught.value)
    assert "c0_0.png: the file is empty" in text
    assert "c1_0.png: can't be read as an image" in text
    assert "case c2: its images differ in size: " in text
    assert "c2_3.png 40 × 40" in text
    assert "c3.png: the photograph is black" in text
    assert "c4_0.tif: float32 values can't be read" in text


def test_black_frames_are_left_out_and_noted(table):
    save(table.folder / "frames/c0_0.png", grey_eye(0))
    opened = open_cases(table.write(), **OPEN)
    assert "c0: 1 black frames are left out" in opened.notes
    sample = next(sample for sample in everything(opened) if sample.case == "c0")
    assert levels(sample)[:4] == [25, 30, 30, 35]


def test_a_photograph_that_several_patients_have_is_noted(table):
    save(table.folder / "images/c5.png", (disc(18)[..., None] * np.array([180, 100, 40])).astype(np.uint8))
    notes = open_cases(table.write(), **OPEN).notes
    assert any(note.startswith("c0, c1, c2, c3, c4: the same photograph for 5 patients") for note in notes)


def test_a_file_damaged_after_opening_is_named(table):
    opened = open_cases(table.write(), **OPEN)
    for file in (table.folder / "frames").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        opened.train[0]


def test_the_field_is_the_largest_region_lit_in_photograph_and_all_frames_with_holes_filled():
    draw = np.random.default_rng(0)
    photograph = np.zeros((60, 80, 3), np.uint8)
    photograph[5:55, 10:70, 1] = draw.integers(5, 60, (50, 60))
    photograph[2:4, 75:78, 1] = 200
    frames = np.where(draw.random((3, 60, 80)) < 0.05, 2, draw.integers(3, 255, (3, 60, 80))).astype(np.uint8)
    lit = (photograph[..., 1] > 11) & (frames > 2).all(axis=0)
    labels, _ = ndimage.label(lit, structure=np.ones((3, 3)))
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    expected = ndimage.binary_fill_holes(largest)
    assert (angiogram_field(photograph, frames) == expected).all()


def test_frames_before_the_dye_do_not_shrink_the_field_to_a_fragment():
    frames = np.stack([grey_eye(100), grey_eye(0)])
    frames[1, 22:26, 22:26] = 90
    assert (angiogram_field(colour_eye(), frames) == disc()).all()


def test_the_square_is_the_box_of_the_field():
    photograph, frames = np.zeros((50, 70, 3), np.uint8), np.zeros((1, 50, 70), np.uint8)
    photograph[10:40, 20:60] = 100
    frames[:, 10:40, 20:60] = np.arange(40)[None, :] * 5 + 20
    eye = square_eye(photograph, frames, photograph[..., 1] > 0, 40, None)
    assert (eye.inside == np.pad(np.ones((30, 40), bool), ((5, 5), (0, 0)))).all()
    assert (eye.frames[0, 20] == np.arange(40) * 5 + 20).all()


# The split


def test_patients_are_never_parted_and_adding_some_moves_nobody():
    names = [f"patient{number}" for number in range(400)]
    before = split_patients(names[:200], 0.15, 0.15, seed=3)
    after = split_patients(names, 0.15, 0.15, seed=3)
    assert all(after[name] == part for name, part in before.items())
    shares = [list(after.values()).count(part) / 400 for part in ("train", "validation", "test")]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.05)
    assert split_patients(names, 0.15, 0.15, seed=4) != after


@pytest.mark.parametrize("seed", range(12))
def test_no_part_is_empty_with_as_many_patients_as_parts(seed):
    assert sorted(split_patients("abc", 0.1, 0.1, seed).values()) == ["test", "train", "validation"]
    assert set(split_patients("abcdef", 0.45, 0.45, seed).values()) == {"test", "train", "validation"}
    assert sorted(split_patients("ab", 0.0, 0.3, seed).values()) == ["test", "train"]


def test_both_eyes_of_a_patient_are_in_one_part(tmp_path):
    table = Table(tmp_path)
    for number in range(8):
        table.case(f"c{number}", f"p{number // 2}")
    opened = open_cases(table.write(), **OPEN)
    parts = [
        {sample_case[:2] for sample_case in names(part)} for part in (opened.train, opened.validation, opened.test)
    ]
    pairs = [{int(case[1]) // 2 for case in part} for part in parts]
    assert sum(len(pair) for pair in pairs) == 4
    assert set.union(*pairs) == {0, 1, 2, 3}


def names(part) -> list[str]:
    return [part[index].case for index in range(len(part))]


def test_one_patient_only_is_told_and_can_be_trained_on_when_asked(tmp_path):
    path = Table(tmp_path).case("a", "p").case("b", "p").write()
    with pytest.raises(DataError, match=r"1 patient can't be split into 3 parts.*validation=0 test=0"):
        open_cases(path, **OPEN)
    opened = open_cases(path, validation=0, test=0, **OPEN)
    assert (len(opened.train), len(opened.validation), len(opened.test)) == (2, 0, 0)


def test_settings_out_of_range_are_listed_together():
    with pytest.raises(SettingsError) as caught:
        open_cases("phantom", size=32, seed=0, model_frames=10, crop=64, validation=0.6, test=0.5, augment="f3v")
    assert len(caught.value.problems) == 4
    assert "did you mean 'f2v'" in str(caught.value)


# Augmentation


def patterned(size: int = 64) -> RegisteredEye:
    """Photograph and frames carry the same smooth pattern without symmetry."""
    rows, columns = np.mgrid[:size, :size] / size
    pattern = np.rint(60 + 60 * np.sin(5 * columns + 2 * rows) + 70 * columns * rows).astype(np.uint8)
    inside = disc(size * 0.48, size)
    pattern = pattern * inside
    return RegisteredEye(np.stack([pattern] * 3, axis=-1), np.stack([pattern] * 2), inside, pattern > 130)


@pytest.mark.parametrize("seed", range(5))
def test_photograph_frames_and_masks_go_through_the_same_geometry(seed):
    eye = patterned()
    draw = np.random.default_rng(seed)
    matrix = draw_geometry(AUGMENTATIONS["f2v"], eye.inside, 64, draw)
    seen = warp(eye, matrix, 64)
    assert (seen.photograph[..., 1] == seen.frames[0]).all()
    assert (seen.frames[0] == seen.frames[1]).all()
    # Against SciPy, which takes (row, column) and interpolates in its own way.
    linear, shift = matrix[::-1, 1::-1], matrix[::-1, 2]
    expected = ndimage.affine_transform(eye.frames[0].astype(float), linear, shift, (64, 64), order=1)
    inner = ndimage.binary_erosion(seen.inside, iterations=3)
    assert np.abs(expected - seen.frames[0])[inner].max() < 6
    lesions = ndimage.affine_transform(eye.lesions.astype(float), linear, shift, (64, 64), order=1) >= 0.5
    assert (lesions != seen.lesions)[inner].mean() < 0.01
    assert not seen.frames[:, ~seen.inside].any()


def test_a_mirror_image_mirrors_both():
    eye = patterned()
    matrix = draw_geometry(Augmentation(flip=1.0), eye.inside, 64, np.random.default_rng(0))
    seen = warp(eye, matrix, 64)
    assert (seen.photograph == eye.photograph[:, ::-1]).all()
    assert (seen.frames == eye.frames[:, :, ::-1]).all()


def test_a_crop_is_a_part_of_the_square_to_the_pixel_and_mostly_inside(tmp_path):
    draw = np.random.default_rng(0)
    size, side = 97, 32
    inside = disc(46, size)
    square = draw.integers(1, 256, (size, size)).astype(np.uint8) * inside
    eye = RegisteredEye(np.stack([square] * 3, axis=-1), square[None], inside)
    windows = np.lib.stride_tricks.sliding_window_view(square, (side, side)).reshape(-1, side * side)
    for seed in range(20):
        crop = warp(eye, draw_geometry(Augmentation(), inside, side, np.random.default_rng(seed)), side)
        assert (windows == crop.frames[0].ravel()).all(axis=1).any()
        assert (crop.photograph == crop.frames[0][..., None]).all()
        assert crop.inside.mean() >= 0.5


def test_training_crops_and_the_other_parts_do_not(table):
    opened = open_cases(table.write(), crop=16, **OPEN)
    assert opened.train[0].frames.shape == (12, 1, 16, 16)
    assert opened.train[0].photograph.shape == (3, 16, 16)
    assert opened.test[0].frames.shape == (12, 1, 32, 32)


def test_colours_change_the_photograph_alone_and_stay_in_range(table):
    plain = open_cases(table.write(), **OPEN).train[0]
    colours = replace(AUGMENTATIONS["f2v"], flip=0.0, rotation=0.0, zoom=(1.0, 1.0))
    changed = open_cases(table.write(), **{**OPEN, "augment": colours}).train[0]
    assert torch.equal(plain.frames, changed.frames)
    assert (plain.photograph - changed.photograph).abs().max() > 0.02
    assert changed.photograph.min() == -1
    assert changed.photograph.max() <= 1
    assert (changed.photograph[:, ~changed.inside[0]] == -1).all()


def test_brightness_multiplies_and_saturation_zero_is_grey():
    photograph = np.full((8, 8, 3), [0.4, 0.2, 0.1], np.float32)
    inside = np.ones((8, 8), bool)
    seen = change_colours(photograph, inside, 8, Augmentation(brightness=0.5), np.random.default_rng(1))
    factor = seen[0, 0] / photograph[0, 0]
    assert factor == pytest.approx([factor[0]] * 3, rel=1e-5)
    assert 0.5 <= factor[0] <= 1.5
    assert factor[0] != pytest.approx(1)


# Order, workers, epochs


def test_items_depend_on_seed_epoch_and_index_alone(table):
    path = table.write()
    first, second = (open_cases(path, **{**OPEN, "augment": "f2v"}) for _ in range(2))
    forth = [first.train[index] for index in range(len(first.train))]
    back = [second.train[index] for index in reversed(range(len(second.train)))][::-1]
    assert all(torch.equal(a.photograph, b.photograph) for a, b in zip(forth, back, strict=True))
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(forth, back, strict=True))
    second.set_epoch(1)
    assert not torch.equal(second.train[0].frames, forth[0].frames)
    second.set_epoch(0)
    assert torch.equal(second.train[0].frames, forth[0].frames)


def test_workers_give_the_same_and_learn_of_the_epoch(table):
    opened = open_cases(table.write(), validation=0, test=0, **{**OPEN, "augment": "f2v"})
    loader = DataLoader(opened.train, batch_size=3, num_workers=2, persistent_workers=True, collate_fn=collate)
    for epoch in (0, 1):
        opened.set_epoch(epoch)
        loaded = torch.cat([batch.photograph for batch in loader])
        assert torch.equal(loaded, torch.stack([opened.train[index].photograph for index in range(6)]))


def test_a_data_set_is_known_again_elsewhere_and_a_changed_pixel_makes_it_another(table):
    path = table.write()
    first = open_cases(path, **OPEN).identity()
    elsewhere = table.folder.parent / "moved"
    shutil.copytree(table.folder, elsewhere)
    assert open_cases(elsewhere, **OPEN).identity() == first
    changed = grey_eye(20)
    changed[20, 20] += 1
    for number in range(6):
        save(elsewhere / f"frames/c{number}_0.png", changed)
    assert open_cases(elsewhere, **OPEN).identity() != first


# Phantoms


def test_phantoms_are_new_in_each_epoch_and_fixed_where_nothing_is_learnt():
    opened = open_cases("phantom", eyes=3, validation=0.4, test=0.4, **{**OPEN, "size": 64})
    other = open_cases("phantom", eyes=3, validation=0.4, test=0.4, **{**OPEN, "size": 64, "seed": 1})
    assert (len(opened.train), len(opened.validation), len(opened.test)) == (3, 1, 1)
    shown = [opened.train[0].case]
    held_out = opened.validation[0]
    opened.set_epoch(1)
    shown += [opened.train[0].case, other.train[0].case, held_out.case, opened.test[0].case]
    assert len(set(shown)) == 5
    assert torch.equal(opened.validation[0].frames, held_out.frames)
    assert torch.equal(other.validation[0].frames, held_out.frames)
    assert held_out.frames.shape == (12, 1, 64, 64)
    assert held_out.lesions is not None
    assert held_out.inside.float().mean() > 0.6


def test_phantoms_that_stay_some_epochs_are_made_once_and_seen_in_other_views(monkeypatch):
    opened = open_cases("phantom", eyes=1, renew=2, **{**OPEN, "size": 64, "augment": "f2v"})
    made = []
    read = opened.train.source.read
    monkeypatch.setattr(opened.train.source, "read", lambda choice: made.append(choice) or read(choice))
    seen = []
    for epoch in range(3):
        opened.set_epoch(epoch)
        seen.append(opened.train[0])
    assert seen[0].case == seen[1].case != seen[2].case
    assert not torch.equal(seen[0].frames, seen[1].frames)
    assert len(made) == 2


def test_a_phantom_is_the_eye_of_its_cohort():
    from f2vbench.phantom import Cohort

    opened = open_cases("phantom", eyes=1, **{**OPEN, "size": 64, "seed": 5})
    sample = opened.train[0]
    _, seed, name = sample.case.split("-")
    eye = next(eye for eye in Cohort(int(seed), 1, size=64) if eye.name == name)
    taken, frames = eye.photograph(), eye.angiogram().frames
    lesions = np.zeros((64, 64), bool)
    for mask in taken.truth.lesions.values():
        lesions |= mask
    expected = square_eye(taken.image, frames, taken.truth.field_of_view, 64, lesions)
    assert levels(sample) == expected.frames[:, 32, 32].tolist()
    assert (sample.lesions.numpy()[0] == expected.lesions).all()
