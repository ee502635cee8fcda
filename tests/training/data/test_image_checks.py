"""Checks of the images before training, and files that are damaged later."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.errors import DataError
from tests.helpers.case_files import (
    SIDE,
    CaseTable,
    all_samples,
    disc,
    grey_eye,
    grey_levels,
    open_plain,
    save,
    six_patients,
)


@pytest.fixture
def table(tmp_path) -> CaseTable:
    return six_patients(tmp_path / "data")


def test_all_unusable_images_are_listed_before_training(table):
    (table.folder / "frames/c0_0.png").write_bytes(b"")
    (table.folder / "frames/c1_0.png").write_bytes((table.folder / "frames/c1_1.png").read_bytes()[:60])
    save(table.folder / "frames/c2_3.png", grey_eye(50, side=40))
    save(table.folder / "images/c3.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    nan = np.full((SIDE, SIDE), np.nan, np.float32)
    save(table.folder / "frames/c4_0.tif", nan)
    next(row for row in table.rows if row["fa_rigid"] == "frames/c4_0.png")["fa_rigid"] = "frames/c4_0.tif"
    with pytest.raises(DataError) as caught:
        open_plain(table.write())
    text = str(caught.value)
    assert "c0_0.png: the file is empty" in text
    assert "c1_0.png: unreadable as an image" in text
    assert "case c2: its images differ in size: " in text
    assert "c2_3.png 40 × 40" in text
    assert "c3.png: the photograph is black" in text
    assert "c4_0.tif: float32 values are not supported" in text


def test_black_frames_are_left_out_with_a_note(table):
    save(table.folder / "frames/c0_0.png", grey_eye(0))
    opened = open_plain(table.write())
    assert "c0: 1 black frames are left out" in opened.notes
    sample = next(sample for sample in all_samples(opened) if sample.case == "c0")
    assert grey_levels(sample)[:4] == [25, 30, 30, 35]


def test_a_photograph_that_several_patients_share_is_noted(table):
    save(table.folder / "images/c5.png", (disc(18)[..., None] * np.array([180, 100, 40])).astype(np.uint8))
    notes = open_plain(table.write()).notes
    assert any(note.startswith("c0, c1, c2, c3, c4: the same photograph for 5 patients") for note in notes)


def test_a_file_that_is_damaged_after_the_checks_is_named(table):
    opened = open_plain(table.write())
    for file in (table.folder / "frames").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        opened.train[0]
