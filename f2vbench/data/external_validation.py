"""External validation: train on one data set and test on another one with the same labels."""

from __future__ import annotations

import pandas as pd

from f2vbench.config.run import NearCopies
from f2vbench.data.file_facts import data_fingerprint
from f2vbench.data.index_rows import added_columns
from f2vbench.data.near_duplicates import MIN_CORRELATION, NearDuplicate, near_duplicate_pairs
from f2vbench.data.tables import limit_problems
from f2vbench.data.task_cards import TaskCard, card_hash
from f2vbench.data.task_data import TaskData
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.files import canonical_json, sha256
from f2vbench.utils.text import plural

_FAMILIES = {
    "classification": "classes",
    "segmentation": "classes",
    "regression": "units",
    "survival": "horizons",
}
"""Families with external validation, and what two tasks have to have in common."""


def external_task_name(train: str, test: str) -> str:
    """Name of the task in plans, tables and files: ``<train>-to-<test>``."""
    return f"{train}-to-{test}"


def join_tasks(train: TaskData, test: TaskData, near_copies: NearCopies = "refuse") -> TaskData:
    """A task with training and validation images from one data set and all images of another one for testing.

    If ``train`` has an official split, its test images are not used for training; otherwise all its images are. Support
    and validation images and the initial heads are drawn with the name of ``train``, so that they are the same for
    every test set. Training images that are exact duplicates of test images are left out, with a note. Near-duplicates
    (`f2vbench.data.near_duplicates`) are looked for among colour photographs.

    Args:
        train: The task to train on.
        test: The task to test on.
        near_copies: If training images are near-duplicates of test images: refuse the pair of tasks, leave these
            training images out, or allow them. The last two are noted.

    Raises:
        SettingsError: The tasks are not of one family with the same labels: classes in the same order (classification,
            segmentation), the same unit (regression), and the same horizon (survival).
        DataError: Training images are near-duplicates of test images, or no training image is left.
    """
    _check_same_labels(train, test)
    name = external_task_name(train.card.name, test.card.name)
    training = train.index
    if train.card.split == "official":
        training = training[training["split"] != "test"]
    else:
        training = training.assign(split="train")
    duplicated = training["sha256"].isin(set(test.index["sha256"]))
    notes = [*train.notes, *test.notes]
    if duplicated.any():
        notes.append(
            f"{name}: {plural(int(duplicated.sum()), 'training image')} left out, because the test set contains the "
            "same pictures"
        )
    if duplicated.all():
        raise DataError(f"{name}: the test set contains every training image: test on another data set")
    training, testing = training[~duplicated], test.index.assign(split="test")
    training = _without_near_copies(name, training, testing, near_copies, notes)
    sides = [_with_prefix(rows, task.card.name) for rows, task in ((training, train), (testing, test))]
    index = pd.concat(sides).sort_values("image", ignore_index=True)
    added = list(added_columns(index).values())
    index[added] = index[added].fillna("")
    index.attrs["notes"] = notes
    card = train.card.model_copy(
        update={"name": name, "split": "official", "title": f"{train.card.title} → {test.card.title}"}
    )
    fingerprint = data_fingerprint(index)
    if card.family == "segmentation":  # the test card says what the values of its masks mean
        fingerprint = sha256(canonical_json([fingerprint, card_hash(test.card)]))
    return TaskData(card, train.folder, index, fingerprint, drawn_as=train.card.name)


def _without_near_copies(
    name: str, training: pd.DataFrame, testing: pd.DataFrame, near_copies: NearCopies, notes: list[str]
) -> pd.DataFrame:
    """The training images after the treatment of near-duplicates of test images, which is added to the notes."""
    sides = [rows[rows["modality"] == "CF"] for rows in (training, testing)]
    paths = [rows["path"].tolist() for rows in sides]
    pairs = list(near_duplicate_pairs(sides[0]["appearance"].tolist(), others=sides[1]["appearance"].tolist()))
    if not pairs:
        return training
    copies = {pair.first for pair in pairs}
    count = (
        f"near-duplicates of test images among {plural(len(copies), 'training image')} "
        f"({plural(len(pairs), 'pair')} with a correlation above {MIN_CORRELATION})"
    )
    if near_copies == "refuse":
        problems = [f"{name}: {_describe(pair, *paths)}" for pair in pairs]
        raise DataError(
            [
                f"{name}: {count}: the test would not be independent. near_copies=leave-out leaves these training "
                "images out; near_copies=allow keeps them, if they are different photographs that only look alike",
                *limit_problems(problems),
            ]
        )
    if near_copies == "allow":
        notes.append(f"{name}: {count}, kept (near_copies=allow); the first: {_describe(pairs[0], *paths)}")
        return training
    notes.append(f"{name}: {count}, left out (near_copies=leave-out)")
    kept = training.drop(index=sides[0].index[sorted(copies)])
    if kept.empty:
        raise DataError(f"{name}: every training image is a near-duplicate of a test image: test on another data set")
    return kept


def _describe(pair: NearDuplicate, training: list[str], testing: list[str]) -> str:
    relation = f", the second {pair.relation()}" if pair.relation() else ""
    return f"{training[pair.first]} and {testing[pair.second]} (correlation {pair.correlation:.3f}{relation})"


def _with_prefix(rows: pd.DataFrame, task: str) -> pd.DataFrame:
    """Image and patient ids with the name of the task as prefix, so that ids of two data sets differ."""
    return rows.assign(image=task + "_" + rows["image"], patient=task + "_" + rows["patient"])


def _check_same_labels(train: TaskData, test: TaskData) -> None:
    """Raise a SettingsError unless two tasks predict the same."""
    names = f"train={train.card.name} test={test.card.name}"
    families = [task.card.family for task in (train, test)]
    if families[0] != families[1]:
        raise SettingsError(f"{names}: the families differ ({' and '.join(families)}): choose tasks of one family")
    for task in (train, test):
        if task.card.family not in _FAMILIES:
            raise SettingsError(
                f"train=, test=: {task.card.name} is a {task.card.family} task: external validation is for "
                f"{', '.join(_FAMILIES)}"
            )
        if task.card.family == "classification" and not task.card.classes:
            raise SettingsError(
                f"train=, test=: the card of {task.card.name} has no classes: external validation of classification "
                "needs tasks with `classes` and `label_kind`"
            )
    predicted = [_predicted(task.card) for task in (train, test)]
    if predicted[0] != predicted[1]:
        what = _FAMILIES[families[0]]
        raise SettingsError(
            f"{names}: the {what} differ ({' and '.join(predicted)}): choose tasks with the same {what}"
            + (" in the same order" if what == "classes" else "")
        )


def _predicted(card: TaskCard) -> str:
    """What a task predicts, in words."""
    if card.family == "regression":
        return card.unit or "no unit"
    if card.family == "survival":
        return f"{card.horizon:g} {card.unit or 'without unit'}"
    if card.family == "segmentation":
        return ", ".join(each.name for each in card.mask_classes) or "one class without a name"
    return f"{card.label_kind} {', '.join(each.name for each in card.classes)}"
