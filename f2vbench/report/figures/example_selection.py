"""Rules that select the images, encoders and conditions of figures with photographs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.source import Source
from f2vbench.report.stored_data import NotStored


def has_photographs(source: Source, task: str) -> bool:
    """Whether the photographs of a task are available and unchanged since the run."""
    return _missing_photographs(source, task) is None


def named_examples(source: Source, conditions: Sequence[Condition], figure: str) -> Iterator[tuple[str, Condition]]:
    """Conditions whose photographs are available, each with the name of its figure.

    Args:
        source: RunResults.
        conditions: At most one condition of each task.
        figure: Name of the figure in the catalogue; the task is appended if there are several conditions.

    Yields:
        Name of the figure, and condition.
    """
    for condition in conditions:
        if has_photographs(source, condition.task):
            yield figure if len(conditions) == 1 else f"{figure}-{condition.task}", condition


def explain_missing_photographs(source: Source, conditions: Sequence[Condition], otherwise: str) -> str | None:
    """Explain why no condition has photographs to show; None if one has.

    Args:
        source: RunResults.
        conditions: Conditions that a figure could show.
        otherwise: Reason if there are no conditions.
    """
    reasons = []
    for task in dict.fromkeys(condition.task for condition in conditions):
        reason = _missing_photographs(source, task)
        if reason is None:
            return None
        reasons.append(reason)
    return "; ".join(reasons) or otherwise


def select_best_median_worst(values: Mapping[str, float]) -> dict[str, str]:
    """Select the images with the best, median and worst value.

    Equal values are ordered by image id. Of an even number of images, the median is the lower of the two middle ones.

    Args:
        values: Image id → value; higher is better.

    Returns:
        ``best``, ``median`` and ``worst`` → image id; with fewer than three images, each image once.
    """
    order = sorted(values, key=lambda image: (-values[image], image))
    positions = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    selected: dict[str, str] = {}
    for rank, position in positions.items():
        if order and order[position] not in selected.values():
            selected[rank] = order[position]
    return selected


def select_best_encoder(source: Source, task: str, metric: str, names: Sequence[str]) -> str:
    """Select the encoder with the highest mean of a metric over all units of a task.

    Trained encoders come first, then untrained ones, then baselines.

    Args:
        source: RunResults.
        task: Name of the task.
        metric: Name of the metric.
        names: Names of encoders, at least one.

    Returns:
        Name of the encoder.
    """
    rows = source.frame[(source.frame.task == task) & (source.frame.metric == metric)]
    means = rows[rows.encoder.isin(names)].groupby("encoder").value.mean()

    def order(name: str) -> tuple[bool, bool, float, str]:
        encoder = source.encoders[name]
        return encoder.baseline, encoder.untrained, -float(means.get(name, -np.inf)), name

    return min(names, key=order)


def _missing_photographs(source: Source, task: str) -> str | None:
    """Why the photographs of a task are unavailable, or None."""
    try:
        source.stored.task_data(task)
    except NotStored as error:
        return str(error)
    return None
