"""Cost against quality: multiply-adds, encoding time and training time over the main metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.cost_frame import select_most_labels
from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    create_sheet,
    describe_encoders,
    encoder_legend,
    join_sentences,
    letter_panels,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class _Cost:
    """A column of the table of costs.

    Attributes:
        column: Name of the column.
        label: Label of the axis.
        unit: Divisor of the values.
        least: Values up to this one are no cost; the axis shows them as "none".
    """

    column: str
    label: str
    unit: float = 1.0
    least: float = 0.0


_COSTS = (
    _Cost("macs", "multiply-adds per image (G)", unit=1e9),
    _Cost("seconds_per_image", "encoding time per image (s)"),
    _Cost("training_seconds", "training time per unit (s)", least=1e-3),  # less is the overhead of a call
)


@dataclass(frozen=True)
class _Panel:
    """A cost, and the rows of one task that have it."""

    cost: _Cost
    rows: pd.DataFrame


def explain_missing_cost_quality(source: Source) -> str | None:
    """Explain why `draw_cost_quality` has nothing to draw; None if it has."""
    if _panels(_cost_table(source)):
        return None
    return "no model has a cost: no cost of encoding is recorded, and no training was timed"


def draw_cost_quality(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw up to three panels a task, at its condition with the most labels: one for each kind of cost."""
    from matplotlib import rc_context

    table = _cost_table(source)
    panels = _panels(table)
    encoders = source.select_encoders(pd.concat([panel.rows for panel in panels]).encoder)
    titles = [source.condition_title(Condition.from_values(*panel.rows[CONDITION].iloc[0])) for panel in panels]
    with rc_context(style.settings()):
        columns = min(3, style.columns(len(panels), 50, titles))
        figure, axes = create_sheet(style, len(panels), columns=columns, height=46)
        for axis, panel in zip(axes, panels, strict=True):
            rows, cost = panel.rows.set_index("encoder"), panel.cost
            x = _draw_cost_axis(axis, rows[cost.column] / cost.unit, cost.least)
            for encoder in encoders:
                if encoder.name in rows.index:
                    point = x[encoder.name], rows.value[encoder.name]
                    axis.plot(*point, markersize=0.8 * style.text, markeredgewidth=1.3 * style.line, **encoder.points())
            _draw_pareto_front(axis, x, rows.value, style)
            metric = rows.metric.iloc[0]
            axis.set(xlabel=cost.label, ylabel=METRIC_NAMES.get(metric, metric))
            axis.margins(y=0.1)
            axis.grid()
        letter_panels(axes, titles)
        encoder_legend(figure, style, encoders, kind="point")
    drawn = {panel.cost.column for panel in panels}
    machines = ", ".join(sorted(set(filter(None, table.measured_on)))) or "machines that are not recorded"
    caption = join_sentences(
        "Cost against quality, means over seeds. Dashed line: Pareto front; no cheaper model is as good. Models at "
        '"none" have no network, or nothing to train.',
        "Multiply-adds: products in convolutions, linear layers and attention." if "macs" in drawn else "",
        f"Encoding time: median over batches of photographs, with preprocessing, on {machines}."
        if "seconds_per_image" in drawn
        else "The cost of encoding is not recorded in these runs.",
        describe_encoders(encoders),
    )
    yield DrawnFigure("cost-quality", "Cost against quality", caption, figure)


def _cost_table(source: Source) -> pd.DataFrame:
    """Rows of each task's condition with the most labels that have a value of a metric where higher is better."""
    table = select_most_labels(source.cost)
    table = table[table.value.notna() & ~table.metric.isin(source.lower_is_better)]
    without_network = table.macs.isna() & table.seconds_per_image.notna()
    return table.assign(macs=table.macs.mask(without_network, 0.0))


def _panels(table: pd.DataFrame) -> list[_Panel]:
    """Costs of each task that two models or more have, and that are above nothing for at least one."""
    return [
        _Panel(cost, rows[rows[cost.column].notna()])
        for _, rows in table.groupby("task")
        for cost in _COSTS
        if (rows[cost.column] > cost.least).any() and rows[cost.column].notna().sum() > 1
    ]


def _draw_cost_axis(axis: Axes, cost: pd.Series, least: float) -> pd.Series:
    """Set a logarithmic x-axis with few plain numbers, and a tick "none" for costs up to ``least``.

    Returns:
        Positions of the costs on the axis.
    """
    from matplotlib.ticker import FuncFormatter, NullLocator

    is_none = cost <= least
    smallest, largest = float(cost[~is_none].min()), float(cost.max())
    none = smallest / 4
    low, high = smallest / 1.5, largest * 1.5
    steps = (1,) if high / low > 100 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(-4, 7) for step in steps if low <= step * 10.0**power <= high]
    if len(ticks) < 2:  # one number would not show the scale
        ticks = sorted({float(f"{value:.2g}") for value in (smallest, largest)})
    if len(ticks) < 2:
        ticks = [float(f"{value:.2g}") for value in (smallest / 1.3, smallest, smallest * 1.3)]
    axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "none" if x == none else f"{x:g}"))
    axis.set_xticks([*([none] if is_none.any() else []), *ticks])
    axis.set_xlim(none / 1.5 if is_none.any() else low, high)
    return cost.mask(is_none, none)


def _draw_pareto_front(axis: Axes, cost: pd.Series, quality: pd.Series, style: Style) -> None:
    """Draw a step line through the models that are better than all cheaper ones."""
    order = cost.sort_values(kind="stable").index
    best = quality[order].cummax()
    front = [name for i, name in enumerate(order) if i == 0 or quality[name] > best.iloc[i - 1]]
    axis.step(
        cost[front],
        quality[front],
        where="post",
        color=INK,
        linewidth=0.8 * style.line,
        linestyle=(0, (2, 2)),
        zorder=1,
    )
