"""Training, validation and test splits: official, random, or read from a file.

A random split depends on the task's name, the seed index, and the data set's ids, patients and labels; it does not
depend on the order of rows, the encoder, the protocol or the number of shots.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from pandas import DataFrame, Series

from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.numeric_labels import label_texts, strata
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256, write_atomically
from f2vbench.utils.text import plural, shortened

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
"""The splits as messages name them."""

SPLIT_WORDS = ("official", "random")
"""Values of ``split=`` that are no file."""

DIVIDED = ("classification", "regression", "survival")
"""Task families whose images are divided into these splits, by `assign_splits`."""

SPLIT_FRACTIONS = {"train": 0.55, "val": 0.15, "test": 0.30}
"""Fractions of the images, as in the Fundus2Video foundation-model paper."""

SPLIT_COLUMNS = ("image", "patient", "label", "split")
"""Columns of a split file."""


def split_seed(task: str, seed_index: int) -> int:
    """64-bit seed of a random split; the same for all protocols and shots, so that they share their test images."""
    return int(sha256(canonical_json([task, "split", seed_index]))[:16], 16)


def resolve_split(card: TaskCard, index: DataFrame) -> TaskCard:
    """The card with ``split: auto`` replaced: official if the index has training and test images, else random."""
    if card.split != "auto":
        return card
    has_split = {"train", "test"} <= set(index["split"])
    return card.model_copy(update={"split": "official" if has_split else "random"})


def apply_split_word(card: TaskCard, index: DataFrame, word: str) -> tuple[TaskCard, DataFrame]:
    """The card and the index with ``split=official`` or ``split=random``.

    An official split is that of the folders; where they do not divide the images, that of `official_test` on the card.

    Args:
        card: The task card.
        index: One row per image, with the columns ``image`` and ``split``.
        word: One of `SPLIT_WORDS`.

    Raises:
        DataError: The data set has no official split.
    """
    if word == "official" and not {"train", "test"} <= set(index["split"]):
        if not card.official_test or (index["split"] != "").any():
            raise DataError(
                f"split=official: {card.name} has no official training and test images in this folder: leave "
                "split out, or get both parts of the data set"
            )
        in_test = [any(fnmatchcase(image, pattern) for pattern in card.official_test) for image in index["image"]]
        index = index.assign(split=["test" if test else "train" for test in in_test])
    return card.model_copy(update={"split": word}), index


def assign_splits(index: DataFrame, card: TaskCard, seed_index: int) -> Series:
    """The split of every image of a task of classification, regression or survival.

    With ``split: official`` (or auto, see `resolve_split`), the column ``split`` of the index. If it has no validation
    images, they are drawn from the training patients in the ratio 15 to 55. With ``split: random``, all splits are
    drawn (`draw_split`), stratified by class or, for numbers, by `f2vbench.data.numeric_labels.strata`.

    Args:
        index: One row per image, with the columns ``image``, ``patient``, ``split`` and those of the label.
        card: The task card.
        seed_index: Seed index of the random split.

    Returns:
        "train", "val", "test", or "" for unused images; indexed and sorted by image id.

    Raises:
        DataError: A split of the official split has no images, or there are fewer than three patients.
    """
    images = index.assign(label=strata(index)).sort_values("image").set_index("image")
    card = resolve_split(card, index)
    if card.split == "random":
        return draw_split(images, SPLIT_FRACTIONS, split_seed(card.name, seed_index), card.name)
    splits = images["split"].copy()
    for split in ("test", "train"):
        if not (splits == split).any():
            raise DataError(_no_images(card.name, split, index.attrs.get("split_file")))
    if not (splits == "val").any():
        fractions = {split: SPLIT_FRACTIONS[split] for split in ("train", "val")}
        training = images[splits == "train"]
        splits.update(draw_split(training, fractions, split_seed(card.name, seed_index), card.name))
    return splits


def _no_images(task: str, split: str, file: str | None) -> str:
    """Message for a split without images, which the data set or a split file states."""
    if file is not None:
        return f"{task}: split={file} lists no {SPLIT_NAMES[split]} images: give some images the split '{split}' there"
    return (
        f"{task}: the card says `split: official`, but the {SPLIT_NAMES[split]} split has no images: add images, use "
        "split=file.csv, or set `split: random`"
    )


def draw_split(images: DataFrame, fractions: Mapping[str, float], seed: int, task: str) -> Series:
    """Draw splits by patient, stratified by class.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011) with patients as examples: the class
    with the fewest remaining images is distributed first. Each of its patients goes to the split that lacks most images
    of this class; of equals, to the split that lacks most images of any class. A class with fewer patients than splits
    is absent from the last splits of ``fractions``.

    Args:
        images: One row per image, indexed by image id, with the columns ``patient`` and ``label`` ("" for none).
        fractions: Fraction of the images by split; they need not add up to 1.
        seed: Determines the order in which patients are distributed.
        task: Name of the task, for messages.

    Returns:
        The split of every image.

    Raises:
        DataError: There are fewer patients than splits.
    """
    class_counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sizes: dict[str, int] = defaultdict(int)
    for patient, label in zip(images["patient"], images["label"], strict=True):
        sizes[patient] += 1
        for name in label.split(SEPARATOR):
            class_counts[patient][name] += 1
    if len(sizes) < len(fractions):
        raise DataError(
            f"{task}: {plural(len(sizes), 'patient')} can't be divided into {', '.join(fractions)}: add images, "
            "or use split=file.csv"
        )
    names = sorted(sizes)
    keys = np.atleast_1d(np.random.PCG64(seed).random_raw(len(names)))  # raw bits are the same in all NumPy versions
    order = [names[position] for position in np.argsort(keys, kind="stable")]
    return images["patient"].map(_distribute(order, class_counts, sizes, fractions)).rename("split")


def _distribute(
    order: Sequence[str],
    class_counts: Mapping[str, Mapping[str, int]],
    sizes: Mapping[str, int],
    fractions: Mapping[str, float],
) -> dict[str, str]:
    """The split of every patient.

    Args:
        order: Patients in random order.
        class_counts: Number of images of each class, by patient.
        sizes: Number of images, by patient.
        fractions: Fraction of the images, by split.
    """
    total = sum(fractions.values())
    remaining: dict[str, int] = defaultdict(int)  # images that are not distributed yet, by class
    for counts in class_counts.values():
        for name, count in counts.items():
            remaining[name] += count
    wanted = {
        split: {name: count * fraction / total for name, count in remaining.items()}
        for split, fraction in fractions.items()
    }
    room = {split: sum(sizes.values()) * fraction / total for split, fraction in fractions.items()}
    by_class = {name: [patient for patient in order if name in class_counts[patient]] for name in remaining}
    assigned: dict[str, str] = {}
    while remaining:
        rarest = min(remaining, key=lambda name: (remaining[name], name))
        for patient in by_class[rarest]:
            if patient in assigned:
                continue
            split = max(fractions, key=lambda split: (round(wanted[split][rarest], 9), round(room[split], 9)))
            assigned[patient] = split
            room[split] -= sizes[patient]
            for name, count in class_counts[patient].items():
                wanted[split][name] -= count
                if name in remaining:
                    remaining[name] -= count
        del remaining[rarest]
    return assigned


def divided_patients(index: DataFrame) -> Iterator[tuple[str, DataFrame]]:
    """Patients with images in several splits, each with these rows of the index."""
    used = index[index["split"] != ""]
    counts = used.groupby("patient")["split"].nunique()
    for patient, rows in used[used["patient"].isin(counts[counts > 1].index)].groupby("patient"):
        yield str(patient), rows


def write_split(path: Path, index: DataFrame, splits: Series) -> None:
    """Write the columns ``image,patient,label,split``, sorted by image; images without a split are left out.

    Args:
        path: The CSV file.
        index: One row per image.
        splits: The split of every image, see `assign_splits`.

    Raises:
        StoreError: The file is not writable.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SPLIT_COLUMNS)
    for row in index.assign(label=label_texts(index)).sort_values("image").itertuples():
        if splits[row.image]:
            writer.writerow([row.image, row.patient, row.label, splits[row.image]])
    write_atomically(path, text.getvalue().encode())


def read_split(path: Path, index: DataFrame, task: str) -> Series:
    """Read a split file.

    Only the columns ``image`` and ``split`` are required. Labels or patients that differ from the index are refused,
    because the file was then made for other data.

    Args:
        path: The CSV file.
        index: One row per image, with the columns ``image``, ``patient`` and those of the label.
        task: Name of the task, for messages.

    Returns:
        The split of every image by image id, "" for images that the file does not list.

    Raises:
        DataError: Unknown, repeated or misspelt entries, different labels or patients, a patient in several splits.
    """
    if not path.is_file():
        raise DataError(f"split={path}: file not found; write one with f2vbench data split task={task} out=split.csv")
    known = {row["image"]: row for row in index.assign(label=label_texts(index)).to_dict("records")}
    found: dict[str, str] = {}
    problems: list[str] = []
    unknown: list[str] = []
    for position, row in enumerate(read_csv(path, ("image", "split")).to_dict("records")):
        image, where = row["image"], f"{path}, row {position + 2}"
        if image not in known:
            unknown.append(image)
            continue
        if image in found:
            problems.append(f"{where}: image '{image}' is listed twice")
        if row["split"] not in SPLITS:
            problems.append(f"{where}: split '{row['split']}' must be one of {', '.join(SPLITS)}")
        for column in ("patient", "label"):
            expected = known[image].get(column)
            if row.get(column, expected) != expected:
                problems.append(f"{where}: {column} of '{image}' is '{row[column]}', in the data '{expected}'")
        found[image] = row["split"]
    problems = limit_problems(problems)
    if unknown:
        problems.append(f"{path}: {plural(len(unknown), 'unknown image')} for {task}: {shortened(unknown)}")
    splits = Series({image: found.get(image, "") for image in sorted(known)}, name="split").rename_axis("image")
    divided = [patient for patient, _ in divided_patients(index.assign(split=index["image"].map(splits)))]
    if divided:
        problems.append(
            f"{path}: {plural(len(divided), 'patient')} in several splits: {shortened(divided)}: assign all images "
            "of a patient to one split"
        )
    if problems:
        raise DataError(problems)
    return splits
