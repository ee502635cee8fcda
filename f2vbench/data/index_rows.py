"""Rows of the raw index that a layout returns: one row per image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pandas import DataFrame

from f2vbench.utils.text import shortened

COLUMNS = ["image", "path", "mask_path", "fov_path", "patient", "eye", "modality", "split"]
"""Columns of the index in all task families; all values are strings."""

FAMILY_COLUMNS: dict[str, list[str]] = {
    "segmentation": ["mask_files"],
    "classification": ["label"],
    "regression": ["value"],
    "survival": ["time", "event"],
    "retrieval": ["view", "part"],
    "generation": ["case", "phase", "seconds"],
}
"""Additional columns by task family; all values are strings."""

ADDED = "column:"
"""Prefix of the index columns that hold `Row.columns`, such as ``column:age``."""

UNKNOWN_PATIENTS = "patients are unknown: every photograph counts as its own patient"
"""Note of data sets that do not publish which photographs belong to the same patient."""


@dataclass(frozen=True)
class Row:
    """One image of the index.

    Attributes:
        image: Unique id, usable as a file name (see `safe_id`).
        path: The image file.
        mask_path: The segmentation mask, or the file whose values are the classes, or None.
        fov_path: The mask of the field of view, or None.
        patient: Id of the patient.
        eye: "left", "right", or "" if unknown.
        split: "train", "val" or "test" in data sets with an official split, else "".
        modality: "CF" (colour fundus), "FFA" (fluorescein), "ICG", "RF" (red-free) or "AF" (autofluorescence).
        label: Class as the data set writes it (classification). Multi-label images join classes with ";".
        value: Number to predict, as the data set writes it (regression).
        time: Time until the event or the end of follow-up, as the data set writes it (survival).
        event: "1" if the event was observed, "0" if follow-up ended before (survival).
        view: "macula" or "disc", or "" if unknown.
        case: Name of the examination that a photograph and its angiogram frames share (generation).
        phase: "arterial", "venous" or "late" (angiogram frames).
        seconds: Time after injection (angiogram frames).
        part: Part of the file that is the image, see `f2vbench.data.images.read_part`; "" is the whole file.
        columns: Further columns of the data set's table, as text; "" is a missing value. ``age`` (years), ``sex``,
            ``site`` and ``camera`` have these names in all layouts. They describe subgroups and are no labels.
        mask_files: Where each class of a segmentation has a file: class, as the data set writes it → its file.
    """

    image: str
    path: Path
    mask_path: Path | None = None
    fov_path: Path | None = None
    patient: str = ""
    eye: str = ""
    split: str = ""
    modality: str = "CF"
    label: str = ""
    value: str = ""
    time: str = ""
    event: str = ""
    view: str = ""
    case: str = ""
    phase: str = ""
    seconds: str = ""
    part: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    mask_files: Mapping[str, Path] = field(default_factory=dict)


def index_from_rows(
    rows: Iterable[Row],
    notes: Iterable[str] = (),
    *,
    warnings: Iterable[str] = (),
    missing: Iterable[str] = (),
    extra: Iterable[str] = (),
    variant: str = "owner",
) -> DataFrame:
    """Build the raw index of a layout.

    Args:
        rows: The images.
        notes: Sentences on assumptions and on images that are left out.
        warnings: Sentences on assumptions that the user should check.
        missing: One sentence for each image that a label file lists and the folder lacks.
        extra: Paths of image files that no label file lists.
        variant: "owner" for the owner's folder structure, "retfound" for RETFound's.

    Returns:
        A DataFrame of strings with one column per field of `Row`, and one for each of `Row.columns` (`ADDED`). The
        other arguments are in ``attrs`` by name.
    """
    images = list(rows)
    added = dict.fromkeys(ADDED + name for row in images for name in row.columns)
    names = [entry.name for entry in fields(Row) if entry.name != "columns"]
    frame = DataFrame([_as_strings(row) for row in images], columns=[*names, *added])
    frame[list(added)] = frame[list(added)].fillna("")
    frame.attrs.update(
        notes=list(notes), warnings=list(warnings), missing=list(missing), extra=list(extra), variant=variant
    )
    return frame


def added_columns(index: DataFrame) -> dict[str, str]:
    """The index columns that hold `Row.columns`, by name: ``{"age": "column:age"}``."""
    return {str(column)[len(ADDED) :]: str(column) for column in index.columns if str(column).startswith(ADDED)}


def safe_id(stem: str) -> str:
    """The stem with every character replaced by "_" that is not a letter, digit, dot, underscore or hyphen."""
    return re.sub(r"[^A-Za-z0-9._-]|^[.-]", "_", stem)


def unused_masks(labels: Mapping[str, Path], fov_masks: Mapping[str, Path], rows: Iterable[Row]) -> list[str]:
    """Warnings that name the masks of vessels and of fields of view without a photograph; empty if there are none.

    Args:
        labels: Files of vessel masks by stem.
        fov_masks: Files of masks of the field of view by stem.
        rows: The images.
    """
    used = {path for row in rows for path in (row.mask_path, row.fov_path)}
    found = []
    for what, files in (("label files", labels), ("field-of-view masks", fov_masks)):
        unused = [path.name for path in files.values() if path not in used]
        if unused:
            found.append(f"{what} without a photograph, not used: {shortened(unused)}")
    return found


def _as_strings(row: Row) -> dict[str, str]:
    values = asdict(row)
    values |= {ADDED + name: value for name, value in values.pop("columns").items()}
    for key in ("path", "mask_path", "fov_path"):
        values[key] = str(values[key].absolute()) if values[key] is not None else ""
    files = {name: str(path.absolute()) for name, path in row.mask_files.items()}
    values["mask_files"] = json.dumps(files) if files else ""
    return values
