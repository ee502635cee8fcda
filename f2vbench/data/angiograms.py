"""The true frames of a generation task: twelve of each examination, four of each phase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pandas import DataFrame

from f2vbench.data.cases import FRAMES_PER_PHASE, PHASES, evenly_spaced
from f2vbench.data.video_folders import read_grey
from f2vbench.errors import DataError


class RealVideos:
    """The frames that generated ones are compared with, read when they are asked for.

    Args:
        index: of a generation task: photographs (CF) and frames (FFA) that share a ``case``.
    """

    def __init__(self, index: DataFrame):
        photographs = index[index["modality"] == "CF"]
        self._cases = dict(zip(photographs["image"], photographs["case"], strict=True))
        self._files = {case: _chosen(rows) for case, rows in index[index["modality"] == "FFA"].groupby("case")}

    def case(self, photograph: str) -> str:
        """Name of the examination that a photograph (by its id) belongs to."""
        return self._cases[photograph]

    def frames(self, photograph: str) -> np.ndarray:
        """float32 (12, height, width) in [0, 1]: four frames of each phase, in order of time.

        Of more than four those evenly spread from the first to the last, as in training; of fewer the nearest repeat.

        Raises:
            DataError: a file can't be read any more, or frames differ in size.
        """
        files = self._files[self._cases[photograph]]
        read = {file: read_grey(file) for file in dict.fromkeys(files)}
        shapes = {frame.shape for frame in read.values()}
        if len(shapes) > 1:
            raise DataError(f"case {self._cases[photograph]}: its frames differ in size: {sorted(shapes)}")
        return np.stack([read[file] for file in files])


def size_problems(described: DataFrame) -> list[str]:
    """A sentence for each case whose images are not of one size, which registered ones are.

    Args:
        described: the index with the columns that `f2vbench.data.file_facts.describe` adds.
    """
    problems = []
    for case, rows in described.groupby("case"):
        sizes = rows.drop_duplicates(["height", "width"])
        if len(sizes) > 1:
            told = ", ".join(f"{row.path} {row.width} × {row.height}" for row in sizes.itertuples())
            problems.append(f"case {case}: its images differ in size: {told}; register the frames to the photograph")
    return problems


def _chosen(rows: DataFrame) -> tuple[Path, ...]:
    files: list[Path] = []
    for phase in PHASES:
        of_phase = rows[rows["phase"] == phase]
        ordered = of_phase.assign(when=of_phase["seconds"].astype(float)).sort_values(["when", "path"])
        files += [Path(ordered["path"].iloc[place]) for place in evenly_spaced(len(ordered), FRAMES_PER_PHASE)]
    return tuple(files)
