"""A task with its images: task card, folder, and the checked index."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from f2vbench.config.run import Protocol
from f2vbench.data.duplicates import merge_duplicate_patients
from f2vbench.data.episodes import DRAWS, Episode
from f2vbench.data.file_facts import add_file_facts, data_fingerprint
from f2vbench.data.index import build_index, find_folder
from f2vbench.data.mask_files import class_notes
from f2vbench.data.simulated_data import ensure_simulated
from f2vbench.data.splits import SPLIT_WORDS, apply_split_word, assign_splits, read_split, resolve_split
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.data.validation import check
from f2vbench.utils.progress import Progress, for_this_terminal
from f2vbench.utils.text import plural

SPLIT_FILE_NOTE = "split read from"
"""Start of the note of a task whose split is that of a file."""


@dataclass(frozen=True)
class TaskData:
    """A task with its images.

    Attributes:
        card: The task card.
        folder: The folder of the data set.
        index: One row per image with the columns of `f2vbench.data.index.build_index` and
            `f2vbench.data.file_facts.add_file_facts`, checked.
        fingerprint: SHA-256 (hex) of the data, see `f2vbench.data.file_facts.data_fingerprint`.
        drawn_as: Task name with which episodes are drawn, if it differs from the card's name.
    """

    card: TaskCard
    folder: Path
    index: pd.DataFrame
    fingerprint: str
    drawn_as: str = ""
    _episodes: dict[tuple[Protocol, int | None, int], Episode] = field(default_factory=dict, repr=False, compare=False)

    def episode(self, protocol: Protocol, shots: int | None, seed: int) -> Episode:
        """The support and test images of one unit; the same for every encoder, and drawn once.

        Args:
            protocol: Name of the protocol.
            shots: Number of support images (per class), or None for all.
            seed: Seed index.

        Raises:
            DataError: The data set has fewer images than the protocol needs.
        """
        condition = (protocol, shots, seed)
        if condition not in self._episodes:
            card = self.card.model_copy(update={"name": self.drawn_as}) if self.drawn_as else self.card
            self._episodes[condition] = DRAWS[card.family](self.index, card, protocol, shots, seed)
        return self._episodes[condition]

    def splits(self, seed: int) -> pd.Series:
        """The split of every image of a classification task, see `f2vbench.data.splits.assign_splits`.

        Args:
            seed: Seed index of a random split.

        Raises:
            DataError: The data set has too few patients.
        """
        return assign_splits(self.index, self.card, seed)

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the card; without classes on the card, the labels in the data, sorted."""
        if self.card.classes:
            return [label_class.name for label_class in self.card.classes]
        if self.card.mask_classes:
            return [mask_class.name for mask_class in self.card.mask_classes]
        labels = self.index.get("label", pd.Series(dtype=str))
        return sorted(set(labels) - {""})

    @property
    def notes(self) -> list[str]:
        """Sentences on assumptions and on images that are left out."""
        return list(self.index.attrs.get("notes", []))


def open_task(
    name: str,
    data: str | Path | None = None,
    progress: Progress | None = None,
    split: str | Path | None = None,
) -> TaskData:
    """Load a task: read its card, find or simulate its data, build the index and check it.

    Args:
        name: Name of the task.
        data: Folder of the data set. By default, the folder names of the card are searched in ``F2VBENCH_DATA``, and
            simulated data in the cache.
        progress: Receives messages while data is simulated or many files are read. By default, a progress bar on a
            terminal and plain lines elsewhere.
        split: A split file (columns image and split, see `f2vbench data split`) that replaces the card's split;
            or "official" or "random".

    Raises:
        SettingsError: Unknown task.
        DataError: The data set is missing or unusable; the files are named.
    """
    card, progress = load_card(name), progress or for_this_terminal()
    if card.phantom is not None and data is None:
        ensure_simulated(card, progress)
    folder = find_folder(card, data)
    index = add_file_facts(build_index(card, folder), progress)
    if split is not None and str(split) in SPLIT_WORDS:
        card, index = apply_split_word(card, index, str(split))
        split = None
    card = resolve_split(card, index)
    if card.copies == "join":
        index = merge_duplicate_patients(index, official=card.split == "official")
    if split is not None:
        index, card = _apply_split_file(index, card, Path(split))
    check(index, card)
    _note_warnings(index)
    if card.mask_classes:
        index.attrs["notes"] = [*index.attrs.get("notes", []), *class_notes(index, card)]
    return TaskData(card, folder, index, data_fingerprint(index))


def _note_warnings(index: pd.DataFrame) -> None:
    """Add one note on the images with warnings, so that a run and its report name them."""
    warned = [warning for warning in index["warning"] if warning]
    if warned:
        more = f", and {len(warned) - 1} more (f2vbench data check lists all)" if len(warned) > 1 else ""
        note = f"check {plural(len(warned), 'image')}: {warned[0]}{more}"
        index.attrs["notes"] = [*index.attrs.get("notes", []), note]


def _apply_split_file(index: pd.DataFrame, card: TaskCard, file: Path) -> tuple[pd.DataFrame, TaskCard]:
    """The index with the splits of the file, which become the official split; images without a split are left out."""
    splits = read_split(file, index, card.name)
    divided = index.assign(split=index["image"].map(splits))
    unused = divided["split"] == ""
    divided = divided[~unused].reset_index(drop=True)
    left_out = f"; left out, not listed: {plural(int(unused.sum()), 'image')}" if unused.any() else ""
    notes = [*index.attrs.get("notes", []), f"{SPLIT_FILE_NOTE} {file}{left_out}"]
    divided.attrs = {**index.attrs, "split_file": str(file), "notes": notes}
    return divided, card.model_copy(update={"split": "official"})
