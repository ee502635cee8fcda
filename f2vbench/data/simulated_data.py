"""Data sets that are simulated on first use and kept in the cache folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from f2vbench.data.task_cards import PhantomData, TaskCard
from f2vbench.errors import DataError, F2VBenchError, SettingsError
from f2vbench.utils.files import cache_folder
from f2vbench.utils.progress import Progress
from f2vbench.utils.system import cores

if TYPE_CHECKING:
    from f2vbench.phantom.cohort import Cohort


def simulated_folder(card: TaskCard) -> Path:
    """The folder with the simulated data of a task.

    Raises:
        DataError: The data has not been simulated yet.
        SettingsError: The card has invalid settings of the simulator.
    """
    from f2vbench.phantom.export.folders import is_complete

    folder = _folder(card)
    if not is_complete(folder):
        raise DataError(f"{card.name}: simulated on first use (f2vbench run task={card.name})")
    return folder


def ensure_simulated(card: TaskCard, progress: Progress) -> None:
    """Simulate the data of a task unless it exists; other processes that need the same data wait.

    Args:
        card: A task card with ``phantom``.
        progress: Receives messages while data is simulated.

    Raises:
        StoreError: The cache folder is not writable.
        SettingsError: The card has invalid settings of the simulator.
    """
    from f2vbench.phantom.export.folders import is_complete, write_cohort

    folder = _folder(card)
    if is_complete(folder):
        return
    progress.note(f"{card.name}: simulating the data set (only once) in {folder}")
    write_cohort(folder, _cohort(card), parts=_data(card).parts, jobs=cores(), progress=progress)


def _folder(card: TaskCard) -> Path:
    """The folder is named after the hash of the settings, so that other settings get another folder."""
    from f2vbench.phantom.export.folders import identity_hash

    return cache_folder().absolute() / "phantom" / identity_hash(_cohort(card), _data(card).parts)[:16]


def _cohort(card: TaskCard) -> Cohort:
    from f2vbench.phantom.cohort import Cohort

    data = _data(card)
    try:
        return Cohort(data.seed, data.patients, size=data.size, diseases=data.diseases)
    except F2VBenchError as error:
        raise SettingsError([f"task card {card.name}: phantom: {problem}" for problem in error.problems]) from None


def _data(card: TaskCard) -> PhantomData:
    if card.phantom is None:
        raise ValueError(f"{card.name} is not a task with simulated data")
    return card.phantom
