"""Classification by models that are scored with their own head: whether its outputs are a task's classes, and which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.label_classes import Spellings
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.own_head_argument import classes_file
from f2vbench.encoders.spec import ModelSpec
from f2vbench.metrics.classification import Kind
from f2vbench.utils.text import plural


def own_head_problems(model: ModelSpec, task: TaskData) -> list[str]:
    """Why the outputs of a model's own head are not the classes of a task, one sentence each.

    Args:
        model: The model; one without ``outputs`` has no problems.
        task: The task.
    """
    if not model.outputs or task.card.family != "classification":
        return []
    classes, outputs = task.classes, model.outputs
    if len(outputs) == 1 and len(classes) == 2 and not outputs[0]:
        return []  # one logit of the positive class
    if len(outputs) != len(classes):
        return [
            f"{model.name}: its head has {plural(len(outputs), 'output')}, but the task has {len(classes)} classes "
            f"({', '.join(classes)}): it was trained for other classes; test it on a task with the same ones"
        ]
    if not outputs[0]:
        return []
    found = _class_names(outputs, task)
    unknown = [output for output, name in zip(outputs, found, strict=True) if name is None]
    absent = [name for name in classes if name not in found]
    if not unknown and not absent:
        return []
    return [
        f"{model.name}: the outputs {', '.join(unknown) or 'of its head'} are no classes of the task, and "
        f"{', '.join(absent)} are missing: correct {_file(model)}, or test it on a task with the same classes"
    ]


def own_head_note(model: ModelSpec) -> str:
    """How the outputs of a model's own head are assigned to classes."""
    if model.outputs[0]:
        return f"{model.name} is scored with its own head, without training; {_file(model)} names the outputs."
    return (
        f"{model.name} is scored with its own head, without training; its outputs are taken as the classes in the "
        f"order of the task card. If they have another order, list their names in {_file(model)}, one a line."
    )


def own_head_probabilities(
    logits: NDArray[np.floating], model: ModelSpec, task: TaskData, kind: Kind
) -> NDArray[np.float32]:
    """Probabilities of the classes of a task from the outputs of a head.

    Args:
        logits: (n, outputs) of the head.
        model: The model, without `own_head_problems` at the task.
        task: The task.
        kind: Kind of the labels: sigmoid for ``multilabel`` and for a single output, softmax for the others.

    Returns:
        (n, classes).
    """
    wide = logits.astype(np.float64)
    if model.outputs[0]:
        wide = wide[:, [_class_names(model.outputs, task).index(name) for name in task.classes]]
    if kind == "multilabel" or wide.shape[1] == 1:
        positive = 1 / (1 + np.exp(-np.clip(wide, -700, 700)))
        probabilities = positive if kind == "multilabel" else np.column_stack([1 - positive, positive])
    else:
        exponentials = np.exp(wide - wide.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)


def _class_names(outputs: tuple[str, ...], task: TaskData) -> list[str | None]:
    """Class of each output by its name or a spelling on the card; None for an unknown one."""
    if not task.card.classes:
        return [name if name in task.classes else None for name in outputs]
    spellings = Spellings(task.card.classes)
    return [spellings.find(name) for name in outputs]


def _file(model: ModelSpec) -> str:
    return "its file of classes" if model.weights_file is None else str(classes_file(model.weights_file))
