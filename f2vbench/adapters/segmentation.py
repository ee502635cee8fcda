"""Segmentation as a task family: which models, protocols and features it takes, and how a unit is solved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.adapters.segmenters import (
    ADAPTER_VERSION,
    ScoreMap,
    Segmenter,
    TrainingFree,
    measure,
    read_angiogram,
    solve,
)
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.spec import ModelSpec
from f2vbench.store.record_schema import Solution
from f2vbench.store.score_maps import decode, encode

_READINGS = {
    "arterial": "the four arterial frames",
    "venous": "the four venous frames",
    "late": "the four late frames",
    "mean": "all frames",
    "maximum": "the brightest frame at each pixel",
    "last": "the last frame",
}
_DECODER_SETTINGS = ("image_size", "finetune", "epochs", "steps", "batch_size", "augment", "decoder", "precision")


class VesselSegmentation(TaskAdapter):
    """A vessel decoder on an encoder's maps, generated angiograms, filters, and a network from scratch."""

    name = "segmentation"
    version = ADAPTER_VERSION
    protocols = ("zero-shot", "few-shot", "supervised")
    main_metrics = ("auroc", "dice")
    slow_on_cpu = True

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        if model.kind == "fusion":
            return "fusions join embeddings, and have no map to find vessels in"
        if model.kind == "vector":
            return "it gives one vector a photograph, and no map to find vessels in"
        if model.kind == "video":
            return "its frames are only compared with true ones"
        if protocol != "zero-shot" or model.kind == "score":
            return None
        if model.kind == "scratch":
            return "it learns from the support images alone, and there are none"
        return None if model.can_generate else "it generates no angiogram to read vessels from"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        if model.kind == "score":
            return "score"
        if model.kind == "scratch":
            return None
        if protocol == "zero-shot":
            return "frames"
        return "pyramid" if settings.finetune == "frozen" else None

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        names: tuple[str, ...] = ("threshold",)
        if model.kind == "scratch":
            names += ("scratch",)
        elif model.kind == "features":
            names += ("image_size", "precision", "reading") if protocol == "zero-shot" else _DECODER_SETTINGS
        return names

    def fit_steps(self, model: ModelSpec, protocol: Protocol, settings: RunSettings, episode: Episode) -> int:
        if model.kind == "score" or protocol == "zero-shot":
            return 0
        return settings.scratch.steps if model.kind == "scratch" else settings.decoder_steps(len(episode.support))

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        episode, _ = super().timing_trial(model, index, protocol, settings, steps)
        few = settings.scratch.model_copy(update={"steps": steps})
        return episode, settings.model_copy(update={"steps": steps, "scratch": few})

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        generating = sorted({model.name for model, protocol in units if protocol == "zero-shot" and model.can_generate})
        if not generating:
            return []
        return [
            f"zero-shot score of {', '.join(generating)}: brightness of {_READINGS[settings.reading]} of the generated "
            "angiogram (of the one frame, where a model makes one)"
        ]

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Solve and measure. What is measured are the score maps as stored, so that anyone can measure them again."""
        solution = solve(_segmenter(context), episode, context.photograph, context.settings)
        stored: dict[str, dict[str, Any]] = {}

        def as_stored() -> Iterator[tuple[Photograph, ScoreMap]]:
            for photograph, score_map in solution.maps:
                png, meta = encode(score_map.values, probability=solution.probability)
                solution.timing["map_bytes"] += len(png)
                view = None if score_map.view is None else asdict(score_map.view)
                stored[photograph.name] = {**context.store_map(png), **meta, "view": view}
                yield photograph, ScoreMap(decode(png, meta), score_map.view)

        started = time.perf_counter()
        measured = measure(as_stored(), solution.threshold, solution.threshold_rule)
        timing = dict(solution.timing)
        timing["measure_seconds"] = time.perf_counter() - started - timing["score_seconds"]
        threshold = {"value": solution.threshold, "rule": solution.threshold_rule}
        return CompletedUnit(cast(Solution, {"threshold": threshold, **measured, "maps": stored}), timing)


def _segmenter(context: UnitContext) -> Segmenter:
    if context.model.kind == "score":
        return TrainingFree(lambda photograph: ScoreMap(context.score_map(photograph)), threshold=None)
    from f2vbench.adapters.trained_segmenters import DecoderSegmenter, ScratchSegmenter

    if context.model.kind == "scratch":
        return ScratchSegmenter(context.settings, context.device)
    if context.unit.protocol == "zero-shot":
        return TrainingFree(partial(_generated, context.feature_reader("frames"), context.settings), threshold=0.5)
    return DecoderSegmenter(
        context.encoder(), context.feature_reader("pyramid"), context.settings, context.device, context.precision
    )


def _generated(
    frames: Callable[[Photograph], list[np.ndarray]], settings: RunSettings, photograph: Photograph
) -> ScoreMap:
    return ScoreMap(read_angiogram(frames(photograph)[0].astype(np.float32), settings.reading), photograph.view)
