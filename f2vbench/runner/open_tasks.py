"""Opening the tasks of a run: their cards, their folders, splits from files, and data sets joined for validation."""

from __future__ import annotations

from f2vbench.config.run import RunSettings
from f2vbench.data.external_validation import join_tasks
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.errors import F2VBenchError, did_you_mean
from f2vbench.utils.progress import Progress


def read_cards(settings: RunSettings, problems: list[str]) -> list[TaskCard]:
    """The cards of the run's tasks, those that can be read."""
    cards = []
    for name in settings.task if settings.train is None else [settings.train, *(settings.test or [])]:
        try:
            card = load_card(name)
        except F2VBenchError as error:
            problems.extend(error.problems)
            continue
        cards.append(card)
    return cards


def open_tasks(
    settings: RunSettings, cards: list[TaskCard], problems: list[str], progress: Progress | None
) -> dict[str, TaskData]:
    """The tasks of a run by name, those that can be opened; why others can't is added to the problems."""
    if isinstance(settings.data, str) and len(cards) > 1:
        problems.append("data: one folder for several tasks; write data.<task>=folder for each")
        return {}
    if isinstance(settings.split, str) and len(cards) > 1:
        problems.append("split: one file for several tasks; write split.<task>=file.csv for each")
        return {}
    known = [*settings.task, *filter(None, [settings.train]), *(settings.test or [])]
    for key, given in (("data", settings.data), ("split", settings.split)):
        for name in given if isinstance(given, dict) else []:
            if name not in known:
                problems.append(f"{key}.{name}: no such task in this run{did_you_mean(name, known)}")
    tasks: dict[str, TaskData] = {}
    for card in cards:
        folder, split = _of_task(settings.data, card.name), _of_task(settings.split, card.name)
        if split is not None and card.family != "classification":
            problems.append(f"split: {card.name} is {card.family}, whose test images are drawn with every unit")
        if problems and card.phantom and folder is None:
            continue  # simulating takes a minute: not for nothing
        try:
            tasks[card.name] = open_task(card.name, folder, progress, split)
        except F2VBenchError as error:
            problems.extend(error.problems)
    return tasks if settings.train is None else _joined(settings, tasks, problems)


def _of_task(given: str | dict[str, str] | None, task: str) -> str | None:
    """What is said for one task, where one value is for all or each has its own."""
    return given.get(task) if isinstance(given, dict) else given


def _joined(settings: RunSettings, tasks: dict[str, TaskData], problems: list[str]) -> dict[str, TaskData]:
    """The tasks of an external validation, made of those it names."""
    found: dict[str, TaskData] = {}
    for name, test in zip(settings.task, settings.test or [], strict=True):
        if settings.train not in tasks or test not in tasks:
            continue  # told already
        try:
            found[name] = join_tasks(tasks[settings.train], tasks[test])
        except F2VBenchError as error:
            problems.extend(error.problems)
    return found
