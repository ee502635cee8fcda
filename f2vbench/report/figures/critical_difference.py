"""Critical-difference diagram: average ranks of encoders over tasks, with Nemenyi's test.

Reference: J. Demšar, Journal of Machine Learning Research 7 (2006), 1-30.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from f2vbench.analysis.task_scores import LOWER_IS_BETTER, RANKED_METRICS, compute_task_scores
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import describe_encoders, join_sentences
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.text.wording import as_sentence, metric_name
from f2vbench.stats.ranks import PostHocResult, friedman_test, nemenyi_test

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 6.2
"""Distance between the labels of two encoders, in mm for text of 7 points."""
_MIN_ENCODERS, _MIN_TASKS = 3, 2


def explain_missing_critical_difference(source: Source) -> str | None:
    """Explain why `draw_critical_difference` has nothing to draw; None if it has."""
    table = compute_task_scores(source.frame, source.families, source.encoders)
    tasks, encoders = table.shape
    if encoders >= _MIN_ENCODERS and tasks >= _MIN_TASKS:
        return None
    return (
        f"average ranks need at least {_MIN_ENCODERS} models trained with labels on the same {_MIN_TASKS} tasks or "
        f"more; these results have {encoders} models on {tasks} tasks"
    )


def draw_critical_difference(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw the diagram; thick bars connect encoders without a significant difference in Nemenyi's test."""
    from matplotlib import rc_context

    from f2vbench.report.figures.styled_figure import StyledFigure

    table = compute_task_scores(source.frame, source.families, source.encoders)
    scores, names = table.to_numpy(float), list(table.columns)
    overall, pairs = friedman_test(scores, names), nemenyi_test(scores, names)
    encoders = source.select_encoders(names)
    with rc_context(style.settings()):
        levels = (len(names) + 1) // 2
        height = style.height(14 + _ROW * levels + 2.2 * len(pairs.groups))
        figure = StyledFigure(style, figsize=(style.inches, height))
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set(xlim=(0, style.width), ylim=(height * 25.4, 0))  # in mm, downwards
        axis.axis("off")
        _Diagram.create(axis, pairs, encoders, style).draw(pairs)
    ranked = dict.fromkeys(RANKED_METRICS[source.families[task]] for task in table.index)
    metrics = [metric_name(name, "lower" if name in LOWER_IS_BETTER else "higher") for name in ranked]
    caption = join_sentences(
        f"Average ranks over {len(table)} tasks ({', '.join(table.index)}) by {', '.join(metrics)}, "
        "mean over seeds and shots; 1 is best.",
        as_sentence(overall.sentence()),
        "Thick bars connect models whose average ranks do not differ significantly in Nemenyi's test "
        f"(α = {pairs.alpha:g}, critical difference CD); with few tasks hardly any difference is significant.",
        describe_encoders(encoders),
    )
    yield DrawnFigure("critical-difference", "Average ranks over tasks", caption, figure)


@dataclass(frozen=True)
class _Ranked:
    """An encoder and its average rank."""

    rank: float
    encoder: EncoderStyle


@dataclass(frozen=True)
class _Diagram:
    """The diagram on an axis in mm.

    Attributes:
        axis: Panel to draw on.
        style: Style of the figure.
        ranked: Encoders, best first.
        margin: Width of the labels on either side, in mm.
    """

    axis: Axes
    style: Style
    ranked: Sequence[_Ranked]
    margin: float

    @classmethod
    def create(cls, axis: Axes, pairs: PostHocResult, encoders: Sequence[EncoderStyle], style: Style) -> _Diagram:
        by_name = {encoder.name: encoder for encoder in encoders}
        ranks = sorted(zip(pairs.average_ranks, pairs.models, strict=True))
        longest = max(len(encoder.label) for encoder in encoders)
        margin = min(0.4 * style.width, (longest * 0.62 + 3) * style.text * 25.4 / 72)
        return cls(axis, style, [_Ranked(rank, by_name[name]) for rank, name in ranks], margin)

    @property
    def unit(self) -> float:
        """One mm for text of 7 points."""
        return self.style.text / 7

    @property
    def top(self) -> float:
        """Position of the axis of ranks."""
        return 11 * self.unit

    def x(self, rank: float) -> float:
        """Position of a rank."""
        width = self.style.width - 2 * self.margin
        return self.margin + (rank - 1) / (len(self.ranked) - 1) * width

    def draw(self, pairs: PostHocResult) -> None:
        """Draw the axis of ranks, the critical difference, the groups and the encoders."""
        self._draw_axis()
        if pairs.critical_difference is not None:
            self._draw_critical_difference(pairs.critical_difference)
        for level, group in enumerate(pairs.groups):
            self._draw_group(group, level)
        first = self.top + (3.4 + 2.2 * len(pairs.groups)) * self.unit
        left = (len(self.ranked) + 1) // 2
        for i, ranked in enumerate(self.ranked):
            level = i if i < left else len(self.ranked) - 1 - i
            self._draw_encoder(ranked, first + _ROW * level * self.unit, on_left=i < left)

    def _draw_axis(self) -> None:
        top, unit, line = self.top, self.unit, self.style.line
        self.axis.plot([self.x(1), self.x(len(self.ranked))], [top, top], color=INK, linewidth=line)
        for rank in range(1, len(self.ranked) + 1):
            self.axis.plot([self.x(rank)] * 2, [top - 1.3 * unit, top], color=INK, linewidth=line)
            self.axis.text(self.x(rank), top - 1.9 * unit, str(rank), ha="center", va="bottom")

    def _draw_critical_difference(self, value: float) -> None:
        """Draw the length of the critical difference above the axis of ranks."""
        start, end = self.x(1), self.x(1 + min(value, len(self.ranked) - 1))
        y, line = 3.2 * self.unit, self.style.line
        self.axis.plot([start, end], [y, y], color=INK, linewidth=line)
        for x in (start, end):
            self.axis.plot([x, x], [y - 0.8, y + 0.8], color=INK, linewidth=line)
        self.axis.text(end + 1.2, y, f"CD = {value:.2f}", va="center", ha="left")

    def _draw_group(self, group: Sequence[str], level: int) -> None:
        """Draw the bar of encoders without a significant difference."""
        ranks = [ranked.rank for ranked in self.ranked if ranked.encoder.name in group]
        y = self.top + (2.4 + 2.2 * level) * self.unit
        ends = [self.x(min(ranks)) - 0.7 * self.unit, self.x(max(ranks)) + 0.7 * self.unit]
        self.axis.plot(ends, [y, y], color=INK, linewidth=4 * self.style.line, solid_capstyle="round", zorder=2)

    def _draw_encoder(self, ranked: _Ranked, y: float, *, on_left: bool) -> None:
        """Draw the line from an average rank to the label of the encoder."""
        x, encoder, style = self.x(ranked.rank), ranked.encoder, self.style
        end = self.margin if on_left else style.width - self.margin
        line = {"color": encoder.colour, "linewidth": 1.4 * style.line, "linestyle": encoder.dashes}
        self.axis.plot([x, x, end], [self.top, y, y], **line)
        self.axis.plot(x, self.top, markersize=0.6 * style.text, zorder=3, **encoder.points())
        gap = 1.2 * self.unit
        position, alignment = (end - gap, "right") if on_left else (end + gap, "left")
        self.axis.text(position, y, self._label(ranked), ha=alignment, va="center", linespacing=1.05)

    def _label(self, ranked: _Ranked) -> str:
        """Name and average rank, on two lines if the margin is too narrow."""
        one_line = f"{ranked.encoder.label}  {ranked.rank:.2f}"
        fits = len(one_line) * 0.6 * self.style.text * 25.4 / 72 < self.margin
        return one_line if fits else f"{ranked.encoder.label}\n{ranked.rank:.2f}"
