"""External validation: heads trained on one data set and tested on another that has the same classes."""

from __future__ import annotations

import pandas as pd

from f2vbench.data.file_facts import data_fingerprint
from f2vbench.data.task_data import TaskData
from f2vbench.errors import DataError, SettingsError


def external_task_name(train: str, test: str) -> str:
    """The name of such a task, in plans, tables and files."""
    return f"{train}-to-{test}"


def join_tasks(train: TaskData, test: TaskData) -> TaskData:
    """A task whose training and validation images are of one data set and whose test images are all of another.

    Where ``train`` has an official split its test part is not trained on; else all its images are. Support images,
    validation images and heads are drawn under the name of ``train``, so that they are the same whatever is tested.
    Training images whose pixels are a test image's are left out, with a note.

    Raises:
        SettingsError: the cards do not declare the same classes in the same order, or are no classification.
        DataError: nothing is left to train on.
    """
    _refuse_other_classes(train, test)
    name = external_task_name(train.card.name, test.card.name)
    taught = train.index
    taught = taught[taught["split"] != "test"] if train.card.split == "official" else taught.assign(split="train")
    copies = taught["sha256"].isin(set(test.index["sha256"]))
    notes = [*train.notes, *test.notes]
    if copies.any():
        notes.append(f"{name}: {copies.sum()} training images are test images as well and left out of training")
    if copies.all():
        raise DataError(f"{name}: every training image is a test image as well; test on another data set")
    taught, tested = taught[~copies], test.index.assign(split="test")
    sides = [_owned(rows, task.card.name) for rows, task in ((taught, train), (tested, test))]
    index = pd.concat(sides).sort_values("image", ignore_index=True)
    index.attrs["notes"] = notes
    card = train.card.model_copy(
        update={"name": name, "split": "official", "title": f"{train.card.title} → {test.card.title}"}
    )
    return TaskData(card, train.folder, index, data_fingerprint(index), drawn_as=train.card.name)


def _owned(rows: pd.DataFrame, task: str) -> pd.DataFrame:
    """Ids of images and patients with the data set's name before them, so that those of two never meet."""
    return rows.assign(image=task + "_" + rows["image"], patient=task + "_" + rows["patient"])


def _refuse_other_classes(train: TaskData, test: TaskData) -> None:
    schemes = []
    for task in (train, test):
        if task.card.family != "classification" or not task.card.classes:
            raise SettingsError(
                f"train=, test=: {task.card.name} declares no classes: external validation needs classification tasks "
                "with `classes` and `label_kind` in their cards"
            )
        schemes.append((task.card.label_kind, task.classes))
    if schemes[0] != schemes[1]:
        told = " and ".join(f"{kind} {', '.join(names)}" for kind, names in schemes)
        raise SettingsError(
            f"train={train.card.name} test={test.card.name}: their classes differ ({told}): choose tasks whose cards "
            "declare the same classes in the same order"
        )
