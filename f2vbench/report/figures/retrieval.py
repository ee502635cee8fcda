"""Retrieval of a patient's other images: bars of recall, and Recall@1 by pair of modalities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.retrieval import METRICS, modality_pairs
from f2vbench.metrics.names import CHANCE
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.grouped_bars import BarGroup, BarPanel, Whiskers, draw_grouped_bars, group_slots
from f2vbench.report.figures.panels import (
    create_sheet,
    describe_encoders,
    describe_seeds,
    encoder_legend,
    join_sentences,
    letter_panels,
    title_with_encoder,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PROTOCOL = "zero-shot"
_RECALLS = METRICS[:3]


@dataclass(frozen=True)
class _Gallery:
    """A task and a variant of its gallery; the variant is empty for the full gallery."""

    task: str
    variant: str

    def metric(self, name: str) -> str:
        """Name of a metric of this gallery in records."""
        return f"{name}:{self.variant}" if self.variant else name


def explain_missing_retrieval(source: Source) -> str | None:
    """Explain why `draw_retrieval` has nothing to draw; None if it has."""
    return None if source.tasks("retrieval") else "no retrieval units"


def draw_retrieval(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw Recall@1, @5 and @10, a panel a task and variant (figure 7 of the paper)."""
    from matplotlib import rc_context

    galleries = [gallery for task in source.tasks("retrieval") for gallery in _galleries(source, task)]
    panels = [_panel(source, gallery) for gallery in galleries]
    groups = [group for panel in panels for group in panel.groups]
    frames = [group.rows for group in groups]
    encoders = source.select_encoders(pd.concat(frames).encoder)
    slots = group_slots(panels, encoders)
    table = source.retrieval.intervals
    titles = [panel.title for panel in panels]
    columns = style.columns(len(panels), min(style.width, max(56, 11 * len(encoders))), titles)
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(panels), columns=columns, height=48)
        for axis, gallery, panel in zip(axes, galleries, panels, strict=True):
            draw_grouped_bars(axis, panel.groups, slots, encoders, style, 0.0, _whiskers(table, gallery))
            axis.set_ylabel("recall")
        letter_panels(axes, titles)
        encoder_legend(figure, style, encoders, chance=any(group.chance for group in groups))
    caption = join_sentences(
        f"Retrieval of a patient's other images by cosine similarity; {describe_seeds(frames)}, each with its own "
        "gallery.",
        "Bars: mean over seeds of the mean over queries; points: seeds.",
        "Whiskers: 95 % BCa confidence interval from 2,000 bootstrap samples of patients, each with all of their "
        "queries."
        if len(table)
        else "",
        *_describe_queries(source, table),
        *(f"No whiskers in {reason}." for reason in source.retrieval.unavailable.values()),
        describe_encoders(encoders),
    )
    yield DrawnFigure("retrieval", "Retrieval of a patient's other images", caption, figure)


def explain_missing_modality_pairs(source: Source) -> str | None:
    """Explain why `draw_modality_pairs` has nothing to draw; None if it has."""
    if len(modality_pairs(source.records)):
        return None
    return explain_missing_retrieval(source) or "no run has the option variant=modality-pairs"


def draw_modality_pairs(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw Recall@1 by modality of the query and of the gallery, a figure a task, a panel an encoder."""
    table = modality_pairs(source.records)
    tasks = sorted(set(table.task))
    for task in tasks:
        name = "modality-pairs" if len(tasks) == 1 else f"modality-pairs-{task}"
        yield _draw_pairs_figure(source, style, name, task, table[table.task == task])


def _galleries(source: Source, task: str) -> list[_Gallery]:
    """The full gallery of a task first, then its variants."""
    metrics = dict.fromkeys(source.frame.metric[source.frame.task == task])
    variants = [name.partition(":")[2] for name in metrics if name.startswith(f"{_RECALLS[0]}:")]
    variants = [name for name in variants if "-to-" not in name and not name.endswith(CHANCE)]
    return [_Gallery(task, variant) for variant in ("", *variants)]


def _panel(source: Source, gallery: _Gallery) -> BarPanel:
    groups = []
    for name in _RECALLS:
        metric = gallery.metric(name)
        rows = source.values(gallery.task, metric, (_PROTOCOL,))
        groups.append(BarGroup(METRIC_NAMES[name], rows, source.chance(gallery.task, metric, (_PROTOCOL,))))
    title = ", ".join(filter(None, (source.title(gallery.task), gallery.variant)))
    return BarPanel(title, _RECALLS[0], groups)


def _whiskers(table: pd.DataFrame, gallery: _Gallery) -> Whiskers:
    rows = table[(table.task == gallery.task) & table.low.notna()].set_index(["metric", "encoder"])
    return {
        (METRIC_NAMES[recall], encoder): (row.low, row.high)
        for recall in _RECALLS
        for (metric, encoder), row in rows.iterrows()
        if metric == gallery.metric(recall)
    }


def _describe_queries(source: Source, table: pd.DataFrame) -> list[str]:
    """Numbers of queries and patients, a sentence a task."""
    counts = table[table.metric == _RECALLS[0]].groupby("task")[["queries", "patients"]].max()
    return [
        f"{source.title(str(task))}: {row.queries:,} queries of {row.patients:,} patients in all galleries."
        for task, row in counts.iterrows()
    ]


def _draw_pairs_figure(source: Source, style: Style, name: str, task: str, table: pd.DataFrame) -> DrawnFigure:
    from matplotlib import rc_context

    encoders = source.select_encoders(table.encoder)
    modalities = sorted(set(table["query"]) | set(table.gallery))
    with rc_context(style.settings()):
        columns = style.columns(len(encoders), least=max(44, 12 + 11 * len(modalities)))
        figure, axes = create_sheet(style, len(encoders), columns=columns, height=style.square(columns, 0))
        for i, (axis, encoder) in enumerate(zip(axes, encoders, strict=True)):
            _draw_pairs_panel(axis, table[table.encoder == encoder.name], modalities)
            title_with_encoder(axis, encoder, style, columns)
            if i % columns:
                axis.set_yticklabels([])
            if i // columns < (len(encoders) - 1) // columns:
                axis.set_xticklabels([])
        figure.supylabel("modality of the query", fontsize=style.text)
        figure.supxlabel("modality of the gallery", fontsize=style.text)
    title = f"Retrieval by pair of modalities, {source.title(task)}"
    seeds = describe_seeds([source.values(task, _RECALLS[0], (_PROTOCOL,))])
    caption = join_sentences(
        f"{title}: Recall@1 of queries of one modality in a gallery of one modality; mean over seeds, {seeds}.",
        "In brackets: chance level in the same galleries. Colours go from 0 (light) to 1 (dark) in all panels. Dash: "
        "no patient has another image of this modality.",
    )
    return DrawnFigure(name, title, caption, figure)


def _draw_pairs_panel(axis: Axes, table: pd.DataFrame, modalities: Sequence[str]) -> None:
    """Draw the matrix of one encoder: rows are modalities of the query, columns those of the gallery."""
    value, chance = (
        table.pivot(index="query", columns="gallery", values=column).reindex(index=modalities, columns=modalities)
        for column in ("value", "chance")
    )
    axis.imshow(value.to_numpy(float), cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for row, query in enumerate(modalities):
        for column, gallery in enumerate(modalities):
            recall = value.loc[query, gallery]
            text = "–" if pd.isna(recall) else f"{recall:.2f}\n({chance.loc[query, gallery]:.2f})"
            colour = "white" if pd.notna(recall) and recall > 0.55 else INK
            axis.text(column, row, text, ha="center", va="center", color=colour, linespacing=1.1)
    axis.set_xticks(range(len(modalities)), modalities, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(modalities)), modalities)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
