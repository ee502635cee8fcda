"""External validation: train on one data set and test on another one with the same classes."""

from __future__ import annotations

import pandas as pd

from f2vbench.config.run import NearCopies
from f2vbench.data.file_facts import data_fingerprint
from f2vbench.data.index_rows import added_columns
from f2vbench.data.near_duplicates import MIN_CORRELATION, NearDuplicate, near_duplicate_pairs
from f2vbench.data.tables import limit_problems
from f2vbench.data.task_data import TaskData
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.text import plural


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
        SettingsError: The tasks are not classification tasks with the same classes in the same order.
        DataError: Training images are near-duplicates of test images, or no training image is left.
    """
    _check_same_classes(train, test)
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
    return TaskData(card, train.folder, index, data_fingerprint(index), drawn_as=train.card.name)


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


def _check_same_classes(train: TaskData, test: TaskData) -> None:
    schemes = []
    for task in (train, test):
        if task.card.family != "classification" or not task.card.classes:
            raise SettingsError(
                f"train=, test=: the card of {task.card.name} has no classes: external validation needs classification "
                "tasks with `classes` and `label_kind`"
            )
        schemes.append((task.card.label_kind, task.classes))
    if schemes[0] != schemes[1]:
        both = " and ".join(f"{kind} {', '.join(names)}" for kind, names in schemes)
        raise SettingsError(
            f"train={train.card.name} test={test.card.name}: the classes differ ({both}): choose tasks with the same "
            "classes in the same order"
        )
