"""The verbs `f2vbench cache import` and `export`: embeddings from and to files, by the image ids of tasks."""

from __future__ import annotations

import shlex

from f2vbench.cli.cache_settings import ExportSettings, ImportSettings
from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.embedding_files import SUFFIXES, write_embeddings
from f2vbench.data.task_data import TaskData
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.runner.exchange import export_embeddings, import_embeddings
from f2vbench.runner.open_tasks import open_tasks, read_cards
from f2vbench.store.feature_sets import find_sets, stored_sets
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import plural, shortened


def import_file(settings: ImportSettings, progress: Progress) -> str:
    """Import embeddings; returns what was imported and how to run it.

    Raises:
        F2VBenchError: A task, the file or the name is unusable, or the cache is not writable.
    """
    tasks = _tasks(settings.task, settings.data, progress)
    done = import_embeddings(
        settings.file,
        settings.name,
        tasks,
        ids=settings.ids,
        leave_out_unknown=settings.unknown == "leave-out",
        replace=settings.replace,
    )
    found = done.embeddings
    lines = [f"{plural(found.images, 'vector')} of width {found.width:,} imported as model=embeddings:{found.name}"]
    if done.left_out:
        lines.append(f"{plural(done.left_out, 'row')} left out, whose ids are no images of {', '.join(tasks)}")
    if done.duplicates:
        lines.append(
            f"{plural(done.duplicates, 'image')} with the same pixels as another image: the vector of the first counts"
        )
    words = [f"task={','.join(tasks)}", f"model=embeddings:{found.name}", *_data_words(settings.data)]
    lines.append(f"run it: f2vbench run {' '.join(words)}")
    return "\n".join(lines)


def export_file(settings: ExportSettings, progress: Progress) -> str:
    """Export the stored embeddings of a task; returns what was written.

    Raises:
        SettingsError: No key chooses a feature set, or several sets fit; they are listed.
        F2VBenchError: The task or the file is unusable.
    """
    if settings.out.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"out={settings.out}: write a file with the suffix {' or '.join(SUFFIXES)}")
    if settings.out.exists() and not settings.replace:
        raise StoreError(f"out={settings.out}: exists; choose another name, or add replace=yes")
    if settings.model is None and settings.set is None:
        raise SettingsError("choose the features: model=timm:resnet18, or set=<key> as `f2vbench cache list` shows it")
    found = [
        each for each in find_sets(stored_sets(), key=settings.set, model=settings.model) if each.kind == "embedding"
    ]
    if len(found) != 1:
        listed = "; ".join(f"set={each.key[:8]} {each.model}, {each.preprocessing}" for each in found)
        raise SettingsError(f"{len(found)} sets of embeddings fit: choose one with set=<key>: {listed or 'none'}")
    (task,) = _tasks(settings.task, settings.data, progress).values()
    embeddings, missing = export_embeddings(found[0].identity, task, progress.note)
    write_embeddings(settings.out, embeddings)
    text = f"written: {settings.out}, {plural(len(embeddings.ids), 'embedding')} of {found[0].model}"
    return text + (f"\nnot stored: {plural(len(missing), 'image')} ({shortened(missing)})" if missing else "")


def _data_words(data: str | dict[str, str] | None) -> list[str]:
    """The key `data` as words of a command."""
    if isinstance(data, dict):
        return [shlex.quote(f"data.{name}={folder}") for name, folder in data.items()]
    return [] if data is None else [shlex.quote(f"data={data}")]


def _tasks(names: list[str], data: str | dict[str, str] | None, progress: Progress) -> dict[str, TaskData]:
    problems: list[str] = []
    settings = build(RunSettings, {"task": names, "data": data})
    tasks = open_tasks(settings, read_cards(settings, problems), problems, progress)
    if problems:
        raise DataError(problems)
    return tasks
