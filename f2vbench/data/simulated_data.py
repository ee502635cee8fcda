"""Data sets that are simulated on first use, and kept in the cache folder."""

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
    """Where a card's simulated data lie.

    Raises:
        DataError: they have not been made yet.
        SettingsError: the card asks for what can't be simulated.
    """
    from f2vbench.phantom.export.folders import is_complete

    folder = _folder(card)
    if not is_complete(folder):
        raise DataError(f"{card.name}: simulated eyes, made on first use (f2vbench run task={card.name})")
    return folder


def ensure_simulated(card: TaskCard, progress: Progress) -> None:
    """Simulate a card's data unless they are there; processes that want the same data wait for the one that does it.

    Raises:
        StoreError: the cache folder can't be written.
        SettingsError: the card asks for what can't be simulated.
    """
    from f2vbench.phantom.export.folders import is_complete, write_cohort

    folder = _folder(card)
    if is_complete(folder):
        return
    progress.note(f"{card.name}: simulating its eyes once, into {folder}")
    write_cohort(folder, _cohort(card), parts=_data(card).parts, jobs=cores(), progress=progress)


def _folder(card: TaskCard) -> Path:
    """Named by what is simulated, so that changed cards and simulators get folders of their own."""
    from f2vbench.phantom.export.folders import identity_hash

    return cache_folder().absolute() / "phantom" / identity_hash(_cohort(card), _data(card).parts)[:16]


def _cohort(card: TaskCard) -> Cohort:
    from f2vbench.phantom.cohort import Cohort

    wanted = _data(card)
    try:
        return Cohort(wanted.seed, wanted.patients, size=wanted.size, diseases=wanted.diseases)
    except F2VBenchError as error:
        raise SettingsError([f"task card {card.name}: phantom: {problem}" for problem in error.problems]) from None


def _data(card: TaskCard) -> PhantomData:
    if card.phantom is None:
        raise ValueError(f"{card.name} is no card of simulated data")
    return card.phantom
