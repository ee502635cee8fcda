"""Scores and labels of pixels, for the curves of segmentation tasks."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.example_selection import has_photographs
from f2vbench.report.figures.photographs import load_photograph
from f2vbench.report.figures.predictions import LabelledScores
from f2vbench.report.figures.source import Source
from f2vbench.report.stored_data import NotStored
from f2vbench.store.record_schema import UnitRecord

STEP = 8
"""Every 8th pixel in the field of view is read: curves look the same, and are drawn sooner."""


def load_pixel_scores(source: Source, class_name: str, record: UnitRecord) -> list[LabelledScores]:
    """Load scores and labels of each test image that has the class.

    Values are cached by ``source``, because ROC and precision-recall curves need the same.

    Args:
        source: RunResults that have the record.
        class_name: The class, "" for tasks with one.
        record: Record of a segmentation unit.

    Returns:
        One item an image.

    Raises:
        NotStored: A photograph, its mask or its score map is missing.
    """
    task = record["unit"]["task"]
    images = []
    for image in record["result"]["maps"]:
        load = partial(_load_image, source, task, record, image, class_name)
        images.append(source.cached(("scores", record["fingerprint"], image, class_name), load))
    return [scores for scores in images if scores.has_both_classes]


def conditions_with_score_maps(source: Source) -> dict[str, list[Condition]]:
    """Zero-shot and the fewest shots of each segmentation task whose score maps and photographs are available.

    Returns:
        Task → its conditions.
    """
    by_task: dict[str, list[Condition]] = {}
    for condition in source.conditions("segmentation"):
        records = [record for records in source.records_at(condition).values() for record in records]
        only_zero_shot = all(earlier.protocol == "zero-shot" for earlier in by_task.get(condition.task, []))
        if only_zero_shot and any(record["result"].get("maps") for record in records):
            by_task.setdefault(condition.task, []).append(condition)
    return {task: conditions for task, conditions in by_task.items() if has_photographs(source, task)}


def _load_image(source: Source, task: str, record: UnitRecord, image: str, class_name: str) -> LabelledScores:
    load = partial(_load_labels, source, task, image, class_name)
    pixels, labels = source.cached(("pixels", task, image, class_name), load)
    return LabelledScores(source.stored.score_map(record, image, class_name).ravel()[pixels], labels)


def _load_labels(source: Source, task: str, image: str, class_name: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Indices of the pixels of an image that are read, and whether each is of the class."""
    photograph = load_photograph(source, task, image, class_name)
    if photograph.mask is None:
        raise NotStored(f"{image} of {task} has no mask")
    counted = photograph.fov if photograph.ignored is None else photograph.fov & ~photograph.ignored
    pixels = np.flatnonzero(counted)[::STEP]
    return pixels, photograph.mask.ravel()[pixels]
