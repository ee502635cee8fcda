"""External validation: train on one data set and test on another one with the same classes."""

from __future__ import annotations

import pandas as pd

from f2vbench.data.file_facts import data_fingerprint
from f2vbench.data.task_data import TaskData
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.text import plural


def external_task_name(train: str, test: str) -> str:
    """Name of the task in plans, tables and files: ``<train>-to-<test>``."""
    return f"{train}-to-{test}"


def join_tasks(train: TaskData, test: TaskData) -> TaskData:
    """A task with training and validation images from one data set and all images of another one for testing.

    If ``train`` has an official split, its test images are not used for training; otherwise all its images are. Support
    and validation images and the initial heads are drawn with the name of ``train``, so that they are the same for
    every test set. Training images that are exact duplicates of test images are left out, with a note.

    Args:
        train: The task to train on.
        test: The task to test on.

    Raises:
        SettingsError: The tasks are not classification tasks with the same classes in the same order.
        DataError: No training image is left.
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
    sides = [_with_prefix(rows, task.card.name) for rows, task in ((training, train), (testing, test))]
    index = pd.concat(sides).sort_values("image", ignore_index=True)
    index.attrs["notes"] = notes
    card = train.card.model_copy(
        update={"name": name, "split": "official", "title": f"{train.card.title} → {test.card.title}"}
    )
    return TaskData(card, train.folder, index, data_fingerprint(index), drawn_as=train.card.name)


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
