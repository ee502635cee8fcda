"""Recall of a patient's other images: bars over the number of images looked at, and by pair of modalities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from f2vbench.analysis.retrieval import METRICS, intervals, modality_pairs, retrieval_records, shown_metrics, untold
from f2vbench.metrics.names import CHANCE
from f2vbench.report.figures.bars import Group, Panel, Whiskers, grouped_bars, slots_of
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.panels import legend, letters, looks_text, model_title, seeds_text, sentences, sheet
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import INK, Style
from f2vbench.report.text.wording import METRIC_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROTOCOL = "zero-shot"
_RECALLS = METRICS[:3]
_PLAIN = ""


def lacks_retrieval(source: Source) -> str | None:
    return None if source.tasks("retrieval") else "no retrieval units"


def retrieval(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Figure 7 of the paper: Recall@1, @5 and @10, a panel a task and variant."""
    from matplotlib import rc_context

    panels = [
        (task, variant, _panel(source, task, variant))
        for task in source.tasks("retrieval")
        for variant in _variants(source, task)
    ]
    frames = [rows for _, _, (_, _, groups) in panels for _, rows, _, _ in groups]
    looks = source.looks_among(pd.concat(frames).encoder)
    slots = slots_of([panel for _, _, panel in panels], looks)
    table = _intervals(source)
    titles = [heading for _, _, (heading, _, _) in panels]
    columns = style.columns(len(panels), min(style.width, max(56, 11 * len(looks))), titles)
    with rc_context(style.settings()):
        figure, axes = sheet(style, len(panels), columns=columns, height=48)
        for axis, (task, variant, (_, _, groups)) in zip(axes, panels, strict=True):
            grouped_bars(axis, groups, slots, looks, style, 0.0, _whiskers(table, task, variant))
            axis.set_ylabel("Recall")
        letters(axes, titles)
        chance = any(level for _, _, (_, _, groups) in panels for _, _, level, _ in groups)
        legend(figure, style, looks, chance=chance)
    caption = sentences(
        f"Retrieval of a patient's other images by cosine similarity; {seeds_text(frames)}, each with a gallery of its "
        "own.",
        "Bars: mean over seeds of the mean over queries; points: seeds.",
        "Whiskers: 95 % BCa interval from 2,000 resamples of patients, each with all of their queries."
        if len(table)
        else "",
        *_asked(source, table),
        *(f"No whiskers in {why}." for why in untold(source.records).values()),
        looks_text(looks),
    )
    yield DrawnFigure("retrieval", "Retrieval of a patient's other images", caption, figure)


def lacks_modality_pairs(source: Source) -> str | None:
    if len(modality_pairs(source.records)):
        return None
    return lacks_retrieval(source) or "no run was asked for variant=modality-pairs"


def pairs_of_modalities(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """A figure a task, a panel an encoder: Recall@1 of queries of one modality among the images of one."""
    table = modality_pairs(source.records)
    tasks = sorted(set(table.task))
    for task in tasks:
        name = "modality-pairs" if len(tasks) == 1 else f"modality-pairs-{task}"
        yield _pairs_figure(source, style, name, task, table[table.task == task])


def _variants(source: Source, task: str) -> list[str]:
    """The plain gallery first, then the variants that were asked for."""
    frame = source.frame
    found = dict.fromkeys(frame.metric[frame.task == task])
    asked = [name.partition(":")[2] for name in found if name.startswith(f"{_RECALLS[0]}:")]
    return [_PLAIN, *(name for name in asked if "-to-" not in name and not name.endswith(CHANCE))]


def _named(metric: str, variant: str) -> str:
    return f"{metric}:{variant}" if variant else metric


def _panel(source: Source, task: str, variant: str) -> Panel:
    groups: list[Group] = []
    for metric in _RECALLS:
        name = _named(metric, variant)
        rows = source.values(task, name, (PROTOCOL,))
        groups.append((METRIC_NAMES[metric], rows, source.chance(task, name, (PROTOCOL,)), []))
    return ", ".join(filter(None, (source.title(task), variant))), _RECALLS[0], groups


def _intervals(source: Source) -> pd.DataFrame:
    """Of all recalls that are drawn; no rows where no unit tells whose image each is."""
    records = retrieval_records(source.records)
    wanted = [name for name in shown_metrics(records) if name.partition(":")[0] in _RECALLS]
    return source.kept("retrieval intervals", lambda: intervals(records, wanted))


def _whiskers(table: pd.DataFrame, task: str, variant: str) -> Whiskers:
    known = table[(table.task == task) & table.low.notna()].set_index(["metric", "encoder"])
    return {
        (METRIC_NAMES[metric], encoder): (row.low, row.high)
        for metric in _RECALLS
        for (name, encoder), row in known.iterrows()
        if name == _named(metric, variant)
    }


def _asked(source: Source, table: pd.DataFrame) -> list[str]:
    """How many queries and patients there are, a sentence a task."""
    plain = table[table.metric == _RECALLS[0]].groupby("task")[["queries", "patients"]].max()
    return [
        f"{source.title(str(task))}: {row.queries:,} queries of {row.patients:,} patients in all galleries."
        for task, row in plain.iterrows()
    ]


def _pairs_figure(source: Source, style: Style, name: str, task: str, table: pd.DataFrame) -> DrawnFigure:
    from matplotlib import rc_context

    looks = source.looks_among(table.encoder)
    kinds = sorted(set(table["query"]) | set(table.gallery))
    with rc_context(style.settings()):
        columns = style.columns(len(looks), least=max(44, 12 + 11 * len(kinds)))
        figure, axes = sheet(style, len(looks), columns=columns, height=style.square(columns, 0))
        for place, (axis, look) in enumerate(zip(axes, looks, strict=True)):
            _pairs_panel(axis, table[table.encoder == look.encoder], kinds)
            model_title(axis, look, style, columns)
            if place % columns:
                axis.set_yticklabels([])
            if place // columns < (len(looks) - 1) // columns:
                axis.set_xticklabels([])
        figure.supylabel("query", fontsize=style.text)
        figure.supxlabel("among the images of", fontsize=style.text)
    title = f"Retrieval by pair of modalities, {source.title(task)}"
    seeds = seeds_text([source.values(task, _RECALLS[0], (PROTOCOL,))])
    caption = sentences(
        f"{title}: Recall@1 of queries of one modality among the images of one; means, {seeds}.",
        "In brackets what chance gives in the same galleries. Dark is high, from 0 to 1 in all panels. A dash: no "
        "patient has another image there.",
    )
    return DrawnFigure(name, title, caption, figure)


def _pairs_panel(axis: Axes, table: pd.DataFrame, kinds: Sequence[str]) -> None:
    """Rows are the query's modality, columns that of the images searched."""
    value, chance = (
        table.pivot(index="query", columns="gallery", values=column).reindex(index=kinds, columns=kinds)
        for column in ("value", "chance")
    )
    axis.imshow(value.to_numpy(float), cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for row, asking in enumerate(kinds):
        for column, to in enumerate(kinds):
            held = value.loc[asking, to]
            told = "–" if pd.isna(held) else f"{held:.2f}\n({chance.loc[asking, to]:.2f})"
            dark = pd.notna(held) and held > 0.55
            axis.text(column, row, told, ha="center", va="center", color="white" if dark else INK, linespacing=1.1)
    axis.set_xticks(range(len(kinds)), kinds, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(kinds)), kinds)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
