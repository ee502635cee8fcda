"""Figures of regression: predicted against true numbers, and their differences (Bland–Altman)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import create_sheet, describe_encoders, join_sentences, title_with_encoder
from f2vbench.report.figures.predictions import largest_conditions, records_with_predictions
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import GRID, INK, PALE, Style
from f2vbench.report.text.wording import number
from f2vbench.stats.bland_altman import bland_altman

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class _Numbers:
    """Predictions of a model at one condition: each test image once, the mean over the seeds that test it."""

    encoder: EncoderStyle
    predicted: NDArray[np.float64]
    true: NDArray[np.float64]


def explain_missing_agreement(source: Source) -> str | None:
    """Explain why these figures have nothing to draw; None if they have."""
    return None if largest_conditions(source, "regression") else "no regression units that store predictions"


def draw_predicted_true(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw predicted over true numbers, a figure a task, a panel an encoder, with the most support images."""
    caption = "Solid line: equal numbers; dashed: least-squares line of the points."
    yield from _draw(source, style, "predicted-true", "Predicted and true numbers", _draw_scatter, caption)


def draw_bland_altman(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw differences over means, a figure a task, a panel an encoder, with the most support images."""
    caption = (
        "Bland–Altman plots: predicted − true number over the mean of both. Line: mean difference; dashed: limits of "
        "agreement (mean ± 1.96 standard deviations); bands: 95 % intervals of the three, which take images as "
        "independent. A slope shows predictions that are drawn to the mean."
    )
    yield from _draw(
        source, style, "bland-altman", "Agreement of predicted and true numbers", _draw_differences, caption
    )


def _draw(
    source: Source,
    style: Style,
    name: str,
    title: str,
    draw_panel: Callable[[Axes, _Numbers, Style], None],
    caption: str,
) -> Iterator[DrawnFigure]:
    from matplotlib import rc_context

    found = largest_conditions(source, "regression")
    for task, condition in found.items():
        numbers = source.cached(("numbers", condition), partial(_load, source, condition))
        unit = next(iter(records_with_predictions(source, condition).values()))[0]["result"]["unit_of_numbers"]
        columns = style.columns(len(numbers), 44)
        with rc_context(style.settings()):
            figure, axes = create_sheet(style, len(numbers), columns=columns, height=style.square(columns, 4))
            for position, (axis, each) in enumerate(zip(axes, numbers, strict=True)):
                draw_panel(axis, each, style)
                title_with_encoder(axis, each.encoder, style, columns)
                if draw_panel is _draw_scatter:
                    axis.set_xlabel(f"true ({unit})")
                    axis.set_ylabel(f"predicted ({unit})" if position % columns == 0 else "")
                else:
                    axis.set_xlabel(f"mean ({unit})")
                    axis.set_ylabel(f"predicted − true ({unit})" if position % columns == 0 else "")
        heading = f"{title}, {source.condition_title(condition)}"
        text = join_sentences(
            f"{heading}; one point for each test image, the mean over the seeds that test it.",
            caption,
            describe_encoders(each.encoder for each in numbers),
        )
        yield DrawnFigure(name if len(found) == 1 else f"{name}-{task}", heading, text, figure)


def _load(source: Source, condition: Condition) -> list[_Numbers]:
    numbers = []
    for name, records in records_with_predictions(source, condition).items():
        predicted: dict[str, list[float]] = {}
        true: dict[str, float] = {}
        for record in records:
            arrays = source.stored.predictions(record)
            for image, p, t in zip(record["result"]["images"], arrays["predicted"], arrays["true"], strict=True):
                predicted.setdefault(image, []).append(float(p))
                true[image] = float(t)
        means = np.array([np.mean(values) for values in predicted.values()])
        numbers.append(_Numbers(source.encoders[name], means, np.array([true[image] for image in predicted])))
    return numbers


def _draw_scatter(axis: Axes, numbers: _Numbers, style: Style) -> None:
    p, t = numbers.predicted, numbers.true
    low, high = min(p.min(), t.min()), max(p.max(), t.max())
    margin = 0.04 * (high - low or 1.0)
    limits = low - margin, high + margin
    axis.plot(limits, limits, color=PALE, linewidth=style.line, zorder=1)
    _draw_points(axis, t, p, numbers.encoder, style)
    if np.ptp(t) > 0:
        slope, offset = np.polyfit(t, p, 1)
        ends = np.array([t.min(), t.max()])
        axis.plot(ends, offset + slope * ends, color=INK, linewidth=style.line, linestyle="--", zorder=3)
    text = f"MAE {number(float(np.abs(p - t).mean()), 3)}"
    axis.text(0.03, 0.97, text, transform=axis.transAxes, ha="left", va="top")
    axis.set(xlim=limits, ylim=limits, aspect="equal")


def _draw_differences(axis: Axes, numbers: _Numbers, style: Style) -> None:
    result = bland_altman(numbers.predicted, numbers.true)
    lines = ((result.bias, result.bias_interval, "-"), (result.low, result.low_interval, "--"))
    for value, interval, dashes in (*lines, (result.high, result.high_interval, "--")):
        if value is not None and interval is not None:
            axis.axhspan(*interval, color=GRID, linewidth=0, zorder=0)
            axis.axhline(value, color=INK, linestyle=dashes, linewidth=style.line, zorder=1)
            text = number(value, 2)
            axis.annotate(text, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", zorder=3)
    axis.axhline(0, color=PALE, linewidth=0.7 * style.line, zorder=0.5)
    means, differences = (numbers.predicted + numbers.true) / 2, numbers.predicted - numbers.true
    _draw_points(axis, means, differences, numbers.encoder, style)
    axis.margins(y=0.12)


def _draw_points(
    axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], encoder: EncoderStyle, style: Style
) -> None:
    colour = encoder.colour
    axis.scatter(
        x, y, s=7 * style.line, color=colour, edgecolor="white", linewidth=0.3 * style.line, alpha=0.8, zorder=2
    )
