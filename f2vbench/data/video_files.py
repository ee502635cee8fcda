"""Encode grey videos in formats that browsers play: GIF (Pillow) and MP4 (OpenCV)."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from f2vbench.errors import StoreError

CODEC = "VP9"
"""Codec of MP4 files: the best that OpenCV's wheels include and that Chrome, Edge, Firefox and recent Safari play."""

_FOURCC = "vp09"
_TICK_MS = 10  # a GIF counts time in hundredths of a second
_LAST_FRAME_MS = 1000  # additional time of the last frame of a GIF before it starts again


def encode_gif(frames: np.ndarray, fps: float, comment: str = "") -> bytes:
    """Encode a video as an endless GIF with a palette of 256 greys, which is lossless.

    The last frame is shown one second longer. Equal consecutive frames are written as one longer frame.

    Args:
        frames: uint8 (t, height, width).
        fps: Frames per second, at most 50; the duration of a frame is rounded to 10 ms.
        comment: Text stored in the file.

    Returns:
        The file content.
    """
    pictures = [Image.fromarray(frame) for frame in _checked(frames)]
    durations = [max(_TICK_MS * round(1000 / fps / _TICK_MS), 2 * _TICK_MS)] * len(pictures)
    durations[-1] += _LAST_FRAME_MS
    content = io.BytesIO()
    pictures[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        optimize=False,
        comment=comment.encode(),
    )
    return content.getvalue()


def encode_mp4(frames: np.ndarray, fps: float) -> bytes:
    """Encode a video as MP4 (VP9, 4:2:0) for viewing, which is lossy: see `grey_level_error`.

    Decoded levels of ten simulated angiograms of 256 pixels differ by 2.7 of 255 on average and by up to 48. Frames
    that are scored or graded must be PNG or GIF, which are exact.

    The format requires even sides: an odd side is padded with one black row or column.

    Args:
        frames: uint8 (t, height, width).
        fps: Frames per second.

    Returns:
        The file content.

    Raises:
        StoreError: This version of OpenCV does not support the codec, or the temporary folder is full.
    """
    count, height, width = _checked(frames).shape
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        size = even.shape[2], even.shape[1]
        writer = cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*_FOURCC), fps, size)
        try:
            for frame in even if writer.isOpened() else ():
                writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        finally:
            writer.release()
        content = file.read_bytes() if file.is_file() else b""
    if not content:
        raise StoreError(
            f"could not encode {count} frames of {width} × {height} as MP4: OpenCV {cv2.__version__} does not support "
            f"{CODEC}, or the temporary folder is full: install opencv-python-headless, or write a GIF"
        )
    return content


def grey_level_error(content: bytes, frames: np.ndarray) -> tuple[float, int]:
    """Decode a video, and compare it with the frames that it was encoded from.

    Args:
        content: The MP4 file.
        frames: uint8 (t, height, width), the original frames.

    Returns:
        Mean and largest absolute difference over all pixels and colour channels, in levels of 255.

    Raises:
        StoreError: The video has another number of frames, or can't be decoded.
    """
    decoded = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        file.write_bytes(content)
        reader = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
        try:
            while (result := reader.read())[0]:
                decoded.append(result[1])
        finally:
            reader.release()
    _, height, width = _checked(frames).shape
    if len(decoded) != len(frames):
        raise StoreError(f"the encoded MP4 has {len(decoded)} frames instead of {len(frames)}: write a GIF or frames")
    difference = np.abs(np.stack(decoded)[:, :height, :width].astype(np.int16) - frames[..., None])
    return float(difference.mean()), int(difference.max())


def _checked(frames: np.ndarray) -> np.ndarray:
    if frames.ndim != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ValueError(f"videos must be uint8 (t, height, width), not {frames.dtype} {frames.shape}")
    return frames
