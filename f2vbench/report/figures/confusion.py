"""Confusion matrices, normalised over the true class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import abbreviate, create_sheet, join_sentences, title_with_encoder
from f2vbench.report.figures.predictions import (
    conditions_with_predictions,
    explain_missing_predictions,
    load_predictions,
    records_with_predictions,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_SINGLE_LABEL = ("binary", "nominal", "ordinal")
_MAX_NUMBERS = 8
"""Largest number of classes for which cells have room for numbers."""
_MAX_NAMES = 15
"""Largest number of classes for which axes have room for names."""


def explain_missing_confusion(source: Source) -> str | None:
    """Explain why `draw_confusion` has nothing to draw; None if it has."""
    if conditions_with_predictions(source, _SINGLE_LABEL):
        return None
    return explain_missing_predictions(source) or "confusion matrices are not defined for multi-label tasks"


def draw_confusion(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task at its last condition, a panel an encoder."""
    by_task = conditions_with_predictions(source, _SINGLE_LABEL)
    for task, conditions in by_task.items():
        name = "confusion" if len(by_task) == 1 else f"confusion-{task}"
        yield _draw_figure(source, style, name, conditions[-1])


def count_confusions(true: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Count the images of each true and predicted class.

    Args:
        true: (n,) index of the true class.
        predicted: (n,) index of the predicted class.
        classes: Number of classes.

    Returns:
        (classes, classes) counts; rows are true classes, columns predicted ones.
    """
    return np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _draw_figure(source: Source, style: Style, name: str, condition: Condition) -> DrawnFigure:
    from matplotlib import rc_context

    counts: dict[str, NDArray[np.int64]] = {}
    classes: Sequence[str] = ()
    for encoder, records in records_with_predictions(source, condition).items():
        for record in records:
            unit = load_predictions(source, record)
            classes = unit.classes
            true, predicted = unit.targets.argmax(axis=1), unit.probabilities.argmax(axis=1)
            counts[encoder] = counts.get(encoder, 0) + count_confusions(true, predicted, len(classes))
    title = f"Confusion matrices, {source.condition_title(condition)}"
    with rc_context(style.settings()):
        columns = style.columns(len(counts), least=50)
        figure, axes = create_sheet(style, len(counts), columns=columns, height=style.square(columns, -3))
        for i, (axis, (encoder, matrix)) in enumerate(zip(axes, counts.items(), strict=True)):
            image = _draw_panel(axis, matrix, classes)
            title_with_encoder(axis, source.encoders[encoder], style, columns)
            if i % columns:
                axis.set_yticklabels([])
            if i // columns < (len(counts) - 1) // columns:
                axis.set_xticklabels([])
        figure.supylabel("true class", fontsize=style.text)
        figure.supxlabel("predicted class", fontsize=style.text)
        if len(classes) > _MAX_NUMBERS:
            bar = figure.colorbar(image, ax=axes, shrink=0.6 if len(counts) > columns else 0.9, aspect=30, pad=0.02)
            bar.set_label("fraction of the true class")
            bar.outline.set_linewidth(0.5 * style.line)
    caption = join_sentences(
        f"{title}; test images of all seeds together: an image counts once for each seed that tests on it.",
        "Rows add up to 1: fractions of the true class that are predicted as each class. The order of classes is the "
        "same in all panels.",
        f"Classes, in order: {', '.join(classes)}." if len(classes) > _MAX_NAMES else "",
    )
    return DrawnFigure(name, title, caption, figure)


def _draw_panel(axis: Axes, matrix: NDArray[np.int64], classes: Sequence[str]) -> AxesImage:
    """Draw (classes, classes) counts as fractions of the true class."""
    totals = matrix.sum(axis=1, keepdims=True)
    fractions = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    image = axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    if len(classes) <= _MAX_NUMBERS:
        for (row, column), fraction in np.ndenumerate(fractions):
            text = f"{fraction:.2f}" if totals[row, 0] else "–"
            axis.text(column, row, text, ha="center", va="center", color="white" if fraction > 0.55 else INK)
    if len(classes) <= _MAX_NAMES:
        names = [abbreviate(name, 20) for name in classes]
        axis.set_xticks(range(len(classes)), names, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(classes)), names)
    else:
        axis.set(xticks=[], yticks=[])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image
