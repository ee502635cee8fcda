"""The index of a task: where its folder is, and one row an image."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from pandas import DataFrame, Series

from f2vbench.data.cards import TaskCard
from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.layouts.listing import COLUMNS, FAMILY_COLUMNS
from f2vbench.data.phantoms import made_folder
from f2vbench.errors import DataError, SettingsError

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def find_folder(card: TaskCard, data: str | Path | None = None) -> Path:
    """The folder of a task's data set: ``data``, or one of the card's folder names in ``F2VBENCH_DATA``.

    Simulated data lie in the cache, once they are made.

    Raises:
        DataError: it isn't there; the message says what the data set is, its terms and how to get it.
    """
    if data is not None:
        folder = Path(data).expanduser()
        if not _is_data(folder, card):
            raise DataError(f"data={data}: there is no such folder; {card.name} is {_what(card)}")
        return folder.absolute()
    if card.phantom is not None:
        return made_folder(card)
    root = os.environ.get("F2VBENCH_DATA")
    found = _named_folder(Path(root).expanduser(), card.folders) if root else None
    if found is None:
        raise DataError(_how_to_get(card, root))
    return found


def build_index(card: TaskCard, folder: Path) -> DataFrame:
    """One row an image, sorted by image id, all columns strings.

    Columns: ``image`` (unique id, usable as a file name), ``path``, ``mask_path`` and ``fov_path`` (absolute, ""
    where there is none), ``patient``, ``eye`` ("left", "right" or ""), ``modality`` ("CF", "FFA", "ICG", "RF",
    "AF"), ``split`` ("train", "val", "test" or ""), and those of the family: classification has ``label``,
    retrieval ``view``, generation ``case``, ``phase`` and ``seconds``, where the row of the photograph (CF) and those
    of its frames (FFA) share the case. ``attrs["notes"]`` holds sentences on what was assumed or left out.

    Raises:
        DataError: the folder has not the layout's files, or two images would have the same id.
        SettingsError: the card's options are not the layout's.
    """
    if not _is_data(folder, card):
        raise DataError(f"{folder}: there is no such folder")
    try:
        raw = LAYOUTS[card.layout](folder, card.options)
    except SettingsError as error:
        raise SettingsError([f"task card {card.name}: {problem}" for problem in error.problems]) from None
    notes = list(raw.attrs.get("notes", []))
    index = raw[COLUMNS + FAMILY_COLUMNS[card.family]].sort_values("image", ignore_index=True)
    _refuse_bad_ids(index)
    if card.unlabelled == "leave-out":
        bare = without_label(index, card)
        if bare.any():
            notes.append(f"left out, no label: {', '.join(index.loc[bare, 'image'])}")
        index = index[~bare].reset_index(drop=True)
    if index.empty:
        raise DataError(f"{folder}: no image with a label; {card.name} is {_what(card)}")
    if card.images is not None and len(index) != card.images:
        notes.append(f"{len(index)} images are here, the complete data set has {card.images} with labels")
    index.attrs["notes"] = notes
    return index


def without_label(index: DataFrame, card: TaskCard) -> Series:
    """Which images lack what the task's family asks for, bool; retrieval and generation ask for nothing."""
    column = {"segmentation": "mask_path", "classification": "label"}.get(card.family)
    return index["image"] == "" if column is None else index[column] == ""


def _is_data(place: Path, card: TaskCard) -> bool:
    """Whether it can be read at all: a folder, or the table itself where the layout is one."""
    return place.is_dir() or (card.layout == "angiogram_table" and place.suffix.lower() == ".csv" and place.is_file())


def _named_folder(root: Path, names: list[str]) -> Path | None:
    if not root.is_dir():
        raise DataError(f"F2VBENCH_DATA={root}: there is no such folder; set it to the folder of your data sets")
    inner = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    return next((inner[name.lower()].absolute() for name in names if name.lower() in inner), None)


def _what(card: TaskCard) -> str:
    return f"{card.title} – {card.source}"


def _how_to_get(card: TaskCard, root: str | None) -> str:
    if not card.folders:
        return f"{card.name}: say which folder it is, data=<folder>. {card.obtain}"
    names = " or ".join(card.folders)
    where = f"F2VBENCH_DATA={root}, which has none" if root else "the folder that F2VBENCH_DATA names (it is not set)"
    lines = [
        f"{card.name}: the data set is not here. It is {_what(card)}",
        f"terms: {card.terms}",
        f"to get it: {card.obtain}",
        f"then say data=<its folder>, or put it as a folder {names} into {where}",
        "to start now with your own images: task=folder data=<folder with images/ and masks/>",
    ]
    return "\n  ".join(lines)


def _refuse_bad_ids(index: DataFrame) -> None:
    """Ids become file names, also where a.png and A.png are the same."""
    problems = [
        f"{row.path}: '{row.image}' can't be an image id: use letters, digits, dot, underscore and hyphen"
        for row in index.itertuples()
        if not _SAFE.fullmatch(str(row.image))
    ]
    folded = index["image"].str.lower()
    for name, times in Counter(folded).items():
        if times > 1:
            paths = ", ".join(index.loc[folded == name, "path"])
            problems.append(f"these images would have the same id: {paths}: rename all but one")
    if problems:
        raise DataError(problems)
