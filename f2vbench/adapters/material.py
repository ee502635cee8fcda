"""What a classification unit learns from and is tested on, and what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.adapters.base import Embeddings, Tools
from f2vbench.adapters.readouts import Scale, unit_scale
from f2vbench.data.classes import SEPARATOR
from f2vbench.data.episodes import Episode
from f2vbench.data.tasks import TaskData
from f2vbench.errors import DataError
from f2vbench.metrics.classification import Kind

Vectors = dict[str, NDArray[np.float32]]
"""(n, width) of each encoder, by its name."""


@dataclass(frozen=True)
class Part:
    """Images of one part of an episode: scaled vectors and (n, classes) targets."""

    vectors: Vectors
    targets: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Material:
    """A unit's images; ``val`` is empty where no epoch is chosen, ``support`` where nothing is learnt."""

    kind: Kind
    classes: list[str]
    seed: int
    support: Part
    val: Part
    test: Part

    @property
    def several(self) -> bool:
        """Whether an image may have several classes."""
        return self.kind == "multilabel"


@dataclass(frozen=True)
class Prediction:
    """What a unit says of its test images.

    Attributes:
        probabilities: (n, classes) float32.
        training: how the head came about, for the record.
        steps: of the optimiser.
        attention: (n, encoders) float32 of an attention fusion.
    """

    probabilities: NDArray[np.float32]
    training: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    attention: NDArray[np.float32] | None = None


def label_kind(task: TaskData) -> Kind:
    """As the card says; without classes on the card two labels are binary, the second the positive one."""
    return task.card.label_kind or ("binary" if len(task.classes) == 2 else "nominal")


def gather(tools: Tools, episode: Episode, read: Sequence[str]) -> Material:
    """The material of a unit, its vectors scaled by those of its support images.

    Args:
        read: ids of the images whose embeddings may be asked for; others of the episode are left out.

    Raises:
        DataError: an embedding holds a number that is not finite; names the images.
    """
    classes = tools.task.classes
    label = dict(zip(tools.index.image, tools.index.label, strict=True))
    val = [image for image in episode.val if image in set(read)]
    by_part = {"support": episode.support, "val": val, "test": episode.test}
    vectors: dict[str, Vectors] = {part: {} for part in by_part}
    for model, embeddings in tools.embeddings_by_part().items():
        found = {part: _finite(model, embeddings, images) for part, images in by_part.items() if images}
        scale = Scale.of(found["support"]).apply if episode.support else unit_scale
        for part, held in found.items():
            vectors[part][model] = scale(held)
    parts = [
        Part(vectors[part], np.array([[c in label[i].split(SEPARATOR) for c in classes] for i in images], bool))
        if images
        else Part({}, np.zeros((0, len(classes)), bool))
        for part, images in by_part.items()
    ]
    return Material(label_kind(tools.task), classes, episode.seed, *parts)


def _finite(model: str, embeddings: Embeddings, images: Sequence[str]) -> NDArray[np.float32]:
    vectors = embeddings(images)
    bad = [image for image, row in zip(images, vectors, strict=True) if not np.isfinite(row).all()]
    if bad:
        raise DataError(f"{model}: the embedding of {', '.join(bad)} holds numbers that are not finite")
    return vectors
