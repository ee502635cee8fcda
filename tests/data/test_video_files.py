"""GIF and MP4 files keep the number of frames, their size, order and grey levels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data.video_files import encode_gif, encode_mp4, grey_level_error
from f2vbench.errors import StoreError


def _video(count: int, height: int, width: int) -> np.ndarray:
    """Smooth frames with all grey levels, each frame different."""
    rows, columns = np.mgrid[:height, :width]
    ramp = 255 * columns / (width - 1)
    return np.stack([np.abs(ramp - 20 * t + 0.2 * rows).clip(0, 255) for t in range(count)]).astype(np.uint8)


def _decoded(mp4: bytes, tmp_path) -> tuple[np.ndarray, float]:
    file = tmp_path / "video.mp4"
    file.write_bytes(mp4)
    reader = cv2.VideoCapture(str(file))
    frames = []
    while (got := reader.read())[0]:
        frames.append(got[1][..., 1])
    return np.stack(frames), reader.get(cv2.CAP_PROP_FPS)


def test_a_gif_is_lossless_and_loops():
    video = _video(12, 65, 260)
    assert len(np.unique(video[0])) > 240
    gif = Image.open(io.BytesIO(encode_gif(video, 4, "made of é")))
    assert (gif.n_frames, gif.size, gif.info["loop"]) == (12, (260, 65), 0)
    assert gif.info["comment"] == "made of é".encode()
    durations = []
    for number, frame in enumerate(video):
        gif.seek(number)
        durations.append(gif.info["duration"])
        assert (np.array(gif.convert("L")) == frame).all()
    assert durations == [250] * 11 + [1250]


def test_a_gif_of_equal_frames_has_the_full_duration():
    video = np.repeat(_video(1, 32, 32), 3, 0)
    gif = Image.open(io.BytesIO(encode_gif(video, 2)))
    duration = 0
    for number in range(gif.n_frames):
        gif.seek(number)
        duration += gif.info["duration"]
    assert duration == 3 * 500 + 1000


@pytest.mark.parametrize(("height", "width"), [(64, 96), (65, 97)])
def test_an_mp4_keeps_order_and_grey_levels_and_pads_to_even_sides(tmp_path, height, width):
    video = _video(12, height, width)
    frames, fps = _decoded(encode_mp4(video, 3), tmp_path)
    assert fps == pytest.approx(3)
    assert frames.shape == (12, height + height % 2, width + width % 2)
    apart = np.abs(frames[:, :height, :width].astype(int) - video)
    assert apart.mean() < 2.5
    assert np.percentile(apart, 99) < 12
    # Each decoded frame is nearest to its original, so that none is lost, repeated or moved.
    distances = [[np.abs(g[:height, :width].astype(int) - f).mean() for f in video] for g in frames]
    assert np.argmin(distances, axis=1).tolist() == list(range(12))


def test_an_mp4_has_the_codec_that_browsers_play():
    assert b"vp09" in encode_mp4(_video(2, 32, 32), 3)


def test_arrays_that_are_no_grey_video_are_refused():
    for wrong in (np.zeros((4, 8, 8)), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 8), np.uint8)):
        for encode in (encode_gif, encode_mp4):
            with pytest.raises(ValueError, match="uint8"):
                encode(wrong, 3)


def test_the_error_of_an_mp4_is_that_of_the_decoded_frames(tmp_path):
    video = _video(4, 64, 48)
    content = encode_mp4(video, 3)
    (tmp_path / "video.mp4").write_bytes(content)
    reader = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    decoded = np.stack([reader.read()[1] for _ in video])
    mean, largest = grey_level_error(content, video)
    difference = np.abs(decoded.astype(int) - video[..., None])
    assert mean == pytest.approx(difference.mean())
    assert largest == difference.max() > 0
    with pytest.raises(StoreError, match="has 4 frames instead of 3"):
        grey_level_error(content, video[:3])
