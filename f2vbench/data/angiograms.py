"""Real frames of a generation task: twelve per examination, four of each phase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pandas import DataFrame

from f2vbench.data.cases import FRAMES_PER_PHASE, PHASES, evenly_spaced
from f2vbench.data.video_folders import read_grey
from f2vbench.errors import DataError


class RealVideos:
    """The angiogram videos that generated ones are compared with, read on demand.

    Args:
        index: Index of a generation task: photographs (CF) and frames (FFA) with a common ``case``.
    """

    def __init__(self, index: DataFrame):
        photographs = index[index["modality"] == "CF"]
        self._cases: dict[str, str] = dict(zip(photographs["image"], photographs["case"], strict=True))
        self._files = {case: _select_frames(rows) for case, rows in index[index["modality"] == "FFA"].groupby("case")}

    def case(self, photograph: str) -> str:
        """Name of the examination of a photograph, which is identified by its image id."""
        return self._cases[photograph]

    def frames(self, photograph: str) -> np.ndarray:
        """The real video of a photograph.

        Of more than four frames of a phase, four are selected at even spacing, as in training; if there are fewer,
        frames are repeated.

        Args:
            photograph: The image id.

        Returns:
            float32 (12, height, width) in [0, 1], in temporal order.

        Raises:
            DataError: A file is unreadable, or frames differ in size.
        """
        files = self._files[self._cases[photograph]]
        frames = {file: read_grey(file) for file in dict.fromkeys(files)}
        shapes = {frame.shape for frame in frames.values()}
        if len(shapes) > 1:
            raise DataError(f"case {self._cases[photograph]}: frames differ in size: {sorted(shapes)}")
        return np.stack([frames[file] for file in files])


def size_problems(index: DataFrame) -> list[str]:
    """One sentence for each case whose images differ in size, because registered images have the same size.

    Args:
        index: The index with the columns of `f2vbench.data.file_facts.add_file_facts`.
    """
    problems = []
    for case, rows in index.groupby("case"):
        sizes = rows.drop_duplicates(["height", "width"])
        if len(sizes) > 1:
            examples = ", ".join(f"{row.path} {row.width} × {row.height}" for row in sizes.itertuples())
            problems.append(f"case {case}: images differ in size: {examples}: register the frames to the photograph")
    return problems


def _select_frames(rows: DataFrame) -> tuple[Path, ...]:
    files: list[Path] = []
    for phase in PHASES:
        of_phase = rows[rows["phase"] == phase]
        ordered = of_phase.assign(time=of_phase["seconds"].astype(float)).sort_values(["time", "path"])
        files += [Path(ordered["path"].iloc[position]) for position in evenly_spaced(len(ordered), FRAMES_PER_PHASE)]
    return tuple(files)
