"""Embeddings in two dimensions, coloured by class and by what the photographs were taken with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.data.task_data import TaskData
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import bottom_legend, model_title, sentences, sheet
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import PALE, Style
from f2vbench.report.figures.tsne import COMPONENTS, MOST_IMAGES, SEED, neighbour_map, perplexity_of, shown_rows
from f2vbench.report.stored_data import NotStored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST_IMAGES = 10
_MOST_GROUPS = 8
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_OTHERS = "others"
_SEPARATOR = "|"
Vectors = dict[str, tuple[list[str], NDArray[np.floating]]]


@dataclass(frozen=True)
class MapPanel:
    """Where the images of one model stand, and what the axes are called."""

    images: Sequence[str]
    points: NDArray[np.float64]
    across: str
    up: str


@dataclass(frozen=True)
class Mapped:
    """A way of bringing embeddings into two dimensions: its name, a panel an encoder, and what a caption tells."""

    name: str
    panels: dict[str, MapPanel]
    told: str


Method = Callable[[Source, str, Vectors], Mapped]


def lacks_embedding_map(source: Source) -> str | None:
    reasons = []
    for task in sorted(source.families):
        try:
            if _vectors(source, task):
                return None
        except NotStored as reason:
            reasons.append(str(reason))
    return "; ".join(reasons) or "no embeddings of these runs' photographs are in the feature store"


def embedding_map(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task and colouring, a panel an encoder: the first two principal components."""
    return _figures(source, style, _by_components)


def embedding_tsne(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """The same by t-SNE, which keeps neighbours beside each other and not distances between groups."""
    return _figures(source, style, _by_neighbours)


def _figures(source: Source, style: Style, method: Method) -> Iterator[DrawnFigure]:
    for task in sorted(source.families):
        try:
            vectors = _vectors(source, task)
        except NotStored:
            continue
        if vectors:
            mapped = method(source, task, vectors)
            for what, groups in _colourings(source.task_data(task)).items():
                yield _figure(source, style, mapped, task, what, groups)


def principal_components(vectors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) scores on the first two components of centred vectors and their parts of the variance.

    The sign of a component is the one with which its largest loading is positive, so that maps don't flip.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)])
    total = (values**2).sum()
    return left[:, :2] * values[:2] * signs, values[:2] ** 2 / (total or 1)


def _vectors(source: Source, task: str) -> Vectors:
    """Encoder → image ids and vectors of those that are stored, in the order of legends."""
    encoders = set(source.frame.encoder[source.frame.task == task])
    found = {look.encoder: source.embeddings(task, look.encoder) for look in source.looks_among(encoders)}
    return {
        name: held
        for name, held in found.items()
        if held is not None and len(held[0]) >= _LEAST_IMAGES and held[1].shape[1] > 1
    }


def _colourings(data: TaskData) -> dict[str, pd.Series]:
    """What is coloured by → group of each image id; only what has two groups or more."""
    index = data.index.set_index("image")
    size = index.width.astype(str) + " × " + index.height.astype(str)
    asked = {
        "class": index.get("label"),
        "modality": index.get("modality"),
        "camera": index.camera if "camera" in index else size,
    }
    groups = {}
    for what, column in asked.items():
        if column is not None and column[column != ""].nunique() > 1:
            groups[what] = column.replace("", "unknown").map(lambda text: str(text).replace(_SEPARATOR, " + "))
    return groups


def _order(data: TaskData, groups: pd.Series) -> list[str]:
    """Groups as the card orders classes, else the largest first; those beyond the colours are left to `others`."""
    count = groups.value_counts()
    classes = [name for name in data.classes if name in count.index]
    named = classes if len(classes) == len(count) else sorted(count.index, key=lambda name: (-count[name], name))
    return named[:_MOST_GROUPS]


def _by_components(source: Source, task: str, vectors: Vectors) -> Mapped:
    panels = {}
    for encoder, (ids, held) in vectors.items():
        points, parts = principal_components(held)
        panels[encoder] = MapPanel(ids, points, f"component 1 ({parts[0]:.0%})", f"component 2 ({parts[1]:.0%})")
    told = (
        "First two principal components of the embeddings as they are, with their parts of the variance; components "
        "of different models are not comparable."
    )
    return Mapped("embedding-map", panels, told)


def _by_neighbours(source: Source, task: str, vectors: Vectors) -> Mapped:
    panels = {}
    for encoder, (ids, held) in vectors.items():
        rows = shown_rows(len(ids))
        points = source.kept(("t-SNE", task, encoder), partial(neighbour_map, held[rows]))
        panels[encoder] = MapPanel([ids[row] for row in rows], points, "t-SNE 1", "t-SNE 2")
    counts = [len(panel.images) for panel in panels.values()]
    values = sorted({f"{perplexity_of(count):.3g}" for count in counts})
    told = sentences(
        f"t-SNE of the first {COMPONENTS} principal components, perplexity {' and '.join(values)} (30, or a third of "
        f"the other photographs where there are fewer than 91), started from the first two components, seed {SEED}.",
        f"{MOST_IMAGES:,} photographs drawn by the seed." if MOST_IMAGES in counts else "",
        "Neighbours stand together; sizes of groups and distances between them mean nothing.",
    )
    return Mapped("embedding-tsne", panels, told)


def _figure(source: Source, style: Style, mapped: Mapped, task: str, what: str, groups: pd.Series) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    data = source.task_data(task)
    images = {image for panel in mapped.panels.values() for image in panel.images}
    shown = groups[groups.index.isin(images)]
    names = _order(data, shown)
    with rc_context(style.settings()):
        columns = style.columns(len(mapped.panels), least=42)
        figure, axes = sheet(style, len(mapped.panels), columns=columns, height=style.square(columns, 3))
        for axis, (encoder, panel) in zip(axes, mapped.panels.items(), strict=True):
            _draw(axis, panel.points, groups.reindex(panel.images).to_numpy(str), names, style)
            model_title(axis, source.looks[encoder], style, columns)
            axis.set(xlabel=panel.across, ylabel=panel.up)
        labels = [*names, *([_OTHERS] if shown.nunique() > len(names) else [])]
        handles = [
            Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=0.6 * style.text)
            for marker, colour in zip([*_MARKERS[: len(names)], "."], [*_COLOURS[: len(names)], PALE], strict=True)
        ]
        bottom_legend(figure, style, handles[: len(labels)], labels)
    stand_in = what == "camera" and "camera" not in data.index
    title = f"Embeddings by {what}, {source.title(task)}"
    caption = sentences(
        f"{title}; {len(images)} photographs.",
        mapped.told,
        "Which camera took a photograph is not known: its size in pixels stands for it." if stand_in else "",
    )
    return DrawnFigure(f"{mapped.name}-{task}-{what}", title, caption, figure)


def _draw(axis: Axes, points: NDArray[np.float64], groups: NDArray[np.str_], names: list[str], style: Style) -> None:
    size = (0.5 * style.text) ** 2 * min(1.0, (200 / len(points)) ** 0.5)
    rest = ~np.isin(groups, names)
    axis.scatter(points[rest, 0], points[rest, 1], s=size / 2, color=PALE, marker=".", zorder=1)
    for name, colour, marker in zip(names, _COLOURS, _MARKERS, strict=False):
        mine = points[groups == name]
        axis.scatter(mine[:, 0], mine[:, 1], s=size, color=colour, marker=marker, alpha=0.75, linewidths=0, zorder=2)
    axis.set(xticks=[], yticks=[])
    axis.set_box_aspect(1)
