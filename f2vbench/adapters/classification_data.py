"""What a classification unit learns from and is tested on, and what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.adapters.base import EmbeddingReader, UnitContext
from f2vbench.adapters.probes import Scale, unit_scale
from f2vbench.config.run import HeadSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.task_data import TaskData
from f2vbench.errors import DataError
from f2vbench.metrics.classification import Kind

Vectors = dict[str, NDArray[np.float32]]
"""(n, width) of each encoder, by its name."""


@dataclass(frozen=True)
class Part:
    """Images of one part of an episode: their ids, (n, classes) targets, and scaled vectors unless only labelled."""

    images: tuple[str, ...]
    targets: NDArray[np.bool_]
    vectors: Vectors = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


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
        steps: as `Classification.fit_steps` counts them.
        attention: (n, encoders) float32 of an attention fusion.
    """

    probabilities: NDArray[np.float32]
    training: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    attention: NDArray[np.float32] | None = None


def label_kind(task: TaskData) -> Kind:
    """As the card says; without classes on the card two labels are binary, the second the positive one."""
    return task.card.label_kind or ("binary" if len(task.classes) == 2 else "nominal")


def passes(support: int, val: int, settings: HeadSettings) -> int:
    """Passes of a photograph through a network that is trained: training counts three, forward and twice back."""
    return settings.epochs * (3 * support + val)


def labelled(context: UnitContext, episode: Episode, read: Sequence[str]) -> Material:
    """The images and targets of a unit, without vectors.

    Args:
        read: ids of the images whose pixels or embeddings may be asked for; validation images not among them are left
            out.
    """
    classes = context.task.classes
    label = dict(zip(context.index.image, context.index.label, strict=True))

    def part(images: Sequence[str]) -> Part:
        rows = [[name in label[image].split(SEPARATOR) for name in classes] for image in images]
        return Part(tuple(images), np.array(rows, bool).reshape(len(images), len(classes)))

    val = [image for image in episode.val if image in set(read)]
    return Material(
        label_kind(context.task), classes, episode.seed, part(episode.support), part(val), part(episode.test)
    )


def gather(context: UnitContext, episode: Episode, read: Sequence[str]) -> Material:
    """The material of a unit, its vectors scaled by those of its support images.

    Args:
        read: as of `labelled`.

    Raises:
        DataError: an embedding holds a number that is not finite; names the images.
    """
    unit = labelled(context, episode, read)
    parts = [unit.support, unit.val, unit.test]
    vectors: list[Vectors] = [{} for _ in parts]
    for model, embeddings in context.embedding_readers().items():
        found = [finite(model, embeddings, part.images) if len(part) else None for part in parts]
        scale = Scale.of(found[0]).apply if found[0] is not None else unit_scale
        for own, held in zip(vectors, found, strict=True):
            if held is not None:
                own[model] = scale(held)
    support, val, test = (replace(part, vectors=own) for part, own in zip(parts, vectors, strict=True))
    return replace(unit, support=support, val=val, test=test)


def finite(model: str, embeddings: EmbeddingReader, images: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings of images by a model, or a DataError that names those that hold numbers that are not finite."""
    vectors = embeddings(images)
    bad = [image for image, row in zip(images, vectors, strict=True) if not np.isfinite(row).all()]
    if bad:
        raise DataError(f"{model}: the embedding of {', '.join(bad)} holds numbers that are not finite")
    return vectors
