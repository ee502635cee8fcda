"""Catalogue of all figures: their names, how to draw them, and why a figure is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from f2vbench.errors import SettingsError, StoreError, did_you_mean
from f2vbench.report.figures import (
    agreement,
    assessment,
    attention,
    bars,
    boxes,
    confusion,
    cost,
    critical_difference,
    curves,
    decision_curves,
    embedding_map,
    kaplan_meier,
    learning_curves,
    predictions,
    reliability,
    retrieval,
    retrieval_examples,
    segmentation_examples,
    subgroups,
    worst_cases,
)
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style, style_named
from f2vbench.stats.intervals import MeanInterval
from f2vbench.utils.progress import Progress, Silent

if TYPE_CHECKING:
    from f2vbench.analysis.subgroups import SubgroupRequest
    from f2vbench.report.run_results import RunResults


@dataclass(frozen=True)
class FigureKind:
    """A figure of the catalogue.

    Attributes:
        name: Name of the figure.
        title: What it shows, in a few words.
        explain_missing: Returns why these results have nothing to draw, or None.
        draw: Draws one or several figures, if ``explain_missing`` returns None.
        alias: Number of the figure in the paper, such as ``fig3``; empty for others.
    """

    name: str
    title: str
    explain_missing: Callable[[Source], str | None]
    draw: Callable[[Source, Style], Iterable[DrawnFigure]]
    alias: str = ""


_KINDS = (
    FigureKind(
        "segmentation-examples",
        "photograph, mask, score map and errors of the best, median and worst image",
        segmentation_examples.explain_missing_segmentation_examples,
        segmentation_examples.draw_segmentation_examples,
    ),
    FigureKind(
        "embedding-map",
        "first two principal components of embeddings, by class, modality and camera",
        embedding_map.explain_missing_embedding_map,
        embedding_map.draw_embedding_map,
    ),
    FigureKind(
        "embedding-tsne",
        "t-SNE of embeddings, by class, modality and camera",
        embedding_map.explain_missing_embedding_map,
        embedding_map.draw_embedding_tsne,
    ),
    FigureKind(
        "retrieval-examples",
        "the best, median and worst query, and the images nearest to them",
        retrieval_examples.explain_missing_retrieval_examples,
        retrieval_examples.draw_retrieval_examples,
    ),
    FigureKind(
        "worst-cases",
        "test images with the lowest values of the best model",
        worst_cases.explain_missing_worst_cases,
        worst_cases.draw_worst_cases,
    ),
    FigureKind(
        "few-shot-segmentation",
        "segmentation over the number of support images",
        bars.explain_missing_few_shot_segmentation,
        bars.draw_few_shot_segmentation,
        "fig3",
    ),
    FigureKind("classes", "segmentation by class", bars.explain_missing_classes, bars.draw_classes),
    FigureKind("zero-shot", "results without training", bars.explain_missing_zero_shot, bars.draw_zero_shot, "fig4"),
    FigureKind(
        "few-shot", "few-shot results, every seed a point", boxes.explain_missing_few_shot, boxes.draw_few_shot, "fig5"
    ),
    FigureKind("supervised", "supervised results", bars.explain_missing_supervised, bars.draw_supervised, "fig6"),
    FigureKind(
        "retrieval",
        "Recall@1, @5 and @10 of a patient's other images",
        retrieval.explain_missing_retrieval,
        retrieval.draw_retrieval,
        "fig7",
    ),
    FigureKind(
        "modality-pairs",
        "Recall@1 by modality of the query and of the gallery",
        retrieval.explain_missing_modality_pairs,
        retrieval.draw_modality_pairs,
    ),
    FigureKind(
        "few-shot-aupr",
        "few-shot results, area under the precision-recall curve",
        boxes.explain_missing_few_shot_aupr,
        boxes.draw_few_shot_aupr,
        "supp-fig1",
    ),
    FigureKind(
        "learning-curves",
        "metrics over the number of shots, with baselines and chance",
        learning_curves.explain_missing_learning_curves,
        learning_curves.draw_learning_curves,
    ),
    FigureKind("roc", "ROC curves with bands over seeds", curves.explain_missing_curves, curves.draw_roc),
    FigureKind(
        "pr",
        "precision-recall curves with bands over seeds",
        curves.explain_missing_curves,
        curves.draw_precision_recall,
    ),
    FigureKind(
        "calibration", "reliability diagrams", predictions.explain_missing_predictions, reliability.draw_calibration
    ),
    FigureKind(
        "decision-curves",
        "net benefit over the threshold probability",
        predictions.explain_missing_predictions,
        decision_curves.draw_decision_curves,
    ),
    FigureKind("confusion", "confusion matrices", confusion.explain_missing_confusion, confusion.draw_confusion),
    FigureKind(
        "subgroups",
        "results of subgroups of patients, with intervals",
        subgroups.explain_missing_subgroups,
        subgroups.draw_subgroups,
    ),
    FigureKind(
        "predicted-true",
        "regression: predicted and true numbers",
        agreement.explain_missing_agreement,
        agreement.draw_predicted_true,
    ),
    FigureKind(
        "bland-altman",
        "regression: differences of predicted and true numbers, with limits of agreement",
        agreement.explain_missing_agreement,
        agreement.draw_bland_altman,
    ),
    FigureKind(
        "kaplan-meier",
        "survival: Kaplan–Meier curves by predicted risk",
        kaplan_meier.explain_missing_kaplan_meier,
        kaplan_meier.draw_kaplan_meier,
    ),
    FigureKind(
        "critical-difference",
        "average ranks over tasks, and which differences are significant",
        critical_difference.explain_missing_critical_difference,
        critical_difference.draw_critical_difference,
    ),
    FigureKind(
        "attention",
        "attention weights of the encoders of a fusion, by class",
        attention.explain_missing_attention,
        attention.draw_attention,
    ),
    FigureKind(
        "assessment",
        "scores of human raters, and their agreement",
        assessment.explain_missing_assessment,
        assessment.draw_stored_assessments,
    ),
    FigureKind(
        "cost-quality",
        "cost of encoding and training against quality",
        cost.explain_missing_cost_quality,
        cost.draw_cost_quality,
    ),
)
FIGURES: Mapping[str, FigureKind] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Name → figure."""
ALIASES: Mapping[str, str] = MappingProxyType({kind.alias: kind.name for kind in _KINDS if kind.alias})
"""Number in the paper → name."""


def figure_names(names: Sequence[str]) -> list[str]:
    """Resolve names and aliases of figures to names, each once.

    Args:
        names: Names of `FIGURES`, or aliases such as ``fig3``.

    Returns:
        Names of `FIGURES`.

    Raises:
        SettingsError: Names are unknown; the message lists all of them.
    """
    problems = [
        f"figures={name}: no such figure; choose from {', '.join(FIGURES)}{did_you_mean(name, [*FIGURES, *ALIASES])}"
        for name in names
        if name not in FIGURES and name not in ALIASES
    ]
    if problems:
        raise SettingsError(problems)
    return list(dict.fromkeys(ALIASES.get(name, name) for name in names))


def draw_figures(
    results: RunResults,
    names: Sequence[str] | None = None,
    style: str | Style = "nature",
    interval: MeanInterval = "crossed",
    *,
    skipped: dict[str, str] | None = None,
    progress: Progress | None = None,
    request: SubgroupRequest | None = None,
) -> Iterator[DrawnFigure]:
    """Draw figures one after another; those without data are left out (`missing_figures` says why).

    Args:
        results: RunResults of one or several run folders.
        names: Names of `FIGURES`, or aliases; by default all.
        style: Style or its name.
        interval: Kind of interval of means over seeds.
        skipped: Receives the name of each figure whose stored score maps or predictions are missing or damaged, and
            why; the other figures are drawn. Without it, such a file is an error.
        progress: Receives a step for each name.
        request: Subgroups of the figure ``subgroups``.

    Yields:
        Figures, in the order of the names; a name gives several where a task has a figure of its own.

    Raises:
        SettingsError: A figure or the style is unknown.
        StoreError: Stored predictions are missing or damaged, and ``skipped`` is None.
    """
    reporter = progress or Silent()
    source, selected = Source(results, interval, request), figure_names(list(FIGURES) if names is None else names)
    chosen_style = style_named(style)
    if selected:
        reporter.begin("drawing figures", len(selected))
    for name in selected:
        kind = FIGURES[name]
        try:
            if kind.explain_missing(source) is None:
                for drawn in kind.draw(source, chosen_style):
                    yield replace(drawn, kind=name, style=chosen_style)
        except StoreError as error:
            if skipped is None:
                raise
            skipped[name] = str(error)
        reporter.advance(name)
    reporter.end()


def missing_figures(
    results: RunResults, names: Sequence[str] | None = None, request: SubgroupRequest | None = None
) -> dict[str, str]:
    """Find the figures that cannot be drawn.

    Args:
        results: RunResults of one or several run folders.
        names: Names of `FIGURES`, or aliases; by default all.
        request: Subgroups of the figure ``subgroups``.

    Returns:
        Name of the figure → reason.

    Raises:
        SettingsError: A figure is unknown.
    """
    source = Source(results, subgroups=request)
    selected = figure_names(list(FIGURES) if names is None else names)
    reasons = {name: FIGURES[name].explain_missing(source) for name in selected}
    return {name: reason for name, reason in reasons.items() if reason is not None}
