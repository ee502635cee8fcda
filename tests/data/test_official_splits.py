"""`split=official` tests on the images that the literature tests on."""

from __future__ import annotations

import pytest

from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError
from tests.helpers.small_eyes import label, photograph, save, write_drive, write_folder, write_hrf


def test_drive_is_divided_as_its_owners_divide_it(tmp_path):
    write_drive(tmp_path)
    task = open_task("drive", tmp_path, split="official")
    for seed in range(3):
        episode = task.episode("few-shot", 4, seed)
        assert set(episode.test) == {f"{number:02}_test" for number in range(1, 21)}
        assert all(image.endswith("_training") for image in episode.support)
    assert set(open_task("drive", tmp_path).episode("few-shot", 4, 0).test) != set(episode.test)


def test_hrf_and_chase_are_divided_as_usual(tmp_path):
    write_hrf(tmp_path / "hrf")
    test = open_task("hrf", tmp_path / "hrf", split="official").episode("few-shot", 1, 0).test
    assert set(test) == {f"{number:02}_{kind}" for number in range(6, 16) for kind in ("h", "dr", "g")}
    for number in range(28):
        stem = f"Image_{number // 2 + 1:02}{'LR'[number % 2]}"
        save(tmp_path / "chase" / f"{stem}.jpg", photograph(number))
        save(tmp_path / "chase" / f"{stem}_1stHO.png", label(number))
    test = open_task("chase_db1", tmp_path / "chase", split="official").episode("few-shot", 1, 0).test
    assert set(test) == {f"Image_{number}{eye}" for number in (11, 12, 13, 14) for eye in "LR"}


def test_without_an_official_split_it_is_refused(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(DataError, match="split=official: folder has no official training and test images"):
        open_task("folder", tmp_path, split="official")
    write_drive(tmp_path / "half", test_labels=False)
    with pytest.raises(DataError, match="split=official: drive has no official"):
        open_task("drive", tmp_path / "half", split="official")
