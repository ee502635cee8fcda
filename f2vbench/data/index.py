"""The index of a task: where its folder is, and one row an image."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from pandas import DataFrame, Series

from f2vbench.data.folder_scan import COLUMNS, FAMILY_COLUMNS
from f2vbench.data.label_classes import SEPARATOR, Spellings
from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.simulated_data import simulated_folder
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.text import shortened

_START = {
    "segmentation": "with your own images, task=folder data=<folder with images/ and masks/>",
    "classification": "with simulated eyes, task=phantom-dr",
}
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
        return simulated_folder(card)
    root = os.environ.get("F2VBENCH_DATA")
    found = _named_folder(Path(root).expanduser(), card.folders) if root else None
    if found is None:
        raise DataError(_how_to_get(card, root))
    return found


def build_index(card: TaskCard, folder: Path) -> DataFrame:
    """One row an image, sorted by image id, all columns strings.

    Columns: ``image`` (unique id, usable as a file name), ``path``, ``mask_path`` and ``fov_path`` (absolute, ""
    where there is none), ``patient``, ``eye`` ("left", "right" or ""), ``modality`` ("CF", "FFA", "ICG", "RF",
    "AF"), ``split`` ("train", "val", "test" or ""), and those of the family: classification has ``label`` (a class's
    name on the card, several joined by ";" where the card says multilabel), retrieval ``view``, generation ``case``,
    ``phase`` and ``seconds``, where the row of the photograph (CF) and those of its frames (FFA) share the case.
    ``attrs["notes"]`` holds sentences on what was assumed or left out.

    Raises:
        DataError: the folder has not the layout's files, images are listed and not there, labels are none of the
            card's classes, or two images would have the same id.
        SettingsError: the card's options are not the layout's.
    """
    index, problems = survey_index(card, folder)
    if problems:
        raise DataError(problems)
    if index.empty:
        raise DataError(f"{folder}: no image with a label; {card.name} is {_what(card)}")
    return index


def survey_index(card: TaskCard, folder: Path) -> tuple[DataFrame, list[str]]:
    """As `build_index`, with the problems of single images told in place of an error; those have no label then.

    ``attrs`` has also ``missing`` (sentences on images that are listed and not there), ``extra`` (files that are not
    listed), ``unlabelled`` (ids left out for want of a label) and ``variant`` ("owner" or "retfound").

    Raises:
        DataError, SettingsError: nothing of the layout is there, or its tables can't be read at all.
    """
    if not _is_data(folder, card):
        raise DataError(f"{folder}: there is no such folder")
    try:
        raw = LAYOUTS[card.layout](folder, card.options)
    except SettingsError as error:
        raise SettingsError([f"task card {card.name}: {problem}" for problem in error.problems]) from None
    notes = list(raw.attrs.get("notes", []))
    index = raw[COLUMNS + FAMILY_COLUMNS[card.family]].sort_values("image", ignore_index=True)
    problems = [*_bad_ids(index), *_absent(raw, card, notes)]
    if card.family == "classification":
        index["mask_path"] = ""
        problems += _name_classes(index, card)
    bare = without_label(index, card)
    unlabelled = index.loc[bare, "image"].tolist()
    if card.unlabelled == "leave-out" and unlabelled:
        notes.append(f"left out, no label: {shortened(unlabelled)}")
        index = index[~bare].reset_index(drop=True)
    if card.images is not None and len(index) != card.images:
        notes.append(f"{len(index)} images are here, the complete data set has {card.images} with labels")
    extra = raw.attrs.get("extra", [])
    if extra:
        notes.append(
            f"image files that no label file lists, not used: {shortened([Path(file).name for file in extra])}"
        )
    index.attrs.update(raw.attrs, notes=notes, unlabelled=unlabelled)
    return index, problems


def _absent(raw: DataFrame, card: TaskCard, notes: list[str]) -> list[str]:
    """Images that are listed and not there: a problem, or a note where the card leaves them out."""
    missing = raw.attrs.get("missing", [])
    if not missing:
        return []
    told = f"{len(missing)} listed images are not there: {missing[0]}"
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    if card.absent == "leave-out":
        notes.append(f"{told}{more}; left out")
        return []
    return [
        f"{told}{more}: get them, or leave them out with `absent: leave-out` in the task card "
        f"(f2vbench data check task={card.name} out=findings.csv lists all)"
    ]


def _name_classes(index: DataFrame, card: TaskCard) -> list[str]:
    """Replace labels by the names of the card's classes, in place; what is none of them becomes ""."""
    if not card.classes:
        return []
    spellings = Spellings(card.classes)
    parts = {
        text: [part.strip() for part in text.split(SEPARATOR)] if card.label_kind == "multilabel" else [text]
        for text in index["label"].unique()
    }
    named = {text: [spellings.find(part) for part in found] if text else [] for text, found in parts.items()}
    known = ", ".join(f"{one.name} ({', '.join(one.read)})" if one.read else one.name for one in card.classes[:8])
    problems = []
    for text, found in named.items():
        if None in found:
            paths = index.loc[index["label"] == text, "path"].tolist()
            problems.append(
                f"label '{text}' of {len(paths)} images ({shortened(paths[:1])}) is no class of {card.name}"
                f"{spellings.hint(text)}; classes, and how they are written: {known}"
                f"{' …' if len(card.classes) > 8 else ''}; mend the label, or add it below `read` in the task card"
            )
    order = [one.name for one in card.classes]
    names = {
        text: "" if None in found else SEPARATOR.join(sorted({str(name) for name in found}, key=order.index))
        for text, found in named.items()
    }
    index["label"] = index["label"].map(names)
    return problems


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
        f"to start now: {_START.get(card.family, _START['segmentation'])}",
    ]
    return "\n  ".join(lines)


def _bad_ids(index: DataFrame) -> list[str]:
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
    return problems
