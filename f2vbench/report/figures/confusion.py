"""Confusion matrices: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import model_title, sentences, sheet, shortened
from f2vbench.report.figures.predictions import lacks_predictions, places_predicted, predicted
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import INK, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_ONE_CLASS = ("binary", "nominal", "ordinal")
_NUMBERS_UP_TO = 8
"""Classes; of more, cells have no room for numbers."""
_NAMES_UP_TO = 15


def lacks_confusion(source: Source) -> str | None:
    if places_predicted(source, _ONE_CLASS):
        return None
    return lacks_predictions(source) or "images may have several classes at once, so none is taken for another"


def confusion(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task at its place with most labels, a panel a model."""
    by_task = places_predicted(source, _ONE_CLASS)
    for task, places in by_task.items():
        name = "confusion" if len(by_task) == 1 else f"confusion-{task}"
        yield _figure(source, style, name, places[-1])


def confusion_counts(truth: NDArray[np.integer], guess: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """(classes, classes) images: rows are the true class, columns the predicted one."""
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


def _figure(source: Source, style: Style, name: str, place: Place) -> DrawnFigure:
    from matplotlib import rc_context

    counts: dict[str, NDArray[np.int64]] = {}
    classes: Sequence[str] = ()
    for encoder, records in source.records_at(place).items():
        for record in records:
            if record["result"].get("predictions"):
                unit = predicted(source, record)
                classes = unit.classes
                found = confusion_counts(unit.targets.argmax(axis=1), unit.probabilities.argmax(axis=1), len(classes))
                counts[encoder] = counts.get(encoder, 0) + found
    title = f"Confusion matrices, {source.title(place.task)}, {place.text}"
    with rc_context(style.settings()):
        columns = style.columns(len(counts), least=50)
        figure, axes = sheet(style, len(counts), columns=columns, height=style.square(columns, -3))
        for position, (axis, (encoder, table)) in enumerate(zip(axes, counts.items(), strict=True)):
            image = _panel(axis, table, classes, style)
            model_title(axis, source.looks[encoder], style, columns)
            if position % columns:
                axis.set_yticklabels([])
            if position // columns < (len(counts) - 1) // columns:
                axis.set_xticklabels([])
        figure.supylabel("true class", fontsize=style.text)
        figure.supxlabel("predicted class", fontsize=style.text)
        if len(classes) > _NUMBERS_UP_TO:
            bar = figure.colorbar(image, ax=axes, shrink=0.6 if len(counts) > columns else 0.9, aspect=30, pad=0.02)
            bar.set_label("part of the true class")
            bar.outline.set_linewidth(0.5 * style.line)
    caption = sentences(
        f"{title}; test images of all seeds together, so an image counts at every seed that tests on it.",
        "Rows add up to 1: the part of a true class that is predicted as each class. Classes stand in the same order "
        "in all panels.",
        f"Classes, in order: {', '.join(classes)}." if len(classes) > _NAMES_UP_TO else "",
    )
    return DrawnFigure(name, title, caption, figure)


def _panel(axis: Axes, table: NDArray[np.int64], classes: Sequence[str], style: Style) -> AxesImage:
    totals = table.sum(axis=1, keepdims=True)
    part = np.divide(table, totals, out=np.zeros(table.shape), where=totals > 0)
    image = axis.imshow(part, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    if len(classes) <= _NUMBERS_UP_TO:
        for (row, column), value in np.ndenumerate(part):
            told = f"{value:.2f}" if totals[row, 0] else "–"
            axis.text(column, row, told, ha="center", va="center", color="white" if value > 0.55 else INK)
    if len(classes) <= _NAMES_UP_TO:
        names = [shortened(name, 20) for name in classes]
        axis.set_xticks(range(len(classes)), names, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(classes)), names)
    else:
        axis.set(xticks=[], yticks=[])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image
