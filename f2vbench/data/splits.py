"""Training, validation and test images: the owner's division, a drawn one, or one read from a file.

A drawn split depends on the task's name, the seed index and the data set's ids, patients and labels; never on the
order of rows, the encoder, the protocol or the shots.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pandas import DataFrame, Series

from f2vbench.data.folder_scan import read_csv
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256, write_atomically
from f2vbench.utils.text import shortened

SPLITS = ("train", "val", "test")
SPLIT_FRACTIONS = {"train": 0.55, "val": 0.15, "test": 0.30}
"""Shares of the images, as in the Fundus2Video foundation-model paper."""

_COLUMNS = ("image", "patient", "label", "split")


def split_seed(task: str, seed_index: int) -> int:
    """64-bit seed of a drawn split; the same for all protocols and shots, so that they share their test images."""
    return int(sha256(canonical_json([task, "split", seed_index]))[:16], 16)


def resolve_split(card: TaskCard, index: DataFrame) -> TaskCard:
    """The card with ``split: auto`` made official, where the index has a training and a test part, or random."""
    if card.split != "auto":
        return card
    divided = {"train", "test"} <= set(index["split"])
    return card.model_copy(update={"split": "official" if divided else "random"})


def assign_splits(described: DataFrame, card: TaskCard, seed_index: int) -> Series:
    """The part of every image – train, val, test, or "" where it is not used – indexed by image id and sorted by it.

    With ``split: official`` (or auto, see `settled`) the index's own column counts; where it has no val part, one is
    drawn from the training patients, in the proportion 15 to 55. With ``split: random`` all is drawn (`draw_split`).

    Raises:
        DataError: a part of an official split is missing, or there are fewer than three patients to divide.
    """
    images = described.sort_values("image").set_index("image")
    card = resolve_split(card, described)
    if card.split == "random":
        return draw_split(images, SPLIT_FRACTIONS, split_seed(card.name, seed_index), card.name)
    split = images["split"].copy()
    for part in ("test", "train"):
        if not (split == part).any():
            raise DataError(
                f"{card.name}: the card says `split: official`, but no image of the {part} part is there: "
                "add it, give a split with split=file.csv, or set `split: random`"
            )
    if not (split == "val").any():
        shares = {part: SPLIT_FRACTIONS[part] for part in ("train", "val")}
        training = images[split == "train"]
        split.update(draw_split(training, shares, split_seed(card.name, seed_index), card.name))
    return split


def draw_split(images: DataFrame, shares: Mapping[str, float], seed: int, task: str) -> Series:
    """Patients dealt out to parts so that every class is in every part in its share, as nearly as can be.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011) with patients for examples: the class
    with the fewest images left is dealt out first, each of its patients to the part that lacks most of this class, of
    equals to the one that lacks most images of any class. A class with images of fewer patients than there are parts
    stays in the first parts of ``shares``.

    Args:
        images: indexed by image id, with the columns ``patient`` and ``label`` ("" for none).
        shares: part → share of the images; they need not add up to 1.
        seed: decides the order in which patients are dealt out.

    Raises:
        DataError: fewer patients than parts.
    """
    held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sizes: dict[str, int] = defaultdict(int)
    for patient, label in zip(images["patient"], images["label"], strict=True):
        sizes[patient] += 1
        for one in label.split(SEPARATOR):
            held[patient][one] += 1
    if len(sizes) < len(shares):
        raise DataError(
            f"{task}: {len(sizes)} patients can't be divided into {', '.join(shares)}: add images, "
            "or give a split with split=file.csv"
        )
    names = sorted(sizes)
    keys = np.atleast_1d(np.random.PCG64(seed).random_raw(len(names)))  # raw bits are the same in all NumPy versions
    order = [names[place] for place in np.argsort(keys, kind="stable")]
    dealt = _deal(order, held, sizes, shares)
    return images["patient"].map(dealt).rename("split")


def _deal(
    order: Sequence[str], held: Mapping[str, Mapping[str, int]], sizes: Mapping[str, int], shares: Mapping[str, float]
) -> dict[str, str]:
    """Part of every patient; ``held`` are the images of a patient by class."""
    total = sum(shares.values())
    left: dict[str, int] = defaultdict(int)  # images not dealt out yet, by class
    for classes in held.values():
        for one, count in classes.items():
            left[one] += count
    wanted = {part: {one: count * share / total for one, count in left.items()} for part, share in shares.items()}
    room = {part: sum(sizes.values()) * share / total for part, share in shares.items()}
    by_class = {one: [patient for patient in order if one in held[patient]] for one in left}
    dealt: dict[str, str] = {}
    while left:
        rarest = min(left, key=lambda one: (left[one], one))
        for patient in by_class[rarest]:
            if patient in dealt:
                continue
            part = max(shares, key=lambda part: (round(wanted[part][rarest], 9), round(room[part], 9)))
            dealt[patient] = part
            room[part] -= sizes[patient]
            for one, count in held[patient].items():
                wanted[part][one] -= count
                if one in left:
                    left[one] -= count
        del left[rarest]
    return dealt


def write_split(path: Path, described: DataFrame, parts: Series) -> None:
    """Write ``image,patient,label,split``, sorted by image; images that are in no part are left out.

    Raises:
        StoreError: the file can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in described.sort_values("image").itertuples():
        if parts[row.image]:
            writer.writerow([row.image, row.patient, row.label, parts[row.image]])
    write_atomically(path, text.getvalue().encode())


def read_split(path: Path, described: DataFrame, task: str) -> Series:
    """The column ``split`` of such a file by image id, "" for images that it leaves out.

    Only ``image`` and ``split`` are needed; a label or patient that differs from the index's is refused, because the
    file was then made for other data.

    Raises:
        DataError: unknown, repeated or misspelt entries, labels or patients that differ, a patient in two parts.
    """
    if not path.is_file():
        raise DataError(f"split={path}: there is no such file; f2vbench data split task={task} out=split.csv makes one")
    known = {row["image"]: row for row in described.to_dict("records")}
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
            here = known[image].get(column)
            if row.get(column, here) != here:
                problems.append(f"{where}: {column} of '{image}' is '{row[column]}', in the data '{here}'")
        found[image] = row["split"]
    if unknown:
        problems.append(f"{path}: {len(unknown)} images are not in the data of {task}: {shortened(unknown)}")
    split = Series({image: found.get(image, "") for image in sorted(known)}, name="split").rename_axis("image")
    problems += _divided(split, described.set_index("image")["patient"], path)
    if problems:
        raise DataError(problems)
    return split


def _divided(split: Series, patients: Series, path: Path) -> list[str]:
    used = split[split != ""]
    parts = used.groupby(patients.reindex(used.index)).nunique()
    divided = sorted(parts[parts > 1].index)
    if not divided:
        return []
    return [f"{path}: {len(divided)} patients are in several parts: {shortened(divided)}: keep each in one"]
