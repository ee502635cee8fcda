"""Prepare an assessment: the pages of the raters, and the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from f2vbench.adapters.video_evaluation import VideoSource, pair_videos
from f2vbench.data.cases import FRAMES_PER_PHASE, PHASES
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.utils.existing_outputs import check_output_folder
from f2vbench.utils.files import sealed, write_together
from f2vbench.utils.progress import Progress, Silent
from f2vbench.utils.text import plural
from f2vbench.videos.assessment.key import (
    FILE_NAME,
    KIND,
    VERSION,
    AssessmentKey,
    KeyItem,
    assessment_id,
    draw_raters,
    new_salt,
    select_images,
)
from f2vbench.videos.assessment.page import PageItem, PageSettings, encode_frame, render_page
from f2vbench.videos.assessment.settings import PrepareSettings
from f2vbench.videos.assessment.sources import AssessmentData, assessment_data

_PAGES = "pages"
_MOST_BYTES = 400_000_000  # of a page; browsers become slow, and strings end at 512 MiB


@dataclass(frozen=True)
class PreparedAssessment:
    """A prepared assessment.

    Attributes:
        identifier: Identifier of the assessment.
        pages: Page of each rater.
        key: Key file.
        methods: Names of the methods.
        cases: Number of examinations.
        largest: Bytes of the largest page.
    """

    identifier: str
    pages: tuple[Path, ...]
    key: Path
    methods: tuple[str, ...]
    cases: int
    largest: int

    @property
    def text(self) -> str:
        """What was written, for the terminal."""
        pairs = f"{plural(self.cases, 'examination')} × {plural(len(self.methods), 'method')}"
        return (
            f"assessment {self.identifier}: {pairs} = {self.cases * len(self.methods)} videos for each of "
            f"{plural(len(self.pages), 'rater')}\n"
            f"pages: {', '.join(map(str, self.pages))} ({self.largest / 1e6:.1f} MB at most); give one to each rater\n"
            f"key:   {self.key}; keep it, and do not give it to the raters\n"
            f"then:  f2vbench assess score <CSV files of the raters> key={self.key}"
        )


@dataclass(frozen=True)
class _EncodedPair:
    photograph: str
    real: list[str]
    generated: list[str]
    phases: list[str]


def prepare(settings: PrepareSettings, progress: Progress | None = None) -> PreparedAssessment:
    """Write the pages and the key of an assessment. Nothing is written where anything is wrong.

    Args:
        settings: Keys of `f2vbench assess prepare`.
        progress: Receives the progress.

    Raises:
        SettingsError: More videos than there are, or pages would be too large.
        DataError: Frames or photographs are missing, unreadable, or of different sizes.
        StoreError: ``out`` has files, or is not writable; or the run does not hold the frames of a model.
    """
    reporter = progress or Silent()
    _check_new(settings.out)
    data = assessment_data(settings, reporter)
    if settings.videos > len(data.images):
        raise SettingsError(
            f"videos={settings.videos}: there are {len(data.images)} examinations with a video of every method; "
            f"write videos={len(data.images)} or less, or run more seeds, which test other patients"
        )
    patients = {image: data.patient(image) for image in data.images}
    images = select_images(data.images, patients, settings.videos, settings.seed)
    methods = [source.model for source in data.sources]
    salt = new_salt()
    key: AssessmentKey = {
        "kind": KIND,
        "version": VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "salt": salt,
        "seed": settings.seed,
        "criteria": list(settings.criteria),
        "view": settings.view,
        "blind": settings.blind,
        "origin": dict(data.origin),
        "methods": methods,
        "cases": [{"image": image, "case": data.real.case(image), "patient": patients[image]} for image in images],
        "raters": draw_raters(images, methods, settings.raters, settings.seed, salt),
    }
    pairs = _encode_pairs(data, images, settings, reporter)
    identifier = assessment_id(key)
    pages: dict[Path, bytes] = {}
    for rater in key["raters"]:
        shown = PageSettings(
            identifier, rater["name"], settings.criteria, settings.view, settings.blind == "source", settings.fps
        )
        items = [_page_item(item, pairs, label=settings.blind == "method") for item in rater["items"]]
        pages[settings.out / _PAGES / f"{rater['name']}.html"] = render_page(shown, items).encode()
    largest = max(map(len, pages.values()))
    if largest > _MOST_BYTES:
        raise SettingsError(
            f"a page would have {largest / 1e6:.0f} MB, and browsers open {_MOST_BYTES / 1e6:.0f} MB at most: decrease "
            "videos or size, or set quality=95"
        )
    write_together({settings.out / FILE_NAME: sealed(key), **pages})
    (settings.out / FILE_NAME).chmod(0o600)  # for the study's owner only
    return PreparedAssessment(identifier, tuple(pages), settings.out / FILE_NAME, tuple(methods), len(images), largest)


def _check_new(out: Path) -> None:
    """Refuse a folder with an assessment: raters may have started on its pages."""
    if (out / FILE_NAME).exists() or (out / _PAGES).exists():
        raise StoreError(
            f"out={out}: has an assessment, whose pages and key belong together; choose another folder with out="
        )
    check_output_folder(out, "out", ())


def _encode_pairs(
    data: AssessmentData, images: list[str], settings: PrepareSettings, progress: Progress
) -> dict[tuple[str, str], _EncodedPair]:
    """Encoded images of each photograph and method.

    Raises:
        DataError: Images are unreadable or of other sizes; all are listed.
    """
    pairs: dict[tuple[str, str], _EncodedPair] = {}
    problems: list[str] = []
    progress.begin("encoding videos", len(images) * len(data.sources))
    for image in images:
        encoded: dict[bytes, str] = {}
        for source in data.sources:
            try:
                pairs[image, source.model] = _encode_pair(data, image, source, settings, encoded)
            except DataError as error:
                problems += error.problems
            progress.advance(f"{data.real.case(image)} {source.model}")
    progress.end()
    if problems:
        raise DataError(problems)
    return pairs


def _encode_pair(
    data: AssessmentData, image: str, source: VideoSource, settings: PrepareSettings, encoded: dict[bytes, str]
) -> _EncodedPair:
    photograph = data.photograph(image)
    pair = pair_videos(data.real, photograph, source.video(photograph), source)
    side = min(settings.size, photograph.view.side)

    def encode(pixels: np.ndarray) -> str:
        square = photograph.view.crop(pixels, side)
        content = square.tobytes()
        if content not in encoded:
            encoded[content] = encode_frame(square, settings.quality)
        return encoded[content]

    count = len(pair.generated)
    phases = [PHASES[frame // FRAMES_PER_PHASE] for frame in range(count)] if count > 1 else [source.phase]
    colour = photograph.rgb * photograph.fov[..., None]
    return _EncodedPair(encode(colour), [*map(encode, pair.real)], [*map(encode, pair.generated)], phases)


def _page_item(item: KeyItem, pairs: Mapping[tuple[str, str], _EncodedPair], *, label: bool) -> PageItem:
    pair = pairs[item["image"], item["method"]]
    sides = (pair.generated, pair.real) if item["generated"] == "A" else (pair.real, pair.generated)
    return PageItem(item["video"], pair.photograph, sides, pair.phases, item["generated"] if label else "")
