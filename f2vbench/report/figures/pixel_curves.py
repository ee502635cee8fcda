"""Scores and labels of vessel pixels, for curves of segmentation."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from f2vbench.report.figures.pictures import open_eye
from f2vbench.report.figures.predictions import Pair
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.stored_data import NotStored
from f2vbench.store.record_schema import UnitRecord

EVERY = 8
"""Of so many pixels in the field of view one is taken: curves look the same, and are drawn sooner."""


def pixel_pairs(source: Source, record: UnitRecord) -> list[Pair]:
    """Scores and labels of each test image with vessels; kept with the source, for a ROC and a PR curve.

    Raises:
        NotStored: a photograph or its label has gone.
    """
    task = record["unit"]["task"]
    pairs = []
    for image in record["result"]["maps"]:
        make = partial(_pair, source, task, record, image)
        pairs.append(source.kept(("scores", record["fingerprint"], image), make))
    return [(scores, labels) for scores, labels in pairs if labels.any() and not labels.all()]


def _pair(source: Source, task: str, record: UnitRecord, image: str) -> Pair:
    taken, labels = source.kept(("pixels", task, image), partial(_taken, source, task, image))
    return source.score_map(record, image).ravel()[taken], labels


def _taken(source: Source, task: str, image: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Which pixels of an image are taken, and whether they are vessel."""
    eye = open_eye(source, task, image)
    if eye.vessels is None:
        raise NotStored(f"{image} of {task} has no labelled vessels")
    taken = np.flatnonzero(eye.fov)[::EVERY]
    return taken, eye.vessels.ravel()[taken]


def places_mapped(source: Source) -> dict[str, list[Place]]:
    """Segmentation tasks whose photographs are at hand → zero-shot and the fewest shots, where units store maps."""
    found: dict[str, list[Place]] = {}
    for place in source.places("segmentation"):
        stored = any(r["result"].get("maps") for held in source.records_at(place).values() for r in held)
        first = all(known.protocol == "zero-shot" for known in found.get(place.task, []))
        if stored and first:
            found.setdefault(place.task, []).append(place)
    return {task: places for task, places in found.items() if _is_there(source, task)}


def _is_there(source: Source, task: str) -> bool:
    try:
        source.task_data(task)
    except NotStored:
        return False
    return True
