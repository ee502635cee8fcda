"""Embeddings in two dimensions, coloured by class and by what the photographs were taken with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from f2vbench.data.tasks import TaskData
from f2vbench.report.figures.drawn import DrawnFigure
from f2vbench.report.figures.panels import bottom_legend, model_title, sentences, sheet
from f2vbench.report.figures.source import NotStored, Source
from f2vbench.report.figures.style import PALE, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST_IMAGES = 10
_MOST_GROUPS = 8
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_OTHERS = "others"
_SEPARATOR = "|"
Vectors = dict[str, tuple[list[str], NDArray[np.floating]]]


def lacks_embedding_map(source: Source) -> str | None:
    if not source.has_embeddings:
        return "embeddings are kept in the feature store, not in run folders, and none were handed over"
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
    for task in sorted(source.families):
        try:
            vectors = _vectors(source, task)
        except NotStored:
            continue
        if vectors:
            for what, groups in _colourings(source.task_data(task)).items():
                yield _figure(source, style, task, what, groups, vectors)


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


def _figure(source: Source, style: Style, task: str, what: str, groups: pd.Series, vectors: Vectors) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    data = source.task_data(task)
    images = {image for ids, _ in vectors.values() for image in ids}
    shown = groups[groups.index.isin(images)]
    names = _order(data, shown)
    with rc_context(style.settings()):
        columns = style.columns(len(vectors), least=42)
        figure, axes = sheet(style, len(vectors), columns=columns, height=style.square(columns, 3))
        for axis, (encoder, (ids, held)) in zip(axes, vectors.items(), strict=True):
            parts = _panel(axis, held, groups.reindex(ids).to_numpy(str), names, style)
            model_title(axis, source.looks[encoder], style, columns)
            axis.set(xlabel=f"component 1 ({parts[0]:.0%})", ylabel=f"component 2 ({parts[1]:.0%})")
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
        "First two principal components of the embeddings as they are, with their parts of the variance; components "
        "of different models are not comparable.",
        "Which camera took a photograph is not known: its size in pixels stands for it." if stand_in else "",
    )
    return DrawnFigure(f"embedding-map-{task}-{what}", title, caption, figure)


def _panel(
    axis: Axes, vectors: NDArray[np.floating], groups: NDArray[np.str_], names: list[str], style: Style
) -> NDArray[np.float64]:
    points, parts = principal_components(vectors)
    size = (0.5 * style.text) ** 2 * min(1.0, (200 / len(points)) ** 0.5)
    rest = ~np.isin(groups, names)
    axis.scatter(points[rest, 0], points[rest, 1], s=size / 2, color=PALE, marker=".", zorder=1)
    for name, colour, marker in zip(names, _COLOURS, _MARKERS, strict=False):
        mine = points[groups == name]
        axis.scatter(mine[:, 0], mine[:, 1], s=size, color=colour, marker=marker, alpha=0.75, linewidths=0, zorder=2)
    axis.set(xticks=[], yticks=[])
    axis.set_box_aspect(1)
    return parts
