"""What a worker does: encode photographs into the feature store, and solve units into the run folder."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from f2vbench.adapters.base import Solved
from f2vbench.data.episodes import Episode
from f2vbench.engine.context import Context
from f2vbench.engine.declared import entry_size
from f2vbench.engine.embeddings import StoredEmbeddings
from f2vbench.engine.resources import Resources
from f2vbench.engine.tools import UnitTools
from f2vbench.provenance import machine, software
from f2vbench.settings import RunSettings
from f2vbench.store.features import FeatureSet
from f2vbench.store.runs import RunFolder
from f2vbench.units import Unit


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
    """Does items one after another; keeps the last encoder, the last photographs and the last model's embeddings."""

    def __init__(self, context: Context):
        self._context = context
        self._settings = context.settings
        self._run = RunFolder(context.folder)
        self._resources = Resources(context)
        self._embeddings: dict[tuple[str, str], StoredEmbeddings] = {}

    def do(self, item: Item) -> Outcome:
        """Do one item, unless its result is there already."""
        outcome = self._extract(item) if isinstance(item, Extract) else self._solve(item.unit)
        return Outcome(outcome.done, outcome.timing, outcome.notes + self._collect_notes())

    def rehearse(self, unit: Unit, steps: int) -> dict[str, float]:
        """Timing of a unit cut down to a few optimiser steps and images; nothing is recorded."""
        index = self._context.tasks[unit.task].index
        family = self._context.family(unit.task)
        episode, settings = family.rehearsal(index, unit.protocol, self._settings, steps)
        return self._solution(unit, episode, settings, folder=None).timing

    def _extract(self, item: Extract) -> Outcome:
        started = time.perf_counter()
        openers = [partial(self._resources.photograph, item.task, name) for name in item.images]
        if not self._context.models[item.model].is_network:
            make = self._resources.maps(item.model, item.what)
            for opener in openers:
                make(opener())
            return Outcome(timing={"extract_seconds": time.perf_counter() - started})
        from f2vbench.engine.extraction import extract

        encoder = self._resources.encoder(item.model)
        features = self._resources.feature_set(item.model, item.what)
        size, device = entry_size(item.what, self._settings), self._resources.device
        written = list(extract(encoder, item.what, features, openers, size, device, self._resources.precision))
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
            solved = self._solution(unit, episode, self._settings, self._run)
            drawn = {"support": list(episode.support), "test": list(episode.test), "seed": episode.seed}
            self._run.write(unit.name, self._record(unit, {"episode": drawn, **solved.result}, solved.timing))
        return Outcome(timing=solved.timing)

    def _solution(self, unit: Unit, episode: Episode, settings: RunSettings, folder: RunFolder | None) -> Solved:
        embeddings = self._embeddings_of(unit.encoder, unit.task)
        tools = UnitTools(unit, settings, self._resources, embeddings, folder)
        return self._context.family(unit.task).solve(tools, episode)

    def _embeddings_of(self, model: str, task: str) -> StoredEmbeddings:
        """A model's embeddings of a task, kept until another model's turn."""
        if (model, task) not in self._embeddings:
            if any(held != model for held, _ in self._embeddings):
                self._embeddings.clear()
            self._embeddings[model, task] = StoredEmbeddings(self._context, model, task, self._resources)
        return self._embeddings[model, task]

    def _record(self, unit: Unit, result: dict[str, Any], timing: dict[str, float]) -> dict[str, Any]:
        spec = self._context.models[unit.encoder]
        return {
            "unit": unit.coordinates(),
            "family": self._context.tasks[unit.task].card.family,
            "lower_is_better": list(self._context.family(unit.task).lower_is_better),
            "fingerprint": unit.fingerprint,
            "identity": unit.identity,
            "weights": spec.weights_label,
            "floor": spec.is_floor,
            "result": result,
            "timing": timing,
            "provenance": {
                "software": software(),
                "machine": machine(),
                "device": str(self._resources.device) if spec.uses_torch else "cpu",
                "threads": self._settings.threads,
                "precision": self._resources.precision if spec.uses_torch else "float32",
                "weights_sha256": self._resources.weights.get(unit.encoder),
            },
        }

    def _collect_notes(self) -> tuple[str, ...]:
        sources: list[RunFolder | FeatureSet] = [self._run, *self._resources.feature_sets()]
        notes = tuple(note for source in sources for note in source.set_aside)
        for source in sources:
            source.set_aside.clear()
        return notes
