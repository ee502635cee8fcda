"""Segmentation examples: photograph, mask, score map and errors of the best, median and worst image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.example_selection import (
    explain_missing_photographs,
    named_examples,
    select_best_encoder,
    select_best_median_worst,
)
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.mask_classes import class_metric, class_suffix, class_threshold, classes_of
from f2vbench.report.figures.panels import break_name, join_sentences
from f2vbench.report.figures.photographs import ERROR_COLOURS, create_picture_grid, load_photograph, show_picture
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.store.record_schema import UnitRecord

_METRICS = ("dice", "auroc")
"""Metrics of one image by which images are selected; the first that has values is used."""
_FIXED_COLUMNS = 3
"""Columns before those of errors: photograph, mask and score map."""


@dataclass(frozen=True)
class _Examples:
    """What the figure of one condition shows.

    Attributes:
        condition: The condition.
        class_name: The class, "" for tasks with one.
        records: Encoder → its record of the first seed.
        metric: Metric by which images are selected.
        selected_by: Encoder by whose values images are selected.
        encoders: Encoders whose errors are shown.
    """

    condition: Condition
    class_name: str
    records: Mapping[str, UnitRecord]
    metric: str
    selected_by: str
    encoders: list[str]


def explain_missing_segmentation_examples(source: Source) -> str | None:
    """Explain why `draw_segmentation_examples` has nothing to draw; None if it has."""
    return explain_missing_photographs(source, _conditions(source), "no few-shot or supervised units with score maps")


def draw_segmentation_examples(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task and class, at its fewest shots and first seed (figure 3b of the paper, with errors)."""
    for name, condition in named_examples(source, _conditions(source), "segmentation-examples"):
        of_condition = source.records_at(condition).values()
        for class_name in classes_of(record for records in of_condition for record in records):
            if any(_image_values(records[0], class_metric(_METRICS[1], class_name)) for records in of_condition):
                yield _draw_figure(source, style, name + class_suffix(class_name), condition, class_name)


def _conditions(source: Source) -> list[Condition]:
    """The condition with the fewest labels of each segmentation task, of those that have a threshold."""
    by_task: dict[str, Condition] = {}
    for condition in source.conditions("segmentation"):
        records = [record for records in source.records_at(condition).values() for record in records]
        if condition.protocol != "zero-shot" and any(record["result"].get("maps") for record in records):
            by_task.setdefault(condition.task, condition)
    return list(by_task.values())


def _draw_figure(source: Source, style: Style, name: str, condition: Condition, class_name: str) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    width = style.width / (style.text / 7)
    errors = max(4, min(6, int(width // 29))) - _FIXED_COLUMNS
    examples = _select_examples(source, condition, class_name, errors)
    values = _image_values(examples.records[examples.selected_by], examples.metric)
    selected = select_best_median_worst(values)
    columns, text = _FIXED_COLUMNS + len(examples.encoders), style.text / 72
    height = len(selected) * (style.inches / columns * 0.97 + 1.6 * text) + 8.5 * text
    with rc_context(style.settings()):
        figure, axes = create_picture_grid(style, len(selected), columns, height=height, pad=0.12)
        for i, (rank, image) in enumerate(selected.items()):
            titles = _column_titles(source, examples, columns, style) if i == 0 else [""] * columns
            _draw_row(source, style, examples, image, axes[i], titles)
            axes[i, 0].set_ylabel(rank, fontweight="bold", labelpad=0.4 * style.text)
        handles = [Line2D([], [], marker="s", linestyle="none", color=colour) for colour in ERROR_COLOURS.values()]
        figure.legend(handles, list(ERROR_COLOURS), loc="outside lower center", ncols=len(handles))
    title = f"Segmentation examples, {source.condition_title(condition)}{class_suffix(class_name, ', ')}"
    rules = {class_threshold(examples.records[encoder], class_name)["rule"] for encoder in examples.encoders}
    caption = join_sentences(
        f"{title}, seed {examples.records[examples.selected_by]['unit']['seed']}.",
        f"A fixed rule selects the images: the best, the median and the worst {_metric_text(examples)} of "
        f"{examples.selected_by} among {len(values)} test images{' with the class' if class_name else ''}.",
        f"Score map: dark is {class_name or 'vessel'}.",
        f"Errors at the threshold of the tables ({'; '.join(sorted(rules))}).",
    )
    return DrawnFigure(name, title, caption, figure)


def _select_examples(source: Source, condition: Condition, class_name: str, errors: int) -> _Examples:
    """Select the metric, and up to ``errors`` encoders: the best one, the best baseline, then the best others."""
    records = {
        name: records[0] for name, records in source.records_at(condition).items() if records[0]["result"].get("maps")
    }
    metrics = [class_metric(metric, class_name) for metric in _METRICS]
    metric = next(name for name in metrics if any(_image_values(record, name) for record in records.values()))
    best = select_best_encoder(source, condition.task, metric, list(records))
    with_threshold = [
        name for name, record in records.items() if class_threshold(record, class_name)["value"] is not None
    ]
    baselines = [name for name in with_threshold if source.encoders[name].baseline and name != best]
    encoders = [best]
    if baselines:
        encoders.append(select_best_encoder(source, condition.task, metric, baselines))
    others = [name for name in with_threshold if name not in encoders and not source.encoders[name].baseline]
    while others:
        encoders.append(select_best_encoder(source, condition.task, metric, others))
        others.remove(encoders[-1])
    return _Examples(condition, class_name, records, metric, best, encoders[:errors])


def _image_values(record: UnitRecord, metric: str) -> dict[str, float]:
    """Image id → metric, for the images that have a value and a score map."""
    result = record["result"]
    values = {image: values.get(metric) for image, values in result["per_image"].items() if image in result["maps"]}
    return {image: value for image, value in values.items() if value is not None}


def _metric_text(examples: _Examples) -> str:
    return METRIC_NAMES[examples.metric.partition(":")[0]]


def _column_titles(source: Source, examples: _Examples, columns: int, style: Style) -> list[str]:
    room = int(style.inches * 72 / columns / (0.62 * style.text))
    labels = [source.encoders[name].label for name in examples.encoders]
    return [
        "photograph",
        examples.class_name or "vessel mask",
        f"score map\n{break_name(examples.selected_by, room)}",
        *(f"errors\n{break_name(label, room)}" for label in labels),
    ]


def _draw_row(
    source: Source, style: Style, examples: _Examples, image: str, axes: NDArray[np.object_], titles: list[str]
) -> None:
    """Draw the pictures of one image from left to right, with titles above them."""
    class_name = examples.class_name
    photograph = load_photograph(source, examples.condition.task, image, class_name)
    scores = {name: source.stored.score_map(examples.records[name], image, class_name) for name in examples.encoders}
    show_picture(axes[0], photograph.crop(), style, above=titles[0])
    if photograph.mask is not None:
        show_picture(axes[1], photograph.draw_mask(photograph.mask), style, above=titles[1])
    show_picture(axes[2], photograph.draw_scores(scores[examples.selected_by]), style, above=titles[2])
    for axis, name, title in zip(axes[_FIXED_COLUMNS:], examples.encoders, titles[_FIXED_COLUMNS:], strict=True):
        record = examples.records[name]
        errors = photograph.draw_errors(scores[name], class_threshold(record, class_name)["value"])
        below = f"{_metric_text(examples)} {_image_values(record, examples.metric)[image]:.3f}"
        show_picture(axis, errors, style, below=below, above=title)
