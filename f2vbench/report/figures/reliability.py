"""Reliability diagrams: how often classifiers are right when they say how sure they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import CHANCE_LINE, looks_text, model_title, sentences, sheet
from f2vbench.report.figures.predictions import Predicted, places_predicted, predicted
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import GRID, INK, Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 15
"""Of equal width, as in the calibration error of the tables."""
_Z = 1.96


def calibration(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task at its place with most labels, a panel a model."""
    by_task = places_predicted(source)
    for task, places in by_task.items():
        name = "calibration" if len(by_task) == 1 else f"calibration-{task}"
        yield _figure(source, style, name, places[-1])


def binned(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean confidence, part that is right, and number of the bins (0, 1/15], (1/15, 2/15] … that hold any."""
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, "left") - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    held = count > 0
    mean = np.bincount(place, confidence, BINS)[held] / count[held]
    return mean, np.bincount(place, right, BINS)[held] / count[held], count[held]


def stated(unit: Predicted) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What a unit is sure of and whether it is right: the positive class where binary, every class where an image may
    have several, else the class predicted."""
    if unit.kind == "binary":
        return unit.probabilities[:, 1], unit.targets[:, 1]
    if unit.kind == "multilabel":
        return unit.probabilities.ravel(), unit.targets.ravel()
    rows, guess = np.arange(len(unit.targets)), unit.probabilities.argmax(axis=1)
    return unit.probabilities[rows, guess], unit.targets[rows, guess]


def _figure(source: Source, style: Style, name: str, place: Place) -> DrawnFigure:
    from matplotlib import rc_context

    records = {
        encoder: [record for record in held if record["result"].get("predictions")]
        for encoder, held in source.records_at(place).items()
    }
    records = {encoder: held for encoder, held in records.items() if held}
    title = f"Calibration, {source.title(place.task)}, {place.text}"
    kind = ""
    with rc_context(style.settings()):
        columns = style.columns(len(records), least=36)
        figure, axes = sheet(style, len(records), columns=columns, height=style.square(columns, 1.5))
        for position, (axis, (encoder, held)) in enumerate(zip(axes, records.items(), strict=True)):
            units = [predicted(source, record) for record in held]
            kind = units[0].kind
            errors = [record["result"]["metrics"].get("calibration_error") for record in held]
            _panel(axis, units, errors, source.looks[encoder], style)
            model_title(axis, source.looks[encoder], style, columns)
            if position % columns == 0:
                axis.set_ylabel("part that is so" if kind in ("binary", "multilabel") else "part that is right")
            if position + columns >= len(records):
                axis.set_xlabel("probability stated")
    caption = sentences(
        f"{title}; all test images of {max(map(len, records.values()))} seeds together.",
        {
            "binary": "The probability of the positive class against how often it is there",
            "multilabel": "The probability of every class against how often it is there",
        }.get(kind, "The probability of the class predicted against how often it is right")
        + f", in {BINS} bins of equal width; areas of marks: images in a bin; bars: Wilson's 95 % interval; dashed: "
        "perfect calibration; grey steps: how many images get which probability. ECE: expected calibration error, "
        "mean over seeds.",
        looks_text(source.looks_among(records)),
    )
    return DrawnFigure(name, title, caption, figure)


def _panel(axis: Axes, units: Sequence[Predicted], errors: Sequence[float | None], look: Look, style: Style) -> None:
    pairs = [stated(unit) for unit in units]
    confidence = np.concatenate([pair[0] for pair in pairs])
    right = np.concatenate([pair[1] for pair in pairs])
    counts, edges = np.histogram(confidence, bins=BINS, range=(0, 1))
    axis.stairs(0.22 * counts / counts.max(), edges, fill=True, color=GRID, zorder=0.5)
    axis.plot([0, 1], [0, 1], **CHANCE_LINE)
    mean, part, count = binned(confidence, right)
    low, high = wilson(part, count)
    axis.vlines(mean, low, high, color=look.colour, linewidth=style.line, zorder=2)
    axis.plot(mean, part, color=look.colour, linewidth=style.line, linestyle=look.dashes, zorder=2)
    face = "white" if look.untrained or look.baseline else look.colour
    marker = "o" if look.baseline else look.marker
    area = (0.85 * style.text) ** 2 * count / count.max()
    axis.scatter(mean, part, s=np.maximum(area, 3), marker=marker, facecolor=face, edgecolor=look.colour, zorder=3)
    known = [error for error in errors if error is not None]
    if known:
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        told = f"ECE {np.mean(known):.3f}"
        axis.text(0.05, 0.96, told, va="top", color=INK, transform=axis.transAxes, bbox=behind, zorder=5)
    axis.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set_box_aspect(1)


def wilson(part: NDArray[np.float64], count: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's 95 % interval of proportions (Journal of the American Statistical Association 22, 1927)."""
    scale = 1 + _Z**2 / count
    centre = (part + _Z**2 / (2 * count)) / scale
    reach = _Z / scale * np.sqrt(part * (1 - part) / count + _Z**2 / (4 * count**2))
    return np.clip(centre - reach, 0, 1), np.clip(centre + reach, 0, 1)
