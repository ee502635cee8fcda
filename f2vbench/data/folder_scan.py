"""Find image files, folders and the root of a data set on disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from f2vbench.errors import DataError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp", ".ppm.gz", ".pgm.gz", ".bmp.gz")
_IGNORED_FOLDERS = {"__macosx"}
_MAX_NAMES = 8


def images_in(folder: Path | None) -> dict[str, Path]:
    """Image files of a folder by stem, sorted by name; hidden files and other file types are ignored.

    If both ``im0001.ppm`` and ``im0001.ppm.gz`` exist, the unpacked file is used. Without a folder the result is empty.

    Raises:
        DataError: Two files have the same stem, such as ``a.png`` and ``a.jpg``.
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
    """Stem and suffix of a file name; the suffix is "" if it is not that of a supported image format."""
    suffix = next((known for known in _SUFFIXES if name.lower().endswith(known)), "")
    return (name[: -len(suffix)], suffix) if suffix else (name, "")


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name in ``folder``, ignoring case, or None."""
    return next(
        (file for file in sorted(folder.iterdir()) if file.name.lower() == name.lower() and file.is_file()), None
    )


def folders_in(folder: Path) -> list[Path]:
    """Visible folders inside a folder, sorted; the ``__MACOSX`` folder of archives is ignored."""
    return sorted(
        inner
        for inner in folder.iterdir()
        if inner.is_dir() and not inner.name.startswith(".") and inner.name.lower() not in _IGNORED_FOLDERS
    )


def subfolder(folder: Path | None, *names: str) -> Path | None:
    """The folder inside ``folder`` with the first of these names that exists, ignoring case, or None."""
    inner = {path.name.lower(): path for path in folders_in(folder)} if folder is not None else {}
    return next((inner[name.lower()] for name in names if name.lower() in inner), None)


def find_root(folder: Path, accept: Callable[[Path], bool], expected: str, depth: int = 1) -> Path:
    """Find the root of a data set: ``folder``, or a folder below it, because archives are nested.

    Args:
        folder: Where the search starts.
        accept: Whether a folder is the root.
        expected: The files and folders of the data set, for the error message.
        depth: How many levels below ``folder`` are searched.

    Raises:
        DataError: No folder is accepted, or several on the same level are.
    """
    level = [folder]
    for _ in range(depth + 1):
        accepted = [candidate for candidate in level if accept(candidate)]
        if len(accepted) > 1:
            raise DataError(
                f"{folder} contains the data set twice, in {accepted[0]} and {accepted[1]}: choose one with `data=`"
            )
        if accepted:
            return accepted[0]
        level = [inner for outer in level for inner in folders_in(outer)]
    raise layout_error(folder, expected)


def layout_error(folder: Path, expected: str) -> DataError:
    """The error for a folder that lacks the files of a layout: what was expected, and what the folder contains."""
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in sorted(folder.iterdir())]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    content = f"found {', '.join(names[:_MAX_NAMES])}{more}" if names else "the folder is empty"
    return DataError(f"{folder}: expected {expected}; {content}")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares digits by value, so that ``frame-2`` comes before ``frame-10``."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]
