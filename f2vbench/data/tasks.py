"""A task opened: its card, its folder, and its images, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from f2vbench.data.cards import TaskCard, load_card
from f2vbench.data.checks import check
from f2vbench.data.index import build_index, find_folder
from f2vbench.data.manifest import data_fingerprint, describe


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

    @property
    def notes(self) -> list[str]:
        """What the layout reader and the checks want the user to know."""
        return list(self.index.attrs.get("notes", []))


def open_task(name: str, data: str | Path | None = None) -> TaskData:
    """Read a task's card, find its data, index and check it.

    Args:
        data: the folder; by default the card's folder names are looked for in ``F2VBENCH_DATA``.

    Raises:
        SettingsError: no such task.
        DataError: no data, or data that can't be used; names the files.
    """
    card = load_card(name)
    folder = find_folder(card, data)
    index = describe(build_index(card, folder))
    check(index, card)
    return TaskData(card, folder, index, data_fingerprint(index))
