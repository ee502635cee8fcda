"""Folders of frames: order, grey levels, and messages about folders that do not match."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data.video_folders import matched_video_folders, read_grey, read_video_folder
from f2vbench.errors import DataError
from f2vbench.metrics.image_quality import psnr
from f2vbench.metrics.video import video_metrics


def _write(folder: Path, cases: dict[str, int], side: int = 16) -> Path:
    """Write cases with the given numbers of frames; frame k has the grey level 10 k."""
    for case, count in cases.items():
        (folder / case).mkdir(parents=True)
        for number in range(1, count + 1):
            frame = np.full((side, side + 4), 10 * number, np.uint8)
            cv2.imwrite(str(folder / case / f"frame-{number}.png"), frame)
    return folder


def test_cases_and_frames_are_sorted_with_digits_by_value(tmp_path):
    folder = read_video_folder(_write(tmp_path, {"eye10": 11, "eye9": 2}))
    assert folder.cases == ("eye9", "eye10")
    video = folder[1]
    assert video.shape == (11, 16, 20)
    assert video[:, 0, 0] == pytest.approx(np.arange(1, 12) * 10 / 255)


def test_other_files_are_ignored_and_colours_are_converted_to_grey(tmp_path):
    _write(tmp_path, {"a": 1})
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    bgr = np.zeros((16, 20, 3), np.uint8)
    bgr[..., 1] = 200
    cv2.imwrite(str(tmp_path / "a" / "frame-2.png"), bgr)
    assert read_video_folder(tmp_path)[0][1] == pytest.approx(0.587 * 200 / 255)


@pytest.mark.parametrize(("cases", "message"), [({}, "no cases found"), ({"a": 2, "b": 0}, r"b: no frames found")])
def test_folders_without_cases_or_frames_are_refused(tmp_path, cases, message):
    with pytest.raises(DataError, match=message):
        read_video_folder(_write(tmp_path, cases))


def test_missing_folders_frames_without_a_case_and_damaged_frames_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: folder not found"):
        read_video_folder(tmp_path / "nowhere")
    _write(tmp_path, {"a": 2})
    with pytest.raises(DataError, match="move its 2 images into one folder per case"):
        read_video_folder(tmp_path / "a")
    cv2.imwrite(str(tmp_path / "a" / "frame-3.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match=r"frame-3\.png: 8 × 8 pixels, but frame-1\.png has 20 × 16"):
        read_video_folder(tmp_path)[0]
    (tmp_path / "a" / "frame-3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"frame-3\.png"):
        read_video_folder(tmp_path)[0]


def test_cases_that_only_one_folder_has_are_all_listed(tmp_path):
    real = _write(tmp_path / "real", {"a": 3, "b": 3, "c": 3})
    fake = _write(tmp_path / "fake", {"a": 3, "b": 2, "d": 3})
    with pytest.raises(DataError) as caught:
        matched_video_folders(real, fake)
    assert len(caught.value.problems) == 3
    missing, extra, shorter = caught.value.problems
    assert "fake: no case c, which" in missing
    assert "real: no case d, which" in extra
    assert "2 frames, but" in shorter
    assert "has 3" in shorter


def test_folders_are_scored_one_video_at_a_time(tmp_path):
    real = _write(tmp_path / "real", {"a": 4, "b": 4}, side=64)
    fake = _write(tmp_path / "fake", {"a": 4, "b": 4}, side=64)
    cv2.imwrite(str(fake / "b" / "frame-2.png"), np.full((64, 68), 71, np.uint8))
    truth, made = matched_video_folders(real, fake)
    with pytest.warns(UserWarning, match="N = 2"):
        rows = video_metrics(truth, made, cases=truth.cases, resamples=0)
    found = {(row.case, row.metric): row.value for row in rows}
    assert found["a", "psnr"] == found["b", "psnr"] == np.inf
    assert psnr(truth[1], made[1])[1] == pytest.approx(20 * np.log10(255 / 51), abs=1e-4)


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_an_animation_is_no_frame(tmp_path, suffix):
    """Formats for animations merge equal frames, so scores never read several frames from one file."""
    frames = [Image.fromarray(np.full((16, 16), level, np.uint8)) for level in (10, 10, 200)]
    file = tmp_path / f"a.{suffix}"
    frames[0].save(file, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"is an animation of [23] frames"):
        read_grey(file)
    frames[0].save(file)
    assert read_grey(file).shape == (16, 16)
