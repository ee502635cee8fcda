"""Attention weights of fusions: mean weight of each joined encoder by class, every seed a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition, attention_frame
from f2vbench.report.figures.encoder_style import EncoderStyle, encoder_styles
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import (
    abbreviate,
    create_sheet,
    describe_count,
    join_sentences,
    legend_below,
    letter_panels,
    spread_points,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR_WIDTH = 0.8
_BARS_IN_WIDTH = 34
"""Largest number of bars beside each other in a width of 183 mm."""


def explain_missing_attention(source: Source) -> str | None:
    """Explain why `draw_attention` has nothing to draw; None if it has."""
    return None if len(attention_frame(source.records)) else "no units of a soft-attention fusion, such as model=a+b"


def draw_attention(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a fusion: a panel a condition, a group of bars a class, a bar an encoder."""
    rows = attention_frame(source.records)
    fusions = list(dict.fromkeys(rows.encoder))
    for fusion in fusions:
        name = "attention" if len(fusions) == 1 else f"attention-{fusion}"
        yield _draw_figure(source, style, name, fusion, rows[rows.encoder == fusion])


def _draw_figure(source: Source, style: Style, name: str, fusion: str, rows: pd.DataFrame) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.patches import Patch

    groups = [group for _, group in rows.groupby(CONDITION, dropna=False, sort=False)]
    encoders = _joined_encoders(source, list(dict.fromkeys(rows.part)))
    bars = max(group["class"].nunique() * (len(encoders) + 1) for group in groups)
    titles = [source.condition_title(Condition.from_values(*group[CONDITION].iloc[0])) for group in groups]
    columns = style.columns(len(groups), max(56, min(183, 183 * bars / _BARS_IN_WIDTH)), titles)
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(groups), columns=columns, height=46)
        for i, (axis, group) in enumerate(zip(axes, groups, strict=True)):
            _draw_panel(axis, group, encoders, style)
            axis.set_ylabel("mean attention weight" if i % columns == 0 else "")
        letter_panels(axes, titles)
        figure.align_ylabels(axes)
        handles = [Patch(**encoder.bar()) for encoder in encoders]
        legend_below(figure, style, handles, [encoder.label for encoder in encoders])
    counts = rows.groupby([*CONDITION, "class", "part"], dropna=False).seed.nunique()
    title = f"Attention weights of {fusion}"
    caption = join_sentences(
        f"{title}: weight of each joined encoder, mean over the test images of a class; "
        f"{describe_count(int(counts.min()), int(counts.max()))}.",
        "Bars: mean over seeds; points: seeds. The weights of an image add up to 1; dashed line: equal weights.",
    )
    return DrawnFigure(name, title, caption, figure)


def _joined_encoders(source: Source, names: Sequence[str]) -> list[EncoderStyle]:
    """Styles of joined encoders: as in all figures if they have units of their own, otherwise among themselves."""
    others = [name for name in names if name not in source.encoders]
    styles = encoder_styles(pd.DataFrame({"encoder": others, "weights": "", "baseline": False})) if others else {}
    return [source.encoders[name] if name in source.encoders else styles[name] for name in names]


def _draw_panel(axis: Axes, rows: pd.DataFrame, encoders: Sequence[EncoderStyle], style: Style) -> None:
    """Draw a group of bars for each class."""
    classes = list(dict.fromkeys(rows["class"]))
    step = len(encoders) + 0.9
    for i, class_name in enumerate(classes):
        for j, encoder in enumerate(encoders):
            weights = rows.weight[(rows["class"] == class_name) & (rows.part == encoder.name)].to_numpy(float)
            if not len(weights):
                continue
            x = i * step + j
            axis.bar(x, weights.mean(), _BAR_WIDTH, zorder=2, **encoder.bar())
            marks = encoder.points() | {"markerfacecolor": "white", "markeredgecolor": INK}
            marks["marker"] = "o" if encoder.baseline else encoder.marker  # crosses would be lost on hatches
            axis.plot(
                x + spread_points(len(weights), _BAR_WIDTH),
                weights,
                markersize=0.36 * style.text,
                markeredgewidth=0.7 * style.line,
                zorder=3,
                **marks,
            )
    axis.axhline(1 / len(encoders), color=INK, linewidth=0.8 * style.line, linestyle=(0, (5, 3)), zorder=2.5)
    centres = [i * step + (len(encoders) - 1) / 2 for i in range(len(classes))]
    axis.set_xticks(centres, [abbreviate(name, 24) for name in classes])
    if len(classes) > 4:
        axis.tick_params(axis="x", rotation=35)
        for label in axis.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.9, (len(classes) - 1) * step + len(encoders) - 0.1)
    axis.set_ylim(0, 1)
    axis.grid(axis="y")
