"""A task opened: its card, its folder, and its images, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from f2vbench.config.run import Protocol
from f2vbench.data.duplicates import merge_duplicate_patients
from f2vbench.data.episodes import DRAWS, Episode
from f2vbench.data.file_facts import add_file_facts, data_fingerprint
from f2vbench.data.index import build_index, find_folder
from f2vbench.data.simulated_data import ensure_simulated
from f2vbench.data.splits import assign_splits, read_split, resolve_split
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.data.validation import check
from f2vbench.utils.progress import Progress, for_this_terminal


@dataclass(frozen=True)
class TaskData:
    """A task with its images.

    Attributes:
        index: one row an image, described and checked.
        fingerprint: SHA-256 of the data's content.
        drawn_as: name of the task under which episodes are drawn, where it is not the card's.
    """

    card: TaskCard
    folder: Path
    index: pd.DataFrame
    fingerprint: str
    drawn_as: str = ""
    _episodes: dict[tuple[Protocol, int | None, int], Episode] = field(default_factory=dict, repr=False, compare=False)

    def episode(self, protocol: Protocol, shots: int | None, seed: int) -> Episode:
        """The support and test images of a place in the grid, the same for every encoder; drawn once.

        Raises:
            DataError: fewer images than the protocol needs.
        """
        place = (protocol, shots, seed)
        if place not in self._episodes:
            card = self.card.model_copy(update={"name": self.drawn_as}) if self.drawn_as else self.card
            self._episodes[place] = DRAWS[card.family](self.index, card, protocol, shots, seed)
        return self._episodes[place]

    def parts(self, seed: int) -> pd.Series:
        """Part (train, val or test) of every image id of a classification task: given, read, or drawn with the seed.

        Raises:
            DataError: the data can't be divided.
        """
        return assign_splits(self.index, self.card, seed)

    @property
    def classes(self) -> list[str]:
        """Names of the classes in the card's order; without classes on the card the labels found, sorted."""
        if self.card.classes:
            return [one.name for one in self.card.classes]
        found = self.index.get("label", pd.Series(dtype=str))
        return sorted(set(found) - {""})

    @property
    def notes(self) -> list[str]:
        """What the layout reader and the checks want the user to know."""
        return list(self.index.attrs.get("notes", []))


def open_task(
    name: str,
    data: str | Path | None = None,
    progress: Progress | None = None,
    split: str | Path | None = None,
) -> TaskData:
    """Read a task's card, find its data – or simulate them, where the card says so –, index and check them.

    Args:
        data: the folder; by default the card's folder names are looked for in ``F2VBENCH_DATA``, and simulated data
            in the cache.
        progress: told of while data are simulated or many files are read; by default a bar on a terminal and plain
            lines elsewhere.
        split: a file of `f2vbench data split` (columns image and split) in place of the card's split.

    Raises:
        SettingsError: no such task.
        DataError: no data, or data that can't be used; names the files.
    """
    card, progress = load_card(name), progress or for_this_terminal()
    if card.phantom is not None and data is None:
        ensure_simulated(card, progress)
    folder = find_folder(card, data)
    index = add_file_facts(build_index(card, folder), progress)
    card = resolve_split(card, index)
    if card.copies == "join":
        index = merge_duplicate_patients(index, official=card.split == "official")
    if split is not None:
        index, card = _with_split(index, card, Path(split))
    check(index, card)
    return TaskData(card, folder, index, data_fingerprint(index))


def _with_split(index: pd.DataFrame, card: TaskCard, file: Path) -> tuple[pd.DataFrame, TaskCard]:
    """The index divided as a file says, which is then the official split; images that it leaves out are left out."""
    found = read_split(file, index, card.name)
    divided = index.assign(split=index["image"].map(found))
    unused = divided["split"] == ""
    divided = divided[~unused].reset_index(drop=True)
    told = f", {unused.sum()} images that it does not list are left out" if unused.any() else ""
    divided.attrs = {**index.attrs, "notes": [*index.attrs.get("notes", []), f"split read from {file}{told}"]}
    return divided, card.model_copy(update={"split": "official"})
