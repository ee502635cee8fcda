"""A task opened: its card, its folder, and its images, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from f2vbench.data.cards import TaskCard, load_card
from f2vbench.data.checks import check
from f2vbench.data.episodes import DRAWS, Episode
from f2vbench.data.index import build_index, find_folder
from f2vbench.data.manifest import data_fingerprint, describe
from f2vbench.data.phantoms import make_folder
from f2vbench.progress import Progress, for_this_terminal
from f2vbench.settings import Protocol


@dataclass(frozen=True)
class TaskData:
    """A task with its images.

    Attributes:
        index: one row an image, described and checked.
        fingerprint: SHA-256 of the data's content.
    """

    card: TaskCard
    folder: Path
    index: pd.DataFrame
    fingerprint: str
    _episodes: dict[tuple[Protocol, int | None, int], Episode] = field(default_factory=dict, repr=False, compare=False)

    def episode(self, protocol: Protocol, shots: int | None, seed: int) -> Episode:
        """The support and test images of a place in the grid, the same for every encoder; drawn once.

        Raises:
            DataError: fewer images than the protocol needs.
        """
        place = (protocol, shots, seed)
        if place not in self._episodes:
            self._episodes[place] = DRAWS[self.card.family](self.index, self.card, protocol, shots, seed)
        return self._episodes[place]

    @property
    def notes(self) -> list[str]:
        """What the layout reader and the checks want the user to know."""
        return list(self.index.attrs.get("notes", []))


def open_task(name: str, data: str | Path | None = None, progress: Progress | None = None) -> TaskData:
    """Read a task's card, find its data – or simulate them, where the card says so –, index and check them.

    Args:
        data: the folder; by default the card's folder names are looked for in ``F2VBENCH_DATA``, and simulated data
            in the cache.
        progress: told of while data are simulated; by default a bar on a terminal and plain lines elsewhere.

    Raises:
        SettingsError: no such task.
        DataError: no data, or data that can't be used; names the files.
    """
    card = load_card(name)
    if card.phantom is not None and data is None:
        make_folder(card, progress or for_this_terminal())
    folder = find_folder(card, data)
    index = describe(build_index(card, folder))
    check(index, card)
    return TaskData(card, folder, index, data_fingerprint(index))
