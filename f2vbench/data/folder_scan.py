"""Find image files, folders and the root of a data set on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from f2vbench.data.dicom import DICOM_SUFFIXES
from f2vbench.errors import DataError
from f2vbench.utils.text import is_utf8

_COMMON = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp", ".webp")
_SUFFIXES = (*_COMMON, ".jp2", ".j2k", ".ppm.gz", ".pgm.gz", ".bmp.gz", *DICOM_SUFFIXES)
# Files that belong beside images; all others in a folder of images are reported as passed over.
_TEXTS = (".csv", ".tsv", ".xls", ".xlsx", ".ods", ".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".html", ".json")
_CODE = (".jsonl", ".yaml", ".yml", ".xml", ".ini", ".log", ".py", ".ipynb", ".m", ".r", ".sh", ".db", ".dvc", ".lock")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".part")
_COMPANIONS = {*_TEXTS, *_CODE, *_ARCHIVES}
_COMPANION_NAMES = {"license", "licence", "readme", "notice", "thumbs.db", "makefile", "citation"}
_IGNORED_FOLDERS = {"__macosx"}
_MAX_NAMES = 8
_passed_over: ContextVar[dict[Path, list[str]] | None] = ContextVar("_passed_over", default=None)


@contextmanager
def passed_over_files() -> Iterator[dict[Path, list[str]]]:
    """Within it, collect what `images_in` leaves out: by folder, the kind of each entry that is no readable image.

    A kind is a suffix in lower case (``.svg``), "no suffix", or "folders" and "special files" that have the name of an
    image.
    """
    found: dict[Path, list[str]] = {}
    token = _passed_over.set(found)
    try:
        yield found
    finally:
        _passed_over.reset(token)


def images_in(folder: Path | None) -> dict[str, Path]:
    """Image files of a folder by stem, sorted by name; hidden files and other file types are ignored.

    If both ``im0001.ppm`` and ``im0001.ppm.gz`` exist, the unpacked file is used. Without a folder the result is empty.

    Raises:
        DataError: Two files have the same stem, such as ``a.png`` and ``a.jpg``; images are links whose target does not
            exist; or the name of an image is not valid UTF-8.
    """
    found: dict[str, Path] = {}
    broken: list[Path] = []
    other: list[str] = []
    for file in _entries(folder) if folder is not None else ():
        stem, suffix = split_suffix(file.name)
        if file.name.startswith("."):
            continue
        if not suffix:
            other += _kind_of_other(file)
        elif not file.is_file():
            if file.is_symlink() and not file.exists():
                broken.append(file)
            else:
                other.append("folders" if file.is_dir() else "special files")
        elif stem not in found:
            found[stem] = file
        elif file.name.lower() != f"{found[stem].name.lower()}.gz":
            raise DataError(f"{folder}: {found[stem].name} and {file.name} have the same name: remove one of them")
    if broken:
        raise _broken_links(broken)
    passed_over = _passed_over.get()
    if passed_over is not None and folder is not None and other:
        passed_over[folder] = other
    return found


def split_suffix(name: str) -> tuple[str, str]:
    """Stem and suffix of a file name; the suffix is "" if it is not that of a supported image format."""
    suffix = next((known for known in _SUFFIXES if name.lower().endswith(known)), "")
    return (name[: -len(suffix)], suffix) if suffix else (name, "")


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name in ``folder``, ignoring case, or None."""
    named = [file for file in _entries(folder) if file.name.lower() == name.lower()]
    broken = [file for file in named if file.is_symlink() and not file.exists()]
    if broken:
        raise _broken_links(broken)
    return next((file for file in named if file.is_file()), None)


def folders_in(folder: Path) -> list[Path]:
    """Visible folders inside a folder, sorted; the ``__MACOSX`` folder of archives is ignored.

    Raises:
        DataError: The folder is unreadable, or one inside it is a link whose target does not exist.
    """
    entries = [entry for entry in _entries(folder) if not entry.name.startswith(".")]
    broken = [entry for entry in entries if not entry.suffix and entry.is_symlink() and not entry.exists()]
    if broken:
        raise _broken_links(broken)
    return [entry for entry in entries if entry.is_dir() and entry.name.lower() not in _IGNORED_FOLDERS]


def inner_folders(folder: Path) -> Iterator[Path]:
    """All visible folders below a folder, sorted; a link to a folder around it is not followed."""
    for inner in folders_in(folder):
        if not inner.is_symlink() or not folder.resolve().is_relative_to(inner.resolve()):
            yield inner
            yield from inner_folders(inner)


def image_folder(root: Path, *names: str) -> Path | None:
    """The folder with the photographs of a data set: the first of these names inside the root.

    A folder without images that has a single folder inside is entered, because archives are nested
    (``train_images/train_images``).

    Args:
        root: Root of the data set.
        names: Possible names.
    """
    place = subfolder(root, *names)
    while place is not None and not images_in(place):
        inner = folders_in(place)
        if len(inner) != 1:
            break
        place = inner[0]
    return place


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
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in _entries(folder)]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    content = f"found {', '.join(names[:_MAX_NAMES])}{more}" if names else "the folder is empty"
    return DataError(f"{folder}: expected {expected}; {content}")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares digits by value, so that ``frame-2`` comes before ``frame-10``."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


def _entries(folder: Path) -> list[Path]:
    """Entries of a folder, sorted.

    Raises:
        DataError: The folder is unreadable, or a name in it is not valid UTF-8.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: can't be listed ({error.strerror or error}): check its permissions") from None
    for entry in entries:
        if not is_utf8(entry.name):
            raise DataError(f"{folder}: the name of {entry.name!a} is not valid UTF-8: rename it")
    return entries


def _kind_of_other(file: Path) -> list[str]:
    """The kind of an entry that does not have the name of an image; empty for folders and usual companions."""
    suffix = file.suffix.lower()
    if suffix in _COMPANIONS or file.stem.lower() in _COMPANION_NAMES or file.is_dir():
        return []
    return [suffix or "no suffix"]


def _broken_links(links: list[Path]) -> DataError:
    names = ", ".join(str(link) for link in links[:_MAX_NAMES])
    more = f" and {len(links) - _MAX_NAMES} more" if len(links) > _MAX_NAMES else ""
    target = links[0].readlink()
    return DataError(
        f"{len(links)} links lead to files that do not exist: {names}{more} ({links[0].name} → {target}): fetch the "
        "files (dvc pull, git annex get), or remove the links"
    )
