"""Checks of all images of a data set before training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from f2vbench.data.cases import Case, FoundCases
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.tables import limit_problems
from f2vbench.errors import DataError
from f2vbench.training.data.registered_eye import FRAME_BLACK_LEVEL, GREEN, PHOTOGRAPH_BLACK_LEVEL
from f2vbench.utils.files import Memo, canonical_json, sha256
from f2vbench.utils.progress import Progress
from f2vbench.utils.system import cores

_MAX_READERS = 8


class ImageFacts(NamedTuple):
    """Properties of an image file, stored in the cache folder.

    Attributes:
        height: In pixels.
        width: In pixels.
        brightest_green: Largest green value, 0 to 255.
        content: Hash of the pixels.
    """

    height: int
    width: int
    brightest_green: int
    content: str


def check_images(found: FoundCases, progress: Progress) -> FoundCases:
    """Read every image once, so that a damaged file does not stop a training after hours.

    The result is stored in the cache folder and used again while a file does not change.

    Args:
        found: Cases whose images are read.
        progress: Receives the number of images read.

    Returns:
        The cases with their content hashes. Black frames (no green value above `FRAME_BLACK_LEVEL`) are left out,
        with a note.

    Raises:
        DataError: An image can't be read, a photograph is black, or the images of a case differ in size. The first
            ten problems are listed.
    """
    facts = _image_facts(sorted({path for case in found.cases for path in _files(case)}), progress)
    problems = [problem for problem in facts.values() if isinstance(problem, str)]
    cases: list[Case] = []
    notes: list[str] = []
    for case in found.cases:
        known = {path: entry for path in _files(case) if isinstance(entry := facts[path], ImageFacts)}
        if len({(entry.height, entry.width) for entry in known.values()}) > 1:
            problems.append(_different_sizes(case, known))
        if case.photograph in known and known[case.photograph].brightest_green <= PHOTOGRAPH_BLACK_LEVEL:
            problems.append(
                f"{case.photograph}: the photograph is black (no green value above {PHOTOGRAPH_BLACK_LEVEL})"
            )
        lit = tuple(
            frame
            for frame in case.frames
            if frame.path not in known or known[frame.path].brightest_green > FRAME_BLACK_LEVEL
        )
        if len(lit) < len(case.frames):
            notes.append(f"{case.name}: {len(case.frames) - len(lit)} black frames are left out")
        cases.append(replace(case, frames=lit, content=_content_hash(case, known)))
    if problems:
        raise DataError(limit_problems(problems))
    notes += _shared_photographs(cases, facts)
    return FoundCases(tuple(cases), (*found.notes, *notes))


def _files(case: Case) -> Iterator[Path]:
    yield case.photograph
    yield from (frame.path for frame in case.frames)
    if case.lesions is not None:
        yield case.lesions


def _image_facts(files: Sequence[Path], progress: Progress) -> dict[Path, ImageFacts | str]:
    """The facts of each file, or the problem with it."""
    memo = Memo("angiogram-images.jsonl")
    facts: dict[Path, ImageFacts | str] = {
        file: ImageFacts(*stored) for file in files if (stored := memo.get(file)) is not None
    }
    unknown = [file for file in files if file not in facts]
    if not unknown:
        return facts
    progress.begin("checking images", len(unknown))
    with ThreadPoolExecutor(min(cores(), _MAX_READERS)) as readers:
        for file, entry in zip(unknown, readers.map(_read_facts, unknown), strict=True):
            facts[file] = entry
            if isinstance(entry, ImageFacts):
                memo.put(file, list(entry))
            progress.advance(file.name)
    progress.end()
    return facts


def _read_facts(file: Path) -> ImageFacts | str:
    try:
        pixels = read_rgb(file)
    except DataError as error:
        return str(error)
    return ImageFacts(pixels.shape[0], pixels.shape[1], int(pixels[..., GREEN].max()), content_hash(pixels))


def _content_hash(case: Case, facts: Mapping[Path, ImageFacts]) -> str:
    """One hash of all pixels, phases and times of a case."""
    contents = {path: entry.content for path, entry in facts.items()}
    frames = [[contents.get(frame.path), frame.phase, frame.seconds] for frame in case.frames]
    lesions = None if case.lesions is None else contents.get(case.lesions)
    return sha256(canonical_json([contents.get(case.photograph), frames, lesions]))


def _shared_photographs(cases: Iterable[Case], facts: Mapping[Path, ImageFacts | str]) -> list[str]:
    """A note for each photograph that several patients share, because the split by patient can't see it."""
    owners: dict[ImageFacts | str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        owners[facts[case.photograph]].setdefault(case.patient, case.name)
    return [
        f"{', '.join(names.values())}: the same photograph for {len(names)} patients, who may be in different splits"
        for names in owners.values()
        if len(names) > 1
    ]


def _different_sizes(case: Case, facts: Mapping[Path, ImageFacts]) -> str:
    """The problem of images of several sizes, with one file of each size."""
    by_size = {(entry.width, entry.height): path for path, entry in reversed(list(facts.items()))}
    sizes = ", ".join(f"{path} {width} × {height}" for (width, height), path in sorted(by_size.items()))
    return f"case {case.name}: its images differ in size: {sizes}; register photograph and frames to the same pixels"
