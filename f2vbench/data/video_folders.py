"""Read folders of videos with one folder per case and one file per frame (``<case>/<frame>.png``)."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from f2vbench.data.folder_scan import images_in, natural_key
from f2vbench.data.images import exif_orientation, read_rgb
from f2vbench.errors import DataError
from f2vbench.utils.text import plural, shortened

_ANIMATED = (".gif", ".png", ".apng", ".webp", ".tif", ".tiff")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class VideoFolder:
    """Videos that are read from disk on demand, which needs little memory.

    A sequence: ``len(folder)`` videos; ``folder[i]`` is video i as float32 (t, height, width) in [0, 1].

    Attributes:
        path: The folder.
        cases: Names of the videos, sorted.
        frames: The files of each video, in order.
    """

    path: Path
    cases: tuple[str, ...]
    frames: tuple[tuple[Path, ...], ...]

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> np.ndarray:
        files = self.frames[index]
        frames = [read_grey(file) for file in files]
        for file, frame in zip(files, frames, strict=True):
            if frame.shape != frames[0].shape:
                raise DataError(
                    f"{file}: {frame.shape[1]} × {frame.shape[0]} pixels, but {files[0].name} has "
                    f"{frames[0].shape[1]} × {frames[0].shape[0]}: frames of a video must have the same size"
                )
        return np.stack(frames)


def read_video_folder(path: str | Path) -> VideoFolder:
    """List a folder of videos with one folder per case and one image per frame; nothing is decoded.

    Cases and frames are sorted by name, digits by value (``frame-2`` before ``frame-10``). Other files are ignored.
    Colour frames are converted to grey (ITU-R BT.601), and 16-bit frames to 8 bits.

    Raises:
        DataError: The folder does not exist or has no cases, or cases have no frames; all are named.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: folder not found; expected a folder with one folder of frames per case")
    cases = sorted((c for c in folder.iterdir() if c.is_dir() and not c.name.startswith(".")), key=_by_name)
    if not cases:
        images = images_in(folder)
        hint = f"; move its {plural(len(images), 'image')} into one folder per case" if images else ""
        raise DataError(f"{folder}: no cases found, that is, folders of frames such as case-1/01.png{hint}")
    frames = {case.name: tuple(sorted(images_in(case).values(), key=_by_name)) for case in cases}
    empty = [f"{folder / name}: no frames found: fill or remove it" for name, files in frames.items() if not files]
    if empty:
        raise DataError(empty)
    return VideoFolder(folder, tuple(frames), tuple(frames.values()))


def matched_video_folders(real: str | Path, fake: str | Path) -> tuple[VideoFolder, VideoFolder]:
    """List real and generated videos of the same cases, with equal numbers of frames.

    Args:
        real: Folder of the real videos.
        fake: Folder of the generated videos.

    Raises:
        DataError: As in `read_video_folder`; cases that only one folder has, or different numbers of frames; all are
            listed.
    """
    real_videos, fake_videos = read_video_folder(real), read_video_folder(fake)
    problems = [
        f"{second.path}: no {_cases(missing)}, which {first.path} contains: add or remove "
        f"{'it' if len(missing) == 1 else 'them'}"
        for first, second in ((real_videos, fake_videos), (fake_videos, real_videos))
        if (missing := [case for case in first.cases if case not in second.cases])
    ]
    counts = dict(zip(fake_videos.cases, map(len, fake_videos.frames), strict=True))
    problems += [
        f"{fake_videos.path / case}: {plural(counts[case], 'frame')}, but {real_videos.path / case} has {len(files)}"
        for case, files in zip(real_videos.cases, real_videos.frames, strict=True)
        if counts.get(case, len(files)) != len(files)
    ]
    if problems:
        raise DataError(problems)
    return real_videos, fake_videos


def read_grey(file: Path) -> np.ndarray:
    """Read a frame as float32 (height, width) in [0, 1]; colours are converted to grey (ITU-R BT.601).

    Raises:
        DataError: The file is unreadable, or an animation.
    """
    if file.suffix.lower() in _ANIMATED:
        with contextlib.suppress(OSError), Image.open(file) as picture:  # read_rgb reports unreadable files
            if getattr(picture, "n_frames", 1) > 1:
                raise DataError(
                    f"{file}: is an animation of {picture.n_frames} frames, and its format merges equal frames; write "
                    "one PNG per frame (f2vbench generate format=frames)"
                )
    rgb = read_rgb(file)
    if (rgb == rgb[..., :1]).all():
        return rgb[..., 0].astype(np.float32) / 255
    return np.minimum(rgb.astype(np.float32) @ _LUMA / 255, 1)


def frame_size(file: Path) -> tuple[int, int]:
    """Height and width of a frame in pixels, from the header of its file; no pixel is decoded.

    Raises:
        DataError: The file is not a readable image.
    """
    try:
        with Image.open(file) as picture:
            width, height = picture.size
    except OSError as error:
        raise DataError(f"{file}: not a readable image ({error}); write this frame again") from error
    is_turned = exif_orientation(file) > 4  # orientations 5 to 8 exchange rows and columns
    return (width, height) if is_turned else (height, width)


def folder_sha256(folder: Path) -> str:
    """SHA-256 (hex) of the names and contents of all frames in a folder of videos.

    Raises:
        DataError: The folder does not exist or has no cases, or a case has no frames.
    """
    digest = hashlib.sha256()
    found = read_video_folder(folder)
    for case, files in zip(found.cases, found.frames, strict=True):
        for file in files:
            digest.update(f"{case}/{file.name}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _by_name(path: Path) -> list[tuple[int, int, str]]:
    return natural_key(path.name)


def _cases(names: list[str]) -> str:
    return f"{'case' if len(names) == 1 else 'cases'} {shortened(names)}"
