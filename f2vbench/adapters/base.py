"""What a task family is: the one thing that plan, engine and command line know of segmentation, retrieval and others.

A family says which models it admits, which features its units read, which settings decide a result, and how a unit
is solved. It is looked up by the name in a task card (`f2vbench.adapters.registry`); its baselines stand in
`f2vbench.encoders.registry`, and the draw of its episodes in `f2vbench.data.episodes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.unit import Unit
from f2vbench.config.run import Protocol as ProtocolName
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import Photograph
from f2vbench.data.task_data import TaskData
from f2vbench.store.record_schema import StoredFile

Feature = Literal["score", "frames", "video", "pyramid", "embedding"]
"""What is stored once for every photograph: ``score``, a filter baseline's map; ``frames``, a generated angiogram;
``video``, the same of a photograph that is black outside its field of view, as in training;
``pyramid``, an encoder's maps of the square around the field of view; ``embedding``, one vector of that square."""

Place = tuple[ProtocolName, int | None]

TIMING = {
    "prepare_seconds": 0.0,
    "fit_seconds": 0.0,
    "fit_steps": 0,
    "score_seconds": 0.0,
    "measure_seconds": 0.0,
    "scored": 0,
    "map_bytes": 0,
}
"""What every unit times, for the estimates of later plans: seconds before the first optimiser step, of fitting (and
its steps), of scoring and of measuring; how many test images, and the bytes of stored predictions."""


class Model(Protocol):
    """What a family is told of a model before it is loaded; `f2vbench.encoders.spec.ModelSpec` is one."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str:
        """``features`` (an encoder), ``vector`` (a baseline that gives embeddings), ``score`` (a baseline that gives
        vessel scores), ``video`` (frames of a baseline or from a folder), ``scratch`` (trained on the support
        images by the adapter) or ``fusion`` (of several that give embeddings)."""
        ...

    @property
    def architecture(self) -> str:
        """Of a fusion, how it joins its parts: ``attention``, ``concat`` or ``mean``."""
        ...

    @property
    def can_generate(self) -> bool: ...

    @property
    def folder(self) -> str | None:
        """Of precomputed frames."""
        ...


class Embeddings(Protocol):
    """(n, width) float32 embeddings of image ids, in their order, from the feature store; can be pickled."""

    def __call__(self, images: Sequence[str]) -> np.ndarray: ...


class Tools(Protocol):
    """What the engine hands to `Family.solve`: the unit, its data, its model and its features."""

    unit: Unit
    settings: RunSettings

    @property
    def model(self) -> Model: ...

    @property
    def task(self) -> TaskData:
        """The task with its card and classes."""
        ...

    @property
    def index(self) -> DataFrame:
        """The task's images, described and checked; one row an image."""
        ...

    @property
    def device(self) -> Any:
        """``torch.device`` to compute on; asking for it imports torch."""
        ...

    @property
    def precision(self) -> str:
        """Arithmetic of encoders, ``float32`` or ``bf16``; asking for it imports torch."""
        ...

    def photograph(self, image: str) -> Photograph: ...

    def encoder(self) -> Any:
        """The `f2vbench.encoders.base.Encoder` on its device, frozen; a baseline for the kinds that are no encoders."""
        ...

    def maps(self, what: Feature) -> Callable[[Photograph], list[np.ndarray]]:
        """``pyramid`` or ``frames`` of photographs, from the feature store."""
        ...

    def scores(self, photograph: Photograph) -> np.ndarray:
        """(height, width) float32 of a ``score`` baseline, from the feature store."""
        ...

    def embeddings(self) -> Embeddings: ...

    def embeddings_by_part(self) -> dict[str, Embeddings]:
        """`embeddings` of each part of a fusion, by the part's name; of any other model its own."""
        ...

    def keep_map(self, png: bytes) -> StoredFile:
        """Store a picture with the run; its entry for ``result["maps"][image]``."""
        ...

    def keep_predictions(self, arrays: Mapping[str, np.ndarray]) -> StoredFile:
        """Store arrays with the run; their entry for ``result["predictions"]``."""
        ...


@dataclass(frozen=True)
class Solved:
    """A unit's result.

    Attributes:
        result: JSON-able, with at least ``metrics`` (name → value or None), ``reasons`` (why a
            value is None) and ``per_image`` (image → name → value); stored files stand under ``maps`` and
            ``predictions``.
        timing: the keys of `TIMING`, and what else was timed.
    """

    result: dict[str, Any]
    timing: dict[str, float]


class Family(ABC):
    """A task family.

    Attributes:
        name: as in task cards.
        version: raised by one whenever results of the same settings change; part of every unit's fingerprint.
        protocols: those that have a meaning for it.
        main_metrics: shown where the user names none, the main one first. A metric ``<name>_chance`` is the level
            that chance gives ``<name>``, and is told below the tables.
        lower_is_better: names of the metrics of which less is better; of all others more is.
        wants_gpu: whether its training takes days on a CPU with the settings of the paper.
        shots_of: what ends "4 support images" in titles, where shots are not the images of all.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    protocols: ClassVar[tuple[ProtocolName, ...]]
    main_metrics: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[tuple[str, ...]] = ()
    wants_gpu: ClassVar[bool] = False
    shots_of: ClassVar[str] = ""

    def places(self, settings: RunSettings) -> list[Place]:
        """(protocol, shots) pairs of a run; by default those that ``protocol`` and ``shots`` ask for."""
        return [place for place in settings.grid() if place[0] in self.protocols]

    @abstractmethod
    def refusal(self, model: Model, protocol: ProtocolName, settings: RunSettings) -> str | None:
        """Why a model makes no sense under a protocol with these settings, or None."""

    @abstractmethod
    def feature(self, model: Model, protocol: ProtocolName, settings: RunSettings) -> Feature | None:
        """What its units read from the feature store, made beforehand for all images of their episodes; or None."""

    @abstractmethod
    def deciding_settings(self, model: Model, protocol: ProtocolName, settings: RunSettings) -> tuple[str, ...]:
        """Keys of `RunSettings` that decide a unit's result; part of its fingerprint."""

    def measured_with(self) -> dict[str, str | None]:
        """What else decides a result: networks that measure, name → sha256, None where one is not on this machine."""
        return {}

    def problems(self, model: Model, index: DataFrame) -> list[str]:
        """What makes a task's data unfit for a model, a sentence each; asked before anything is computed."""
        return []

    def photographs(self, index: DataFrame) -> DataFrame:
        """The rows of images that a model is shown; by default all."""
        return index

    def read_by(self, episode: Episode, protocol: ProtocolName, settings: RunSettings) -> tuple[str, ...]:
        """Ids of the images of an episode whose features a unit reads."""
        return (*episode.support, *episode.test)

    @abstractmethod
    def solve(self, tools: Tools, episode: Episode) -> Solved:
        """Solve a unit and measure it, from what is stored: anyone can measure it again."""

    def together(self, model: Model, protocol: ProtocolName, settings: RunSettings) -> bool:
        """Whether units of one protocol and number of shots are handed to `solve_together`, whatever their seeds."""
        return False

    def solve_together(self, tools: Sequence[Tools], episodes: Sequence[Episode]) -> Iterator[Solved]:
        """Solve units of one protocol and shots, each as if it were alone; yields them in their order.

        A unit is recorded when it is yielded.
        """
        for own, episode in zip(tools, episodes, strict=True):
            yield self.solve(own, episode)

    def uses_torch(self, protocol: ProtocolName) -> bool:
        """Whether it computes with torch even where the model does not."""
        return False

    def steps(self, model: Model, protocol: ProtocolName, settings: RunSettings, episode: Episode) -> int:
        """Steps of equal length that a unit's fit will take, of the optimiser by default; for estimates."""
        return 0

    def rehearsal(
        self, model: Model, index: DataFrame, protocol: ProtocolName, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """A unit cut down to the first and last image and a few optimiser steps, to be timed."""
        support = () if protocol == "zero-shot" else (str(index.image.iloc[0]),)
        return Episode(support, (str(index.image.iloc[-1]),), seed=0), settings

    def notes(self, units: Iterable[tuple[Model, ProtocolName]], settings: RunSettings) -> list[str]:
        """What the user should know about how these are solved."""
        return []
