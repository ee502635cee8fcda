"""Cases to train on: a photograph with the angiogram frames registered to it, from a table or from folders.

The table is that of the released Fundus2Video code (`f2vbench.data.case_table`). A folder of cases contains

    <case>/photograph.png     or .jpg, .tif, …
    <case>/frames/*.png       in the order of their names, digits by value (2 before 10); equal thirds are the
                              arterial, venous and late phase, the earlier phases have one more if needed
    <case>/lesions.png        optional: a lesion mask, for the ablation that trains with it
    patients.csv              optional: columns case, patient; without it, patients are read from names that end in an
                              eye (``12_left``), and every other case counts as its own patient
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from f2vbench.data.folder_scan import folders_in, images_in, layout_error, natural_key
from f2vbench.data.patient_names import patient_and_eye
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError, did_you_mean
from f2vbench.utils.text import plural

PHASES = ("arterial", "venous", "late")
"""The phases of an angiogram, in order."""

FRAMES_PER_PHASE = 4
"""Frames of each phase in a video of 12 frames."""

LAST_FRAME_OF_PHASE = {"arterial": 3, "venous": 7, "late": 11}
"""Position of each phase's last frame in the video, the target of a model that generates a single frame."""

TABLE = "video.csv"
"""Name of the table in a data folder."""

EXPECTED_FOLDERS = "one folder per case with photograph.png and frames/"
"""Description of a folder of cases, for messages."""


@dataclass(frozen=True)
class Frame:
    """One angiogram frame.

    Attributes:
        path: The image file.
        phase: One of `PHASES`.
        seconds: Time after injection, or the frame's number if the time is unknown; orders the frames of a phase.
    """

    path: Path
    phase: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """One examination of one eye.

    Attributes:
        name: Unique name.
        patient: Id of the patient.
        photograph: The image file of the fundus photograph.
        frames: Angiogram frames, sorted by phase, then by time.
        lesions: File of a lesion mask, or None.
        content: Hash of all pixels, phases and times, set once the images have been checked.
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
    """Cases of a data set.

    Attributes:
        cases: Sorted by name.
        notes: One sentence for everything that was left out or assumed.
    """

    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()


def sort_frames(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Frames sorted by phase, then by time, then by file name."""
    return tuple(sorted(frames, key=lambda frame: (PHASES.index(frame.phase), frame.seconds, str(frame.path))))


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """``wanted`` positions of ``count``, evenly spaced from the first to the last.

    If ``wanted`` is larger than ``count``, positions repeat; a single one is the middle.
    """
    if wanted == 1:
        return [(count - 1) // 2]
    return [(2 * at * (count - 1) + wanted - 1) // (2 * (wanted - 1)) for at in range(wanted)]


def read_folder(folder: Path) -> FoundCases:
    """Read the cases of a folder with one folder per case (see the module).

    Raises:
        DataError: No case, cases without photograph or frames, or a ``patients.csv`` that does not fit; all are listed.
    """
    cases: list[Case] = []
    problems: list[str] = []
    for place in folders_in(folder):
        images = {stem.lower(): path for stem, path in images_in(place).items()}
        frames = _read_frames(place / "frames")
        if "photograph" not in images:
            names = ", ".join(path.name for path in images.values()) or "no image"
            problems.append(f"{place}: photograph.png or photograph.jpg not found; found {names}")
        if not frames:
            problems.append(f"{place}: no images in a folder named frames")
        if "photograph" in images and frames:
            cases.append(Case(place.name, place.name, images["photograph"], frames, images.get("lesions")))
    if not cases and not any(images_in(place) or (place / "frames").is_dir() for place in folders_in(folder)):
        raise layout_error(folder, f"a table {TABLE}, or {EXPECTED_FOLDERS}")
    if problems:
        raise DataError(limit_problems(problems))
    return _with_patients(cases, folder / "patients.csv")


def drop_incomplete_cases(found: FoundCases, wanted: int, minimum: int, phases: Sequence[str] = PHASES) -> FoundCases:
    """Keep cases with at least ``minimum`` frames in each phase.

    The notes name the cases that are left out, and the kept cases with fewer than ``wanted`` frames in a phase, whose
    frames are repeated.

    Args:
        found: All cases.
        wanted: Frames per phase that the model receives.
        minimum: Frames per phase that a case needs.
        phases: The phases of a video.

    Raises:
        DataError: No case is left.
    """
    kept: list[Case] = []
    notes: list[str] = []
    for case in found.cases:
        counts = {phase: len(case.in_phase(phase)) for phase in phases}
        frames = ", ".join(f"{count} {phase}" for phase, count in counts.items()) + " frames"
        if min(counts.values()) < minimum:
            notes.append(f"{case.name}: left out: {frames}, at least {minimum} of each phase are needed")
            continue
        kept.append(case)
        if min(counts.values()) < wanted:
            notes.append(f"{case.name}: {frames} for {wanted} per phase: frames are repeated")
    if not kept:
        raise DataError(
            [
                f"none of {plural(len(found.cases), 'case')} has {plural(minimum, 'frame')} or more in each phase "
                f"({', '.join(phases)}): decrease minimum_frames, or check the phases",
                *limit_problems(notes),
            ]
        )
    return FoundCases(tuple(kept), (*found.notes, *notes))


def _with_patients(cases: list[Case], file: Path) -> FoundCases:
    if not file.is_file():
        named = {case.name: found[0] for case in cases if (found := patient_and_eye(case.name)) is not None}
        return FoundCases(
            tuple(replace(case, patient=named.get(case.name, case.patient)) for case in cases),
            (_assumption(file, len(cases), named),),
        )
    table = read_csv(file, ("case", "patient"))
    known = {case.name for case in cases}
    repeated = [name for name, count in Counter(table["case"]).items() if count > 1]
    patients = dict(zip(table["case"], table["patient"], strict=True))
    problems = [f"{file}: case '{name}' is listed more than once" for name in repeated]
    problems += [f"{file}: case '{name}' has no patient" for name in sorted(known) if not patients.get(name)]
    problems += [
        f"{file}: case '{name}' has no folder{did_you_mean(name, known)}" for name in patients if name not in known
    ]
    if problems:
        raise DataError(limit_problems(problems))
    return FoundCases(tuple(replace(case, patient=patients[case.name]) for case in cases))


def _assumption(file: Path, count: int, named: Mapping[str, str]) -> str:
    if not named:
        return f"{file} not found: every case counts as its own patient; eyes of one patient may be in different splits"
    name, patient = next(iter(named.items()))
    rest = f"; {plural(count - len(named), 'other case')} as a patient each" if count > len(named) else ""
    return (
        f"{file} not found: patients are read from {plural(len(named), 'case name')} such as {name} (patient {patient})"
        f"{rest}"
    )


def _read_frames(folder: Path) -> tuple[Frame, ...]:
    if not folder.is_dir():
        return ()
    images = sorted(images_in(folder).items(), key=lambda image: natural_key(image[0].lower()))
    return tuple(
        Frame(path, _phase_of(position, len(images)), float(position)) for position, (_, path) in enumerate(images)
    )


def _phase_of(position: int, count: int) -> str:
    """The phase of one of ``count`` frames: of 13, five are arterial, four venous, four late."""
    size, remainder = divmod(count, len(PHASES))
    ends = [(index + 1) * size + min(index + 1, remainder) for index in range(len(PHASES))]
    return next(phase for phase, end in zip(PHASES, ends, strict=True) if position < end)
