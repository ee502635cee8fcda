"""Examples of retrieval: queries that a rule has chosen, and the images that are nearest to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from f2vbench.analysis.retrieval import METRICS, retrieval_records, untold
from f2vbench.report.figures.examples import lacks_pictures, pictured
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import bottom_legend, sentences
from f2vbench.report.figures.pictures import best_encoder, best_median_worst, open_eye
from f2vbench.report.figures.retrieval import lacks_retrieval
from f2vbench.report.figures.retrieved_images import Found, decimals, frames_legend, lines_below, show_found
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import Style
from f2vbench.store.record_schema import UnitRecord

_RULED_BY = {"map": "average precision", "mean_recall": "mean recall"}
"""Of a query; an approximate index gives no whole order, and so no average precision."""
_SHORT = {"map": "AP", "mean_recall": "recall"}
_FEWEST, _MOST = 5, 8
"""Pictures in a row, the query among them."""


def lacks_examples(source: Source) -> str | None:
    reason = lacks_retrieval(source) or "; ".join(untold(source.records).values())
    return lacks_pictures(source, _places(source), reason or "its units store no predictions")


def examples(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task: the best encoder's best, median and worst query of the first seed, and what it found."""
    for name, place in pictured(source, _places(source), "retrieval-examples"):
        yield _figure(source, style, name, place)


def _places(source: Source) -> list[Place]:
    """Of the tasks whose units tell whose image each is, where predictions are stored."""
    told = {r["unit"]["task"] for r in retrieval_records(source.records) if r["result"].get("predictions")}
    return [place for place in source.places("retrieval") if place.task in told]


def _figure(source: Source, style: Style, name: str, place: Place) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    first = {encoder: held[0] for encoder, held in source.records_at(place).items() if _scores(held[0])[1]}
    encoder = best_encoder(source, place.task, METRICS[0], list(first))
    record = first[encoder]
    score, values = _scores(record)
    chosen = best_median_worst(values)
    columns = max(_FEWEST, min(_MOST, int(style.width / (style.text / 7) // 25)))
    rows = {image: _row(source, record, image, columns) for image in chosen.values()}
    side, text = style.inches / columns, style.text / 72
    lines = max(len(lines_below(one, style, 0.95 * side)) for found in rows.values() for one in found)
    height = len(rows) * (side * 0.97 + (1.25 * lines + 0.6) * text) + 1.5 * text
    pad = 0.25 * text
    with rc_context(style.settings()):
        layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0.01, hspace=0.01)
        figure = Figure(figsize=(style.inches, math.ceil(height * 100) / 100), layout=layout)
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for line, (rank, image) in enumerate(chosen.items()):
            found, cells = rows[image], axes[line]
            for position, (axis, one) in enumerate(zip(cells, found, strict=False)):
                above = (f"nearest {position}" if position == 1 else str(position)) if position else "query"
                show_found(axis, one, style, 0.95 * side, "" if line else above)
            for axis in cells[len(found) :]:
                axis.set_visible(False)
            told = f"{rank}\n{_SHORT[score]} {values[image]:.3f}"
            cells[0].set_ylabel(told, fontweight="bold", labelpad=0.4 * style.text)
        bottom_legend(figure, style, *frames_legend(style))
    title = f"Retrieval examples of {encoder}, {source.title(place.task)}"
    caption = sentences(
        f"{title}, seed {record['unit']['seed']}.",
        f"Of {len(values):,} queries those with the best, the median and the worst {_RULED_BY[score]}"
        f"{' (AP)' if score == 'map' else ''}, of equal ones "
        "the first by image id: the rule, and no choice of ours.",
        f"Beside each query its {columns - 1} nearest images, with their cosine similarity.",
    )
    return DrawnFigure(name, title, caption, figure)


def _scores(record: UnitRecord) -> tuple[str, dict[str, float]]:
    """What queries are ordered by, and image → its value."""
    result = record["result"]
    score = next((name for name in _RULED_BY if result["metrics"].get(name) is not None), METRICS[-1])
    values = {image: held.get(score) for image, held in result["per_image"].items()}
    return score, {image: value for image, value in values.items() if value is not None}


def _row(source: Source, record: UnitRecord, image: str, columns: int) -> list[Found]:
    """The query and the images nearest to it; fewer where the gallery has fewer."""
    result, task = record["result"], record["unit"]["task"]
    arrays, names, about = source.predictions(record), result["gallery"], result["about"]
    query = names.index(image)
    row = int(np.flatnonzero(arrays["queries"] == query)[0])
    shown = [Found(open_eye(source, task, image).photograph(), _known(about, query))]
    nearest = list(zip(arrays["found"][row].tolist(), arrays["similarity"][row].tolist(), strict=True))[: columns - 1]
    digits = decimals([similarity for position, similarity in nearest if position >= 0])
    for position, similarity in nearest:
        if position >= 0:
            told = [f"{similarity:.{digits}f}", *_known(about, position)]
            hit = about["patient"][position] == about["patient"][query]
            shown.append(Found(open_eye(source, task, names[position]).photograph(), told, hit))
    return shown


def _known(about: Mapping[str, Sequence[str]], position: int) -> list[str]:
    """``CF, right``: what is known of an image, in a line."""
    parts = [about[column][position] for column in ("modality", "eye", "view")]
    return [", ".join(filter(None, parts))] if any(parts) else []
