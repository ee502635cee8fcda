"""Data and predictions of a classification unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from f2vbench.adapters.base import UnitContext, check_finite
from f2vbench.adapters.probes import FeatureScaler, scale_to_unit_rms
from f2vbench.adapters.stored_head import TrainedHead
from f2vbench.config.fitting import HeadSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.task_data import TaskData
from f2vbench.metrics.classification import Kind

Vectors = dict[str, NDArray[np.float32]]
"""Encoder name → (n, width) embeddings."""


@dataclass(frozen=True)
class LabelledImages:
    """Images of one split of an episode.

    Attributes:
        images: Image ids.
        targets: (n, classes) bool.
        vectors: Embeddings, scaled unless the head scales them; empty when only the labels are loaded.
    """

    images: tuple[str, ...]
    targets: NDArray[np.bool_]
    vectors: Vectors = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ClassificationData:
    """Images and labels of a unit.

    Attributes:
        kind: Kind of the labels.
        classes: Class names, in the order of the columns of targets.
        seed: Seed of the episode.
        support: Support images; empty for zero-shot.
        val: Validation images.
        test: Test images.
        selects_epoch: Whether the validation images may select the epoch of a head.
        scalers: What scaled the embeddings of each encoder, where the support images did.
    """

    kind: Kind
    classes: list[str]
    seed: int
    support: LabelledImages
    val: LabelledImages
    test: LabelledImages
    selects_epoch: bool = False
    scalers: dict[str, FeatureScaler] = field(default_factory=dict)

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several classes."""
        return self.kind == "multilabel"

    @property
    def selection(self) -> LabelledImages:
        """The validation images that select the epoch; empty when no epoch is selected."""
        return self.val if self.selects_epoch else LabelledImages((), self.val.targets[:0])


@dataclass(frozen=True)
class Training:
    """Training of a head.

    Attributes:
        epoch: The epoch that is kept, from 1.
        validation_auroc: AUROC on the validation images after each epoch; None where it is undefined.
        steps: Number of steps as `f2vbench.adapters.classification.Classification.fit_steps` counts them.
        skipped_blocks: When the encoder is trained too, number of its blocks with stochastic depth.
    """

    epoch: int
    validation_auroc: list[float | None]
    steps: int
    skipped_blocks: int | None = None


@dataclass(frozen=True)
class Prediction:
    """Prediction of a unit for its test images.

    Attributes:
        probabilities: (n, classes) float32.
        validation: (validation images, classes) float32, from which operating points are chosen; None without
            validation images.
        training: How the head was trained; None if it was not.
        attention: (n, encoders) float32 weights of an attention fusion.
        head: What predicted, where it can be stored.
    """

    probabilities: NDArray[np.float32]
    validation: NDArray[np.float32] | None = None
    training: Training | None = None
    attention: NDArray[np.float32] | None = None
    head: TrainedHead | None = None


def label_kind(task: TaskData) -> Kind:
    """Return the kind of labels on the task card; by default binary for two classes, else nominal."""
    kind = task.card.label_kind
    if kind is None or kind == "regression" or kind == "survival":  # the last two have no classes
        return "binary" if len(task.classes) == 2 else "nominal"
    return kind


def count_passes(support: int, val: int, settings: HeadSettings) -> int:
    """Count the passes of an image through a network that is trained, all epochs together.

    A training image counts as three passes: one forward, and a backward pass that costs about two.

    Args:
        support: Number of support images.
        val: Number of validation images.
        settings: Number of epochs.
    """
    return settings.epochs * (3 * support + val)


def load_labels(context: UnitContext, episode: Episode, selects_epoch: bool) -> ClassificationData:
    """Load the images and targets of a unit, without embeddings.

    Args:
        context: Context of the unit.
        episode: Its episode.
        selects_epoch: Whether the validation images may select the epoch of a head.
    """
    classes = context.task.classes
    label = dict(zip(context.index.image, context.index.label, strict=True))

    def split(images: Sequence[str]) -> LabelledImages:
        rows = [[name in label[image].split(SEPARATOR) for name in classes] for image in images]
        return LabelledImages(tuple(images), np.array(rows, bool).reshape(len(images), len(classes)))

    splits = split(episode.support), split(episode.val), split(episode.test)
    return ClassificationData(label_kind(context.task), classes, episode.seed, *splits, selects_epoch=selects_epoch)


def load_classification_data(
    context: UnitContext, episode: Episode, selects_epoch: bool, scale: bool = True
) -> ClassificationData:
    """Load the images, targets and embeddings of a unit.

    Args:
        context: Context of the unit.
        episode: Its episode.
        selects_epoch: As for `load_labels`.
        scale: Whether each feature is centred and scaled by the support images.

    Raises:
        DataError: An embedding contains a value that is not finite.
    """
    data = load_labels(context, episode, selects_epoch)
    splits = [data.support, data.val, data.test]
    vectors_by_split: list[Vectors] = [{} for _ in splits]
    scalers = {}
    for encoder, read in context.embedding_readers().items():
        embeddings = [read(split.images) if len(split) else None for split in splits]
        support = embeddings[0]
        if support is not None and scale:
            scalers[encoder] = FeatureScaler.fit(support)
        transform = scalers[encoder].transform if encoder in scalers else scale_to_unit_rms
        for split, vectors, of_split in zip(splits, vectors_by_split, embeddings, strict=True):
            if of_split is not None:
                check_finite(encoder, split.images, of_split)
                vectors[encoder] = transform(of_split) if scale else of_split
    with_vectors = [replace(split, vectors=vectors) for split, vectors in zip(splits, vectors_by_split, strict=True)]
    return replace(data, support=with_vectors[0], val=with_vectors[1], test=with_vectors[2], scalers=scalers)
