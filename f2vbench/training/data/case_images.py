"""The pixels of a case: checked once, then read, masked, cropped to the field of view and resized."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from f2vbench.data.cases import Case, FoundCases, Frame, limit_problems
from f2vbench.data.images import content_hash, read_mask, read_rgb
from f2vbench.data.square_crop import SquareView
from f2vbench.errors import DataError
from f2vbench.utils.files import Memo, canonical_json, sha256
from f2vbench.utils.progress import Progress
from f2vbench.utils.system import cores

# The released preprocessing: green values (of 255) that count as lit in the photograph and in a frame.
PHOTOGRAPH_LIT = 11
FRAME_LIT = 2

_MOST_READERS = 8
_GREEN = 1


@dataclass(frozen=True)
class RegisteredEye:
    """A photograph and its frames on the same square of pixels, all 0 outside the field of view.

    Attributes:
        photograph: uint8 (size, size, 3), RGB.
        frames: uint8 (n, size, size); n is 0 for a photograph alone.
        inside: bool (size, size), the field of view.
        lesions: bool (size, size), or None where they are not known.
    """

    photograph: np.ndarray
    frames: np.ndarray
    inside: np.ndarray
    lesions: np.ndarray | None = None


class Fact(NamedTuple):
    """What is remembered of an image: its size, its brightest green value, and the hash of its pixels."""

    height: int
    width: int
    light: int
    content: str


def check_images(found: FoundCases, progress: Progress) -> FoundCases:
    """Read every image once, so that training does not stop at a damaged one hours later.

    What is found is remembered in the cache folder as long as the file does not change. Frames without light (no
    green value above `FRAME_LIT`) are left out and noted.

    Raises:
        DataError: images that can't be read, photographs without light, and cases whose images differ in size; the
            first ten are listed.
    """
    files = {case.photograph for case in found.cases} | {f.path for case in found.cases for f in case.frames}
    files |= {case.lesions for case in found.cases if case.lesions is not None}
    facts = _facts(sorted(files), progress)
    problems = [fact for fact in facts.values() if isinstance(fact, str)]
    cases: list[Case] = []
    notes: list[str] = []
    for case in found.cases:
        known = {path: fact for path in _files(case) if isinstance(fact := facts[path], Fact)}
        if len({(fact.height, fact.width) for fact in known.values()}) > 1:
            problems.append(_different_sizes(case, known))
        if case.photograph in known and known[case.photograph].light <= PHOTOGRAPH_LIT:
            problems.append(f"{case.photograph}: the photograph is black (no green value above {PHOTOGRAPH_LIT})")
        lit = tuple(each for each in case.frames if each.path not in known or known[each.path].light > FRAME_LIT)
        if len(lit) < len(case.frames):
            notes.append(f"{case.name}: {len(case.frames) - len(lit)} black frames are left out")
        cases.append(replace(case, frames=lit, content=_content(case, known)))
    if problems:
        raise DataError(limit_problems(problems))
    notes += _same_photographs(cases, facts)
    return FoundCases(tuple(cases), (*found.notes, *notes))


def read_eye(case: Case, frames: Sequence[Frame], size: int) -> RegisteredEye:
    """A case with the chosen frames, on a square of ``size`` pixels around the field of view.

    Raises:
        DataError: a file can't be read any more, or its size has changed.
    """
    photograph = read_rgb(case.photograph)
    known: dict[Path, np.ndarray] = {}  # a frame may be shown more than once
    for frame in frames:
        if frame.path not in known:
            known[frame.path] = read_rgb(frame.path)[..., _GREEN]
    lesions = None if case.lesions is None else read_mask(case.lesions)
    for path, pixels in known.items():
        if pixels.shape != photograph.shape[:2]:
            raise DataError(f"{path}: its size is no longer that of {case.photograph}: start again")
    stack = stacked([known[frame.path] for frame in frames], photograph[..., 0])
    return square_eye(photograph, stack, angiogram_field(photograph, stack), size, lesions)


def square_eye(
    photograph: np.ndarray, frames: np.ndarray, inside: np.ndarray, size: int, lesions: np.ndarray | None
) -> RegisteredEye:
    """Mask, crop to the field of view's box, make square and resize.

    Args:
        photograph: uint8 (h, w, 3).
        frames: uint8 (n, h, w).
        inside: bool (h, w), the field of view, not empty.
        lesions: bool (h, w).
    """
    view = SquareView.around(inside)
    field = view.crop(inside, size)

    colour = view.crop(photograph * inside[..., None], size) * field[..., None]
    grey = stacked([view.crop(frame * inside, size) * field for frame in frames], field)
    marked = None if lesions is None else view.crop(lesions & inside, size) & field
    return RegisteredEye(colour, grey, field, marked)


def stacked(frames: Sequence[np.ndarray], like: np.ndarray) -> np.ndarray:
    """uint8 (n, h, w) of n frames, which may be none: then ``like`` (h, w) tells their size."""
    return np.stack(frames) if frames else np.zeros((0, *like.shape), np.uint8)


def angiogram_field(photograph: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """What photograph and frames both show, bool (h, w), as the released preprocessing has it.

    Pixels whose green is above `PHOTOGRAPH_LIT` in the photograph (h, w, 3) and above `FRAME_LIT` in every frame of
    (n, h, w); their largest region (8 neighbours), holes filled. Frames that are dark nearly everywhere, as before
    the dye comes, would leave a fragment: where it is less than half of the photograph's own field, that one counts,
    and so it does where there are no frames.
    """
    lit = photograph[..., _GREEN] > PHOTOGRAPH_LIT
    own = _largest_filled(lit)
    both = _largest_filled(lit & (frames > FRAME_LIT).all(axis=0))
    return both if 2 * both.sum() >= own.sum() else own


def _largest_filled(mask: np.ndarray) -> np.ndarray:
    count, labels, measures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return mask
    largest = 1 + int(np.argmax(measures[1:, cv2.CC_STAT_AREA]))
    region = (labels == largest).astype(np.uint8)
    contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(region, contours, -1, 1, cv2.FILLED)) > 0


def _files(case: Case) -> Iterable[Path]:
    yield case.photograph
    yield from (frame.path for frame in case.frames)
    if case.lesions is not None:
        yield case.lesions


def _facts(files: Sequence[Path], progress: Progress) -> dict[Path, Fact | str]:
    """What is known of each file, or what is wrong with it."""
    memo = Memo("angiogram-images.jsonl")
    facts: dict[Path, Fact | str] = {file: Fact(*held) for file in files if (held := memo.get(file)) is not None}
    unknown = [file for file in files if file not in facts]
    if not unknown:
        return facts
    progress.begin("checking images", len(unknown))
    with ThreadPoolExecutor(min(cores(), _MOST_READERS)) as readers:
        for file, fact in zip(unknown, readers.map(_fact, unknown), strict=True):
            facts[file] = fact
            if isinstance(fact, Fact):
                memo.put(file, list(fact))
            progress.advance(file.name)
    progress.end()
    return facts


def _fact(file: Path) -> Fact | str:
    try:
        pixels = read_rgb(file)
    except DataError as error:
        return str(error)
    return Fact(pixels.shape[0], pixels.shape[1], int(pixels[..., _GREEN].max()), content_hash(pixels))


def _content(case: Case, facts: Mapping[Path, Fact]) -> str:
    known = {path: fact.content for path, fact in facts.items()}
    frames = [[known.get(frame.path), frame.phase, frame.seconds] for frame in case.frames]
    lesions = None if case.lesions is None else known.get(case.lesions)
    return sha256(canonical_json([known.get(case.photograph), frames, lesions]))


def _same_photographs(cases: Iterable[Case], facts: Mapping[Path, Fact | str]) -> list[str]:
    """A note for each photograph that several patients have: the split can't keep it in one part."""
    owners: dict[Fact | str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        owners[facts[case.photograph]].setdefault(case.patient, case.name)
    return [
        f"{', '.join(names.values())}: the same photograph for {len(names)} patients, who may lie in different parts"
        for names in owners.values()
        if len(names) > 1
    ]


def _different_sizes(case: Case, facts: Mapping[Path, Fact]) -> str:
    """Names one file of each size."""
    by_size = {(fact.width, fact.height): path for path, fact in reversed(list(facts.items()))}
    told = ", ".join(f"{path} {width} × {height}" for (width, height), path in sorted(by_size.items()))
    return f"case {case.name}: its images differ in size: {told}; register photograph and frames to the same pixels"
