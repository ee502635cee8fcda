"""Folders of videos as frames, ``<case>/<frame>.png``: from any generator, or the real ones beside them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from f2vbench.data.folder_scan import images_in
from f2vbench.data.images import read_rgb
from f2vbench.errors import DataError

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_LISTED = 8


@dataclass(frozen=True)
class VideoFolder:
    """Videos that are read from disk when they are asked for, so that many of them need little memory.

    A sequence: ``len(folder)`` videos; ``folder[i]`` is video i as float32 (t, h, w) in [0, 1].

    Attributes:
        path: the folder.
        cases: names of the videos, sorted.
        frames: the files of each, in order.
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
                    f"{frames[0].shape[1]} × {frames[0].shape[0]}: frames of a video must be of one size"
                )
        return np.stack(frames)


def read_video_folder(path: str | Path) -> VideoFolder:
    """List a folder of videos, one folder a case, one image a frame; nothing is decoded yet.

    Cases and frames are sorted by name, numbers by their value (``frame-2`` before ``frame-10``). Files that are no
    images are passed over. Colour frames become grey by ITU-R BT.601; 16-bit ones are cut to 8.

    Raises:
        DataError: no such folder, no cases in it, or cases without frames; all named.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give one that holds a folder of frames for every case")
    cases = sorted((c for c in folder.iterdir() if c.is_dir() and not c.name.startswith(".")), key=_natural)
    if not cases:
        loose = f"; its {len(images_in(folder))} images must lie in a folder of their own" if images_in(folder) else ""
        raise DataError(f"{folder}: holds no cases, that is, folders of frames like case-1/01.png{loose}")
    frames = {case.name: tuple(sorted(images_in(case).values(), key=_natural)) for case in cases}
    empty = [f"{folder / name}: holds no frames; fill or remove it" for name, files in frames.items() if not files]
    if empty:
        raise DataError(empty)
    return VideoFolder(folder, tuple(frames), tuple(frames.values()))


def matched_video_folders(real: str | Path, fake: str | Path) -> tuple[VideoFolder, VideoFolder]:
    """Real and generated videos of the same cases, with as many frames each.

    Raises:
        DataError: as `read_video_folder`; cases that only one folder has, or frames that differ in number, all listed.
    """
    truth, made = read_video_folder(real), read_video_folder(fake)
    problems = [
        f"{lacking.path}: lacks {_listed(missing)}, which {having.path} has: add or remove {_what(missing)}"
        for having, lacking in ((truth, made), (made, truth))
        if (missing := [case for case in having.cases if case not in lacking.cases])
    ]
    counts = dict(zip(made.cases, map(len, made.frames), strict=True))
    problems += [
        f"{made.path / case}: {counts[case]} frames, but {truth.path / case} has {len(files)}"
        for case, files in zip(truth.cases, truth.frames, strict=True)
        if counts.get(case, len(files)) != len(files)
    ]
    if problems:
        raise DataError(problems)
    return truth, made


def read_grey(file: Path) -> np.ndarray:
    """A frame as float32 (h, w) in [0, 1]; colours become grey by ITU-R BT.601."""
    rgb = read_rgb(file)
    if (rgb == rgb[..., :1]).all():
        return rgb[..., 0].astype(np.float32) / 255
    return np.minimum(rgb.astype(np.float32) @ _LUMA / 255, 1)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} case{'s' if len(names) > 1 else ''} ({', '.join(names[:_LISTED])}{more})"


def _what(names: list[str]) -> str:
    return "them" if len(names) > 1 else "it"


def folder_sha256(folder: Path) -> str:
    """Hex sha256 of the names and contents of all frames in a folder of videos.

    Raises:
        DataError: no such folder, no cases in it, or a case without frames.
    """
    digest = hashlib.sha256()
    found = read_video_folder(folder)
    for case, files in zip(found.cases, found.frames, strict=True):
        for file in files:
            digest.update(f"{case}/{file.name}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
