"""Retrieval examples: the best, median and worst query of the best encoder, and the images nearest to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from f2vbench.analysis.frames import Condition
from f2vbench.analysis.retrieval import METRICS
from f2vbench.report.figures.example_selection import (
    explain_missing_photographs,
    named_examples,
    select_best_encoder,
    select_best_median_worst,
)
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import join_sentences, legend_below
from f2vbench.report.figures.photographs import create_picture_grid, load_photograph
from f2vbench.report.figures.retrieval import explain_missing_retrieval
from f2vbench.report.figures.retrieved_images import (
    RetrievedImage,
    frame_legend,
    show_retrieved,
    similarity_decimals,
    wrap_lines,
)
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style
from f2vbench.store.record_schema import UnitRecord

_METRICS = {"map": "average precision", "mean_recall": "mean recall"}
"""Metrics by which queries are selected; approximate indices give no full ranking, hence no average precision."""
_SHORT = {"map": "AP", "mean_recall": "recall"}
_MIN_COLUMNS, _MAX_COLUMNS = 5, 8
"""Numbers of pictures in a row, with the query."""


def explain_missing_retrieval_examples(source: Source) -> str | None:
    """Explain why `draw_retrieval_examples` has nothing to draw; None if it has."""
    reason = explain_missing_retrieval(source) or "; ".join(source.retrieval.unavailable.values())
    return explain_missing_photographs(source, _conditions(source), reason or "its units store no predictions")


def draw_retrieval_examples(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw a figure a task: queries of the best encoder at its first seed, and what it retrieved."""
    for name, condition in named_examples(source, _conditions(source), "retrieval-examples"):
        yield _draw_figure(source, style, name, condition)


def _conditions(source: Source) -> list[Condition]:
    """Conditions of tasks whose units store predictions and the patient of each image."""
    records = source.retrieval.records
    tasks = {record["unit"]["task"] for record in records if record["result"].get("predictions")}
    return [condition for condition in source.conditions("retrieval") if condition.task in tasks]


def _draw_figure(source: Source, style: Style, name: str, condition: Condition) -> DrawnFigure:
    from matplotlib import rc_context

    first_seed = {encoder: records[0] for encoder, records in source.records_at(condition).items()}
    encoders = [encoder for encoder, record in first_seed.items() if _query_values(record)[1]]
    encoder = select_best_encoder(source, condition.task, METRICS[0], encoders)
    record = first_seed[encoder]
    metric, values = _query_values(record)
    selected = select_best_median_worst(values)
    columns = max(_MIN_COLUMNS, min(_MAX_COLUMNS, int(style.width / (style.text / 7) // 25)))
    rows = {query: _load_row(source, record, query, columns) for query in selected.values()}
    side, text = style.inches / columns, style.text / 72
    lines = max(len(wrap_lines(image, style, 0.95 * side)) for row in rows.values() for image in row)
    height = len(rows) * (side * 0.97 + (1.25 * lines + 0.6) * text) + 1.5 * text
    titles = ["query", *(f"nearest {i}" if i == 1 else str(i) for i in range(1, columns))]
    with rc_context(style.settings()):
        figure, axes = create_picture_grid(style, len(rows), columns, height=height, pad=0.25)
        for i, (rank, query) in enumerate(selected.items()):
            row, cells = rows[query], axes[i]
            for axis, image, title in zip(cells, row, titles, strict=False):
                show_retrieved(axis, image, style, 0.95 * side, "" if i else title)
            for axis in cells[len(row) :]:
                axis.set_visible(False)
            label = f"{rank}\n{_SHORT[metric]} {values[query]:.3f}"
            cells[0].set_ylabel(label, fontweight="bold", labelpad=0.4 * style.text)
        legend_below(figure, style, *frame_legend(style))
    title = f"Retrieval examples of {encoder}, {source.title(condition.task)}"
    metric_name = "average precision (AP)" if metric == "map" else _METRICS[metric]
    caption = join_sentences(
        f"{title}, seed {record['unit']['seed']}.",
        f"A fixed rule selects the queries: the best, the median and the worst {metric_name} among {len(values):,} "
        "queries; equal values are ordered by image id.",
        f"Beside each query: its {columns - 1} nearest images, with their cosine similarity.",
    )
    return DrawnFigure(name, title, caption, figure)


def _query_values(record: UnitRecord) -> tuple[str, dict[str, float]]:
    """The metric by which queries are selected, and its values: query → value."""
    result = record["result"]
    metric = next((name for name in _METRICS if result["metrics"].get(name) is not None), METRICS[-1])
    values = {query: values.get(metric) for query, values in result["per_image"].items()}
    return metric, {query: value for query, value in values.items() if value is not None}


def _load_row(source: Source, record: UnitRecord, query: str, columns: int) -> list[RetrievedImage]:
    """The query and the images nearest to it, at most ``columns``."""
    result, task = record["result"], record["unit"]["task"]
    arrays, names, about = source.stored.predictions(record), result["gallery"], result["about"]
    query_index = names.index(query)
    row = int(np.flatnonzero(arrays["queries"] == query_index)[0])
    nearest = zip(arrays["found"][row].tolist(), arrays["similarity"][row].tolist(), strict=True)
    found = [(index, similarity) for index, similarity in list(nearest)[: columns - 1] if index >= 0]
    digits = similarity_decimals([similarity for _, similarity in found])
    images = [RetrievedImage(load_photograph(source, task, query).crop(), _describe_image(about, query_index))]
    for index, similarity in found:
        picture = load_photograph(source, task, names[index]).crop()
        lines = [f"{similarity:.{digits}f}", *_describe_image(about, index)]
        images.append(RetrievedImage(picture, lines, about["patient"][index] == about["patient"][query_index]))
    return images


def _describe_image(about: Mapping[str, Sequence[str]], index: int) -> list[str]:
    """Modality, eye and view of an image as one line, such as ``CF, right``; no line if all are unknown."""
    parts = [about[column][index] for column in ("modality", "eye", "view")]
    return [", ".join(filter(None, parts))] if any(parts) else []
