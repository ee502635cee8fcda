"""ROC and precision-recall curves with bands over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.report.figures.drawn import DrawnFigure
from f2vbench.report.figures.panels import CHANCE_LINE, legend, letters, looks_text, sentences, sheet
from f2vbench.report.figures.predictions import (
    GRID,
    places_predicted,
    precision_recall_curve,
    predicted,
    roc_curve,
)
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = Callable[[NDArray[np.floating], NDArray[np.bool_]], NDArray[np.float64]]


def roc(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task, a panel a place: mean over classes and seeds of the true positive rate."""
    yield from _figures(source, style, "roc", "ROC curves", roc_curve)


def precision_recall(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task, a panel a place: mean over classes and seeds of the precision."""
    yield from _figures(source, style, "pr", "Precision-recall curves", precision_recall_curve)


def _figures(source: Source, style: Style, name: str, title: str, curve: Curve) -> Iterator[DrawnFigure]:
    by_task = places_predicted(source)
    for task, places in by_task.items():
        told = f"{title}, {source.title(task)}"
        yield _figure(source, style, name if len(by_task) == 1 else f"{name}-{task}", told, places, curve)


def _figure(source: Source, style: Style, name: str, title: str, places: Sequence[Place], curve: Curve) -> DrawnFigure:
    from matplotlib import rc_context

    shown: dict[str, Look] = {}
    seeds: list[int] = []
    columns = style.columns(len(places), least=42)
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(places), columns=columns, height=style.square(columns, -2))
        for axis, place in zip(axes, places, strict=True):
            base = []
            for encoder, records in source.records_at(place).items():
                held = [predicted(source, record) for record in records if record["result"].get("predictions")]
                pairs = [unit.against_rest() for unit in held]
                found = np.array([np.mean([curve(*pair) for pair in unit], axis=0) for unit in pairs if unit])
                if len(found):
                    shown[encoder] = look = source.looks[encoder]
                    seeds.append(len(found))
                    base += [labels.mean() for unit in pairs for _, labels in unit]
                    _band(axis, found, look, style)
            _frame(axis, curve is roc_curve, float(np.mean(base)) if base else None)
        for axis in axes:
            axis.label_outer()
        letters(axes, [place.text for place in places])
        legend(figure, style, source.looks_among(shown), kind="line", chance=True)
    low, high = min(seeds), max(seeds)
    caption = sentences(
        f"{title}; {f'n = {high}' if low == high else f'n = {low} to {high}'} seed{'s' if high > 1 else ''}.",
        "Lines: mean over seeds, of several classes the mean of each against the rest (of those with test images), so "
        "that areas are the macro values of the tables; bands: pointwise 95 % interval (1.96 standard errors), not for "
        "floors.",
        looks_text(shown.values()),
    )
    return DrawnFigure(name, title, caption, figure)


def _band(axis: Axes, curves: NDArray[np.float64], look: Look, style: Style) -> None:
    mean = curves.mean(axis=0)
    line = {key: value for key, value in look.line().items() if not key.startswith("marker")}
    every = max(1, len(GRID) // 6)
    start = (hash_of(look.encoder) % 5) * every // 5
    marks = {**look.line(), "markevery": (start, every), "markersize": 0.4 * style.text}
    axis.plot(
        GRID, mean, zorder=2 if look.floor else 3, markeredgewidth=0.9 * style.line, **(line if look.floor else marks)
    )
    if len(curves) > 1 and not look.floor:
        reach = 1.96 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
        axis.fill_between(
            GRID, np.clip(mean - reach, 0, 1), np.clip(mean + reach, 0, 1), color=look.colour, alpha=0.15, linewidth=0
        )


def hash_of(name: str) -> int:
    """A number of a name that is the same in every process."""
    return sum(map(ord, name))


def _frame(axis: Axes, is_roc: bool, base: float | None) -> None:
    if is_roc:
        axis.plot([0, 1], [0, 1], **CHANCE_LINE)
        axis.set(xlabel="false positive rate", ylabel="true positive rate")
    else:
        if base is not None:
            axis.axhline(base, **CHANCE_LINE)
        axis.set(xlabel="recall", ylabel="precision")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set_box_aspect(1)
    axis.grid()
