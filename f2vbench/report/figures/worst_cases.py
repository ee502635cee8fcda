"""The worst cases: the images on which a model fails, to be looked at."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from f2vbench.report.figures.examples import lacks_pictures, pictured
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import sentences, sheet
from f2vbench.report.figures.pictures import ERRORS_TEXT, Eye, Picture, best_encoder, open_eye, show
from f2vbench.report.figures.predictions import predicted
from f2vbench.report.figures.source import MAIN_METRICS, Place, Source
from f2vbench.report.figures.style import Style
from f2vbench.report.stored_data import NotStored
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.store.record_schema import UnitRecord

_SHOWN = 6
_RULED_BY = {"segmentation": ("dice", "auroc"), "classification": ("probability", "correct")}
_NAMES = {**METRIC_NAMES, "probability": "probability of the true class", "correct": "part of the classes told right"}


def lacks_worst_cases(source: Source) -> str | None:
    return lacks_pictures(source, _places(source), "no units with values of single images")


def worst_cases(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task, at its place with most labels: the images with the lowest mean over seeds of the best model."""
    for name, place in pictured(source, _places(source), "worst-cases"):
        yield _figure(source, style, name, place)


def _places(source: Source) -> list[Place]:
    """Of each task the place with most labels that has values of single images."""
    chosen = {}
    for place in source.places(*_RULED_BY):
        if any(record["result"]["per_image"] for held in source.records_at(place).values() for record in held):
            chosen[place.task] = place
    return list(chosen.values())


def _figure(source: Source, style: Style, name: str, place: Place) -> DrawnFigure:
    from matplotlib import rc_context

    family = source.families[place.task]
    records = source.records_at(place)
    encoder = best_encoder(source, place.task, MAIN_METRICS[family][0], list(records))
    metric, means = _means(records[encoder], _RULED_BY[family])
    images = means.sort_values(kind="stable").index[:_SHOWN].tolist()
    columns = style.columns(len(images), least=28)
    with rc_context(style.settings()):
        height = style.width / columns * 7 / style.text * (2 if family == "segmentation" else 1) + 8
        figure, axes = sheet(style, len(images), columns=columns, height=height)
        for axis, image in zip(axes, images, strict=True):
            picture, told = _case(source, place, records[encoder], metric, image, means[image])
            room = int(0.95 * style.inches * 72 / columns / (0.58 * style.text))
            show(axis, picture, style, "\n".join(line for part in told for line in textwrap.wrap(part, room)))
    title = f"Worst cases of {encoder}, {source.title(place.task)}, {place.text}"
    caption = sentences(
        f"{title}: of {len(means)} test images the {len(images)} with the lowest {_NAMES[metric]}, mean over the seeds "
        "that test on them; below each image its id and that mean.",
        f"Below: {ERRORS_TEXT} at the seed where it is worst." if family == "segmentation" else "",
    )
    return DrawnFigure(name, title, caption, figure)


def _means(records: list[UnitRecord], metrics: tuple[str, ...]) -> tuple[str, pd.Series]:
    """The first metric that single images have, and its mean over seeds by image id."""
    for metric in metrics:
        rows = [
            (image, values[metric])
            for record in records
            for image, values in record["result"]["per_image"].items()
            if values.get(metric) is not None
        ]
        if rows:
            return metric, pd.DataFrame(rows, columns=["image", "value"]).groupby("image").value.mean()
    raise NotStored("no image has a value")


def _case(
    source: Source, place: Place, records: list[UnitRecord], metric: str, image: str, mean: float
) -> tuple[Picture, list[str]]:
    """The picture of a case and lines below it."""
    eye = open_eye(source, place.task, image)
    tested = [record for record in records if image in record["result"]["per_image"]]
    seeds = f"{len(tested)} seed{'' if len(tested) == 1 else 's'}"
    if eye.vessels is not None and tested[0]["result"].get("maps"):
        worst = min(tested, key=lambda record: _value(record, image, metric))
        return _with_errors(source, worst, image, eye), [image, f"{_NAMES[metric]} {mean:.3f} ({seeds})"]
    value = f"p = {mean:.3f} ({seeds})" if metric == "probability" else f"{mean:.3f} ({seeds})"
    return eye.photograph(), [image, value, _said(source, tested, image)]


def _value(record: UnitRecord, image: str, metric: str) -> float:
    """A metric of one image, or infinity where it has no value."""
    value = record["result"]["per_image"][image].get(metric)
    return math.inf if value is None else value


def _with_errors(source: Source, record: UnitRecord, image: str, eye: Eye) -> Picture:
    """The photograph, and below it the errors."""
    picture, threshold = eye.photograph(), record["result"]["threshold"]["value"]
    if threshold is None or eye.vessels is None:
        return picture
    return np.concatenate([picture, eye.errors(source.score_map(record, image), threshold)])


def _said(source: Source, records: list[UnitRecord], image: str) -> str:
    """``proliferative, told as mild``: the truth and what most seeds say."""
    votes: dict[str, int] = {}
    truth = ""
    for record in records:
        unit, row = predicted(source, record), record["result"]["images"].index(image)
        truth = _names(unit.classes, unit.targets[row])
        said = unit.probabilities[row]
        guess = _names(unit.classes, said >= 0.5 if unit.kind == "multilabel" else said == said.max())
        votes[guess] = votes.get(guess, 0) + 1
    return f"{truth}, told as {_most(votes)}"


def _names(classes: object, chosen: np.ndarray) -> str:
    return ", ".join(np.asarray(classes)[chosen]).replace("_", " ") or "none"


def _most(votes: Mapping[str, int]) -> str:
    return min(votes, key=lambda name: (-votes[name], name))
