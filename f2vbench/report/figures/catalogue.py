"""All figures by name, and which of them some results have the material for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.report.figures import (
    attention,
    bars,
    boxes,
    confusion,
    cost,
    curves,
    embedding_map,
    examples,
    learning_curves,
    predictions,
    ranks,
    reliability,
    retrieval,
    retrieval_examples,
    worst_cases,
)
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style, style_named

if TYPE_CHECKING:
    from f2vbench.results import Results


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        name: by which it is asked for.
        title: what it shows, in a few words.
        lacks: why it can't be drawn from these results, or None.
        draw: one figure or several, where ``lacks`` gives None.
        alias: its number in the paper.
    """

    name: str
    title: str
    lacks: Callable[[Source], str | None]
    draw: Callable[[Source, Style], Iterable[DrawnFigure]]
    alias: str = ""


_KINDS = (
    FigureKind(
        "segmentation-examples",
        "photograph, truth, scores and errors of the best, median and worst image",
        examples.lacks_examples,
        examples.examples,
    ),
    FigureKind(
        "embedding-map",
        "embeddings in two dimensions, by class and camera",
        embedding_map.lacks_embedding_map,
        embedding_map.embedding_map,
    ),
    FigureKind(
        "embedding-tsne",
        "embeddings by t-SNE, by class and camera",
        embedding_map.lacks_embedding_map,
        embedding_map.embedding_tsne,
    ),
    FigureKind(
        "retrieval-examples",
        "queries and the images nearest to them, best, median and worst",
        retrieval_examples.lacks_examples,
        retrieval_examples.examples,
    ),
    FigureKind(
        "worst-cases", "the images on which a model fails", worst_cases.lacks_worst_cases, worst_cases.worst_cases
    ),
    FigureKind(
        "few-shot-segmentation",
        "vessel segmentation over the number of support images",
        bars.lacks_few_shot_segmentation,
        bars.few_shot_segmentation,
        "fig3",
    ),
    FigureKind("zero-shot", "results without training", bars.lacks_zero_shot, bars.zero_shot, "fig4"),
    FigureKind("few-shot", "few-shot results, every seed a point", boxes.lacks_few_shot, boxes.few_shot, "fig5"),
    FigureKind("supervised", "supervised results", bars.lacks_supervised, bars.supervised, "fig6"),
    FigureKind(
        "retrieval",
        "Recall@1, @5 and @10 of a patient's other images",
        retrieval.lacks_retrieval,
        retrieval.retrieval,
        "fig7",
    ),
    FigureKind(
        "modality-pairs",
        "Recall@1 by modality of the query and of the images searched",
        retrieval.lacks_modality_pairs,
        retrieval.pairs_of_modalities,
    ),
    FigureKind(
        "few-shot-aupr",
        "few-shot results, area under the precision-recall curve",
        boxes.lacks_few_shot_aupr,
        boxes.few_shot_aupr,
        "supp-fig1",
    ),
    FigureKind(
        "learning-curves",
        "metrics over the number of shots, with baselines and chance",
        learning_curves.lacks_learning_curves,
        learning_curves.learning_curves,
    ),
    FigureKind("roc", "ROC curves with bands over seeds", curves.lacks_curves, curves.roc),
    FigureKind("pr", "precision-recall curves with bands", curves.lacks_curves, curves.precision_recall),
    FigureKind("calibration", "reliability diagrams", predictions.lacks_predictions, reliability.calibration),
    FigureKind("confusion", "confusion matrices", confusion.lacks_confusion, confusion.confusion),
    FigureKind(
        "critical-difference",
        "average ranks over tasks and which models can't be told apart",
        ranks.lacks_critical_difference,
        ranks.critical_difference,
    ),
    FigureKind(
        "attention", "how fusions weigh their encoders, by class", attention.lacks_attention, attention.attention
    ),
    FigureKind(
        "cost-quality", "what encoding and training cost, against quality", cost.lacks_cost_quality, cost.cost_quality
    ),
)
FIGURES: Mapping[str, FigureKind] = MappingProxyType({kind.name: kind for kind in _KINDS})
ALIASES: Mapping[str, str] = MappingProxyType({kind.alias: kind.name for kind in _KINDS if kind.alias})


def figure_names(names: Sequence[str]) -> list[str]:
    """Names of kinds, from names and aliases such as ``fig3``, each once.

    Raises:
        SettingsError: there are no such figures; names them all.
    """
    problems = [
        f"figures={name}: no such figure; there are {', '.join(FIGURES)}{did_you_mean(name, [*FIGURES, *ALIASES])}"
        for name in names
        if name not in FIGURES and name not in ALIASES
    ]
    if problems:
        raise SettingsError(problems)
    return list(dict.fromkeys(ALIASES.get(name, name) for name in names))


def draw(
    results: Results,
    names: Sequence[str] | None = None,
    style: str | Style = "nature",
) -> Iterator[DrawnFigure]:
    """Figures of some results, one after another; those without material are left out (`missing` says why).

    Args:
        results: a `f2vbench.results.Results`.
        names: of `FIGURES`, or aliases; by default all.

    Raises:
        SettingsError: no such figure or style.
        StoreError: stored predictions are gone or damaged.
    """
    source, wanted = Source(results), figure_names(list(FIGURES) if names is None else names)
    look = style_named(style)
    for name in wanted:
        kind = FIGURES[name]
        if kind.lacks(source) is None:
            for drawn in kind.draw(source, look):
                yield replace(drawn, kind=name, style=look)


def missing(results: Results, names: Sequence[str] | None = None) -> dict[str, str]:
    """Figures that can't be drawn from some results: name → why.

    Raises:
        SettingsError: no such figure.
    """
    source = Source(results)
    reasons = {name: FIGURES[name].lacks(source) for name in figure_names(list(FIGURES) if names is None else names)}
    return {name: reason for name, reason in reasons.items() if reason is not None}
