"""ROC and precision-recall curves with bands over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import CHANCE_LINE, legend, letters, looks_text, sentences, sheet
from f2vbench.report.figures.pixel_curves import EVERY, pixel_pairs, places_mapped
from f2vbench.report.figures.predictions import (
    GRID,
    Pair,
    lacks_predictions,
    places_predicted,
    precision_recall_curve,
    predicted,
    roc_curve,
)
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import Look, Style
from f2vbench.store.record_schema import UnitRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OF_CLASSES = (
    "Lines: mean over seeds, of several classes the mean of each against the rest (of those with test images), so that "
    "areas are the macro values of the tables."
)
_OF_PIXELS = (
    f"Lines: mean over seeds of the mean over test images, of every {EVERY}th pixel in the field of view, so that "
    "areas are the values of the tables but for that."
)
Curve = Callable[[NDArray[np.floating], NDArray[np.bool_]], NDArray[np.float64]]


def lacks_curves(source: Source) -> str | None:
    if places_predicted(source) or places_mapped(source):
        return None
    maps = "no score maps of photographs that are at hand"
    return f"{lacks_predictions(source)}; {maps}" if source.tasks("segmentation") else lacks_predictions(source)


def roc(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task, a panel a place: mean over classes and seeds of the true positive rate."""
    yield from _figures(source, style, "roc", "ROC curves", roc_curve)


def precision_recall(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task, a panel a place: mean over classes and seeds of the precision."""
    yield from _figures(source, style, "pr", "Precision-recall curves", precision_recall_curve)


def _figures(source: Source, style: Style, name: str, title: str, curve: Curve) -> Iterator[DrawnFigure]:
    by_task = places_predicted(source) | places_mapped(source)
    for task, places in by_task.items():
        told = f"{title}, {source.title(task)}"
        yield _figure(source, style, name if len(by_task) == 1 else f"{name}-{task}", told, places, curve)


def _figure(source: Source, style: Style, name: str, title: str, places: Sequence[Place], curve: Curve) -> DrawnFigure:
    from matplotlib import rc_context

    of_pixels = source.families[places[0].task] == "segmentation"
    pairs_of = partial(pixel_pairs, source) if of_pixels else partial(_class_pairs, source)
    shown: dict[str, Look] = {}
    seeds: list[int] = []
    columns = style.columns(len(places), titles=[place.text for place in places])
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(places), columns=columns, height=style.square(columns, -2))
        for axis, place in zip(axes, places, strict=True):
            base = []
            for encoder, records in source.records_at(place).items():
                pairs = [pairs_of(record) for record in records if _is_stored(record)]
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
    low, high = min(seeds, default=0), max(seeds, default=0)
    caption = sentences(
        f"{title}; {f'n = {high}' if low == high else f'n = {low} to {high}'} seed{'s' if high > 1 else ''}.",
        _OF_PIXELS if of_pixels else _OF_CLASSES,
        "Bands: pointwise 95 % interval over seeds (1.96 standard errors), not for baselines.",
        looks_text(shown.values()),
    )
    return DrawnFigure(name, title, caption, figure)


def _is_stored(record: UnitRecord) -> bool:
    return bool(record["result"].get("predictions") or record["result"].get("maps"))


def _class_pairs(source: Source, record: UnitRecord) -> list[Pair]:
    return predicted(source, record).against_rest()


def _band(axis: Axes, curves: NDArray[np.float64], look: Look, style: Style) -> None:
    mean = curves.mean(axis=0)
    every = max(1, len(GRID) // 6)
    start = sum(map(ord, look.encoder)) % 5 * every // 5  # so that marks of like curves don't hide each other
    marks = {**look.line(), "markevery": (start, every), "markersize": 0.4 * style.text}
    axis.plot(GRID, mean, zorder=2 if look.baseline else 3, markeredgewidth=0.9 * style.line, **marks)
    if len(curves) > 1 and not look.baseline:
        reach = 1.96 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
        axis.fill_between(
            GRID, np.clip(mean - reach, 0, 1), np.clip(mean + reach, 0, 1), color=look.colour, alpha=0.12, linewidth=0
        )


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
