"""Maps of embeddings in two dimensions, coloured by class, modality and camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.data.task_data import TaskData
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import create_sheet, join_sentences, legend_below, title_with_encoder
from f2vbench.report.figures.projections import (
    COMPONENTS,
    MAX_IMAGES,
    SEED,
    project_principal_components,
    project_tsne,
    select_tsne_rows,
    tsne_perplexity,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import PALE, Style
from f2vbench.report.stored_data import NotStored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MIN_IMAGES = 10
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_OTHERS = "others"
_LABEL_SEPARATOR = "|"
"""Separator of the classes of a multi-label image."""


class Embeddings(NamedTuple):
    """Image ids and their (n, width) embeddings."""

    images: list[str]
    vectors: NDArray[np.floating]


@dataclass(frozen=True)
class _Panel:
    """Positions of the images of one encoder, (n, 2), and the labels of the axes."""

    images: Sequence[str]
    positions: NDArray[np.float64]
    xlabel: str
    ylabel: str


@dataclass(frozen=True)
class _Map:
    """The embeddings of a task in two dimensions.

    Attributes:
        name: Name of the figure in the catalogue.
        panels: Encoder → panel.
        caption: Sentences about the projection.
    """

    name: str
    panels: Mapping[str, _Panel]
    caption: str


Projection = Callable[[Source, str, Mapping[str, Embeddings]], _Map]


def explain_missing_embedding_map(source: Source) -> str | None:
    """Explain why `draw_embedding_map` and `draw_embedding_tsne` have nothing to draw; None if they have."""
    reasons = []
    for task in sorted(source.families):
        try:
            if _load_embeddings(source, task):
                return None
        except NotStored as error:
            reasons.append(str(error))
    return "; ".join(reasons) or "the feature store has no embeddings of the photographs of these runs"


def draw_embedding_map(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw the first two principal components, a figure a task and colouring, a panel an encoder."""
    return _draw_figures(source, style, _map_principal_components)


def draw_embedding_tsne(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw t-SNE maps, which keep neighbours together but not distances between groups."""
    return _draw_figures(source, style, _map_tsne)


def _draw_figures(source: Source, style: Style, project: Projection) -> Iterator[DrawnFigure]:
    for task in sorted(source.families):
        try:
            embeddings = _load_embeddings(source, task)
        except NotStored:
            continue
        if embeddings:
            projected = project(source, task, embeddings)
            for attribute, groups in _image_groups(source.stored.task_data(task)).items():
                yield _draw_figure(source, style, projected, task, attribute, groups)


def _load_embeddings(source: Source, task: str) -> dict[str, Embeddings]:
    """Stored embeddings of a task, by encoder in the order of legends; few images or one dimension are left out."""
    names = set(source.frame.encoder[source.frame.task == task])
    by_encoder = {}
    for encoder in source.select_encoders(names):
        stored = source.stored.embeddings(task, encoder.name)
        if stored is not None and len(stored[0]) >= _MIN_IMAGES and stored[1].shape[1] > 1:
            by_encoder[encoder.name] = Embeddings(*stored)
    return by_encoder


def _image_groups(data: TaskData) -> dict[str, pd.Series]:
    """Attribute of images → group of each image id; only attributes with at least two groups."""
    index = data.index.set_index("image")
    size = index.width.astype(str) + " × " + index.height.astype(str)
    columns = {
        "class": index.get("label"),
        "modality": index.get("modality"),
        "camera": index.camera if "camera" in index else size,
    }
    groups = {}
    for attribute, column in columns.items():
        if column is not None and column[column != ""].nunique() > 1:
            named = column.replace("", "unknown")
            groups[attribute] = named.map(lambda text: str(text).replace(_LABEL_SEPARATOR, " + "))
    return groups


def _order_groups(data: TaskData, groups: pd.Series) -> list[str]:
    """Classes in the order of the card, other groups by size; at most as many as there are colours."""
    counts = groups.value_counts()
    classes = [name for name in data.classes if name in counts.index]
    if len(classes) < len(counts):
        classes = sorted(counts.index, key=lambda name: (-counts[name], name))
    return classes[: len(_COLOURS)]


def _map_principal_components(source: Source, task: str, embeddings: Mapping[str, Embeddings]) -> _Map:
    panels = {}
    for encoder, (images, vectors) in embeddings.items():
        positions, variance = project_principal_components(vectors)
        labels = [f"component {i + 1} ({variance[i]:.0%})" for i in (0, 1)]
        panels[encoder] = _Panel(images, positions, *labels)
    caption = (
        "First two principal components of the embeddings, with their fractions of the variance; components of "
        "different models are not comparable."
    )
    return _Map("embedding-map", panels, caption)


def _map_tsne(source: Source, task: str, embeddings: Mapping[str, Embeddings]) -> _Map:
    panels = {}
    for encoder, (images, vectors) in embeddings.items():
        rows = select_tsne_rows(len(images))
        positions = source.cached(("t-SNE", task, encoder), partial(project_tsne, vectors[rows]))
        panels[encoder] = _Panel([images[row] for row in rows], positions, "t-SNE 1", "t-SNE 2")
    counts = [len(panel.images) for panel in panels.values()]
    perplexities = sorted({f"{tsne_perplexity(count):.3g}" for count in counts})
    caption = join_sentences(
        f"t-SNE of the first {COMPONENTS} principal components, perplexity {' and '.join(perplexities)} (30, or a "
        "third of the other photographs where there are fewer than 91), initialised with the first two components, "
        f"seed {SEED}.",
        f"A random sample of {MAX_IMAGES:,} photographs." if MAX_IMAGES in counts else "",
        "Neighbours stay together; sizes of groups and distances between them have no meaning.",
    )
    return _Map("embedding-tsne", panels, caption)


def _draw_figure(
    source: Source, style: Style, projected: _Map, task: str, attribute: str, groups: pd.Series
) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    data = source.stored.task_data(task)
    images = {image for panel in projected.panels.values() for image in panel.images}
    drawn = groups[groups.index.isin(images)]
    names = _order_groups(data, drawn)
    panels = projected.panels
    with rc_context(style.settings()):
        columns = style.columns(len(panels), least=42)
        figure, axes = create_sheet(style, len(panels), columns=columns, height=style.square(columns, 3))
        for axis, (encoder, panel) in zip(axes, panels.items(), strict=True):
            _draw_points(axis, panel.positions, groups.reindex(panel.images).to_numpy(str), names, style)
            title_with_encoder(axis, source.encoders[encoder], style, columns)
            axis.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
        marks = list(zip(names, _MARKERS, _COLOURS, strict=False))
        if drawn.nunique() > len(names):
            marks.append((_OTHERS, ".", PALE))
        handles = [
            Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=0.6 * style.text)
            for _, marker, colour in marks
        ]
        legend_below(figure, style, handles, [name for name, _, _ in marks])
    title = f"Embeddings by {attribute}, {source.title(task)}"
    unknown_camera = attribute == "camera" and "camera" not in data.index
    caption = join_sentences(
        f"{title}; {len(images)} photographs.",
        projected.caption,
        "The cameras are unknown; the size of a photograph in pixels is used instead." if unknown_camera else "",
    )
    return DrawnFigure(f"{projected.name}-{task}-{attribute}", title, caption, figure)


def _draw_points(
    axis: Axes, positions: NDArray[np.float64], groups: NDArray[np.str_], names: Sequence[str], style: Style
) -> None:
    """Draw the images of the named groups in colour, others in grey."""
    size = (0.5 * style.text) ** 2 * min(1.0, (200 / len(positions)) ** 0.5)
    others = positions[~np.isin(groups, names)]
    axis.scatter(others[:, 0], others[:, 1], s=size / 2, color=PALE, marker=".", zorder=1)
    for name, colour, marker in zip(names, _COLOURS, _MARKERS, strict=False):
        x, y = positions[groups == name].T
        axis.scatter(x, y, s=size, color=colour, marker=marker, alpha=0.75, linewidths=0, zorder=2)
    axis.set(xticks=[], yticks=[])
    axis.set_box_aspect(1)
