"""ROC and precision-recall curves with bands over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from f2vbench.analysis.frames import Condition
from f2vbench.report.figures.encoder_style import EncoderStyle
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.mask_classes import class_suffix, classes_of
from f2vbench.report.figures.panels import (
    CHANCE_LINE,
    create_sheet,
    describe_count,
    describe_encoders,
    encoder_legend,
    join_sentences,
    letter_panels,
)
from f2vbench.report.figures.predictions import (
    LabelledScores,
    conditions_with_predictions,
    explain_missing_predictions,
    load_predictions,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style
from f2vbench.report.figures.vessel_pixels import STEP, conditions_with_score_maps, load_pixel_scores
from f2vbench.store.record_schema import UnitRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = np.linspace(0, 1, 201)
"""False positive rates, and recalls, at which curves are computed and averaged."""
_OF_CLASSES = (
    "Lines: mean over seeds; of more than two classes the mean of each class against the rest (of classes with test "
    "images), so that areas equal the macro averages in the tables."
)
_OF_PIXELS = (
    f"Lines: mean over seeds of the mean over test images, from every {STEP}th pixel in the field of view, so that "
    "areas are close to the values in the tables."
)


@dataclass(frozen=True)
class _CurveKind:
    """ROC or precision-recall curves.

    Attributes:
        name: Start of the names of figures.
        title: Start of the titles of figures.
        compute: Function that gives the values of a curve at `GRID`.
        xlabel: Label of the x-axis.
        ylabel: Label of the y-axis.
    """

    name: str
    title: str
    compute: Callable[[NDArray[np.floating], NDArray[np.bool_]], NDArray[np.float64]]
    xlabel: str
    ylabel: str


def explain_missing_curves(source: Source) -> str | None:
    """Explain why `draw_roc` and `draw_precision_recall` have nothing to draw; None if they have."""
    if conditions_with_predictions(source) or conditions_with_score_maps(source):
        return None
    reason = explain_missing_predictions(source)
    if source.tasks("segmentation"):
        return f"{reason}; no score maps of available photographs"
    return reason


def draw_roc(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw ROC curves, a figure a task and a panel a condition: mean over classes and seeds."""
    kind = _CurveKind("roc", "ROC curves", compute_roc_curve, "false positive rate", "true positive rate")
    yield from _draw_figures(source, style, kind)


def draw_precision_recall(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw precision-recall curves, a figure a task and a panel a condition: mean over classes and seeds."""
    kind = _CurveKind("pr", "Precision-recall curves", compute_precision_recall_curve, "recall", "precision")
    yield from _draw_figures(source, style, kind)


def compute_roc_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the true positive rate at each false positive rate of `GRID`.

    Args:
        scores: (n,) scores; higher means positive.
        labels: (n,) bool, with positives and negatives.

    Returns:
        (201,) rates, interpolated linearly between distinct scores.
    """
    false, true = _count_positives(scores, labels)
    curve: NDArray[np.float64] = np.interp(GRID, np.append(0, false / false[-1]), np.append(0, true / true[-1]))
    return curve


def compute_precision_recall_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the precision at each recall of `GRID`: that of the highest threshold which reaches the recall.

    The area under this step curve is the average precision Σ (Rₙ − Rₙ₋₁) Pₙ.

    Args:
        scores: (n,) scores; higher means positive.
        labels: (n,) bool, with positives and negatives.

    Returns:
        (201,) precisions.
    """
    false, true = _count_positives(scores, labels)
    recall = true / true[-1]
    precision = true / (true + false)
    first = np.searchsorted(recall, GRID - 1e-12, side="left")
    curve: NDArray[np.float64] = precision[np.minimum(first, len(precision) - 1)]
    return curve


def _count_positives(
    scores: NDArray[np.floating], labels: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """False and true positives at each distinct score as threshold, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    true = np.cumsum(labels[order])[last]
    return np.flatnonzero(last) + 1 - true, true


def _draw_figures(source: Source, style: Style, kind: _CurveKind) -> Iterator[DrawnFigure]:
    by_task = conditions_with_predictions(source) | conditions_with_score_maps(source)
    for task, conditions in by_task.items():
        name = kind.name if len(by_task) == 1 else f"{kind.name}-{task}"
        for class_name in classes_of(record for record in source.records if record["unit"]["task"] == task):
            yield _draw_figure(source, style, name + class_suffix(class_name), conditions, kind, class_name)


def _draw_figure(
    source: Source, style: Style, name: str, conditions: Sequence[Condition], kind: _CurveKind, class_name: str
) -> DrawnFigure:
    from matplotlib import rc_context

    task = conditions[0].task
    of_pixels = source.families[task] == "segmentation"
    load_scores = partial(load_pixel_scores, source, class_name) if of_pixels else partial(_load_class_scores, source)
    drawn: set[str] = set()
    seeds: list[int] = []
    labels = [source.condition_label(condition) for condition in conditions]
    columns = style.columns(len(conditions), titles=labels)
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(conditions), columns=columns, height=style.square(columns, -2))
        for axis, condition in zip(axes, conditions, strict=True):
            prevalences = []
            for encoder, records in source.records_at(condition).items():
                units = [load_scores(record) for record in records if _is_stored(record)]
                curves = [np.mean([kind.compute(*pair) for pair in unit], axis=0) for unit in units if unit]
                if curves:
                    drawn.add(encoder)
                    seeds.append(len(curves))
                    prevalences += [pair.labels.mean() for unit in units for pair in unit]
                    _draw_curve(axis, np.array(curves), source.encoders[encoder], style)
            _draw_frame(axis, kind, float(np.mean(prevalences)) if prevalences else None)
        for axis in axes:
            axis.label_outer()
        letter_panels(axes, labels)
        encoders = source.select_encoders(drawn)
        encoder_legend(figure, style, encoders, kind="line", chance=True)
    title = f"{kind.title}, {source.title(task)}{class_suffix(class_name, ', ')}"
    caption = join_sentences(
        f"{title}; {describe_count(min(seeds, default=0), max(seeds, default=0))}.",
        _OF_PIXELS if of_pixels else _OF_CLASSES,
        "Bands: pointwise 95 % confidence interval over seeds (Student's t, cut off at 0 and 1), not drawn for "
        "baselines.",
        describe_encoders(encoders),
    )
    return DrawnFigure(name, title, caption, figure)


def _is_stored(record: UnitRecord) -> bool:
    return bool(record["result"].get("predictions") or record["result"].get("maps"))


def _load_class_scores(source: Source, record: UnitRecord) -> list[LabelledScores]:
    return load_predictions(source, record).one_vs_rest()


def _draw_curve(axis: Axes, curves: NDArray[np.float64], encoder: EncoderStyle, style: Style) -> None:
    """Draw the mean of (seeds, 201) curves, and a band."""
    mean = curves.mean(axis=0)
    step = max(1, len(GRID) // 6)
    first = sum(map(ord, encoder.name)) % 5 * step // 5  # so that marks of similar curves do not hide each other
    marks = {**encoder.line(), "markevery": (first, step), "markersize": 0.4 * style.text}
    axis.plot(GRID, mean, zorder=2 if encoder.baseline else 3, markeredgewidth=0.9 * style.line, **marks)
    if len(curves) > 1 and not encoder.baseline:
        half = stdtrit(len(curves) - 1, 0.975) * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
        low, high = np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)
        axis.fill_between(GRID, low, high, color=encoder.colour, alpha=0.12, linewidth=0)


def _draw_frame(axis: Axes, kind: _CurveKind, prevalence: float | None) -> None:
    """Draw the chance line, which for precision is the prevalence of positives, and the axes."""
    if kind.name == "roc":
        axis.plot([0, 1], [0, 1], **CHANCE_LINE)
    elif prevalence is not None:
        axis.axhline(prevalence, **CHANCE_LINE)
    axis.set(xlabel=kind.xlabel, ylabel=kind.ylabel)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set_box_aspect(1)
    axis.grid()
