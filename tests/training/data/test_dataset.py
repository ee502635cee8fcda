"""Data sets of files: cases found, split by patient, sampled by phase, and identified by their content."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from f2vbench.errors import DataError, SettingsError
from f2vbench.training.data.dataset import open_dataset
from f2vbench.training.data.options import ImageOptions, SamplingOptions, SplitShares
from f2vbench.training.data.video_loader import VideoLoader
from tests.helpers.case_files import (
    SIDE,
    CaseTable,
    all_samples,
    grey_eye,
    grey_levels,
    open_plain,
    save,
    six_patients,
    write_case_folder,
)

EVERYTHING = SplitShares(validation=0, test=0)


@pytest.fixture
def table(tmp_path) -> CaseTable:
    return six_patients(tmp_path / "data")


# Samples


def test_samples_have_the_documented_shapes_types_and_ranges(table):
    sample = all_samples(open_plain(table.write()))[0]
    assert sample.photograph.shape == (3, 32, 32)
    assert sample.photograph.dtype == torch.float32
    assert sample.frames.shape == (12, 1, 32, 32)
    assert sample.frames.dtype == torch.float32
    assert sample.fov_mask.shape == (1, 32, 32)
    assert sample.fov_mask.dtype == torch.bool
    assert sample.lesion_mask is None
    red, green, blue = sample.photograph[:, 16, 16].tolist()
    assert (red, green, blue) == pytest.approx((190 / 127.5 - 1, 110 / 127.5 - 1, 50 / 127.5 - 1), abs=1e-6)
    assert (sample.photograph[:, ~sample.fov_mask[0]] == -1).all()
    assert (sample.frames[:, :, ~sample.fov_mask[0]] == -1).all()
    # The field of view had 40 of 48 pixels; cropped to its bounding box it touches all edges.
    assert all(edge.any() for edge in (sample.fov_mask[0, 0], sample.fov_mask[0, -1], sample.fov_mask[0, :, 0]))


def test_frames_are_in_order_of_phase_and_time(table):
    table.rows.reverse()
    samples = {sample.case: sample for sample in all_samples(open_plain(table.write()))}
    assert sorted(samples) == [f"c{number}" for number in range(6)]
    assert grey_levels(samples["c3"]) == [20 + 5 * number for number in range(12)]


def test_a_folder_with_a_table_is_read(table):
    table.write()
    assert len(all_samples(open_plain(table.folder))) == 6


def test_data_that_does_not_exist_is_refused_with_a_suggestion():
    with pytest.raises(DataError, match=r"phantm.*did you mean 'phantom'"):
        open_plain("phantm")


def test_lesion_masks_of_a_folder_are_in_the_sample_and_the_batch(tmp_path):
    for name in ("a", "b", "c"):
        write_case_folder(tmp_path / name, 12)
        lesions = np.zeros((SIDE, SIDE), np.uint8)
        lesions[20:28, 20:28] = 255
        save(tmp_path / name / "lesions.png", lesions)
    opened = open_plain(tmp_path, size=40, shares=EVERYTHING)
    sample = opened.train[0]
    assert sample.lesion_mask.shape == (1, 40, 40)
    assert sample.lesion_mask.sum() == 64  # the bounding box of the field of view has 40 pixels: nothing is resized
    batch = next(VideoLoader(opened.train, "lesions").load([[0, 1, 2]]))
    assert batch.frames.shape == (3, 12, 40, 40)
    assert batch.mask.sum() == 3 * 64


def test_options_out_of_range_are_listed_together():
    images = ImageOptions(size=32, crop=64)
    with pytest.raises(SettingsError) as caught:
        open_dataset("phantom", images, seed=-1, sampling=SamplingOptions(frames=10), shares=SplitShares(0.6, 0.5))
    assert len(caught.value.problems) == 4


# Frames of a phase


def test_cases_with_too_few_frames_are_left_out_or_repeat_them_with_a_note(table):
    table.add_case("short", "a", counts=(4, 1, 4)).add_case("two", "b", counts=(4, 2, 4))
    table.add_case("single", "c", counts=(1, 0, 0))
    opened = open_plain(table.write())
    samples = {sample.case: sample for sample in all_samples(opened)}
    assert set(samples) == {*(f"c{number}" for number in range(6)), "two"}
    assert grey_levels(samples["two"])[4:8] == [40, 40, 45, 45]
    notes = "\n".join(opened.notes)
    assert "short: left out: 4 arterial, 1 venous, 4 late frames" in notes
    assert "single: left out: 1 arterial, 0 venous, 0 late" in notes
    assert "two: 4 arterial, 2 venous, 4 late frames" in notes


def test_with_released_phases_a_video_has_equally_many_frames_of_the_phases_that_are_there(tmp_path):
    table = CaseTable(tmp_path)
    for number in range(4):
        table.add_case(f"c{number}", f"p{number}", counts=(4, 6, 6))
    for row in table.rows:
        row["Phase"] = {"arterial": "A", "venous": "AV", "late": "L"}[row["Phase"].strip().lower()]
    opened = open_plain(table.write(), sampling=SamplingOptions(phases="released"))
    for sample in all_samples(opened):
        assert grey_levels(sample) == [20 + 5 * number for number in range(4, 16)]
    notes = "\n".join(opened.notes)
    assert "16 rows of phase A left out" in notes
    assert "videos have 6 venous and late frames each" in notes


def test_a_data_set_of_single_frames_is_refused_with_the_reason(tmp_path):
    table = CaseTable(tmp_path)
    for number in range(3):
        table.add_case(f"c{number}", f"p{number}", counts=(1, 0, 0))
    with pytest.raises(DataError, match="none of 3 cases has 2 frames or more in each phase"):
        open_plain(table.write())


def test_random_sampling_selects_other_frames_in_each_epoch_without_repetition_and_in_order(tmp_path):
    table = CaseTable(tmp_path)
    for number in range(3):
        table.add_case(f"c{number}", f"p{number}", counts=(9, 9, 9))
    opened = open_plain(table.write(), sampling=SamplingOptions(training="random"))
    selections = set()
    for epoch in range(8):
        opened.set_epoch(epoch)
        levels = grey_levels(opened.train[0])
        assert levels == sorted(set(levels))
        assert [sum(20 + 45 * p <= level < 65 + 45 * p for level in levels) for p in range(3)] == [4, 4, 4]
        selections.add(tuple(levels))
    assert len(selections) > 4
    # Validation stays uniform.
    assert grey_levels(opened.validation[0])[:4] == [20 + 5 * position for position in (0, 3, 5, 8)]


# Split and identity


def test_both_eyes_of_a_patient_are_in_the_same_split(tmp_path):
    table = CaseTable(tmp_path)
    for number in range(8):
        table.add_case(f"c{number}", f"p{number // 2}")
    opened = open_plain(table.write())
    datasets = (opened.train, opened.validation, opened.test)
    patients = [{int(dataset[index].case[1]) // 2 for index in range(len(dataset))} for dataset in datasets]
    assert sum(len(each) for each in patients) == 4
    assert set.union(*patients) == {0, 1, 2, 3}


def test_a_single_patient_can_only_be_used_for_training(tmp_path):
    path = CaseTable(tmp_path).add_case("a", "p").add_case("b", "p").write()
    with pytest.raises(DataError, match=r"1 patient can't be split into 3 splits.*split=1/0/0"):
        open_plain(path)
    opened = open_plain(path, shares=EVERYTHING)
    assert (len(opened.train), len(opened.validation), len(opened.test)) == (2, 0, 0)


def test_the_identity_depends_on_the_pixels_and_not_on_the_location(table):
    path = table.write()
    identity = open_plain(path).identity()
    elsewhere = table.folder.parent / "moved"
    shutil.copytree(table.folder, elsewhere)
    assert open_plain(elsewhere).identity() == identity
    changed = grey_eye(20)
    changed[20, 20] += 1
    for number in range(6):
        save(elsewhere / f"frames/c{number}_0.png", changed)
    assert open_plain(elsewhere).identity() != identity
