"""What quality costs: seconds of training and of scoring an image beside the main metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from f2vbench.report.figures.drawn import DrawnFigure
from f2vbench.report.figures.panels import legend, letters, looks_text, sentences, sheet
from f2vbench.report.figures.source import MAIN_METRICS, Place, Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAMILIES = tuple(MAIN_METRICS)
_LEAST_SECONDS = 1e-3
"""What takes less is no training, only its call."""


def lacks_cost_quality(source: Source) -> str | None:
    places = _places(source)
    table = costs(source, places)
    if table is None:
        return "no timed units of a task with AUROC"
    return None if _panels(table, places) else "no unit took as long as a millisecond"


def costs(source: Source, places: Sequence[Place]) -> pd.DataFrame | None:
    """Means over seeds of ``training`` (seconds a unit), ``scoring`` (seconds an image) and ``quality`` (main metric).

    One row a task and encoder; None where there is none.
    """
    rows = []
    for place in places:
        metric = MAIN_METRICS[source.families[place.task]][0]
        for encoder, records in source.records_at(place).items():
            held = [r for r in records if r["timing"].get("scored") and r["result"]["metrics"].get(metric) is not None]
            if held:
                timings = [record["timing"] for record in held]
                rows.append(
                    {
                        "task": place.task,
                        "encoder": encoder,
                        "training": np.mean([t.get("prepare_seconds", 0) + t["fit_seconds"] for t in timings]),
                        "scoring": np.mean([t["score_seconds"] / t["scored"] for t in timings]),
                        "quality": np.mean([record["result"]["metrics"][metric] for record in held]),
                    }
                )
    return pd.DataFrame(rows) if rows else None


def cost_quality(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Two panels a task, at its place with most labels: seconds of training, and seconds an image."""
    from matplotlib import rc_context

    places = _places(source)
    table = costs(source, places)
    panels = [] if table is None else _panels(table, places)
    if table is None or not panels:
        return
    looks = source.looks_among(table.encoder)
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(panels), columns=min(2, style.columns(len(panels), least=50)), height=46)
        for axis, (place, kind) in zip(axes, panels, strict=True):
            rows = table[table.task == place.task].set_index("encoder")
            seconds = _seconds_axis(axis, rows[kind])
            for look in looks:
                if look.encoder in rows.index:
                    at = seconds[look.encoder], rows.quality[look.encoder]
                    axis.plot(*at, markersize=0.8 * style.text, markeredgewidth=1.3 * style.line, **look.points())
            _front(axis, seconds, rows.quality, style)
            axis.set_ylabel(METRIC_NAMES[MAIN_METRICS[source.families[place.task]][0]])
            axis.set_xlabel("seconds of training a unit" if kind == "training" else "seconds of scoring an image")
            axis.grid()
        letters(axes, [f"{source.title(place.task)}, {place.text}" for place, _ in panels])
        legend(figure, style, looks, kind="point")
    caption = sentences(
        "Seconds against quality, means over seeds. Step: nothing to its left is as good. Models that are not trained "
        "stand at the left edge, above none.",
        f"Seconds as measured on {_machines(source)}; encoding photographs into the feature store is done once for all "
        "units and no part of them.",
        looks_text(looks),
    )
    yield DrawnFigure("cost-quality", "Cost against quality", caption, figure)


def _panels(table: pd.DataFrame, places: Sequence[Place]) -> list[tuple[Place, str]]:
    """What is shown: places and kinds of cost that some model has."""
    return [
        (place, kind)
        for place in places
        for kind in ("training", "scoring")
        if (table[kind][table.task == place.task] >= _LEAST_SECONDS).any()
    ]


def _places(source: Source) -> list[Place]:
    """Of each task the place with most labels."""
    last = {place.task: place for place in source.places(*_FAMILIES)}
    return list(last.values())


def _seconds_axis(axis: Axes, seconds: pd.Series) -> pd.Series:
    """A logarithmic axis with few plain numbers; where what takes no time stands on it."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    idle = seconds < _LEAST_SECONDS
    least, most = float(seconds[~idle].min()), float(seconds.max())
    none = least / 4
    low, high = least / 1.5, most * 1.5
    steps = (1,) if high / low > 100 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(-4, 7) for step in steps if low <= step * 10.0**power <= high]
    axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "none" if x == none else f"{x:g}"))
    axis.set_xticks([*([none] if idle.any() else []), *ticks])
    axis.set_xlim(none / 1.5 if idle.any() else low, high)
    return seconds.mask(idle, none)


def _front(axis: Axes, cost: pd.Series, quality: pd.Series, style: Style) -> None:
    """The step along what is not beaten by something cheaper."""
    order = cost.sort_values(kind="stable").index
    best = quality[order].cummax()
    on = [name for place, name in enumerate(order) if place == 0 or quality[name] > best.iloc[place - 1]]
    line: dict[str, Any] = {"color": INK, "linewidth": 0.8 * style.line, "linestyle": (0, (2, 2)), "zorder": 1}
    axis.step(cost[on], quality[on], where="post", **line)


def _machines(source: Source) -> str:
    found = set()
    for record in source.records:
        machine = record["provenance"].get("machine", {})
        found.add(f"{machine.get('processor', 'an unnamed processor')} ({record['provenance'].get('device', 'cpu')})")
    return ", ".join(sorted(found))
