"""The index of a task: the folder of its data set, and one row per image."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame, Series

from f2vbench.data.field_of_view import REGION, WHOLE
from f2vbench.data.folder_scan import passed_over_files
from f2vbench.data.hugging_face import fetch_dataset
from f2vbench.data.index_rows import COLUMNS, FAMILY_COLUMNS, added_columns
from f2vbench.data.label_classes import SEPARATOR, LabelClass, Spellings
from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.layouts.hugging_face import wanted_dataset
from f2vbench.data.layouts.table_options import CLASSES, FAMILY, LABEL_KIND
from f2vbench.data.mask_declaration import declaration
from f2vbench.data.mask_files import name_mask_files
from f2vbench.data.numeric_labels import read_numbers
from f2vbench.data.patient_spelling import with_patient_spelling
from f2vbench.data.simulated_data import simulated_folder
from f2vbench.data.tables import TABLE_SUFFIXES
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.text import plural, shortened

_ALTERNATIVES = {
    "segmentation": "your own images, task=folder data=<folder with images/ and masks/>",
    "classification": "simulated eyes, task=phantom-dr",
    "regression": "simulated eyes, task=phantom-age",
    "survival": "simulated eyes, task=phantom-survival",
}
_TABLES = {"angiogram_table": (".csv",), "table": TABLE_SUFFIXES}
"""Layouts that are a table, and its suffixes."""

_LABEL_COLUMNS = {"segmentation": "mask_path", "classification": "label", "regression": "value", "survival": "time"}
MODALITIES = {"oct": ("OCT", WHOLE), "ultra-widefield": ("UWF", REGION)}
"""Columns ``modality`` and ``field`` of the index of a task that is not of colour photographs."""
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_MAX_CLASSES = 8


def find_folder(card: TaskCard, data: str | Path | None = None) -> Path:
    """Find the folder of a task's data set.

    Args:
        card: The task card.
        data: The folder. By default, the folder names of the card are searched in ``F2VBENCH_DATA``, simulated data
            in the cache, and data sets of the Hugging Face Hub there.

    Returns:
        The absolute path.

    Raises:
        DataError: The data set is missing; the message contains its source, its terms and how to get it.
    """
    if data is not None:
        folder = Path(data).expanduser()
        if not _is_data(folder, card):
            raise DataError(f"data={data}: folder not found; {card.name} is {_source(card)}")
        return folder.absolute()
    if card.phantom is not None:
        return simulated_folder(card)
    root = os.environ.get("F2VBENCH_DATA")
    found = _find_named_folder(Path(root).expanduser(), card.folders) if root else None
    if found is None and card.layout == "hugging_face" and card.options.get("dataset"):
        return fetch_dataset(wanted_dataset(card.options))
    if found is None:
        raise DataError(_how_to_get(card, root))
    return found


def build_index(card: TaskCard, folder: Path) -> DataFrame:
    """Build the index of a task: one row per image, sorted by image id; all columns are strings.

    Columns of all families:

    - ``image``: unique id, usable as a file name;
    - ``path``, ``mask_path``, ``fov_path``: absolute, "" if there is no such file;
    - ``patient``; ``eye``: "left", "right" or "";
    - ``modality``: "CF", "FFA", "ICG", "RF" or "AF"; "OCT" or "UWF" (ultra-widefield) where the card says so, and
      then ``field``, the kind of field of view (`f2vbench.data.field_of_view.field_of_kind`);
    - ``mask_values``, ``fov_values``: the values of masks that the card declares, see `f2vbench.data.mask_declaration`;
    - ``split``: "train", "val", "test" or "".

    Segmentation adds ``mask_files`` (a JSON object of class and file, where each class has a file) and ``mask_classes``
    (a `f2vbench.data.mask_declaration.ClassDeclaration`), both "" without them. Classification adds ``label``, the name
    of a class on the card; multi-label images join classes with ";". Regression adds ``value``, and survival ``time``
    and ``event``, see `f2vbench.data.numeric_labels.read_numbers`. Retrieval adds ``view`` and ``part``. Generation
    adds ``case``, ``phase`` and ``seconds``; the rows of a photograph (CF) and of its angiogram frames (FFA) have the
    same case.

    Further columns of the data set's table have the prefix ``column:`` (``column:age``); they do not enter the
    fingerprint of the data.

    Args:
        card: The task card.
        folder: The folder of the data set.

    Returns:
        The index. ``attrs["notes"]`` contains sentences on assumptions and on images that are left out.

    Raises:
        DataError: The folder lacks the files of the layout, listed images are missing, labels are not among the card's
            classes, or two images have the same id.
        SettingsError: The card has options that the layout does not have.
    """
    index, problems = survey_index(card, folder)
    problems += _missing_images(index, card)
    if problems:
        raise DataError(problems)
    if index.empty:
        raise DataError(f"{folder}: no image with a label; {card.name} is {_source(card)}")
    return index


def survey_index(card: TaskCard, folder: Path) -> tuple[DataFrame, list[str]]:
    """Build the index of a task as far as possible, and return its problems instead of raising them.

    Args:
        card: The task card.
        folder: The folder of the data set.

    Returns:
        - The index, see `build_index`. Images with an unknown label have the label "". ``attrs`` contains ``notes``,
          ``warnings`` (the notes that the user should check), ``missing`` (one sentence for each image that is listed
          and missing), ``extra`` (image files that are not listed), ``unlabelled`` (ids of images without a label) and
          ``variant`` ("owner" or "retfound").
        - Problems of ids and labels, one sentence each.

    Raises:
        DataError: The folder does not exist or lacks the files of the layout, or a table is unreadable.
        SettingsError: The card has options that the layout does not have.
    """
    if not _is_data(folder, card):
        raise DataError(f"{folder}: folder not found")
    try:
        with passed_over_files() as passed_over:
            raw = LAYOUTS[card.layout](folder, _options(card))
    except SettingsError as error:
        raise SettingsError([f"task card {card.name}: {problem}" for problem in error.problems]) from None
    # The simulator names its files by patient: nothing is assumed.
    assumed = [] if card.phantom is not None else raw.attrs.get("warnings", [])
    passed = _summarize_passed_over(folder, passed_over)
    missing = raw.attrs.get("missing", [])
    columns = [*COLUMNS, *FAMILY_COLUMNS[card.family], *added_columns(raw).values()]
    index = raw[columns].sort_values("image", ignore_index=True)
    if card.modality != "colour":
        index["modality"], index["field"] = MODALITIES[card.modality]
    index["mask_values"], index["fov_values"] = declaration(card.mask_values), declaration(card.fov_values)
    problems = _invalid_ids(index)
    unused: list[str] = []
    if card.family == "segmentation":
        declared = card.class_declaration
        index["mask_classes"] = declared.text() if declared else ""
        index["mask_files"], unused = name_mask_files(index["mask_files"], card.mask_classes)
    notes = [*raw.attrs.get("notes", []), *_count_fields(index, card)]
    if missing and card.absent == "leave-out":
        notes.append(f"{_summarize_missing(missing)}; left out")
    if card.family == "classification":
        index["mask_path"] = ""
        problems += _name_classes(index, card)
    problems += read_numbers(index, card)
    bare = without_label(index, card)
    unlabelled = index.loc[bare, "image"].tolist()
    if card.unlabelled == "leave-out" and unlabelled:
        notes.append(f"left out, no label: {shortened(unlabelled)}")
        index = index[~bare].reset_index(drop=True)
    index, spelling = with_patient_spelling(index, card.normalises_patients)
    warnings = [
        *assumed,
        *passed,
        *([] if card.phantom is not None else unused),
        *([] if card.normalises_patients else spelling),
    ]
    notes = [*warnings, *notes, *(spelling if card.normalises_patients else [])]
    if card.images is not None and len(index) != card.images:
        labelled = "labelled image" if card.family in _LABEL_COLUMNS else "image"
        notes.append(f"{plural(len(index), labelled)} found; the complete data set has {card.images:,}")
    extra = raw.attrs.get("extra", [])
    if extra:
        names = shortened([Path(file).name for file in extra])
        notes.append(f"{plural(len(extra), 'image file')} without a label, not used: {names}")
    index.attrs.update(raw.attrs, notes=notes, warnings=warnings, unlabelled=unlabelled)
    return index, problems


def without_label(index: DataFrame, card: TaskCard) -> Series:
    """Whether each image lacks the label that the task's family needs, bool; retrieval and generation need none."""
    column = _LABEL_COLUMNS.get(card.family)
    if column is None or card.unlabelled == "negative":
        return index["image"] == ""
    return (index[column] == "") & (index.get("mask_files", "") == "")


def _missing_images(index: DataFrame, card: TaskCard) -> list[str]:
    """The problem of images that are listed and missing, unless the card leaves them out."""
    missing = index.attrs.get("missing", [])
    if not missing or card.absent == "leave-out":
        return []
    return [
        f"{_summarize_missing(missing)}: add them, or leave them out with `absent: leave-out` in the task card "
        f"(f2vbench data check task={card.name} out=findings.csv lists all)"
    ]


def _summarize_missing(missing: list[str]) -> str:
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{plural(len(missing), 'listed image')} missing: {missing[0]}{more}"


def _summarize_passed_over(folder: Path, passed_over: Mapping[Path, list[str]]) -> list[str]:
    """A warning that counts the entries of the image folders that are no readable images, by kind; empty for none."""
    counts = Counter(kind for kinds in passed_over.values() for kind in kinds)
    if not counts:
        return []
    listed = ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    where = shortened([str(place) for place in passed_over])
    return [
        f"{folder}: passed over, because they are no images that can be read: {listed} (in {where}); convert images"
    ]


def _count_fields(index: DataFrame, card: TaskCard) -> list[str]:
    """A note on how many fields of view are given by files and how many are computed, in segmentation."""
    given = int((index["fov_path"] != "").sum())
    if card.family != "segmentation" or given == len(index):
        return []
    return [f"fields of view: {given:,} given by masks, {len(index) - given:,} computed from the photographs"]


def _name_classes(index: DataFrame, card: TaskCard) -> list[str]:
    """Replace labels by class names of the card, in place; unknown labels become "" and are returned as problems."""
    if not card.classes:
        return []
    spellings = Spellings(card.classes)
    is_multilabel = card.label_kind == "multilabel"
    parts = {
        text: [part.strip() for part in text.split(SEPARATOR)] if is_multilabel else [text]
        for text in index["label"].unique()
    }
    names = {text: [spellings.find(part) for part in found] if text else [] for text, found in parts.items()}
    problems = []
    for text, found in names.items():
        if None in found:
            paths = index.loc[index["label"] == text, "path"].tolist()
            problems.append(
                f"label '{text}' of {plural(len(paths), 'image')} ({paths[0]}) is not a class of {card.name}"
                f"{spellings.hint(text)}; classes and their spellings: {_describe_classes(card.classes)}; correct the "
                "label, or add it to `read` in the task card"
            )
    order = [label_class.name for label_class in card.classes]
    labels = {
        text: "" if None in found else SEPARATOR.join(sorted({str(name) for name in found}, key=order.index))
        for text, found in names.items()
    }
    index["label"] = index["label"].map(labels)
    return problems


def _describe_classes(classes: list[LabelClass]) -> str:
    """Names and spellings of the first classes."""
    described = [f"{entry.name} ({', '.join(entry.read)})" if entry.read else entry.name for entry in classes]
    return ", ".join(described[:_MAX_CLASSES]) + (" …" if len(described) > _MAX_CLASSES else "")


def _options(card: TaskCard) -> dict[str, Any]:
    """The options of the layout; tables are read by the classes of the card."""
    if card.layout not in ("table", "outcome_table", "hugging_face"):
        return card.options
    return card.options | {CLASSES: card.classes, LABEL_KIND: card.label_kind, FAMILY: card.family}


def _is_data(path: Path, card: TaskCard) -> bool:
    """Whether the path is a folder or, for a layout that is a table, the table itself."""
    return path.is_dir() or (path.suffix.lower() in _TABLES.get(card.layout, ()) and path.is_file())


def _find_named_folder(root: Path, names: list[str]) -> Path | None:
    if not root.is_dir():
        raise DataError(f"F2VBENCH_DATA={root}: folder not found; set it to the folder of your data sets")
    inner = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    return next((inner[name.lower()].absolute() for name in names if name.lower() in inner), None)


def _source(card: TaskCard) -> str:
    return f"{card.title} – {card.source}"


def _how_to_get(card: TaskCard, root: str | None) -> str:
    if not card.folders:
        return f"{card.name}: set data=<folder>. {card.obtain}"
    names = " or ".join(card.folders)
    where = f"F2VBENCH_DATA={root}" if root else "the folder in F2VBENCH_DATA (which is not set)"
    lines = [
        f"{card.name}: data set not found. It is {_source(card)}",
        f"terms: {card.terms}",
        f"how to get it: {card.obtain}",
        f"then set data=<its folder>, or save it as {names} in {where}",
        f"to start now, use {_ALTERNATIVES.get(card.family, _ALTERNATIVES['segmentation'])}",
    ]
    return "\n  ".join(lines)


def _invalid_ids(index: DataFrame) -> list[str]:
    """Ids that are not safe as file names, also on file systems that ignore case."""
    problems = [
        f"{row.path}: '{row.image}' is not a valid image id: use letters, digits, dot, underscore and hyphen"
        for row in index.itertuples()
        if not _SAFE_ID.fullmatch(str(row.image))
    ]
    folded = index["image"].str.lower()
    for name, count in Counter(folded).items():
        if count > 1:
            paths = ", ".join(index.loc[folded == name, "path"])
            problems.append(f"several images have the same id: {paths}: rename all but one")
    return problems
