"""Episodes: the support images that a unit learns from, and the test images.

The draw depends on the task, the protocol, the number of shots, the seed index, and the data set's ids, patients and
labels; it does not depend on the encoder, the order of rows or the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from pandas import DataFrame

from f2vbench.config.run import Protocol
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.mask_files import images_with_class
from f2vbench.data.numeric_labels import label_texts, problems_of_labels
from f2vbench.data.quantile_draw import draw_by_quantile
from f2vbench.data.splits import assign_splits
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256
from f2vbench.utils.text import plural, shortened

RECALL_CUTOFF = 10
"""Number of retrieved images that count: recall@10."""

_MOST_DRAWS = 100
"""Random test sets of a segmentation task with rare classes, of which the first with all classes counts."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Episode:
    """Image ids of one draw.

    Attributes:
        support: Support images, in the order drawn.
        test: Test images, sorted.
        seed: 64-bit seed of the draw, see `unit_seed`.
        val: Validation images, sorted: in classification those of the split, otherwise none.
    """

    support: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    val: tuple[str, ...] = ()


def unit_seed(task: str, protocol: str, shots: int | None, seed_index: int) -> int:
    """64-bit seed of a unit, the same for every encoder; ``shots`` is None if it has no meaning (supervised)."""
    return int(sha256(canonical_json([task, protocol, shots, seed_index]))[:16], 16)


def draw_segmentation_episode(
    index: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw support and test images of a segmentation task, by patient.

    With ``split: random``, the patients are shuffled. The images of the first ``round(test_fraction · patients)``
    patients (at least one, never all) are the test set, and support images come from the other patients. With
    ``split: official``, the test split is the test set and support images come from the training split. Few-shot
    uses one image of every patient before a second of any; supervised uses all images; zero-shot uses none.

    With ``mask_classes``, a random test set is drawn again, up to `_MOST_DRAWS` times, until each class of two or more
    patients is in the test set and outside it; if none is, the draw with the fewest missing classes counts. Few-shot
    first takes the images that have classes which no image so far has, those with most
    such classes first, until every class occurs or there are no more shots.

    Args:
        index: One row per image, with at least the columns ``image``, ``patient`` and ``split``; with ``mask_classes``
            also ``present``.
        card: The task card.
        protocol: Name of the protocol.
        shots: Number of support images in few-shot; part of the seed in the other protocols as well.
        seed_index: Seed index of the draw.

    Raises:
        DataError: There are fewer patients or images than the protocol needs, or an official split is missing.
    """
    seed = unit_seed(card.name, protocol, shots, seed_index)
    bits = np.random.PCG64(seed)
    if card.split == "official":
        pool, test = _official_splits(index, card, needs_support=protocol != "zero-shot")
        patients = _shuffled(sorted(set(pool["patient"])), bits)
    else:
        patients, test = _random_test_with_classes(index, card, bits)
        pool = index
    candidates = _one_of_each_patient_first(pool, patients, bits)
    if card.mask_classes and protocol == "few-shot":
        candidates = _every_class_first(candidates, pool)
    support = _select_support(candidates, len(patients), card, protocol, shots)
    return Episode(tuple(support), tuple(sorted(test["image"])), seed)


def draw_classification_episode(
    index: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw support images by class from the training split (`f2vbench.data.splits.assign_splits`).

    Few-shot uses ``shots`` images of every class, one per patient before a second of any, starting with the rarest
    class; a multi-label image counts for each of its classes. Supervised uses the whole training split, zero-shot no
    image. The protocols prototype, knn and probe use the images of few-shot or, without shots, of supervised.
    Validation and test images are the same for all protocols and shots of a seed.

    Args:
        index: One row per image, with at least the columns ``image``, ``patient``, ``label`` and ``split``.
        card: The task card.
        protocol: Name of the protocol.
        shots: Number of support images per class, or None for all.
        seed_index: Seed index of the draw.

    Raises:
        DataError: A class has fewer images than the protocol needs or occurs in the test split only, or no split can be
            made.
    """
    if protocol in ("prototype", "knn", "probe"):  # the same support images as the trained heads
        protocol = "supervised" if shots is None else "few-shot"
    seed = unit_seed(card.name, protocol, shots, seed_index)
    splits = assign_splits(index, card, seed_index)
    images = index.set_index("image").loc[splits.index]
    training = images[(splits == "train") & (images["label"] != "")]
    val, test = (tuple(splits.index[(splits == split) & (images["label"] != "")]) for split in ("val", "test"))
    by_class = _images_by_class(training)
    if protocol != "zero-shot":
        _check_trainable(by_class, images.loc[list(test)], card)
    bits = np.random.PCG64(seed)
    if protocol == "zero-shot":
        support: list[str] = []
    elif protocol == "supervised":
        support = _shuffled(list(training.index), bits)
    else:
        support = _few_of_each_class(training, by_class, card, shots, bits)
    return Episode(tuple(support), test, seed, val)


def _images_by_class(images: DataFrame) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for image, label in zip(images.index, images["label"], strict=True):
        for name in label.split(SEPARATOR):
            found.setdefault(name, []).append(image)
    return found


def _check_trainable(by_class: dict[str, list[str]], test: DataFrame, card: TaskCard) -> None:
    tested = _images_by_class(test)
    untrained = sorted(tested.keys() - by_class.keys())
    if untrained:
        classes = ", ".join(f"{name} ({plural(len(tested[name]), 'test image')})" for name in untrained)
        raise DataError(
            f"{card.name}: no training image of the class {classes}: add training images, or use another split with "
            "split=file.csv"
        )


def _few_of_each_class(
    training: DataFrame, by_class: dict[str, list[str]], card: TaskCard, shots: int | None, bits: np.random.PCG64
) -> list[str]:
    if shots is None or shots < 1:
        raise ValueError(f"few-shot with shots={shots}: a positive number is needed")
    few = {name: len(images) for name, images in by_class.items() if len(images) < shots}
    if few:
        classes = ", ".join(f"{name} has {count}" for name, count in sorted(few.items()))
        raise DataError(
            f"{card.name}: shots={shots}, but in the training split {classes}: use shots={min(few.values())} or fewer"
        )
    chosen: list[str] = []
    for name in sorted(by_class, key=lambda name: (len(by_class[name]), name)):
        pool = training.loc[by_class[name]].reset_index()
        already = sum(image in chosen for image in by_class[name])
        candidates = _one_of_each_patient_first(pool, _shuffled(sorted(set(pool["patient"])), bits), bits)
        chosen += [image for image in candidates if image not in chosen][: max(shots - already, 0)]
    return chosen


def draw_numeric_episode(
    index: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw support images of a task whose labels are numbers from the training split.

    Few-shot uses ``shots`` images in all. In regression they are one of each of as many equal groups of the training
    images, sorted by value. In survival, the share of images with an event is that of the training split, at least one
    image, and both kinds are drawn in this way by time. Images of patients without a drawn image come first. Supervised
    uses the whole training split; probe and knn use the images of few-shot or, without shots, of supervised.

    Args:
        index: One row per image, with at least the columns ``image``, ``patient``, ``split`` and ``value``, or ``time``
            and ``event``.
        card: The task card.
        protocol: Name of the protocol.
        shots: Number of support images, or None for all.
        seed_index: Seed index of the draw.

    Raises:
        DataError: The training split has fewer images than the protocol needs; the training or the test split has no
            event, or the same value everywhere; or no split can be made.
    """
    protocol = "supervised" if shots is None else "few-shot"
    seed = unit_seed(card.name, protocol, shots, seed_index)
    splits = assign_splits(index, card, seed_index)
    labelled = index[np.array(label_texts(index)) != ""].set_index("image", drop=False).sort_index()
    training, val, test = (labelled[splits.reindex(labelled.index) == split] for split in ("train", "val", "test"))
    problems = [
        f"{card.name}: {name} split: {problem}, or use another split with split=file.csv"
        for name, rows in (("training", training), ("test", test))
        for problem in problems_of_labels(rows)
    ]
    if problems:
        raise DataError(problems)
    bits = np.random.PCG64(seed)
    support = (
        _shuffled(list(training.index), bits)
        if shots is None
        else draw_by_quantile(training, card.name, shots, partial(_shuffled, bits=bits))
    )
    return Episode(tuple(support), tuple(test.index), seed, tuple(val.index))


def draw_gallery(index: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int) -> Episode:
    """Draw the gallery of a retrieval task: all images of ``test_fraction`` of the patients, at least of two.

    With ``split: official``, the patients are drawn from the test split. There is no support set.

    Args:
        index: One row per image, with at least the columns ``image``, ``patient``, ``split`` and ``sha256``.
        card: The task card.
        protocol: Name of the protocol.
        shots: Part of the seed.
        seed_index: Seed index of the draw.

    Raises:
        DataError: An image has no patient, all images are of one patient, or the gallery has at most ten different
            images.
    """
    without_patient = list(index.loc[index["patient"] == "", "image"])
    if without_patient:
        raise DataError(
            f"{card.name}: images without a patient: {shortened(without_patient)}: retrieval needs to know "
            "which images are of the same patient"
        )
    pool = index
    if card.split == "official":
        _, pool = _official_splits(index, card, needs_support=False)
    seed = unit_seed(card.name, protocol, shots, seed_index)
    patients = _shuffled(sorted(set(pool["patient"])), np.random.PCG64(seed))
    if len(patients) < 2:
        raise DataError(
            f"{card.name}: {plural(len(patients), 'patient')}: every retrieved image would be a hit: add patients"
        )
    drawn = patients[: max(round(card.test_fraction * len(patients)), 2)]
    images = pool[pool["patient"].isin(drawn)]
    contents = images["sha256"].nunique()
    if contents <= RECALL_CUTOFF:
        raise DataError(
            f"{card.name}: recall@{RECALL_CUTOFF} needs more than {RECALL_CUTOFF} different images in the gallery; the "
            f"gallery of {len(drawn)} patients (test_fraction: {card.test_fraction} in the card) has {contents}: add "
            "images, or increase test_fraction"
        )
    return Episode((), tuple(sorted(images["image"])), seed)


def draw_videos(index: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int) -> Episode:
    """Draw the photographs whose angiograms are generated: those of ``test_fraction`` of the patients.

    With ``split: official``, they are drawn from the test split, and the support images are the training split.
    Otherwise, the support images are the photographs of all other patients. Only the baseline `mean-video` uses the
    support images.

    Args:
        index: One row per image; photographs have the ``modality`` CF.
        card: The task card.
        protocol: Name of the protocol.
        shots: Part of the seed.
        seed_index: Seed index of the draw.

    Raises:
        DataError: A photograph has no patient, or there are too few patients.
    """
    photographs = index[index["modality"] == "CF"]
    without_patient = list(photographs.loc[photographs["patient"] == "", "image"])
    if without_patient:
        raise DataError(f"{card.name}: photographs without a patient: {shortened(without_patient)}: add the patients")
    seed = unit_seed(card.name, protocol, shots, seed_index)
    bits = np.random.PCG64(seed)
    if card.split == "official":
        support, pool = _official_splits(photographs, card, needs_support=True)
        patients = _shuffled(sorted(set(pool["patient"])), bits)
        drawn = patients[: max(round(card.test_fraction * len(patients)), 1)]
        test = pool[pool["patient"].isin(drawn)]
    else:
        patients, test = _random_test_patients(photographs, card, bits)
        support = photographs[photographs["patient"].isin(patients)]
    return Episode(tuple(sorted(support["image"])), tuple(sorted(test["image"])), seed)


Draw = Callable[[DataFrame, TaskCard, Protocol, "int | None", int], Episode]
DRAWS: dict[str, Draw] = {
    "segmentation": draw_segmentation_episode,
    "classification": draw_classification_episode,
    "regression": draw_numeric_episode,
    "survival": draw_numeric_episode,
    "retrieval": draw_gallery,
    "generation": draw_videos,
}
"""The draw of each task family: (index, card, protocol, shots, seed index) → episode."""


def _official_splits(index: DataFrame, card: TaskCard, needs_support: bool) -> tuple[DataFrame, DataFrame]:
    train, test = index[index["split"] == "train"], index[index["split"] == "test"]
    needed = {"test": test, "training": train} if needs_support else {"test": test}
    for name, images in needed.items():
        if images.empty:
            raise DataError(
                f"{card.name}: the card says `split: official`, but the {name} split has no images: add images, or set "
                "`split: random`"
            )
    return train, test


def _random_test_patients(index: DataFrame, card: TaskCard, bits: np.random.PCG64) -> tuple[list[str], DataFrame]:
    """The support patients in the order drawn, and the rows of the test patients."""
    patients = _shuffled(sorted(set(index["patient"])), bits)
    if len(patients) < 2:
        raise DataError(
            f"{card.name}: {plural(len(patients), 'patient')} can't be divided into support and test: add patients"
        )
    test_count = min(max(round(card.test_fraction * len(patients)), 1), len(patients) - 1)
    return patients[test_count:], index[index["patient"].isin(patients[:test_count])]


def _random_test_with_classes(index: DataFrame, card: TaskCard, bits: np.random.PCG64) -> tuple[list[str], DataFrame]:
    """As `_random_test_patients`; with ``mask_classes``, a draw with the classes in both parts."""
    if not card.mask_classes:
        return _random_test_patients(index, card, bits)
    having = {each.name: set(index.loc[images_with_class(index, each.name), "patient"]) for each in card.mask_classes}
    divisible = [patients for patients in having.values() if len(patients) > 1]
    draws = []
    for _ in range(_MOST_DRAWS):
        support, test = _random_test_patients(index, card, bits)
        parts = set(support), set(test["patient"])
        lacking = sum(not patients & part for patients in divisible for part in parts)
        draws.append((lacking, support, test))
        if not lacking:
            break
    _, support, test = min(draws, key=lambda draw: draw[0])
    return support, test


def _one_of_each_patient_first(pool: DataFrame, patients: Sequence[str], bits: np.random.PCG64) -> list[str]:
    """Image ids: a random image of every patient, then a second one of those who have more, and so on."""
    images = {patient: sorted(rows) for patient, rows in pool.groupby("patient")["image"]}
    rounds = zip_longest(*(_shuffled(images[patient], bits) for patient in patients))
    return [image for images_of_round in rounds for image in images_of_round if image is not None]


def _every_class_first(candidates: Sequence[str], pool: DataFrame) -> list[str]:
    """Image ids in an order in which each class occurs as early as possible; otherwise the order of ``candidates``."""
    present = {
        image: {*text.split(SEPARATOR)} - {""} for image, text in zip(pool["image"], pool["present"], strict=True)
    }
    missing = set[str]().union(*(present[image] for image in candidates))
    first: list[str] = []
    while missing:
        first.append(max(candidates, key=lambda image: len(present[image] & missing)))  # the first of equal ones
        missing -= present[first[-1]]
    return first + [image for image in candidates if image not in first]


def _select_support(
    candidates: list[str], patients: int, card: TaskCard, protocol: str, shots: int | None
) -> list[str]:
    if protocol == "zero-shot":
        return []
    if protocol == "supervised":
        return candidates
    if shots is None or shots < 1:
        raise ValueError(f"few-shot with shots={shots}: a positive number is needed")
    if shots > len(candidates):
        raise DataError(
            f"{card.name}: shots={shots}, but only {plural(len(candidates), 'image')} of {plural(patients, 'patient')} "
            f"are outside the test set: use shots={len(candidates)} or fewer, or a smaller test set (test_fraction: "
            f"{card.test_fraction} in the card, used with split: random)"
        )
    return candidates[:shots]


def _shuffled(items: Sequence[Item], bits: np.random.PCG64) -> list[Item]:
    """Shuffle with raw bits, which are the same in all NumPy versions; those of ``Generator.shuffle`` are not."""
    keys = np.atleast_1d(bits.random_raw(len(items)))
    return [items[position] for position in np.argsort(keys, kind="stable")]
