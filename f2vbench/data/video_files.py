"""Grey videos as files that a browser shows: GIF by Pillow, MP4 by OpenCV."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from f2vbench.errors import StoreError

CODEC = "VP9"
"""Of MP4 files: the best one that OpenCV's wheels bring and that Chrome, Edge, Firefox and recent Safaris play."""

_FOURCC = "vp09"
_TICK = 10  # ms: a GIF counts time in hundredths of a second
_HOLD = 1000  # ms that a GIF stays on its last frame before it starts again


def encode_gif(frames: np.ndarray, fps: float, comment: str = "") -> bytes:
    """An endless GIF with a palette of 256 greys, so that every grey level is kept as it is.

    The last frame stays a second longer. A frame that equals the one before it is written as a longer one.

    Args:
        frames: uint8 (t, h, w).
        fps: frames a second, at most 50; the time of a frame is rounded to 10 ms.
    """
    pictures = [Image.fromarray(frame) for frame in _checked(frames)]
    durations = [max(_TICK * round(1000 / fps / _TICK), 2 * _TICK)] * len(pictures)
    durations[-1] += _HOLD
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
    """VP9 in MP4, 4:2:0: for looking at, grey levels come back to within a few of 255.

    Videos of this kind have even sides, so an odd one gets a black row or column at its end.

    Args:
        frames: uint8 (t, h, w).

    Raises:
        StoreError: this OpenCV can't write such a file, or there is no room for a temporary one.
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
            f"no MP4 could be made of {count} frames of {width} × {height}: this OpenCV ({cv2.__version__}) can't "
            f"write {CODEC}, or the temporary folder is full; install opencv-python-headless, or ask for a GIF"
        )
    return content


def _checked(frames: np.ndarray) -> np.ndarray:
    if frames.ndim != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ValueError(f"videos are uint8 (t, h, w), not {frames.dtype} {frames.shape}")
    return frames
