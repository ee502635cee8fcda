"""The test images on which the best encoder of a task is worst."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.analysis.task_scores import MAIN_METRICS
from f2vbench.report.figures.example_selection import (
    explain_missing_photographs,
    named_examples,
    select_best_encoder,
)
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.mask_classes import class_metric, class_threshold, classes_of
from f2vbench.report.figures.panels import create_sheet, join_sentences
from f2vbench.report.figures.photographs import ERRORS_CAPTION, Photograph, Picture, load_photograph, show_picture
from f2vbench.report.figures.predictions import load_predictions
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style
from f2vbench.report.stored_data import NotStored
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.store.record_schema import UnitRecord
from f2vbench.utils.text import plural

_CASES = 6
_METRICS = {"segmentation": ("dice", "auroc"), "classification": ("probability", "correct")}
"""Family → metrics of one image by which images are selected; the first that has values is used."""
_NAMES = {
    **METRIC_NAMES,
    "probability": "probability of the true class",
    "correct": "fraction of correct classes",
}
_SHORT_NAMES = {"probability": "probability", "correct": "correct"}


def explain_missing_worst_cases(source: Source) -> str | None:
    """Explain why `draw_worst_cases` has nothing to draw; None if it has."""
    return explain_missing_photographs(source, _conditions(source), "no units with values of single images")


def draw_worst_cases(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task at its last condition: the images with the lowest mean over seeds of the best encoder."""
    for name, condition in named_examples(source, _conditions(source), "worst-cases"):
        yield _draw_figure(source, style, name, condition)


def _conditions(source: Source) -> list[Condition]:
    """The last condition of each task that has values of single images."""
    by_task = {}
    for condition in source.conditions(*_METRICS):
        records = [record for records in source.records_at(condition).values() for record in records]
        if any(record["result"]["per_image"] for record in records):
            by_task[condition.task] = condition
    return list(by_task.values())


def _draw_figure(source: Source, style: Style, name: str, condition: Condition) -> DrawnFigure:
    from matplotlib import rc_context

    family = source.families[condition.task]
    by_encoder = source.records_at(condition)
    encoder = select_best_encoder(source, condition.task, MAIN_METRICS[family][0], list(by_encoder))
    records = by_encoder[encoder]
    metric, means = _image_means(records, _METRICS[family])
    images = means.sort_values(kind="stable").index[:_CASES].tolist()
    columns = style.columns(len(images), least=28)
    has_classes = classes_of(records) != [""]
    pictures, text = (2 if family == "segmentation" else 1), (12 if has_classes else 8)
    height = style.width / columns * 7 / style.text * pictures + text
    room = int(0.95 * style.inches * 72 / columns / (0.58 * style.text))
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(images), columns=columns, height=height)
        for axis, image in zip(axes, images, strict=True):
            tested = [record for record in records if image in record["result"]["per_image"]]
            seeds = plural(len(tested), "seed")
            worst = min(tested, key=lambda record: _image_value(record, image, metric))
            class_name = _worst_class(worst, image, metric)
            photograph = load_photograph(source, condition.task, image, class_name)
            if photograph.mask is not None and tested[0]["result"].get("maps"):
                picture = _draw_errors(source, worst, image, photograph, class_name)
                lines = [image, f"{_NAMES[metric]} {_value_text(means[image])} ({seeds})"]
                if class_name:
                    of_class = _image_value(worst, image, class_metric(metric, class_name))
                    lines.append(f"{class_name} {_value_text(of_class)}")
            else:
                picture = photograph.crop()
                label = f"{_SHORT_NAMES[metric]} {_value_text(means[image])} ({seeds})"
                lines = [image, label, _describe_prediction(source, tested, image)]
            below = "\n".join(part for line in lines for part in textwrap.wrap(line, room))
            show_picture(axis, picture, style, below)
    title = f"Worst cases of {encoder}, {source.condition_title(condition)}"
    caption = join_sentences(
        f"{title}: the {len(images)} of {len(means)} test images with the lowest {_NAMES[metric]} (mean over the seeds "
        "that test on the image). Below each picture: image id and this mean.",
        f"Lower row: {ERRORS_CAPTION}, at the seed with the lowest value." if family == "segmentation" else "",
        "Errors and values below them are those of the class with the lowest value." if has_classes else "",
    )
    return DrawnFigure(name, title, caption, figure)


def _value_text(value: float) -> str:
    """Three decimals; smaller values than these show are not written as zero."""
    return "< 0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def _image_means(records: Sequence[UnitRecord], metrics: Sequence[str]) -> tuple[str, pd.Series]:
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


def _image_value(record: UnitRecord, image: str, metric: str) -> float:
    """Metric of one image; infinity if it has no value."""
    value = record["result"]["per_image"][image].get(metric)
    return math.inf if value is None else value


def _worst_class(record: UnitRecord, image: str, metric: str) -> str:
    """The class of an image with the lowest value; "" for tasks with one class."""
    classes = classes_of([record])
    return min(classes, key=lambda name: _image_value(record, image, class_metric(metric, name)))


def _draw_errors(source: Source, record: UnitRecord, image: str, photograph: Photograph, class_name: str) -> Picture:
    """The photograph and, below it, its errors."""
    picture, threshold = photograph.crop(), class_threshold(record, class_name)["value"]
    if threshold is None or photograph.mask is None:
        return picture
    errors = photograph.draw_errors(source.stored.score_map(record, image, class_name), threshold)
    return np.concatenate([picture, errors])


def _describe_prediction(source: Source, records: Sequence[UnitRecord], image: str) -> str:
    """True class of an image, and the class that most seeds predict: ``proliferative, predicted: mild``."""
    votes: Counter[str] = Counter()
    truth = ""
    for record in records:
        predictions, row = load_predictions(source, record), record["result"]["images"].index(image)
        truth = _join_classes(predictions.classes, predictions.targets[row])
        p = predictions.probabilities[row]
        predicted = p >= 0.5 if predictions.kind == "multilabel" else p == p.max()
        votes[_join_classes(predictions.classes, predicted)] += 1
    most_frequent = min(votes, key=lambda name: (-votes[name], name))
    return f"{truth}, predicted: {most_frequent}"


def _join_classes(classes: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(np.asarray(classes)[chosen]).replace("_", " ") or "none"
