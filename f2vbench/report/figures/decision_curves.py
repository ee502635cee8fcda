"""Decision curves: net benefit over the threshold probability."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.metrics.operating_points import net_benefit
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import abbreviate, create_sheet, describe_encoders, join_sentences, legend_below
from f2vbench.report.figures.predictions import (
    conditions_with_predictions,
    load_predictions,
    records_with_predictions,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, PALE, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THRESHOLDS = np.linspace(0.01, 0.99, 99)
"""Threshold probabilities at which net benefit is computed."""

_ALL: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (5, 2, 1, 2)), "zorder": 1.5}
_NONE: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": "-", "zorder": 1.5}


class _ClassCurves(NamedTuple):
    """(seeds, 99) net benefits of one encoder for one class, and of calling every image positive."""

    model: NDArray[np.float64]
    everyone: NDArray[np.float64]


def draw_decision_curves(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task at its last condition, a panel a class; of a binary task the positive class."""
    by_task = conditions_with_predictions(source)
    for task, conditions in by_task.items():
        name = "decision-curves" if len(by_task) == 1 else f"decision-curves-{task}"
        yield _draw_figure(source, style, name, conditions[-1])


def _compute_curves(source: Source, condition: Condition) -> dict[str, dict[str, _ClassCurves]]:
    """Class → encoder → its curves."""
    curves: dict[str, dict[str, _ClassCurves]] = {}
    for encoder, records in records_with_predictions(source, condition).items():
        units = [load_predictions(source, record) for record in records]
        first = 1 if units[0].kind == "binary" else 0
        for column in range(first, len(units[0].classes)):
            pairs = [(unit.probabilities[:, column], unit.targets[:, column]) for unit in units]
            curves.setdefault(units[0].classes[column], {})[encoder] = _ClassCurves(
                np.array([net_benefit(scores, labels, THRESHOLDS) for scores, labels in pairs]),
                np.array([net_benefit(np.ones(len(labels)), labels, THRESHOLDS) for _, labels in pairs]),
            )
    return curves


def _draw_figure(source: Source, style: Style, name: str, condition: Condition) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    by_class = _compute_curves(source, condition)
    encoders = source.select_encoders({encoder for curves in by_class.values() for encoder in curves})
    title = f"Decision curves, {source.condition_title(condition)}"
    seeds = max(len(curves.model) for of_class in by_class.values() for curves in of_class.values())
    with rc_context(style.settings()):
        columns = style.columns(len(by_class), least=52)
        narrow = style if len(by_class) > 1 else style.column
        figure, axes = create_sheet(narrow, len(by_class), columns=columns, height=narrow.square(columns, -6))
        for i, (axis, (class_name, curves)) in enumerate(zip(axes, by_class.items(), strict=True)):
            _draw_panel(
                axis, [(encoder, curves[encoder.name]) for encoder in encoders if encoder.name in curves], style
            )
            letter = f"{chr(97 + i % 26)}  " if len(axes) > 1 else ""
            axis.set_title(f"{letter}{abbreviate(class_name, 28)}")
            if i % columns == 0:
                axis.set_ylabel("net benefit")
            if i + columns >= len(axes):
                axis.set_xlabel("threshold probability")
        handles = [Line2D([], [], **encoder.line()) for encoder in encoders]
        handles += [Line2D([], [], **_ALL), Line2D([], [], **_NONE)]
        labels = [*(encoder.label for encoder in encoders), "treat all", "treat none"]
        legend_below(figure, narrow, handles, labels)
    caption = join_sentences(
        f"{title}; mean over {seeds} seeds." if seeds > 1 else f"{title}; one seed.",
        "Net benefit: true positives ÷ n − false positives ÷ n · t ÷ (1 − t), where images with a probability of at "
        "least t are called positive (Vickers and Elkin); each class against the rest. A model is useful at thresholds "
        "where its curve is above those of treating all and of treating none. Net benefit assumes calibrated "
        "probabilities.",
        describe_encoders(encoders),
    )
    return DrawnFigure(name, title, caption, figure)


def _draw_panel(axis: Axes, curves: list[tuple[EncoderStyle, _ClassCurves]], style: Style) -> None:
    everyone = np.mean([each.everyone.mean(axis=0) for _, each in curves], axis=0)
    prevalence = float(everyone[0] * 0.99 + 0.01)  # net benefit of treating all: 1 − (1 − prevalence) ÷ (1 − t)
    axis.plot(THRESHOLDS, everyone, **_ALL)
    axis.axhline(0, **_NONE)
    for i, (encoder, each) in enumerate(curves):
        marks = {**encoder.line(), "markevery": (3 * i % 14, 14), "markersize": 0.4 * style.text}
        width = 0.9 * style.line
        mean = each.model.mean(axis=0)
        axis.plot(THRESHOLDS, mean, zorder=2 if encoder.baseline else 3, markeredgewidth=width, **marks)
    top = 1.12 * max(prevalence, *(float(each.model.mean(axis=0).max()) for _, each in curves))
    axis.set(xlim=(0, 1), ylim=(-0.22 * top, top), xticks=[0, 0.25, 0.5, 0.75, 1])
    axis.set_xticklabels(["0", "0.25", "0.5", "0.75", "1"])
    axis.grid(color=PALE, alpha=0.4)
