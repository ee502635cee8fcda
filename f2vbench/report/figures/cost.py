"""What quality costs: multiply-adds, seconds of encoding and of training beside the main metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from f2vbench.analysis.cost_frame import with_most_labels
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import legend, letters, looks_text, sentences, sheet
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {
    "macs": "multiply-adds of encoding an image (G)",
    "seconds_per_image": "seconds of encoding an image",
    "training_seconds": "seconds of training a unit",
}
_UNITS = {"macs": 1e9}
_LEAST = {"training_seconds": 1e-3}
"""What takes less is no training, only its call."""


def lacks_cost_quality(source: Source) -> str | None:
    return (
        None
        if _panels(_costs(source))
        else "no model has a cost: nothing is recorded of encoding, and no head was timed"
    )


def cost_quality(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Up to three panels a task, at its place with most labels: multiply-adds, seconds of encoding and of training."""
    from matplotlib import rc_context

    table = _costs(source)
    panels = _panels(table)
    looks = source.looks_among(pd.concat([rows for _, rows in panels]).encoder)
    with rc_context(style.settings()):
        titles = [_title(source, rows) for _, rows in panels]
        figure, axes = sheet(style, len(panels), columns=min(3, style.columns(len(panels), 50, titles)), height=46)
        for axis, (kind, rows) in zip(axes, panels, strict=True):
            held = rows.set_index("encoder")
            cost = _cost_axis(axis, held[kind] / _UNITS.get(kind, 1.0), _LEAST.get(kind, 0.0))
            for look in looks:
                if look.encoder in held.index:
                    at = cost[look.encoder], held.value[look.encoder]
                    axis.plot(*at, markersize=0.8 * style.text, markeredgewidth=1.3 * style.line, **look.points())
            _front(axis, cost, held.value, style)
            axis.set(xlabel=_LABELS[kind], ylabel=METRIC_NAMES.get(held.metric.iloc[0], held.metric.iloc[0]))
            axis.margins(y=0.1)
            axis.grid()
        letters(axes, titles)
        legend(figure, style, looks, kind="point")
    kinds = {kind for kind, _ in panels}
    machines = ", ".join(sorted(set(filter(None, table.measured_on)))) or "machines that the runs do not tell"
    caption = sentences(
        "Cost against quality, means over seeds. Step: nothing to its left is as good. At the left edge, above none: "
        "no network, or nothing to train.",
        "Multiply-adds: products of convolutions, linear layers and attention." if "macs" in kinds else "",
        f"Seconds of encoding: median over groups of photographs, preprocessing included, on {machines}."
        if "seconds_per_image" in kinds
        else "What encoding takes is not recorded in these runs.",
        looks_text(looks),
    )
    yield DrawnFigure("cost-quality", "Cost against quality", caption, figure)


def _costs(source: Source) -> pd.DataFrame:
    """Rows of each task's place with most labels whose metric is better when it is higher, and has a value."""
    table = with_most_labels(source.cost)
    table = table[table.value.notna() & ~table.metric.isin(source.lower_is_better)]
    without_network = table.macs.isna() & table.seconds_per_image.notna()
    return table.assign(macs=table.macs.mask(without_network, 0.0))


def _panels(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """A kind of cost and the models that have it, where it is more than nothing for one of them."""
    return [
        (kind, rows[rows[kind].notna()])
        for _, rows in table.groupby("task")
        for kind in _LABELS
        if (rows[kind] > _LEAST.get(kind, 0.0)).any()
    ]


def _title(source: Source, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    shots = None if pd.isna(first.shots) else int(first.shots)
    place = Place(first.task, first.protocol, shots, source.families[first.task])
    return f"{source.title(place.task)}, {place.text}"


def _cost_axis(axis: Axes, cost: pd.Series, idle_below: float) -> pd.Series:
    """A logarithmic axis with few plain numbers; where what costs nothing stands on it."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    idle = cost <= idle_below
    least, most = float(cost[~idle].min()), float(cost.max())
    none = least / 4
    low, high = least / 1.5, most * 1.5
    steps = (1,) if high / low > 100 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(-4, 7) for step in steps if low <= step * 10.0**power <= high]
    axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "none" if x == none else f"{x:g}"))
    axis.set_xticks([*([none] if idle.any() else []), *ticks])
    axis.set_xlim(none / 1.5 if idle.any() else low, high)
    return cost.mask(idle, none)


def _front(axis: Axes, cost: pd.Series, quality: pd.Series, style: Style) -> None:
    """The step along what is not beaten by something cheaper."""
    order = cost.sort_values(kind="stable").index
    best = quality[order].cummax()
    on = [name for place, name in enumerate(order) if place == 0 or quality[name] > best.iloc[place - 1]]
    line: dict[str, Any] = {"color": INK, "linewidth": 0.8 * style.line, "linestyle": (0, (2, 2)), "zorder": 1}
    axis.step(cost[on], quality[on], where="post", **line)
