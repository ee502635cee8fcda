"""Pairs of real and generated angiograms, and their evaluation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from f2vbench.data.angiograms import RealVideos
from f2vbench.data.cases import LAST_FRAME_OF_PHASE
from f2vbench.data.field_of_view import angiogram_field
from f2vbench.data.photographs import Loader, Photograph
from f2vbench.errors import DataError
from f2vbench.metrics.names import FRAME_METRICS, STAND_IN_METRIC

FRAMES_PER_VIDEO = 12
_THUMBNAIL = 128  # maximum side of a frame on a stored strip, pixels


class VideoSource(NamedTuple):
    """Source of the frames of a model.

    Attributes:
        model: Name of the model, for messages.
        video: Photograph → (t, h, w) uint8 frames at its resolution; t is 1 or 12.
        phase: Phase of the frame, for a model of one frame.
    """

    model: str
    video: Callable[[Photograph], np.ndarray]
    phase: str


class VideoPair(NamedTuple):
    """Real and generated frames of one case, black outside the mask.

    Attributes:
        real: (t, h, w) uint8.
        generated: (t, h, w) uint8.
        inside: (h, w) bool, the field of view of the photograph and of the real frames.
    """

    real: np.ndarray
    generated: np.ndarray
    inside: np.ndarray


def pair_videos(real: RealVideos, photograph: Photograph, generated: np.ndarray, source: VideoSource) -> VideoPair:
    """Pair generated frames with the real ones of the same photograph.

    Args:
        real: Real videos.
        photograph: The photograph.
        generated: uint8 (t, h, w), frames that the source generated from it.
        source: Source of the generated frames; one frame is paired with the real frame of its phase.

    Returns:
        Both videos, black outside the field of view of the photograph and of the real frames.

    Raises:
        DataError: The number of frames is neither 1 nor 12.
    """
    if len(generated) not in (1, FRAMES_PER_VIDEO):
        raise _frame_count_error(source.model, real.case(photograph.name), len(generated))
    frames = np.rint(255 * real.frames(photograph.name)).astype(np.uint8)
    inside = photograph.fov & angiogram_field(frames)
    if len(generated) == 1:
        frames = frames[[LAST_FRAME_OF_PHASE[source.phase]]]
    return VideoPair(frames * inside, generated * inside, inside)


def _frame_count_error(model: str, case: str, count: int) -> DataError:
    return DataError(f"{model}: case {case} has {count} frames; all cases need {FRAMES_PER_VIDEO}, or all need 1")


class VideoPairs:
    """Real and generated videos of the test images, loaded one by one; only the last pair stays in memory.

    Args:
        images: Ids of the test photographs.
        load: Image id → photograph.
        real: Real videos.
        source: Source of the generated frames.

    Attributes:
        frame_pairs: Phase → pairs of single frames, of the cases that were loaded.
        generated_frames: Number of frames that the model generates; 0 before the first pair is loaded.
        strips: Image id → (2 h, w) uint8 strip: real frames above generated ones.
        generation_seconds: Seconds spent on generating or loading frames.
    """

    def __init__(self, images: Sequence[str], load: Loader, real: RealVideos, source: VideoSource):
        self.images, self.source = images, source
        self._load, self._real = load, real
        self.frame_pairs: dict[str, list[VideoPair]] = {}
        self.generated_frames = 0
        self.strips: dict[str, np.ndarray] = {}
        self.generation_seconds = 0.0
        self._last: tuple[int, VideoPair] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> VideoPair:
        """Load a pair; a model of one frame is paired with the real frame of its phase.

        Raises:
            DataError: The number of frames is neither 1 nor 12, or differs between cases.
        """
        if self._last is None or self._last[0] != index:
            self._last = index, self._load_pair(self.images[index])
        return self._last[1]

    def _load_pair(self, name: str) -> VideoPair:
        photograph, phase = self._load(name), self.source.phase
        started = time.perf_counter()
        generated = self.source.video(photograph)
        self.generation_seconds += time.perf_counter() - started
        if self.generated_frames not in (0, len(generated)):
            raise _frame_count_error(self.source.model, self._real.case(name), len(generated))
        pair = pair_videos(self._real, photograph, generated, self.source)
        self.generated_frames = len(generated)
        self.strips[name] = np.concatenate([_strip(pair.real), _strip(pair.generated)])
        for phase_of_frame, frame in ({phase: 0} if self.generated_frames == 1 else LAST_FRAME_OF_PHASE).items():
            single = VideoPair(pair.real[[frame]], pair.generated[[frame]], pair.inside)
            self.frame_pairs.setdefault(phase_of_frame, []).append(single)
        return pair


@dataclass
class VideoEvaluation:
    """Metrics of the test set.

    Attributes:
        metrics: Name → value or None; the names of single frames end with ``_<phase>``.
        reasons: Name → why the value is None.
        per_image: Image id → metrics of this video.
        intervals: Name → 95 % interval of a Fréchet distance.
        remarks: Name → what to know about a value.
    """

    metrics: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    per_image: dict[str, dict[str, float | None]] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


def evaluate_videos(pairs: VideoPairs, seed: int) -> VideoEvaluation:
    """Compute all metrics: of the whole videos, and of a single frame of each generated phase.

    Args:
        pairs: Real and generated videos.
        seed: Seed of the bootstrap of Fréchet distances.
    """
    evaluation = VideoEvaluation(per_image={name: {} for name in pairs.images})
    _ = pairs[0]  # sets the number of generated frames
    if pairs.generated_frames > 1:
        _evaluate(evaluation, pairs, pairs.images, "", frechet=True, seed=seed)
    else:
        for index in range(1, len(pairs)):
            _ = pairs[index]
        phase = pairs.source.phase
        reason = f"the model generates one frame, of the {phase} phase: see psnr_{phase}, ssim_{phase}"
        for name in (*FRAME_METRICS, "fvd", STAND_IN_METRIC):
            evaluation.metrics[name], evaluation.reasons[name] = None, reason
    for phase, frames in pairs.frame_pairs.items():
        _evaluate(evaluation, frames, pairs.images, f"_{phase}", frechet=False, seed=seed)
    return evaluation


class _PairField:
    """One field of pairs as `f2vbench.metrics.video.Videos`: frames as float32 in [0, 1], or masks."""

    def __init__(self, pairs: VideoPairs | Sequence[VideoPair], name: str):
        self._pairs, self._name = pairs, name

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> np.ndarray:
        array: np.ndarray = getattr(self._pairs[index], self._name)
        return array if self._name == "inside" else array.astype(np.float32) / 255


def _evaluate(
    evaluation: VideoEvaluation,
    pairs: VideoPairs | Sequence[VideoPair],
    names: Sequence[str],
    suffix: str,
    frechet: bool,
    seed: int,
) -> None:
    """Add the metrics of pairs to an evaluation, with a suffix to their names."""
    from f2vbench.metrics.video import ALL_CASES, video_metrics  # imports torch

    real, generated, inside = (_PairField(pairs, name) for name in VideoPair._fields)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # too few videos for a covariance: there is a remark on it
        rows = video_metrics(real, generated, cases=names, masks=inside, frechet=frechet, seed=seed)
    for row in rows:
        metric = row.metric + suffix
        value = None if row.value is None or not np.isfinite(row.value) else float(row.value)
        if row.case != ALL_CASES:
            evaluation.per_image[row.case][metric] = value
            continue
        evaluation.metrics[metric] = value
        if value is None:
            evaluation.reasons[metric] = row.note
        elif row.note:
            evaluation.remarks[metric] = row.note
        if row.low is not None and row.high is not None:
            evaluation.intervals[metric] = [row.low, row.high]


def _strip(frames: np.ndarray) -> np.ndarray:
    """Return (t, h, w) frames side by side, reduced to at most 128 px each: (h, w) uint8."""
    scale = min(1.0, _THUMBNAIL / max(frames.shape[1:]))
    size = round(frames.shape[2] * scale), round(frames.shape[1] * scale)
    return np.concatenate([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames], axis=1)
