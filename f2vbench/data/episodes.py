"""Episodes: which images a unit learns from and which it is tested on.

The draw depends on the task, the protocol, the number of shots, the seed index and the data set's ids and
patients; never on the encoder, the order of rows or the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from pandas import DataFrame

from f2vbench.config.run import Protocol
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.splits import assign_splits
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256

RECALL_CUTOFF = 10
"""How many images of a gallery are looked at."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Episode:
    """One draw: ids of the support images in the order drawn, ids of the test images sorted, and its seed.

    ``val`` are the ids of the validation images, sorted: in classification those of the split, else none.
    """

    support: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    val: tuple[str, ...] = ()


def unit_seed(task: str, protocol: str, shots: int | None, seed_index: int) -> int:
    """64-bit seed of a unit, the same for every encoder; ``shots`` is None where it has no meaning (supervised)."""
    return int(sha256(canonical_json([task, protocol, shots, seed_index]))[:16], 16)


def draw_segmentation_episode(
    described: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw support and test images by patient.

    With ``split: random`` the patients are shuffled; the images of the first ``round(test_fraction · patients)``
    (at least one, and never all) are the test set, and support images come from the other patients. With
    ``split: official`` the test half is the test set and support images come from the training half. Few-shot
    takes one image of every patient before a second of any; supervised takes all; zero-shot none.

    Args:
        described: an index with at least the columns ``image``, ``patient`` and ``split``.
        shots: number of support images, few-shot only; the seed takes it in for the other protocols too.

    Raises:
        DataError: fewer patients or images than the protocol needs, or half of the official split is missing.
    """
    seed = unit_seed(card.name, protocol, shots, seed_index)
    bits = np.random.PCG64(seed)
    if card.split == "official":
        pool, test = _official_halves(described, card, needs_support=protocol != "zero-shot")
        patients = _shuffled(sorted(set(pool["patient"])), bits)
    else:
        patients, test = _random_test_patients(described, card, bits)
        pool = described
    candidates = _one_of_each_patient_first(pool, patients, bits)
    support = _take(candidates, len(patients), card, protocol, shots)
    return Episode(tuple(support), tuple(sorted(test["image"])), seed)


def draw_classification_episode(
    described: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw support images by class from the training part of the task's split (`f2vbench.data.splits.assign_splits`).

    Few-shot takes ``shots`` images of every class, of one patient each before a second of any, the rarest class
    first; an image that has several classes counts for each of them. Supervised takes all of the training part,
    zero-shot none; prototype, knn and probe take the images of few-shot or, without shots, of supervised. Validation
    and test images are the same for all protocols and shots of a seed.

    Args:
        described: an index with at least the columns ``image``, ``patient``, ``label`` and ``split``.

    Raises:
        DataError: fewer images of a class than the protocol needs, a class that is in the test part alone, or no
            split to be had.
    """
    if protocol in ("prototype", "knn", "probe"):  # read from the same images as the heads beside them
        protocol = "supervised" if shots is None else "few-shot"
    seed = unit_seed(card.name, protocol, shots, seed_index)
    parts = assign_splits(described, card, seed_index)
    images = described.set_index("image").loc[parts.index]
    training = images[(parts == "train") & (images["label"] != "")]
    val, test = (tuple(parts.index[(parts == part) & (images["label"] != "")]) for part in ("val", "test"))
    by_class = _images_by_class(training)
    if protocol != "zero-shot":
        _refuse_untaught(by_class, images.loc[list(test)], card)
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
        for one in label.split(SEPARATOR):
            found.setdefault(one, []).append(image)
    return found


def _refuse_untaught(by_class: dict[str, list[str]], test: DataFrame, card: TaskCard) -> None:
    tested = _images_by_class(test)
    untaught = sorted(tested.keys() - by_class.keys())
    if untaught:
        told = ", ".join(f"{name} ({len(tested[name])} test images)" for name in untaught)
        raise DataError(
            f"{card.name}: nothing can be learnt of the class {told}: it is in the test part alone; "
            "add training images, or give another split with split=file.csv"
        )


def _few_of_each_class(
    training: DataFrame, by_class: dict[str, list[str]], card: TaskCard, shots: int | None, bits: np.random.PCG64
) -> list[str]:
    if shots is None or shots < 1:
        raise ValueError(f"few-shot with shots={shots}: a positive number is needed")
    few = {name: len(images) for name, images in by_class.items() if len(images) < shots}
    if few:
        told = ", ".join(f"{name} has {count}" for name, count in sorted(few.items()))
        raise DataError(
            f"{card.name}: shots={shots}, but in the training part {told}: ask for shots={min(few.values())} or fewer"
        )
    chosen: list[str] = []
    for name in sorted(by_class, key=lambda name: (len(by_class[name]), name)):
        pool = training.loc[by_class[name]].reset_index()
        already = sum(image in chosen for image in by_class[name])
        candidates = _one_of_each_patient_first(pool, _shuffled(sorted(set(pool["patient"])), bits), bits)
        chosen += [image for image in candidates if image not in chosen][: max(shots - already, 0)]
    return chosen


def draw_gallery(
    described: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw the sub-gallery of a retrieval task: all images of ``test_fraction`` of the patients, at least two.

    With ``split: official`` the patients are those of the test half, else all. There is no support set.

    Raises:
        DataError: an image has no patient, all are of one, or the gallery would not have ten images beside a query.
    """
    nameless = list(described.loc[described["patient"] == "", "image"])
    if nameless:
        raise DataError(f"{card.name}: no patient is known of {', '.join(nameless)}: retrieval can't count hits there")
    pool = described
    if card.split == "official":
        _, pool = _official_halves(described, card, needs_support=False)
    seed = unit_seed(card.name, protocol, shots, seed_index)
    patients = _shuffled(sorted(set(pool["patient"])), np.random.PCG64(seed))
    if len(patients) < 2:
        raise DataError(
            f"{card.name}: {len(patients)} patient(s) only, so every image found would be a hit: add others"
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


def draw_videos(
    described: DataFrame, card: TaskCard, protocol: Protocol, shots: int | None, seed_index: int
) -> Episode:
    """Draw the photographs whose angiograms are generated, by patient: ``test_fraction`` of the patients.

    With ``split: official`` they are drawn from the test half, and the support images are the training half; else the
    support images are the photographs of all other patients. Nothing but the baseline `mean-video` looks at those.

    Args:
        described: an index whose photographs have ``modality`` CF.

    Raises:
        DataError: a photograph has no patient, or there are too few patients.
    """
    photographs = described[described["modality"] == "CF"]
    nameless = list(photographs.loc[photographs["patient"] == "", "image"])
    if nameless:
        raise DataError(f"{card.name}: no patient is known of {', '.join(nameless)}: add the patients")
    seed = unit_seed(card.name, protocol, shots, seed_index)
    bits = np.random.PCG64(seed)
    if card.split == "official":
        support, pool = _official_halves(photographs, card, needs_support=True)
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
    "retrieval": draw_gallery,
    "generation": draw_videos,
}
"""How episodes of a family are drawn: (described index, card, protocol, shots, seed index) → episode."""


def _official_halves(described: DataFrame, card: TaskCard, needs_support: bool) -> tuple[DataFrame, DataFrame]:
    train, test = described[described["split"] == "train"], described[described["split"] == "test"]
    needed = {"test": test, "training": train} if needs_support else {"test": test}
    for half, images in needed.items():
        if images.empty:
            raise DataError(
                f"{card.name}: the card says `split: official`, but no image of the {half} half is there: "
                "add it, or set `split: random`"
            )
    return train, test


def _random_test_patients(described: DataFrame, card: TaskCard, bits: np.random.PCG64) -> tuple[list[str], DataFrame]:
    """The patients left for support, in the order drawn, and the rows of the test patients."""
    patients = _shuffled(sorted(set(described["patient"])), bits)
    if len(patients) < 2:
        raise DataError(f"{card.name}: {len(patients)} patient(s) can't be divided into support and test: add images")
    tested = min(max(round(card.test_fraction * len(patients)), 1), len(patients) - 1)
    return patients[tested:], described[described["patient"].isin(patients[:tested])]


def _one_of_each_patient_first(pool: DataFrame, patients: Sequence[str], bits: np.random.PCG64) -> list[str]:
    """Image ids: a random one of every patient in turn, then a second of those who have one, and so on."""
    images = {patient: sorted(rows) for patient, rows in pool.groupby("patient")["image"]}
    rounds = zip_longest(*(_shuffled(images[patient], bits) for patient in patients))
    return [image for turn in rounds for image in turn if image is not None]


def _take(candidates: list[str], patients: int, card: TaskCard, protocol: str, shots: int | None) -> list[str]:
    if protocol == "zero-shot":
        return []
    if protocol == "supervised":
        return candidates
    if shots is None or shots < 1:
        raise ValueError(f"few-shot with shots={shots}: a positive number is needed")
    if shots > len(candidates):
        raise DataError(
            f"{card.name}: shots={shots}, but beside the test set there are only {len(candidates)} images of "
            f"{patients} patients: ask for shots={len(candidates)} or fewer, or for a smaller test set "
            f"(test_fraction: {card.test_fraction} in the card, used with split: random)"
        )
    return candidates[:shots]


def _shuffled(items: Sequence[Item], bits: np.random.PCG64) -> list[Item]:
    """A random order from raw bits, whose stream NumPy keeps the same in all versions (shuffle's it does not)."""
    keys = np.atleast_1d(bits.random_raw(len(items)))
    return [items[position] for position in np.argsort(keys, kind="stable")]
