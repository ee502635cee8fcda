"""Notes below tables: models that were trained on the data, and the baseline that a retinal model has to beat."""

from __future__ import annotations

from collections.abc import Iterable

from f2vbench.analysis.frames import PRETRAINED_MARK
from f2vbench.encoders.registry import FAMILIES, IMAGENET_BASELINE
from f2vbench.report.text.wording import TaskNames


def pretrained_notes(names: TaskNames, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """What the mark of models that were trained on the data means; empty where no model has it.

    Args:
        names: Names of tasks, and the marked pairs.
        pairs: Task and model of each row.
    """
    marked = any(names.mark(task, encoder) for task, encoder in pairs)
    return [f"{PRETRAINED_MARK} trained on images of this data set, so that its results may be optimistic."] * marked


def imagenet_notes(names: TaskNames, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence on the baseline that a retinal model has to beat; empty for task families without it.

    Args:
        names: Names of tasks.
        pairs: Task and model of each row.
    """
    families = FAMILIES[IMAGENET_BASELINE].baseline_for
    concerned = [(task, encoder) for task, encoder in pairs if names.families[task] in families]
    if not concerned:
        return []
    tasks = {task for task, _ in concerned}
    absent = sorted(names.titles[task] for task in tasks if (task, IMAGENET_BASELINE) not in concerned)
    which = f"{IMAGENET_BASELINE} (trained on ImageNet, without retinal images)"
    if not absent:
        return [f"The baseline that a retinal model has to beat is {which}."]
    where = "" if len(absent) == len(tasks) else f" for {', '.join(absent)}"
    return [
        f"The baseline that a retinal model has to beat, {which}, has no results here{where}. It is one of "
        'baselines=all where `pip install "f2vbench[imagenet]"` has installed it.'
    ]
