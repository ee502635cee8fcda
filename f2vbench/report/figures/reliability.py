"""Reliability diagrams: observed frequency over predicted probability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    CHANCE_LINE,
    create_sheet,
    describe_encoders,
    join_sentences,
    title_with_encoder,
)
from f2vbench.report.figures.predictions import (
    Predictions,
    conditions_with_predictions,
    load_predictions,
    records_with_predictions,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import GRID, INK, Style
from f2vbench.stats.calibration_bins import CALIBRATION_BINS, calibration_bins
from f2vbench.stats.proportions import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EVENTS = {"binary": "the positive class", "multilabel": "each class"}
"""Kind of labels → event whose probability is shown; by default the predicted class."""


class ReliabilityBins(NamedTuple):
    """Non-empty bins of predicted probabilities.

    Attributes:
        predicted: (k,) mean predicted probability.
        observed: (k,) observed frequency of the event.
        counts: (k,) number of predictions.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]


def draw_calibration(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task at its last condition, a panel an encoder."""
    by_task = conditions_with_predictions(source)
    for task, conditions in by_task.items():
        name = "calibration" if len(by_task) == 1 else f"calibration-{task}"
        yield _draw_figure(source, style, name, conditions[-1])


def bin_probabilities(probabilities: NDArray[np.float64], events: NDArray[np.bool_]) -> ReliabilityBins:
    """Sort predictions into the bins [0, 1/15], (1/15, 2/15] and so on.

    Args:
        probabilities: (n,) predicted probabilities of an event.
        events: (n,) bool, whether the event occurred.

    Returns:
        Means of the bins that have predictions.
    """
    bins = calibration_bins(probabilities)
    counts = np.bincount(bins)
    filled = counts > 0
    predicted = np.bincount(bins, probabilities)[filled] / counts[filled]
    observed = np.bincount(bins, events)[filled] / counts[filled]
    return ReliabilityBins(predicted, observed, counts[filled])


def event_probabilities(predictions: Predictions) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Predicted probabilities whose calibration is shown, and whether the events occurred.

    The events are the positive class (binary), every class of every image (multi-label), or the predicted class.

    Args:
        predictions: Predictions of one unit.

    Returns:
        (m,) probabilities and (m,) bool.
    """
    if predictions.kind == "binary":
        return predictions.probabilities[:, 1], predictions.targets[:, 1]
    if predictions.kind == "multilabel":
        return predictions.probabilities.ravel(), predictions.targets.ravel()
    rows, classes = np.arange(len(predictions.targets)), predictions.probabilities.argmax(axis=1)
    return predictions.probabilities[rows, classes], predictions.targets[rows, classes]


def _draw_figure(source: Source, style: Style, name: str, condition: Condition) -> DrawnFigure:
    from matplotlib import rc_context

    by_encoder = records_with_predictions(source, condition)
    encoders = source.select_encoders(by_encoder)
    title = f"Calibration, {source.condition_title(condition)}"
    kind = ""
    with rc_context(style.settings()):
        columns = style.columns(len(encoders), least=36)
        figure, axes = create_sheet(style, len(encoders), columns=columns, height=style.square(columns, 1.5))
        for i, (axis, encoder) in enumerate(zip(axes, encoders, strict=True)):
            records = by_encoder[encoder.name]
            units = [load_predictions(source, record) for record in records]
            kind = units[0].kind
            errors = [record["result"]["metrics"].get("calibration_error") for record in records]
            _draw_panel(axis, units, [error for error in errors if error is not None], encoder, style)
            title_with_encoder(axis, encoder, style, columns)
            if i % columns == 0:
                axis.set_ylabel("observed frequency")
            if i + columns >= len(encoders):
                axis.set_xlabel("predicted probability")
    caption = join_sentences(
        f"{title}; all test images of {max(map(len, by_encoder.values()))} seeds together.",
        f"Observed frequency over predicted probability of {_EVENTS.get(kind, 'the predicted class')}, in "
        f"{CALIBRATION_BINS} bins of equal width. Areas of marks: number of predictions in a bin; vertical lines: "
        "Wilson's 95 % confidence interval; dashed line: perfect calibration; grey histogram: predicted probabilities. "
        "ECE: expected calibration error, mean over seeds.",
        describe_encoders(encoders),
    )
    return DrawnFigure(name, title, caption, figure)


def _draw_panel(
    axis: Axes, units: Sequence[Predictions], errors: Sequence[float], encoder: EncoderStyle, style: Style
) -> None:
    """Draw the reliability diagram of one encoder over all its seeds, with its mean calibration error."""
    pairs = [event_probabilities(unit) for unit in units]
    probabilities = np.concatenate([pair[0] for pair in pairs])
    events = np.concatenate([pair[1] for pair in pairs])
    heights, edges = np.histogram(probabilities, bins=CALIBRATION_BINS, range=(0, 1))
    axis.stairs(0.22 * heights / heights.max(), edges, fill=True, color=GRID, zorder=0.5)
    axis.plot([0, 1], [0, 1], **CHANCE_LINE)
    predicted, observed, counts = bin_probabilities(probabilities, events)
    low, high = wilson_interval(observed, counts)
    axis.vlines(predicted, low, high, color=encoder.colour, linewidth=style.line, zorder=2)
    axis.plot(predicted, observed, color=encoder.colour, linewidth=style.line, linestyle=encoder.dashes, zorder=2)
    axis.scatter(
        predicted,
        observed,
        s=np.maximum((0.85 * style.text) ** 2 * counts / counts.max(), 3),
        marker="o" if encoder.baseline else encoder.marker,
        facecolor="white" if encoder.untrained or encoder.baseline else encoder.colour,
        edgecolor=encoder.colour,
        zorder=3,
        clip_on=False,
    )
    if errors:
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        text = f"ECE {np.mean(errors):.3f}"
        axis.text(0.05, 0.96, text, va="top", color=INK, transform=axis.transAxes, bbox=box, zorder=5)
    axis.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set_box_aspect(1)
