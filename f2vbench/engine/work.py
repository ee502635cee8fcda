"""What a worker does: encode photographs into the feature store, and solve units into the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from f2vbench.adapters.photographs import Photograph, open_photograph
from f2vbench.adapters.segmentation import ScoreMap, Segmenter, TrainingFree, measure, read_angiogram, solve
from f2vbench.data.episodes import Episode
from f2vbench.data.tasks import TaskData
from f2vbench.encoders.registry import ModelSpec, build
from f2vbench.engine.declared import declared_features
from f2vbench.errors import StoreError
from f2vbench.provenance import machine, software
from f2vbench.settings import RunSettings
from f2vbench.store.features import FeatureSet
from f2vbench.store.runs import RunFolder
from f2vbench.store.score_maps import decode, encode
from f2vbench.units import Unit

_KEPT_BYTES = 1 << 29


@dataclass(frozen=True)
class Context:
    """What all workers of a run share; picklable.

    Attributes:
        weights: model → SHA-256 of the tensors that its units in the run folder were made with.
    """

    settings: RunSettings
    tasks: dict[str, TaskData]
    models: dict[str, ModelSpec]
    folder: Path
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Extract:
    """Encode some images of a task with one model."""

    model: str
    task: str
    what: str
    images: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"encoding {self.task} with {self.model}"


@dataclass(frozen=True)
class Solve:
    """Solve one unit."""

    unit: Unit

    @property
    def model(self) -> str:
        return self.unit.encoder

    @property
    def label(self) -> str:
        return self.unit.label


Item = Extract | Solve


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        done: False when another process holds the unit.
        timing: seconds and counts of its parts.
        notes: what the user should know, such as damaged files set aside.
    """

    done: bool = True
    timing: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Worker:
    """Does items one after another; keeps the last encoder and the last photographs."""

    def __init__(self, context: Context):
        self._context = context
        self._settings = context.settings
        self._run = RunFolder(context.folder)
        self._photographs: dict[tuple[str, str], Photograph] = {}
        self._model: tuple[str, Any] | None = None
        self._weights: dict[str, str] = {}
        self._features: dict[tuple[str, str], FeatureSet] = {}

    def do(self, item: Item) -> Outcome:
        """Do one item, unless its result is there already."""
        outcome = self._extract(item) if isinstance(item, Extract) else self._solve(item.unit)
        return Outcome(outcome.done, outcome.timing, outcome.notes + self._collect_notes())

    def rehearse(self, unit: Unit, steps: int) -> dict[str, float]:
        """Timing of a unit cut down to a few optimiser steps and one test image; nothing is recorded."""
        rows = self._context.tasks[unit.task].index.image
        support = () if unit.protocol == "zero-shot" else (str(rows.iloc[0]),)
        episode = Episode(support, (str(rows.iloc[-1]),), seed=0)
        few = self._settings.scratch.model_copy(update={"steps": steps})
        settings = self._settings.model_copy(update={"steps": steps, "scratch": few})
        return self._solution(unit, episode, settings)[1]

    def _extract(self, item: Extract) -> Outcome:
        started = time.perf_counter()
        openers = [partial(self._photograph, item.task, name) for name in item.images]
        if item.what == "score":
            for opener in openers:
                self._floor_scores(item.model, opener())
            return Outcome(timing={"extract_seconds": time.perf_counter() - started})
        from f2vbench.engine.extraction import extract

        encoder = self._encoder(item.model)
        features = self._feature_set(item.model, item.what)
        written = list(
            extract(encoder, item.what, features, openers, self._settings.image_size, self._device, self._precision)
        )
        encoded = [count for count in written if count]
        timing = {"extract_seconds": time.perf_counter() - started, "extracted": len(encoded), "bytes": sum(encoded)}
        return Outcome(timing=timing)

    def _solve(self, unit: Unit) -> Outcome:
        with self._run.claim(unit.name) as mine:
            if not mine:
                return Outcome(done=False)
            if self._run.has(unit.name):  # another process finished it meanwhile
                return Outcome()
            episode = self._context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
            result, timing = self._solution(unit, episode, self._settings, store=True)
            self._run.write(unit.name, self._record(unit, result, timing))
        return Outcome(timing=timing)

    def _solution(
        self, unit: Unit, episode: Episode, settings: RunSettings, store: bool = False
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """Solve and measure. What is measured are the score maps as stored, so that anyone can measure them again."""
        solution = solve(self._segmenter(unit, settings), episode, partial(self._photograph, unit.task), settings)
        stored: dict[str, dict[str, Any]] = {}

        def as_stored() -> Any:
            for photograph, score_map in solution.maps:
                png, meta = encode(score_map.values, probability=solution.probability)
                solution.timing["map_bytes"] += len(png)
                if store:
                    view = None if score_map.view is None else asdict(score_map.view)
                    meta_of_file = {"sha256": self._run.put_map(png), "bytes": len(png), **meta, "view": view}
                    stored[photograph.name] = meta_of_file
                yield photograph, ScoreMap(decode(png, meta), score_map.view)

        started = time.perf_counter()
        measured = measure(as_stored(), solution.threshold, solution.threshold_rule)
        timing = dict(solution.timing)
        timing["measure_seconds"] = time.perf_counter() - started - timing["score_seconds"]
        result = {
            "episode": {"support": list(episode.support), "test": list(episode.test), "seed": episode.seed},
            "threshold": {"value": solution.threshold, "rule": solution.threshold_rule},
            **measured,
            "maps": stored,
        }
        return result, timing

    def _record(self, unit: Unit, result: dict[str, Any], timing: dict[str, float]) -> dict[str, Any]:
        spec = self._context.models[unit.encoder]
        return {
            "unit": unit.coordinates(),
            "fingerprint": unit.fingerprint,
            "identity": unit.identity,
            "weights": spec.weights_label,
            "floor": spec.is_floor,
            "result": result,
            "timing": timing,
            "provenance": {
                "software": software(),
                "machine": machine(),
                "device": str(self._device) if spec.kind != "score" else "cpu",
                "threads": self._settings.threads,
                "precision": self._precision if spec.kind != "score" else "float32",
                "weights_sha256": self._weights.get(unit.encoder),
            },
        }

    def _segmenter(self, unit: Unit, settings: RunSettings) -> Segmenter:
        spec = self._context.models[unit.encoder]
        if spec.kind == "score":
            return TrainingFree(partial(self._floor_scores, unit.encoder), threshold=None)
        from f2vbench.adapters.decoder_training import DecoderSegmenter, ScratchSegmenter

        if spec.kind == "scratch":
            return ScratchSegmenter(settings, self._device)
        if unit.protocol == "zero-shot":
            return TrainingFree(partial(self._generated, self._maps(unit.encoder, "frames"), settings), threshold=0.5)
        encoder, maps = self._encoder(unit.encoder), self._maps(unit.encoder, "pyramid")
        return DecoderSegmenter(encoder, maps, settings, self._device, self._precision)

    def _maps(self, model: str, what: str) -> Callable[[Photograph], list[np.ndarray]]:
        from f2vbench.engine.extraction import stored_maps

        features = self._feature_set(model, what)
        return stored_maps(features, self._encoder(model), self._settings.image_size, self._device, self._precision)

    def _generated(
        self, frames: Callable[[Photograph], list[np.ndarray]], settings: RunSettings, photograph: Photograph
    ) -> ScoreMap:
        return ScoreMap(read_angiogram(frames(photograph)[0].astype(np.float32), settings.reading), photograph.view)

    def _floor_scores(self, model: str, photograph: Photograph) -> ScoreMap:
        """A floor's score map, computed once and kept exactly."""
        features = self._feature_set(model, "score")
        entry = photograph.entry(0)
        found = features.get(entry)
        if found is None:
            found = {"score": self._encoder(model).score(photograph.rgb, photograph.fov)}
            features.put(entry, found)
        return ScoreMap(found["score"])

    def _feature_set(self, model: str, what: str) -> FeatureSet:
        if (model, what) not in self._features:
            spec = self._context.models[model]
            loaded = {}
            if what != "score":
                self._encoder(model)
                loaded = {"weights_sha256": self._weights[model], "arithmetic": self._precision}
            self._features[model, what] = FeatureSet(declared_features(spec, what, self._settings), loaded)
        return self._features[model, what]

    def _encoder(self, model: str) -> Any:
        """The model, ready; only the last one is kept, and units come sorted by model.

        Raises:
            StoreError: the run folder holds units of this model made with other weights (those on a Hub may change).
        """
        if self._model is None or self._model[0] != model:
            self._model = None
            built = build(self._context.models[model])
            if self._context.models[model].kind == "features":
                built = built.to(self._device).eval().requires_grad_(False)
                self._weights[model] = built.state_sha256()
                if self._context.weights.get(model, self._weights[model]) != self._weights[model]:
                    raise StoreError(
                        f"out={self._context.folder}: the weights of {model} are not those of its earlier units there "
                        f"({self._weights[model]:.8} now, {self._context.weights[model]:.8} then); use another out="
                    )
            self._model = (model, built)
        return self._model[1]

    def _photograph(self, task: str, name: str) -> Photograph:
        """A photograph, the last ones kept in memory up to half a GiB."""
        if (task, name) not in self._photographs:
            while sum(kept.rgb.nbytes for kept in self._photographs.values()) > _KEPT_BYTES:
                self._photographs.pop(next(iter(self._photographs)))
            index = self._context.tasks[task].index
            self._photographs[task, name] = open_photograph(index[index.image == name].iloc[0])
        return self._photographs[task, name]

    @property
    def _device(self) -> Any:
        from f2vbench.engine.device import torch_device

        return torch_device(self._settings.device)

    @property
    def _precision(self) -> str:
        from f2vbench.engine.device import arithmetic

        return arithmetic(self._settings.precision, self._device)

    def _collect_notes(self) -> tuple[str, ...]:
        sources: list[RunFolder | FeatureSet] = [self._run, *self._features.values()]
        notes = tuple(note for source in sources for note in source.set_aside)
        for source in sources:
            source.set_aside.clear()
        return notes
