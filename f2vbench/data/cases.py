"""Cases to train on: a photograph with the angiogram frames registered to it, found in a table or in folders.

A table is the one of the released Fundus2Video code (`f2vbench.data.case_table`). A folder of cases holds

    <case>/photograph.png     or .jpg, .tif, …
    <case>/frames/*.png       in the order of their names, numbers by value (2 before 10); equal thirds of them
                              count as arterial, venous and late, the earlier phases taking what is over
    <case>/lesions.png        optional: a lesion mask, for the ablation that trains with it
    patients.csv              optional: columns case, patient; without it every case is a patient of its own
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from f2vbench.data.folder_scan import folders_in, images_in, layout_error, read_csv
from f2vbench.errors import DataError, did_you_mean

PHASES = ("arterial", "venous", "late")
"""The phases of an angiogram, in order."""

FRAMES_PER_PHASE = 4
"""Of the 12 frames of a video."""

LAST_FRAME_OF_PHASE = {"arterial": 3, "venous": 7, "late": 11}
"""Which of the 12 frames is the target of a model of one frame: the last of its phase."""

TABLE = "video.csv"
"""The table that is looked for where ``data`` is a folder."""

_LISTED = 10


@dataclass(frozen=True)
class Frame:
    """One angiogram frame.

    Attributes:
        phase: one of `PHASES`.
        seconds: the order within the phase; after injection where the source knows it, else the frame's number.
    """

    path: Path
    phase: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """One examination of one eye.

    Attributes:
        frames: by phase, then by time.
        lesions: file of a lesion mask, or None.
        content: hash of all pixels, phases and times, once the images have been checked.
    """

    name: str
    patient: str
    photograph: Path
    frames: tuple[Frame, ...]
    lesions: Path | None = None
    content: str = ""

    def in_phase(self, phase: str) -> list[Frame]:
        """The frames of one phase, in order."""
        return [frame for frame in self.frames if frame.phase == phase]


@dataclass(frozen=True)
class FoundCases:
    """Cases sorted by name, and a line for everything that was left out or added."""

    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()


def in_order(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Frames by phase, then by time, then by file name."""
    return tuple(sorted(frames, key=lambda frame: (PHASES.index(frame.phase), frame.seconds, str(frame.path))))


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """``wanted`` places of ``count``, evenly spread from the first to the last; the nearest repeat where there are
    fewer, and a single one is the middle."""
    if wanted == 1:
        return [(count - 1) // 2]
    return [(2 * at * (count - 1) + wanted - 1) // (2 * (wanted - 1)) for at in range(wanted)]


def limit_problems(problems: list[str]) -> list[str]:
    """At most ten problems and how many there are besides."""
    more = len(problems) - _LISTED
    return problems if more <= 0 else [*problems[:_LISTED], f"… and {more} more like these"]


def read_folder(folder: Path) -> FoundCases:
    """The cases of a plain folder: see the module.

    Raises:
        DataError: no case, cases without photograph or frames, or a ``patients.csv`` that does not fit; all listed.
    """
    cases: list[Case] = []
    problems: list[str] = []
    for place in folders_in(folder):
        images = {stem.lower(): path for stem, path in images_in(place).items()}
        frames = _frames(place / "frames")
        if "photograph" not in images:
            problems.append(f"{place}: no photograph.png or photograph.jpg; found {_names(images.values())}")
        if not frames:
            problems.append(f"{place}: no images in a folder named frames")
        if "photograph" in images and frames:
            cases.append(Case(place.name, place.name, images["photograph"], frames, images.get("lesions")))
    if not cases and not any(images_in(place) or (place / "frames").is_dir() for place in folders_in(folder)):
        raise layout_error(folder, f"a table {TABLE}, or a folder a case with photograph.png and frames/")
    if problems:
        raise DataError(limit_problems(problems))
    return _with_patients(cases, folder / "patients.csv")


def drop_incomplete_cases(found: FoundCases, wanted: int, minimum: int) -> FoundCases:
    """Cases that can be trained on: at least ``minimum`` frames in each phase.

    A case with fewer is left out; one with at least ``minimum`` but fewer than ``wanted`` in a phase is kept, and
    its nearest frames are shown more than once. Both are said in the notes.

    Args:
        wanted: frames of a phase that the model is shown.

    Raises:
        DataError: no case is left.
    """
    kept: list[Case] = []
    notes: list[str] = []
    for case in found.cases:
        counts = {phase: len(case.in_phase(phase)) for phase in PHASES}
        told = ", ".join(f"{count} {phase}" for phase, count in counts.items())
        if min(counts.values()) < minimum:
            notes.append(f"{case.name}: left out: {told} frames, at least {minimum} of each phase are needed")
            continue
        kept.append(case)
        if min(counts.values()) < wanted:
            notes.append(f"{case.name}: {told} frames where {wanted} a phase are shown: the nearest are repeated")
    if not kept:
        raise DataError(
            [
                f"none of {len(found.cases)} cases has {minimum} or more frames in each phase ({', '.join(PHASES)}): "
                "set minimum_frames lower, or check the phases",
                *limit_problems(notes),
            ]
        )
    return FoundCases(tuple(kept), (*found.notes, *notes))


def _with_patients(cases: list[Case], file: Path) -> FoundCases:
    if not file.is_file():
        note = f"{file}: not there, so every case counts as a patient of its own; both eyes of one may be parted"
        return FoundCases(tuple(cases), (note,))
    table = read_csv(file, ("case", "patient"))
    known = {case.name for case in cases}
    twice = [name for name, count in Counter(table["case"]).items() if count > 1]
    patients = dict(zip(table["case"], table["patient"], strict=True))
    problems = [f"{file}: case '{name}' is there more than once" for name in twice]
    problems += [f"{file}: no patient for the case '{name}'" for name in sorted(known) if not patients.get(name)]
    problems += [
        f"{file}: there is no folder of the case '{name}'{did_you_mean(name, known)}"
        for name in patients
        if name not in known
    ]
    if problems:
        raise DataError(limit_problems(problems))
    return FoundCases(tuple(replace(case, patient=patients[case.name]) for case in cases))


def _frames(folder: Path) -> tuple[Frame, ...]:
    if not folder.is_dir():
        return ()
    images = sorted(images_in(folder).items(), key=lambda image: _natural(image[0]))
    return tuple(Frame(path, _third(at, len(images)), float(at)) for at, (_, path) in enumerate(images))


def _third(at: int, count: int) -> str:
    """The phase of the frame ``at`` of ``count``: of 13, five arterial, four venous, four late."""
    least, over = divmod(count, len(PHASES))
    ends = [(part + 1) * least + min(part + 1, over) for part in range(len(PHASES))]
    return next(phase for phase, end in zip(PHASES, ends, strict=True) if at < end)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that takes digits as numbers."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(path.name for path in paths) or "no image"
