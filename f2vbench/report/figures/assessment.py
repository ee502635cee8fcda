"""Figures of a human assessment: shares of the scores, and Bland–Altman plots of every two raters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from f2vbench.analysis.assessment import MEAN, Assessment, question_title
from f2vbench.analysis.rating_scale import SCALE, SCORES
from f2vbench.report.figures.encoder_style import encoder_colours
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import create_sheet, legend_below, letter_panels
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import GRID, INK, PALE, Style
from f2vbench.stats.bland_altman import bland_altman

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHADES = ("#EFF3FF", "#BDD7E7", "#6BAED6", "#3182BD", "#08519C")  # of the scores; darker is worse, also in grey
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_MOST_PAIRS = 12  # panels; of more raters the first pairs are drawn, and the table has all
_LEAST_LABELLED = 0.07  # of the width; narrower parts of a bar have no number


def explain_missing_assessment(source: Source) -> str | None:
    """Explain why `draw_stored_assessments` has nothing to draw; None if it has."""
    return None if source.assessments else "no scored human assessment within the run folders (f2vbench assess score)"


def draw_stored_assessments(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw the assessments that are stored within the run folders."""
    several = len(source.assessments) > 1
    for assessment in source.assessments:
        yield from draw_assessment(assessment, style, f"-{assessment.identifier}" if several else "")


def draw_assessment(assessment: Assessment, style: Style, suffix: str = "") -> Iterator[DrawnFigure]:
    """Draw the figures of an assessment.

    Args:
        assessment: The ratings.
        style: Style of the figures.
        suffix: End of the figures' names.
    """
    yield _draw_shares(assessment, style, suffix)
    if len(assessment.present) > 1:
        drawn = _draw_differences(assessment, style, suffix)
        if drawn is not None:
            yield drawn


def _draw_shares(assessment: Assessment, style: Style, suffix: str) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.patches import Patch

    bars = [(method, rater) for method in assessment.methods for rater in assessment.present]
    questions = assessment.criteria
    columns = style.columns(len(questions), 58)
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(questions), columns=columns, height=16 + 6.5 * len(bars))
        for place, (axis, question) in enumerate(zip(axes, questions, strict=True)):
            _draw_bars(axis, assessment.scores(question), bars, style, named=place % columns == 0)
        letter_panels(axes, [question_title(question) for question in questions])
        handles = [Patch(facecolor=shade, edgecolor=INK, linewidth=0.5 * style.line) for shade in _SHADES]
        legend_below(figure, style, handles, [f"{grade.score} {grade.quality}" for grade in SCALE])
    caption = (
        "Scores of the raters by method: share of the videos, with the number of videos in each part, and the mean "
        "score on the right. Scale of Table 2 of the Fundus2Video paper, 1 is best."
    )
    return DrawnFigure(f"assessment{suffix}", "Human assessment of generated videos", caption, figure)


def _draw_bars(axis: Axes, scores: pd.DataFrame, bars: Sequence[tuple[str, str]], style: Style, *, named: bool) -> None:
    for row, (method, rater) in enumerate(bars):
        values = scores.loc[[method]][rater].dropna().to_numpy()
        counts = np.array([np.count_nonzero(values == score) for score in SCORES])
        left = 0.0
        for count, shade in zip(counts, _SHADES, strict=True):
            share = count / max(counts.sum(), 1)
            axis.barh(row, share, left=left, height=0.72, color=shade, edgecolor=INK, linewidth=0.5 * style.line)
            if share >= _LEAST_LABELLED:
                ink = "white" if shade in _SHADES[-2:] else INK
                axis.text(left + share / 2, row, str(count), ha="center", va="center", color=ink)
            left += share
        mean = f"{values.mean():.2f}" if len(values) else "–"
        axis.text(1.02, row, mean, va="center", ha="left")
    axis.text(1.02, -0.75, "mean", va="center", ha="left")
    axis.set(xlim=(0, 1.16), ylim=(len(bars) - 0.4, -1.1), xlabel="share of the videos")
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks(range(len(bars)), [f"{method}, {rater}" for method, rater in bars] if named else [])
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.spines["bottom"].set_bounds(0, 1)


def _draw_differences(assessment: Assessment, style: Style, suffix: str) -> DrawnFigure | None:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    question = MEAN if len(assessment.criteria) > 1 else assessment.criteria[0]
    scores = assessment.scores(question)
    pairs = list(combinations(assessment.present, 2))
    tables = {pair: table for pair in pairs if len(table := scores[list(pair)].dropna()) > 1}
    if not tables:
        return None
    drawn = dict(list(tables.items())[:_MOST_PAIRS])
    colours = encoder_colours(assessment.methods)
    markers = {method: _MARKERS[place % len(_MARKERS)] for place, method in enumerate(assessment.methods)}
    style = style if len(drawn) > 1 else style.column
    columns = style.columns(len(drawn), 58)
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(drawn), columns=columns, height=58)
        for axis, (pair, table) in zip(axes, drawn.items(), strict=True):
            _draw_pair(axis, pair, table, colours, markers, style)
        letter_panels(axes, [f"{first} and {second}" for first, second in drawn])
        handles = [
            Line2D([], [], color=colours[method], marker=markers[method], linestyle="none")
            for method in assessment.methods
        ]
        legend_below(figure, style, handles, list(assessment.methods))
    left_out = f" {len(pairs) - len(drawn)} more pairs of raters are in the table." if len(pairs) > len(drawn) else ""
    about = f"the {question_title(question).lower()}" if question == MEAN else question_title(question).lower()
    caption = (
        f"Bland–Altman plot of {about}: difference of two raters against their mean, one point for each video (larger "
        "where several coincide); line: mean difference, dashed: limits of agreement (mean ± 1.96 standard "
        f"deviations), bands: 95 % intervals of the three.{left_out}"
    )
    return DrawnFigure(f"assessment-agreement{suffix}", "Agreement of the raters", caption, figure)


def _draw_pair(
    axis: Axes,
    pair: tuple[str, str],
    table: pd.DataFrame,
    colours: dict[str, str],
    markers: dict[str, str],
    style: Style,
) -> None:
    first, second = (table[rater].to_numpy() for rater in pair)
    result = bland_altman(first, second)
    lines = ((result.bias, result.bias_interval, "-"), (result.low, result.low_interval, "--"))
    for value, interval, dashes in (*lines, (result.high, result.high_interval, "--")):
        if value is not None and interval is not None:
            axis.axhspan(*interval, color=GRID, linewidth=0, zorder=0)
            axis.axhline(value, color=INK, linestyle=dashes, linewidth=style.line, zorder=1)
    axis.axhline(0, color=PALE, linewidth=0.7 * style.line, zorder=0.5)
    points = pd.DataFrame({"mean": (first + second) / 2, "difference": first - second}, index=table.index).round(6)
    for method, of_method in points.groupby(level="method"):
        counts = of_method.value_counts(["mean", "difference"]).reset_index()
        axis.scatter(
            counts["mean"],
            counts["difference"],
            s=10 * style.line * np.sqrt(counts["count"]) * style.text / 7 + 6,
            marker=markers[str(method)],
            facecolor=colours[str(method)],
            edgecolor="white",
            linewidth=0.4 * style.line,
            alpha=0.85,
            zorder=2,
        )
    axis.set(xlabel="mean of both scores", ylabel="difference of scores", xlim=(SCORES[0] - 0.2, SCORES[-1] + 0.2))
    axis.set_xticks(SCORES)
