"""Opens the tasks of a run: cards, data folders, split files, and pairs of data sets for external validation."""

from __future__ import annotations

from f2vbench.config.run import RunSettings
from f2vbench.data.external_validation import join_tasks
from f2vbench.data.splits import DIVIDED, SPLIT_WORDS
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.data.task_data import TaskData, open_task
from f2vbench.errors import F2VBenchError, did_you_mean
from f2vbench.utils.progress import Progress


def read_cards(settings: RunSettings, problems: list[str]) -> list[TaskCard]:
    """Read the task cards of a run.

    Args:
        settings: Settings of the run.
        problems: Receives one message for each card that is not readable.
    """
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
    """Open the tasks of a run.

    Args:
        settings: Settings of the run.
        cards: Task cards of `read_cards`.
        problems: Receives one message for each task that can't be opened.
        progress: Receives messages while simulated data is generated.

    Returns:
        Tasks by name.
    """
    if isinstance(settings.data, str) and len(cards) > 1:
        problems.append("data: one folder for several tasks; write data.<task>=folder for each")
        return {}
    if isinstance(settings.split, str) and len(cards) > 1:
        problems.append("split: one file for several tasks; write split.<task>=file.csv for each")
        return {}
    known = [*settings.task, *filter(None, [settings.train]), *(settings.test or [])]
    for key, value in (("data", settings.data), ("split", settings.split)):
        for name in value if isinstance(value, dict) else []:
            if name not in known:
                problems.append(f"{key}.{name}: no such task in this run{did_you_mean(name, known)}")
    tasks: dict[str, TaskData] = {}
    for card in cards:
        folder, split = _value_for(settings.data, card.name), _value_for(settings.split, card.name)
        if split is not None and split not in SPLIT_WORDS and card.family not in DIVIDED:
            problems.append(
                f"split: {card.name} is a {card.family} task, whose seeds draw the test images; a file is for "
                f"{', '.join(DIVIDED)}, split=official for the owner's test images"
            )
        if problems and card.phantom and folder is None:
            continue  # simulation takes a minute, and the run is refused anyway
        try:
            tasks[card.name] = open_task(card.name, folder, progress, split)
        except F2VBenchError as error:
            problems.extend(error.problems)
    return tasks if settings.train is None else _join_tasks(settings, tasks, problems)


def _value_for(setting: str | dict[str, str] | None, task: str) -> str | None:
    """Value of a setting for one task; a setting has one value for all tasks, or one for each."""
    return setting.get(task) if isinstance(setting, dict) else setting


def _join_tasks(settings: RunSettings, tasks: dict[str, TaskData], problems: list[str]) -> dict[str, TaskData]:
    """Tasks of an external validation, each joined from a training and a test data set."""
    joined: dict[str, TaskData] = {}
    for name, test in zip(settings.task, settings.test or [], strict=True):
        if settings.train not in tasks or test not in tasks:
            continue  # the problem is listed already
        try:
            joined[name] = join_tasks(tasks[settings.train], tasks[test], settings.near_copies)
        except F2VBenchError as error:
            problems.extend(error.problems)
    return joined
