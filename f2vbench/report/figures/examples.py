"""Segmentation examples: photograph, truth, score map and errors of images that a rule has chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import sentences
from f2vbench.report.figures.pictures import ERRORS, best_encoder, best_median_worst, open_eye, show
from f2vbench.report.figures.source import Place, Source
from f2vbench.report.figures.style import Style
from f2vbench.report.stored_data import NotStored
from f2vbench.report.text.wording import METRIC_NAMES
from f2vbench.store.record_schema import UnitRecord

_RULED_BY = ("dice", "auroc")
"""Metrics of one image by which images are chosen, the first that has values."""


def lacks_examples(source: Source) -> str | None:
    return lacks_pictures(source, _places(source), "no few-shot or supervised units with score maps")


def lacks_pictures(source: Source, places: Sequence[Place], nothing: str) -> str | None:
    """Why no photographs of these places can be shown, or None where those of one task can."""
    reasons = []
    for place in places:
        try:
            source.task_data(place.task)
            return None
        except NotStored as reason:
            reasons.append(str(reason))
    return "; ".join(dict.fromkeys(reasons)) or nothing


def examples(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Figure 3b of the paper, with errors: a figure a task, at its fewest shots, at the first seed."""
    for name, place in pictured(source, _places(source), "segmentation-examples"):
        yield _figure(source, style, name, place)


def pictured(source: Source, places: Sequence[Place], figure: str) -> Iterator[tuple[str, Place]]:
    """Places whose photographs are at hand, and their figures' names; of several, with the task."""
    for place in places:
        try:
            source.task_data(place.task)
        except NotStored:
            continue
        yield figure if len(places) == 1 else f"{figure}-{place.task}", place


def _places(source: Source) -> list[Place]:
    """Of each segmentation task the place with fewest labels, where a threshold and so errors are defined."""
    chosen: dict[str, Place] = {}
    for place in source.places("segmentation"):
        records = [r for held in source.records_at(place).values() for r in held]
        if place.protocol != "zero-shot" and any(r["result"].get("maps") for r in records):
            chosen.setdefault(place.task, place)
    return list(chosen.values())


def _figure(source: Source, style: Style, name: str, place: Place) -> DrawnFigure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D

    first = {encoder: held[0] for encoder, held in source.records_at(place).items() if held[0]["result"].get("maps")}
    metric = next(m for m in _RULED_BY if any(_values(record, m) for record in first.values()))
    ruler = best_encoder(source, place.task, metric, list(first))
    chosen = best_median_worst(_values(first[ruler], metric))
    width = style.width / (style.text / 7)
    shown = _compared(source, place, metric, ruler, first, columns=max(4, min(6, int(width // 29))))
    columns = 3 + len(shown)
    with rc_context(style.settings()):
        figure, axes = _grid(style, len(chosen), columns)
        for row, (rank, image) in enumerate(chosen.items()):
            eye, cells = open_eye(source, place.task, image), axes[row]
            show(cells[0], eye.photograph(), style, above="photograph" if row == 0 else "")
            if eye.vessels is not None:
                show(cells[1], eye.drawing(eye.vessels), style, above="truth" if row == 0 else "")
            cells[0].set_ylabel(rank, fontweight="bold", labelpad=0.4 * style.text)
            scores = {encoder: source.score_map(first[encoder], image) for encoder in shown}
            show(
                cells[2],
                eye.scores(scores[ruler]),
                style,
                above=_head("scores", ruler, columns, style) if row == 0 else "",
            )
            for axis, encoder in zip(cells[3:], shown, strict=True):
                threshold = first[encoder]["result"]["threshold"]["value"]
                value = _values(first[encoder], metric)[image]
                show(
                    axis,
                    eye.errors(scores[encoder], threshold),
                    style,
                    below=f"{METRIC_NAMES[metric]} {value:.3f}",
                    above=_head("errors", source.looks[encoder].label, columns, style) if row == 0 else "",
                )
        handles = [Line2D([], [], marker="s", linestyle="none", color=colour) for colour in ERRORS.values()]
        figure.legend(handles, list(ERRORS), loc="outside lower center", ncols=3)
    title = f"Segmentation examples, {source.title(place.task)}, {place.text}"
    rules = {r["result"]["threshold"]["rule"] for r in (first[encoder] for encoder in shown)}
    caption = sentences(
        f"{title}, seed {first[ruler]['unit']['seed']}.",
        f"Of {len(_values(first[ruler], metric))} test images those with the best, the median and the worst "
        f"{METRIC_NAMES[metric]} of {ruler}: the rule, and no choice of ours.",
        f"Scores: dark is vessel. Errors at the threshold of the tables ({'; '.join(sorted(rules))}).",
    )
    return DrawnFigure(name, title, caption, figure)


def _values(record: UnitRecord, metric: str) -> dict[str, float]:
    """image → metric, of the images that have a value and a score map."""
    result = record["result"]
    held = {image: values.get(metric) for image, values in result["per_image"].items() if image in result["maps"]}
    return {image: value for image, value in held.items() if value is not None}


def _compared(
    source: Source, place: Place, metric: str, ruler: str, first: dict[str, UnitRecord], columns: int
) -> list[str]:
    """The ruling encoder, the best baseline, then the best others, as many as fit with a threshold."""
    able = [name for name, record in first.items() if record["result"]["threshold"]["value"] is not None]
    baselines = [name for name in able if source.looks[name].baseline and name != ruler]
    order = [ruler] + ([best_encoder(source, place.task, metric, baselines)] if baselines else [])
    rest = [name for name in able if name not in order and not source.looks[name].baseline]
    while rest:
        order.append(best_encoder(source, place.task, metric, rest))
        rest.remove(order[-1])
    return order[: columns - 3]


def _head(what: str, encoder: str, columns: int, style: Style) -> str:
    """Two or three lines above a column."""
    room = int(style.inches * 72 / columns / (0.62 * style.text))
    cut = max(encoder.rfind(mark, 1, room) for mark in ":-_+ ") if len(encoder) > room else -1
    name = f"{encoder[: cut + 1]}\n{encoder[cut + 1 :]}" if cut > 0 else encoder
    return f"{what}\n{name}"


def _grid(style: Style, rows: int, columns: int):
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from f2vbench.report.figures.styled_figure import HouseFigure

    side = style.inches / columns
    pad = 0.12 * style.text / 72
    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0.01, hspace=0.01)
    text = style.text / 72
    height = rows * (side * 0.97 + 1.6 * text) + 8.5 * text
    figure = HouseFigure(style, figsize=(style.inches, math.ceil(height * 100) / 100), layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False)
