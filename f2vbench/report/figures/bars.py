"""Bar charts of few-shot segmentation, training-free and supervised results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from f2vbench.analysis.task_scores import LOWER_IS_BETTER, MAIN_METRICS, NUMERIC_METRICS
from f2vbench.report.figures.figure import DrawnFigure
from f2vbench.report.figures.grouped_bars import BarGroup, BarPanel, draw_grouped_bars, group_slots, interval_whiskers
from f2vbench.report.figures.mask_classes import class_metric, classes_of
from f2vbench.report.figures.panels import (
    create_sheet,
    describe_encoders,
    describe_seeds,
    encoder_legend,
    join_sentences,
    letter_panels,
)
from f2vbench.report.figures.published_results import published_at, published_note
from f2vbench.report.figures.source import Source
from f2vbench.report.figures.style import Style
from f2vbench.report.text.intervals import INTERVAL_TEXTS, interval_notes
from f2vbench.report.text.wording import METRIC_NAMES, metric_name, shots_text
from f2vbench.store.record_schema import UnitRecord

_TRAINING_FREE = ("zero-shot", "prototype", "knn")
_FEW_SHOT = ("zero-shot", "few-shot")
_FROM_CHANCE = ("auroc", "uno_c")  # bars start at 0.5
_CLASS_METRICS = ("auroc", "dice", "nsd")


def explain_missing_few_shot_segmentation(source: Source) -> str | None:
    """Explain why `draw_few_shot_segmentation` has nothing to draw; None if it has."""
    return None if _segmentation_tasks(source) else "no few-shot or zero-shot units of a segmentation task"


def draw_few_shot_segmentation(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw AUROC and Dice over the number of support images, one figure a task (figure 3a of the paper)."""
    tasks = _segmentation_tasks(source)
    for task in tasks:
        panels = []
        for metric in MAIN_METRICS["segmentation"]:
            chance = source.chance(task, metric, _FEW_SHOT)
            groups = []
            for shots, rows in source.values(task, metric, _FEW_SHOT).groupby("shots"):
                published = published_at(task, metric, "few-shot" if shots else "zero-shot", int(shots))
                groups.append(BarGroup(f"{shots:g}", rows, chance, published))
            panels.append(BarPanel("", metric, groups))
        name = "few-shot-segmentation" if len(tasks) == 1 else f"few-shot-segmentation-{task}"
        what = "vessel segmentation" if classes_of(_records_of(source, task)) == [""] else "segmentation"
        title = f"Few-shot {what}, {source.title(task)}"
        yield _draw_figure(source, style, name, title, panels, "support images", columns=1)


def explain_missing_classes(source: Source) -> str | None:
    """Explain why `draw_classes` has nothing to draw; None if it has."""
    return None if _tasks_with_classes(source) else "no segmentation task with several classes"


def draw_classes(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw AUROC, Dice and normalised surface distance by class, a figure a task at its last condition."""
    tasks = _tasks_with_classes(source)
    for task, classes in tasks.items():
        condition = [each for each in source.conditions("segmentation") if each.task == task][-1]
        panels = []
        for metric in _CLASS_METRICS:
            groups = []
            for name in classes:
                rows = source.values(task, class_metric(metric, name), (condition.protocol,))
                rows = rows[rows.shots.isna()] if condition.shots is None else rows[rows.shots == condition.shots]
                groups.append(BarGroup(name.replace("_", " "), rows, 0.5 if metric == "auroc" else None))
            panels.append(BarPanel("", metric, [group for group in groups if len(group.rows)]))
        name = "classes" if len(tasks) == 1 else f"classes-{task}"
        title = f"Segmentation by class, {source.condition_title(condition)}"
        drawn = [panel for panel in panels if panel.groups]
        if drawn:
            yield _draw_figure(source, style, name, title, drawn, "", columns=1)


def explain_missing_zero_shot(source: Source) -> str | None:
    """Explain why `draw_zero_shot` has nothing to draw; None if it has."""
    return None if _panels(source, _TRAINING_FREE) else "no zero-shot, prototype or knn units of a task with labels"


def draw_zero_shot(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw zero-shot results, and those of the probes that train no network (figure 4 of the paper)."""
    panels = _panels(source, _TRAINING_FREE)
    yield _draw_figure(source, style, "zero-shot", "Results without training", panels, "", _columns(style, panels))


def explain_missing_supervised(source: Source) -> str | None:
    """Explain why `draw_supervised` has nothing to draw; None if it has."""
    return None if _panels(source, ("supervised",)) else "no supervised units of a task with labels"


def draw_supervised(source: Source, style: Style) -> Iterator[DrawnFigure]:
    """Draw supervised results, one panel a metric (figure 6 of the paper)."""
    panels = _panels(source, ("supervised",))
    yield _draw_figure(source, style, "supervised", "Supervised results", panels, "", _columns(style, panels))


def _tasks_with_classes(source: Source) -> dict[str, list[str]]:
    """Classes of each segmentation task with several."""
    found = {task: classes_of(_records_of(source, task)) for task in source.tasks("segmentation")}
    return {task: classes for task, classes in found.items() if classes != [""]}


def _records_of(source: Source, task: str) -> Iterator[UnitRecord]:
    return (record for record in source.records if record["unit"]["task"] == task)


def _segmentation_tasks(source: Source) -> list[str]:
    return [task for task in source.tasks("segmentation") if len(source.values(task, "auroc", _FEW_SHOT))]


def _panels(source: Source, protocols: Sequence[str]) -> list[BarPanel]:
    """One panel a protocol, family and metric, with the tasks side by side; of numbers, one a task, in its unit."""
    panels = []
    for protocol in protocols:
        prefix = f"{protocol}, " if len(protocols) > 1 else ""
        for family, metrics in MAIN_METRICS.items():
            for metric in metrics:
                groups = _task_groups(source, source.tasks(family), metric, protocol)
                if groups:
                    panels.append(BarPanel(f"{family.capitalize()}, {prefix}{METRIC_NAMES[metric]}", metric, groups))
        for family, metrics in NUMERIC_METRICS.items():
            for task in source.tasks(family):
                for metric in metrics:
                    groups = _task_groups(source, [task], metric, protocol)
                    if groups:
                        panels.append(BarPanel(f"{source.title(task)}, {prefix}{METRIC_NAMES[metric]}", metric, groups))
    return panels


def _task_groups(source: Source, tasks: Sequence[str], metric: str, protocol: str) -> list[BarGroup]:
    """One group of bars for each task and number of shots that has values of the metric."""
    groups = []
    for task in tasks:
        rows = source.values(task, metric, (protocol,))
        by_shots = list(rows.groupby("shots", dropna=False))
        for shots, own in by_shots:
            chance = source.chance(task, metric, (protocol,))
            published = published_at(task, metric, protocol, 0 if protocol == "zero-shot" else None)
            shots_label = shots_text(shots, source.families[task]) if len(by_shots) > 1 else ""
            label = ", ".join(part for part in (source.title(task), shots_label) if part)
            groups.append(BarGroup(label, own, chance, published))
    return groups


def _columns(style: Style, panels: Sequence[BarPanel]) -> int:
    widest = max(sum(group.rows.encoder.nunique() + 1 for group in panel.groups) for panel in panels)
    # The label of a single group is below its panel and as wide as a title.
    titles = [panel.title for panel in panels]
    titles += [panel.groups[0].label for panel in panels if len(panel.groups) == 1]
    return style.columns(len(panels), max(42, min(widest * 5, style.width)), titles)


def _draw_figure(
    source: Source, style: Style, name: str, title: str, panels: Sequence[BarPanel], xlabel: str, columns: int
) -> DrawnFigure:
    from matplotlib import rc_context

    groups = [group for panel in panels for group in panel.groups]
    frames = [group.rows for group in groups]
    encoders = source.select_encoders(pd.concat(frames).encoder)
    published = [value for group in groups for value in group.published]
    slots = group_slots(panels, encoders)
    summaries = [{group.label: source.summarize(group.rows) for group in panel.groups} for panel in panels]
    with rc_context(style.settings()):
        figure, axes = create_sheet(style, len(panels), columns=columns, height=48)
        for axis, panel, of_group in zip(axes, panels, summaries, strict=True):
            base = 0.5 if panel.metric in _FROM_CHANCE else 0.0
            draw_grouped_bars(axis, panel.groups, slots, encoders, style, base, interval_whiskers(of_group))
            better = "lower" if panel.metric in LOWER_IS_BETTER else "higher"
            axis.set(xlabel=xlabel, ylabel=metric_name(panel.metric, better))
        figure.align_ylabels(axes)
        letter_panels(axes, [panel.title for panel in panels])
        chance = any(group.chance for group in groups)
        encoder_legend(figure, style, encoders, chance=chance, published=published)
    caption = join_sentences(
        f"{title}; {describe_seeds(frames)}.",
        f"Bars: mean over seeds; whiskers: {INTERVAL_TEXTS[source.interval]}; points: seeds.",
        *interval_notes(pd.concat([summary for of_group in summaries for summary in of_group.values()])),
        "Bars of AUROC start at chance, 0.5." if any(panel.metric == "auroc" for panel in panels) else "",
        describe_encoders(encoders),
        published_note(published),
    )
    return DrawnFigure(name, title, caption, figure)
