"""Kaplan–Meier curves of test images by predicted risk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2vbench.analysis.frames import Condition
from f2vbench.metrics.survival import time_grid
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    create_sheet,
    describe_encoders,
    join_sentences,
    legend_below,
    title_with_encoder,
)
from f2vbench.report.figures.predictions import largest_conditions, records_with_predictions
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, PALE, Style
from f2vbench.stats.kaplan_meier import kaplan_meier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GROUPS = ("low risk", "middle", "high risk")
_COLOURS = ("#0072B2", "#999999", "#D55E00")


@dataclass(frozen=True)
class _Followed:
    """Predictions of a model at one condition: each test image once, the mean over the seeds that test it.

    Attributes:
        encoder: Style of the model.
        survival: (n, k) predicted survival at the times of the grid.
        time: (n,) times.
        event: (n,) whether the event was observed.
    """

    encoder: EncoderStyle
    survival: NDArray[np.float64]
    time: NDArray[np.float64]
    event: NDArray[np.bool_]

    def groups(self) -> list[NDArray[np.intp]]:
        """Cases of the lowest, middle and highest third of predicted risk; equal risks stay together."""
        risk = 1 - self.survival[:, -1]
        low, high = np.quantile(risk, [1 / 3, 2 / 3])
        return [np.flatnonzero(members) for members in (risk <= low, (risk > low) & (risk <= high), risk > high)]


def explain_missing_kaplan_meier(source: Source) -> str | None:
    """Explain why `draw_kaplan_meier` has nothing to draw; None if it has."""
    return None if largest_conditions(source, "survival") else "no survival units that store predictions"


def draw_kaplan_meier(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task, a panel an encoder, a curve a third of the predicted risk."""
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    found = largest_conditions(source, "survival")
    for task, condition in found.items():
        record = next(iter(records_with_predictions(source, condition).values()))[0]
        unit, horizon = record["result"]["unit_of_numbers"], record["result"]["horizon"]
        followed = _load(source, condition)
        columns = style.columns(len(followed), 44)
        with rc_context(style.settings()):
            figure, axes = create_sheet(style, len(followed), columns=columns, height=46)
            for position, (axis, each) in enumerate(zip(axes, followed, strict=True)):
                _draw_panel(axis, each, horizon, style)
                title_with_encoder(axis, each.encoder, style, columns)
                axis.set_xlabel(unit)
                axis.set_ylabel("without event" if position % columns == 0 else "")
            lines = [Line2D([], [], color=colour, linewidth=1.4 * style.line) for colour in _COLOURS]
            predicted = Line2D([], [], color=INK, linestyle=":", linewidth=style.line)
            legend_below(figure, style, [*lines, predicted], [*_GROUPS, "predicted"])
        title = f"Kaplan–Meier curves by predicted risk, {source.condition_title(condition)}"
        caption = join_sentences(
            f"{title}; thirds of the test images by predicted risk of an event until {horizon:g} {unit} (grey line), "
            "the mean over the seeds that test an image; equal risks are in one group.",
            "Bands: pointwise 95 % intervals (log-log, Greenwood), which take images as independent. Dotted: mean "
            "predicted survival of each group.",
            describe_encoders(each.encoder for each in followed),
        )
        yield DrawnFigure("kaplan-meier" if len(found) == 1 else f"kaplan-meier-{task}", title, caption, figure)


def _load(source: Source, condition: Condition) -> list[_Followed]:
    followed = []
    for name, records in records_with_predictions(source, condition).items():
        curves: dict[str, list[NDArray[np.float64]]] = {}
        ends: dict[str, tuple[float, bool]] = {}
        for record in records:
            arrays = source.stored.predictions(record)
            rows = zip(record["result"]["images"], arrays["survival"], arrays["time"], arrays["event"], strict=True)
            for image, curve, time, event in rows:
                curves.setdefault(image, []).append(curve)
                ends[image] = float(time), bool(event)
        survival = np.array([np.mean(of_image, axis=0) for of_image in curves.values()])
        time, event = np.array([ends[image][0] for image in curves]), np.array([ends[image][1] for image in curves])
        followed.append(_Followed(source.encoders[name], survival, time, event))
    return followed


def _draw_panel(axis: Axes, followed: _Followed, horizon: float, style: Style) -> None:
    axis.axvline(horizon, color=PALE, linewidth=0.7 * style.line, zorder=0)
    grid = np.r_[0.0, time_grid(horizon)]
    for members, colour in zip(followed.groups(), _COLOURS, strict=True):
        if not len(members):
            continue
        curve = kaplan_meier(followed.time[members], followed.event[members])
        axis.step(curve.times, curve.survival, where="post", color=colour, linewidth=1.4 * style.line, zorder=3)
        axis.fill_between(curve.times, curve.low, curve.high, step="post", color=colour, alpha=0.15, linewidth=0)
        mean = np.r_[1.0, followed.survival[members].mean(axis=0)]
        axis.plot(grid, mean, color=colour, linestyle=":", linewidth=style.line, zorder=2)
    axis.set(xlim=(0, None), ylim=(0, 1.02))
