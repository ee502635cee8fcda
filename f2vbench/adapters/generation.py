"""Task adapter for generation: generated angiogram frames against real ones; nothing is trained.

Frames are compared at the photograph's resolution, in 8 bits, inside the field of view of the photograph and of the
real frames; both sides are black elsewhere. Real videos have twelve frames, four of each phase. A model that generates
one frame is compared with the real frame of its phase only: it has values for ``psnr_venous`` and the like, but not for
``psnr``. Models of twelve frames have both.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

import cv2
import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.adapters.video_evaluation import FRAMES_PER_VIDEO, VideoPairs, VideoSource, evaluate_videos
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.angiograms import RealVideos, size_problems
from f2vbench.data.cases import PHASES
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Photograph
from f2vbench.data.video_folders import VideoFolder, frame_size, read_video_folder
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, WeightsError
from f2vbench.metrics.names import LOWER_IS_BETTER, STAND_IN_METRIC
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.store.record_schema import MapEntry, Solution

_MAX_LISTED = 8


class Generation(TaskAdapter):
    """Angiograms of twelve frames, or of one, against real ones: PSNR, SSIM, LPIPS, FVD and a stand-in for FVD."""

    name = "generation"
    version = 1
    protocols = ("zero-shot",)
    main_metrics = ("psnr", "ssim", "lpips", "fvd", STAND_IN_METRIC, "psnr_venous", "ssim_venous", "lpips_venous")
    lower_is_better = (*LOWER_IS_BETTER, *(f"lpips_{phase}" for phase in PHASES))

    def conditions(self, settings: RunSettings) -> list[tuple[Protocol, int | None]]:
        """Return zero-shot for any ``shots``, because nothing is trained, unless ``protocol`` excludes it."""
        return [("zero-shot", 0)] if settings.protocol is None or "zero-shot" in settings.protocol else []

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Refuse models without angiogram frames."""
        return None if model.kind == "video" or model.can_generate else "generates no angiogram"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        """Return ``video`` for generators."""
        return "video" if model.can_generate else None

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return image size and arithmetic of generators."""
        return ("image_size", "precision") if model.can_generate else ()

    def metric_networks(self) -> dict[str, str | None]:
        """Return the networks of LPIPS and FVD."""
        networks = {name: _installed_sha256(name) for name in ("lpips-alex", "i3d-kinetics400")}
        if find_spec("lpips") is None:
            networks["lpips-alex"] = None
        return networks

    def data_problems(self, model: ModelSpec, index: DataFrame) -> list[str]:
        """Return cases with images of different sizes, and cases that a folder of frames lacks or has in another form.

        The number of frames and their sizes are compared.
        """
        return [*size_problems(index), *_folder_problems(model, index)]

    def input_images(self, index: DataFrame) -> DataFrame:
        """Return the colour photographs."""
        return index[index["modality"] == "CF"]

    def required_images(self, episode: Episode, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the test images."""
        return episode.test

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Return a unit of one support and one test photograph."""
        names = [str(name) for name in self.input_images(index)["image"]]
        return Episode((names[0],), (names[-1],), seed=0), settings

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        """Explain seeds, single frames and the stand-in metric."""
        models = [model for model, _ in units]
        if not models:
            return []
        notes = ["Seeds draw the test patients; the frames that a model generates do not depend on the seed."]
        if any(model.can_generate or model.folder is not None for model in models):
            notes.append("Models of one frame are compared with the real frame of their phase only: psnr_venous etc.")
        return [*notes, f"{STAND_IN_METRIC} is the Fréchet distance of stand-in features, not FVD."]

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Generate or load the frames of the test images, compare them, and store a strip of frames for each case."""
        started = time.perf_counter()
        real = RealVideos(context.index)
        pairs = VideoPairs(episode.test, context.photograph, real, _video_source(context, episode, real))
        prepared = time.perf_counter()
        evaluation = evaluate_videos(pairs, seed=episode.seed % 2**32)
        maps: dict[str, MapEntry] = {}
        for name, strip in pairs.strips.items():
            stored = context.store_map(cv2.imencode(".png", strip)[1].tobytes())
            maps[name] = {"sha256": stored["sha256"], "bytes": stored["bytes"], "case": real.case(name)}
        timing = {**TIMING, "prepare_seconds": prepared - started, "scored": len(episode.test)}
        timing["score_seconds"] = pairs.generation_seconds
        timing["measure_seconds"] = time.perf_counter() - prepared - pairs.generation_seconds
        timing["map_bytes"] = sum(entry["bytes"] for entry in maps.values())
        result: Solution = {
            "metrics": evaluation.metrics,
            "reasons": evaluation.reasons,
            "per_image": evaluation.per_image,
            "intervals": evaluation.intervals,
            "remarks": evaluation.remarks,
            "frames": pairs.generated_frames,
            "maps": maps,
        }
        return CompletedUnit(result, timing)


def _video_source(context: UnitContext, episode: Episode, real: RealVideos) -> VideoSource:
    """Return the source of a model's frames: a generator, a baseline, or a folder."""
    if context.model.can_generate:
        read_video = context.feature_reader("video")

        def generate(photograph: Photograph) -> np.ndarray:
            return frames_on_photograph(read_video(photograph)[0], photograph)

        return VideoSource(context.model.name, generate, context.encoder().phase)
    videos = context.encoder()
    if hasattr(videos, "fit"):
        videos.fit((real.frames(name), context.photograph(name).fov) for name in episode.support)

    def load(photograph: Photograph) -> np.ndarray:
        video: np.ndarray = videos.video(real.case(photograph.name), photograph.rgb, photograph.fov)
        return video

    return VideoSource(context.model.name, load, "venous")


def frames_on_photograph(frames: np.ndarray, photograph: Photograph) -> np.ndarray:
    """Restore generated frames to the pixels of the photograph.

    Args:
        frames: (t, s, s) in [0, 1], on the square around the field of view.
        photograph: The photograph.

    Returns:
        uint8 (t, h, w).
    """
    restored = np.stack([photograph.view.restore(frame) for frame in frames.astype(np.float32)])
    return np.asarray(np.rint(255 * np.clip(restored, 0, 1)), np.uint8)


def _folder_problems(model: ModelSpec, index: DataFrame) -> list[str]:
    """Return missing cases, wrong numbers of frames and wrong sizes in a folder of precomputed frames."""
    if model.folder is None:
        return []
    folder = read_video_folder(model.folder)
    counts = dict(zip(folder.cases, map(len, folder.frames), strict=True))
    cases = sorted(set(index["case"]))
    missing = [case for case in cases if case not in counts]
    allowed = (1, FRAMES_PER_VIDEO)
    wrong = [f"{case} ({counts[case]})" for case in cases if counts.get(case, FRAMES_PER_VIDEO) not in allowed]
    problems = []
    if missing:
        problems.append(
            f"{model.name}: {folder.path} lacks the cases {_listed(missing)}; add a folder named after each case"
        )
    if wrong:
        problems.append(f"{model.name}: each case needs {FRAMES_PER_VIDEO} frames, or 1; others: {_listed(wrong)}")
    if len({counts[case] for case in cases if case in counts}) > 1 and not wrong:
        problems.append(f"{model.name}: {folder.path} has 1 frame of some cases and {FRAMES_PER_VIDEO} of others")
    return [*problems, *_frame_size_problems(model.name, folder, index)]


def _frame_size_problems(model: str, folder: VideoFolder, index: DataFrame) -> list[str]:
    """Return the first frame of each case that is not of the photograph's size, in one sentence, and unreadable frames.

    Photographs that can't be read have no size, and are reported by the checks of all tasks.
    """
    photographs = index[(index["modality"] == "CF") & (index["height"] > 0)]
    sizes = {row.case: (int(row.height), int(row.width)) for row in photographs.itertuples()}
    unreadable, others = [], []
    for case, files in zip(folder.cases, folder.frames, strict=True):
        for file in files if case in sizes else ():
            try:
                height, width = frame_size(file)
            except DataError as error:
                unreadable += [f"{model}: {problem}" for problem in error.problems]
                continue
            if (height, width) != sizes[case]:
                right = f"{sizes[case][1]} × {sizes[case][0]}"
                others.append(f"{case}/{file.name} ({width} × {height}, photograph {right})")
                break
    if not others:
        return unreadable
    return [
        *unreadable,
        f"{model}: frames lie on the photograph's own pixels, and these have another size: {_listed(others)}. Write "
        "frames with f2vbench generate … restore=yes, or resize those of another program to the photograph",
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _installed_sha256(card_name: str) -> str | None:
    """Return the SHA-256 of a weights file, or None if the file is not on this machine."""
    card = weights_card(card_name)
    try:
        find_weights(card)
    except WeightsError:
        return None
    return card.sha256
