"""Generation: angiogram frames made from a photograph, compared with the true ones; nothing is trained.

Frames are compared on the photograph's own pixels, in 8 bits, inside its field of view and where the true frames show
something; both are black elsewhere. True videos have twelve frames, four of each phase. A model of one frame is
compared with the true frame of its phase alone: it has values for ``psnr_venous`` and the like, and none for
``psnr``; models of twelve frames have both.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, cast

import cv2
import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.angiograms import RealVideos, size_problems
from f2vbench.data.cases import LAST_FRAME_OF_PHASE, PHASES
from f2vbench.data.episodes import Episode
from f2vbench.data.field_of_view import angiogram_field
from f2vbench.data.photographs import Photograph
from f2vbench.data.video_folders import read_video_folder
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, WeightsError
from f2vbench.metrics.names import FRAME_METRICS, LOWER_IS_BETTER, STAND_IN_METRIC
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.store.record_schema import MapEntry, Solution

FRAMES = 12
_TILE = 128  # px, of a frame on a stored strip
_LISTED = 8

Side = Literal["real", "fake"]
Maker = Callable[[Photograph], np.ndarray]
Values = dict[str, "float | None"]


class Generation(TaskAdapter):
    """Twelve frames, or the one of a phase, beside the true ones: PSNR, SSIM, LPIPS, FVD and a stand-in for it."""

    name = "generation"
    version = 1
    protocols = ("zero-shot",)
    main_metrics = ("psnr", "ssim", "lpips", "fvd", STAND_IN_METRIC, "psnr_venous", "ssim_venous", "lpips_venous")
    lower_is_better = (*LOWER_IS_BETTER, *(f"lpips_{phase}" for phase in PHASES))

    def conditions(self, settings: RunSettings) -> list[tuple[Protocol, int | None]]:
        """One place, whatever ``shots`` says, for nothing is trained; none where ``protocol`` asks for others."""
        return [("zero-shot", 0)] if settings.protocol is None or "zero-shot" in settings.protocol else []

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        return None if model.kind == "video" or model.can_generate else "it generates no angiogram"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        return "video" if model.can_generate else None

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        return ("image_size", "precision") if model.can_generate else ()

    def metric_networks(self) -> dict[str, str | None]:
        known = {name: _sha256(name) for name in ("lpips-alex", "i3d-kinetics400")}
        if find_spec("lpips") is None:
            known["lpips-alex"] = None
        return known

    def data_problems(self, model: ModelSpec, index: DataFrame) -> list[str]:
        return [*size_problems(index), *(_folder_problems(model, index) if model.folder is not None else [])]

    def input_images(self, index: DataFrame) -> DataFrame:
        return index[index["modality"] == "CF"]

    def required_images(self, episode: Episode, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        return episode.test

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        names = [str(name) for name in self.input_images(index)["image"]]
        return Episode((names[0],), (names[-1],), seed=0), settings

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        models = list(units)
        if not models:
            return []
        found = ["seeds draw the patients who are tested; what a model makes of a photograph is always the same"]
        if any(model.can_generate or model.folder is not None for model, _ in models):
            found.append("models of one frame are compared with the true frame of their phase alone: psnr_venous etc.")
        return [*found, f"{STAND_IN_METRIC} is the distance of a named stand-in feature, not FVD"]

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Make the test part's frames, or read them, and compare them; a strip of each case is stored."""
        started = time.perf_counter()
        truth = RealVideos(context.index)
        make, phase = _maker(context, episode, truth)
        prepared = time.perf_counter()
        pairs = _Pairs(episode.test, context, truth, make, phase)
        found = measure(pairs, episode.test, seed=episode.seed % 2**32)
        made: dict[str, MapEntry] = {
            name: {**context.store_map(_png(strip)), "case": truth.case(name)} for name, strip in pairs.strips.items()
        }
        timing = {**TIMING, "prepare_seconds": prepared - started, "scored": len(episode.test)}
        timing["score_seconds"] = pairs.seconds
        timing["measure_seconds"] = time.perf_counter() - prepared - pairs.seconds
        timing["map_bytes"] = sum(entry["bytes"] for entry in made.values())
        return CompletedUnit(cast(Solution, {**found, "maps": made}), timing)


@dataclass
class _Pairs:
    """True and generated frames of the test part, read one case after the other; the last one alone is kept whole.

    Attributes:
        phase: of the frame that a model of one frame makes.
        single: phase → the (true, generated, inside) frames of each case, uint8 and bool.
        made: how many frames the model makes.
        strips: image → uint8 (2 h, w): true frames above generated ones.
        seconds: spent on making the frames.
    """

    images: Sequence[str]
    context: UnitContext
    truth: RealVideos
    make: Maker
    phase: str
    single: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = field(default_factory=dict)
    made: int = 0
    strips: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    _held: tuple[int, np.ndarray, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def at(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """uint8 (t, h, w) true and generated frames, and bool (h, w) inside; t is 1 for a model of one frame."""
        if self._held is None or self._held[0] != index:
            self._held = (index, *self._read(index))
        return self._held[1:]

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        name = self.images[index]
        photograph = self.context.photograph(name)
        real = np.rint(255 * self.truth.frames(name)).astype(np.uint8)
        inside = photograph.fov & angiogram_field(real)
        started = time.perf_counter()
        fake = self.make(photograph)
        self.seconds += time.perf_counter() - started
        if len(fake) not in (1, FRAMES) or self.made not in (0, len(fake)):
            told = f"{len(fake)} frames of {self.truth.case(name)}"
            raise DataError(f"{self.context.model.name}: {told}; {FRAMES} are compared, or 1, for all cases alike")
        self.made = len(fake)
        if self.made == 1:
            real = real[[LAST_FRAME_OF_PHASE[self.phase]]]
        real, fake = real * inside, fake * inside
        self.strips[name] = np.concatenate([_row(real), _row(fake)])
        phases = {self.phase: 0} if self.made == 1 else LAST_FRAME_OF_PHASE
        for phase, place in phases.items():
            self.single.setdefault(phase, []).append((real[[place]], fake[[place]], inside))
        return real, fake, inside


@dataclass(frozen=True)
class _Frames:
    """What `video_metrics` reads: one side of the pairs as float32 in [0, 1], or the masks."""

    at: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]
    count: int
    side: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        found = self.at(index)[self.side]
        return found if self.side == 2 else found.astype(np.float32) / 255


def measure(pairs: _Pairs, names: Sequence[str], seed: int) -> dict[str, Any]:
    """All metrics of a test part: of whole videos, and of the single frame of each phase that was made.

    Returns:
        ``metrics``, ``reasons`` and ``per_image`` as in `f2vbench.adapters.base.CompletedUnit`; ``intervals`` (95 %, of
        the Fréchet distances), ``remarks`` (what to know of a value) and ``frames``, how many the model makes.
    """
    from f2vbench.metrics.video import ALL, VideoScore, video_metrics  # imports torch

    def scores(at: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]], frechet: bool) -> list[VideoScore]:
        real, fake, inside = (_Frames(at, len(names), side) for side in range(3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # too few videos for a covariance: the remark tells
            return video_metrics(real, fake, cases=names, inside=inside, frechet=frechet, seed=seed)

    pairs.at(0)  # tells how many frames the model makes
    whole: list[VideoScore] = []
    if pairs.made > 1:
        whole = scores(pairs.at, frechet=True)
    else:
        for index in range(1, len(names)):
            pairs.at(index)
    found = {"": whole} | {f"_{phase}": scores(frames.__getitem__, False) for phase, frames in pairs.single.items()}
    result: dict[str, Any] = {"metrics": {}, "reasons": {}, "per_image": {name: {} for name in names}}
    result |= {"intervals": {}, "remarks": {}, "frames": pairs.made}
    if not whole:
        why = f"it makes one frame, of the {pairs.phase} phase: see psnr_{pairs.phase}, ssim_{pairs.phase}"
        names_of_videos = (*FRAME_METRICS, "fvd", STAND_IN_METRIC)
        result["metrics"] = dict.fromkeys(names_of_videos)
        result["reasons"] = dict.fromkeys(names_of_videos, why)
    for suffix, rows in found.items():
        for row in rows:
            metric = row.metric + suffix
            value = None if row.value is None or not np.isfinite(row.value) else float(row.value)
            if row.case != ALL:
                result["per_image"][row.case][metric] = value
                continue
            result["metrics"][metric] = value
            if value is None or row.note:
                result["reasons" if value is None else "remarks"][metric] = row.note
            if row.low is not None:
                result["intervals"][metric] = [row.low, row.high]
    return result


def _maker(context: UnitContext, episode: Episode, truth: RealVideos) -> tuple[Maker, str]:
    """What gives uint8 (t, h, w) on a photograph's own pixels, and the phase of a single frame."""
    if context.model.can_generate:
        frames, phase = context.feature_reader("video"), context.encoder().phase

        def generated(photograph: Photograph) -> np.ndarray:
            made = frames(photograph)[0].astype(np.float32)
            restored = np.stack([photograph.view.restore(frame) for frame in made])
            return np.rint(255 * np.clip(restored, 0, 1)).astype(np.uint8)

        return generated, phase
    videos = context.encoder()
    if hasattr(videos, "fit"):
        videos.fit((truth.frames(name), context.photograph(name).fov) for name in episode.support)
    return lambda photograph: videos.video(truth.case(photograph.name), photograph.rgb, photograph.fov), "venous"


def _folder_problems(model: ModelSpec, index: DataFrame) -> list[str]:
    """Cases that a folder of precomputed frames lacks, and wrong numbers of frames."""
    if model.folder is None:
        return []
    there = read_video_folder(model.folder)
    counts = dict(zip(there.cases, map(len, there.frames), strict=True))
    wanted = sorted(set(index["case"]))
    missing = [case for case in wanted if case not in counts]
    odd = [f"{case} ({counts[case]})" for case in wanted if counts.get(case, FRAMES) not in (1, FRAMES)]
    found = []
    if missing:
        found.append(f"{model.name}: {there.path} lacks the cases {_listed(missing)}; a folder each, named so")
    if odd:
        found.append(f"{model.name}: {FRAMES} frames a case are compared, or 1; not those of {_listed(odd)}")
    if len({counts[case] for case in wanted if case in counts}) > 1 and not odd:
        found.append(f"{model.name}: {there.path} has 1 frame of some cases and {FRAMES} of others")
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _sha256(card_name: str) -> str | None:
    """Of the file of a measuring network; None where it is not on this machine."""
    card = weights_card(card_name)
    try:
        find_weights(card)
    except WeightsError:
        return None
    return card.sha256


def _row(frames: np.ndarray) -> np.ndarray:
    """uint8 (h, w): frames beside each other, reduced to at most 128 px each."""
    scale = min(1.0, _TILE / max(frames.shape[1:]))
    size = round(frames.shape[2] * scale), round(frames.shape[1] * scale)
    return np.concatenate([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames], axis=1)


def _png(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].tobytes())
