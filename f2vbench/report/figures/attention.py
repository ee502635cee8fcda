"""How fusions by soft attention weigh their encoders: mean weight by class, every seed a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.frames import tidy_attention
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import bottom_legend, letters, sentences, sheet, shortened, spread
from f2vbench.report.figures.source import PLACE, Place, Source
from f2vbench.report.figures.style import INK, Look, Style, looks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 0.8  # of a bar, of the room of one
_ROW_OF_BARS = 34  # at most so many bars stand in the width of a page of 183 mm


def lacks_attention(source: Source) -> str | None:
    return None if len(tidy_attention(source.records)) else "no units of a fusion by soft attention, such as model=a+b"


def attention(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a fusion: a panel a place, a group of bars a class, a bar an encoder."""
    held = tidy_attention(source.records)
    fusions = list(dict.fromkeys(held.encoder))
    for fusion in fusions:
        name = "attention" if len(fusions) == 1 else f"attention-{fusion}"
        yield _figure(source, style, name, fusion, held[held.encoder == fusion])


def _figure(source: Source, style: Style, name: str, fusion: str, rows: pd.DataFrame) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.patches import Patch

    places = [(_place(source, key), held) for key, held in rows.groupby(PLACE, dropna=False, sort=False)]
    parts = list(dict.fromkeys(rows.part))
    looks = _looks(source, parts)
    widest = max(held["class"].nunique() * (len(parts) + 1) for _, held in places)
    titles = [f"{source.title(place.task)}, {place.text}" for place, _ in places]
    columns = style.columns(len(places), max(56, min(183, 183 * widest / _ROW_OF_BARS)), titles)
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(places), columns=columns, height=46)
        for position, (axis, (_, held)) in enumerate(zip(axes, places, strict=True)):
            _panel(axis, held, looks, style)
            axis.set_ylabel("mean weight" if position % columns == 0 else "")
        letters(axes, titles)
        figure.align_ylabels(axes)
        bottom_legend(figure, style, [Patch(**look.bar()) for look in looks], [look.label for look in looks])
    counts = rows.groupby([*PLACE, "class", "part"], dropna=False).seed.nunique()
    low, high = int(counts.min()), int(counts.max())
    told = "one seed" if high == 1 else f"n = {high} seeds" if low == high else f"n = {low} to {high} seeds"
    title = f"Attention of {fusion}"
    caption = sentences(
        f"{title}: the weight of each joined encoder, mean over the test images of a class; {told}.",
        "Bars: mean over seeds; points: seeds. The weights of an image add up to 1; the dashed line is where all "
        "encoders weigh the same.",
    )
    return DrawnFigure(name, title, caption, figure)


def _place(source: Source, key: tuple) -> Place:
    task, protocol, shots = key
    return Place(task, protocol, None if pd.isna(shots) else int(shots), source.families[task])


def _looks(source: Source, parts: Sequence[str]) -> list[Look]:
    """As in every other figure where the joined encoders have units of their own; else as models among themselves."""
    alone = [part for part in parts if part not in source.looks]
    made = looks_of(pd.DataFrame({"encoder": alone, "weights": "", "baseline": False})) if alone else {}
    return [source.looks[part] if part in source.looks else made[part] for part in parts]


def _panel(axis: Axes, rows: pd.DataFrame, looks: Sequence[Look], style: Style) -> None:
    classes = list(dict.fromkeys(rows["class"]))
    step = len(looks) + 0.9
    for group, kind in enumerate(classes):
        for place, look in enumerate(looks):
            weights = rows.weight[(rows["class"] == kind) & (rows.part == look.encoder)].to_numpy(float)
            if not len(weights):
                continue
            at = group * step + place
            axis.bar(at, weights.mean(), _WIDTH, zorder=2, **look.bar())
            marks = look.points() | {"markerfacecolor": "white", "markeredgecolor": INK}
            marks["marker"] = "o" if look.baseline else look.marker  # crosses are lost on hatches
            axis.plot(
                at + spread(len(weights), _WIDTH),
                weights,
                markersize=0.36 * style.text,
                markeredgewidth=0.7 * style.line,
                zorder=3,
                **marks,
            )
    equal = 1 / len(looks)
    axis.axhline(equal, color=INK, linewidth=0.8 * style.line, linestyle=(0, (5, 3)), zorder=2.5)
    middles = [group * step + (len(looks) - 1) / 2 for group in range(len(classes))]
    turned = len(classes) > 4
    axis.set_xticks(middles, [shortened(kind, 24) for kind in classes])
    if turned:
        axis.tick_params(axis="x", rotation=35)
        for label in axis.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.9, (len(classes) - 1) * step + len(looks) - 0.1)
    axis.set_ylim(0, 1)
    axis.grid(axis="y")
