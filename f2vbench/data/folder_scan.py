"""What the layouts share: looking into folders, reading options, and the index's columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from f2vbench.errors import DataError, SettingsError, did_you_mean

COLUMNS = ["image", "path", "mask_path", "fov_path", "patient", "eye", "modality", "split"]
# What other families than segmentation add; all strings.
FAMILY_COLUMNS: dict[str, list[str]] = {
    "segmentation": [],
    "classification": ["label"],
    "retrieval": ["view", "part"],
    "generation": ["case", "phase", "seconds"],
}

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp", ".ppm.gz", ".pgm.gz", ".bmp.gz")
_IGNORED_FOLDERS = {"__macosx"}


@dataclass(frozen=True)
class Row:
    """One image of the index; a mask or field of view that does not exist is None.

    Args:
        eye: "left", "right" or "" where it isn't known.
        split: "train", "val" or "test" where the data set is divided, else "".
        modality: "CF" (colour), "FFA" (fluorescein), "ICG", "RF" (red-free) or "AF" (autofluorescence).
        label: class as the data set writes it, in classification; several are joined by ";".
        view: "macula" or "disc", where it is known.
        case: name of the examination that a photograph and its angiogram frames share, in generation.
        phase: "arterial", "venous" or "late", of angiogram frames.
        seconds: after injection, of angiogram frames.
        part: of the file that is the image, as `f2vbench.data.images.read_part` has it; "" for all of it.
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
    view: str = ""
    case: str = ""
    phase: str = ""
    seconds: str = ""
    part: str = ""


def index_from_rows(
    rows: Iterable[Row],
    notes: Iterable[str] = (),
    *,
    missing: Iterable[str] = (),
    extra: Iterable[str] = (),
    variant: str = "owner",
) -> pd.DataFrame:
    """The rows as a DataFrame of strings, a column for each of `Row`; the rest goes to ``attrs`` under its name.

    Args:
        missing: images that a label file lists and that are not there, a sentence each.
        extra: image files that no label file lists.
        variant: "owner" for the owner's own structure, "retfound" for RETFound's folders.
    """
    frame = pd.DataFrame([_texts(row) for row in rows], columns=[field.name for field in fields(Row)])
    frame.attrs.update(notes=list(notes), missing=list(missing), extra=list(extra), variant=variant)
    return frame


def images_in(folder: Path | None) -> dict[str, Path]:
    """Image files of a folder by stem, sorted; hidden files and other kinds (``Thumbs.db``) are passed over.

    Of ``im0001.ppm`` and ``im0001.ppm.gz`` the unpacked one is taken; without a folder there are none.

    Raises:
        DataError: two files of one stem, such as ``a.png`` and ``a.jpg``.
    """
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()) if folder is not None else ():
        stem, suffix = split_suffix(file.name)
        if not suffix or file.name.startswith(".") or not file.is_file():
            continue
        if stem not in found:
            found[stem] = file
        elif file.name.lower() != f"{found[stem].name.lower()}.gz":
            raise DataError(f"{folder}: {found[stem].name} and {file.name} have the same name: remove one of them")
    return found


def split_suffix(name: str) -> tuple[str, str]:
    """A file name before and from the suffix of a known image format, which is "" where there is none."""
    suffix = next((known for known in _SUFFIXES if name.lower().endswith(known)), "")
    return (name[: -len(suffix)], suffix) if suffix else (name, "")


def find_file(folder: Path, name: str) -> Path | None:
    """The file inside ``folder`` of that name, in any case of letters."""
    return next(
        (file for file in sorted(folder.iterdir()) if file.name.lower() == name.lower() and file.is_file()), None
    )


def folders_in(folder: Path) -> list[Path]:
    """Visible folders inside a folder, sorted; what macOS adds to archives is passed over."""
    return sorted(
        inner
        for inner in folder.iterdir()
        if inner.is_dir() and not inner.name.startswith(".") and inner.name.lower() not in _IGNORED_FOLDERS
    )


def subfolder(folder: Path | None, *names: str) -> Path | None:
    """The folder inside ``folder`` that has the first of these names that exists, in any case of letters."""
    inner = {found.name.lower(): found for found in folders_in(folder)} if folder is not None else {}
    return next((inner[name.lower()] for name in names if name.lower() in inner), None)


def find_root(folder: Path, accept: Callable[[Path], bool], expected: str, depth: int = 1) -> Path:
    """``folder``, or the one folder at most ``depth`` levels below it (archives nest), that is accepted.

    Raises:
        DataError: none is, told with what was ``expected`` and what is there; or several are.
    """
    level = [folder]
    for _ in range(depth + 1):
        accepted = [candidate for candidate in level if accept(candidate)]
        if len(accepted) > 1:
            raise DataError(f"{folder} holds the data twice, in {accepted[0]} and {accepted[1]}: name one with `data=`")
        if accepted:
            return accepted[0]
        level = [inner for outer in level for inner in folders_in(outer)]
    raise layout_error(folder, expected)


def layout_error(folder: Path, expected: str) -> DataError:
    """The error that says what a folder should hold and what it holds."""
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in sorted(folder.iterdir())]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    there = f"found {', '.join(names[:8])}{more}" if names else "the folder is empty"
    return DataError(f"{folder}: expected {expected}; {there}")


def read_options(options: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """A layout's options, completed: of the allowed values of each, the first is the default.

    Args:
        allowed: where `str` stands among the values, any plain file name is one.

    Raises:
        SettingsError: unknown options or values, all listed.
    """
    known = ", ".join(allowed) or "none"
    problems = [
        f"options: unknown option '{key}'{did_you_mean(str(key), allowed)}; this layout's options: {known}"
        for key in options
        if key not in allowed
    ]
    chosen = {key: values[0] for key, values in allowed.items()}
    for key, values in allowed.items():
        by_text = {str(value): value for value in values if value is not str}
        given = str(options.get(key, ""))
        if str in values and given not in by_text and re.fullmatch(r"\w[\w.-]*", given):
            chosen[key] = given
        elif str in values and key in options and given not in by_text:
            problems.append(f"options.{key}: {options[key]!r} is no plain name: leave out slashes")
        elif key in options and given not in by_text:
            problems.append(f"options.{key}: {options[key]!r} must be one of {', '.join(by_text)}")
        elif key in options:
            chosen[key] = by_text[given]
    if problems:
        raise SettingsError(problems)
    return chosen


def safe_id(stem: str) -> str:
    """The stem as part of an id, which may become a file name: letters, digits, dot, underscore and hyphen."""
    return re.sub(r"[^A-Za-z0-9._-]|^[.-]", "_", stem)


def read_csv(path: Path, required: Iterable[str]) -> pd.DataFrame:
    """A table of stripped strings with lower-case column names; separators are found out.

    Raises:
        DataError: it can't be read, or a required column (lower case) is missing.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=None, engine="python")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: can't be read ({error}): save it as comma-separated UTF-8 text") from None
    table.columns = [str(column).strip().lower() for column in table.columns]
    missing = [column for column in required if column not in table]
    if missing:
        raise DataError(f"{path}: no column {' and '.join(missing)}; it has {', '.join(table.columns)}")
    return table.apply(lambda column: column.str.strip())


def find_listed_image(table: Path, row: int, name: str, problems: list[str]) -> Path | None:
    """The image file that a table names, relative to the table's folder; a problem is noted where it is none.

    Args:
        row: of the table, from 0 below the header.
    """
    where = f"{table}, row {row + 2}"
    path = table.parent / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        problems.append(f"{where}: '{name}' must be an image's path below the table's folder")
    elif not path.is_file():
        problems.append(f"{where}: there is no file '{name}'")
    else:
        return path
    return None


def note_unused_labels(labels: Mapping[str, Path], rows: Iterable[Row]) -> list[str]:
    """A note that names the label files that belong to no row, or nothing."""
    used = {row.mask_path for row in rows}
    stray = [path.name for path in labels.values() if path not in used]
    return [f"label files without a photograph, not used: {', '.join(stray)}"] if stray else []


def _texts(row: Row) -> dict[str, str]:
    values = asdict(row)
    for key in ("path", "mask_path", "fov_path"):
        values[key] = str(values[key].absolute()) if values[key] is not None else ""
    return values
