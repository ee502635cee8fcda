"""Output folders and files that exist already: a command writes only where nothing else is, or over its own files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from f2vbench.errors import StoreError

_IGNORED = frozenset({".DS_Store", ".gitignore", ".gitkeep", "Thumbs.db", "desktop.ini"})
_NAMED = 3
_MARK = b"f2vbench"  # in the metadata of figures and sheets, and in the head of pages


def check_output_folder(folder: Path, key: str, own_names: Collection[str], markers: Collection[str] = ()) -> None:
    """Refuse an output folder that holds files of others.

    Args:
        folder: The folder; it need not exist.
        key: Key of the setting, for the message.
        own_names: Names of the files and folders that the command writes.
        markers: Names of which one shows that the whole folder is the command's own, whatever else it holds.

    Raises:
        StoreError: The path is a file, can't be listed, or is a folder with other files and without a marker.
    """
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise StoreError(f"{key}={folder}: is a file, not a folder; choose another folder with {key}=")
        entries = {entry.name for entry in folder.iterdir()} - _IGNORED
    except OSError as error:
        raise StoreError(
            f"{key}={folder}: can't be read ({error.strerror or error}); choose another folder with {key}="
        ) from error
    foreign = sorted(name for name in entries - set(own_names) if not name.endswith(".part"))
    if not foreign or any(marker in entries for marker in markers):
        return
    more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
    raise StoreError(
        f"{key}={folder}: the folder has other files ({', '.join(foreign[:_NAMED])}{more}); choose a new or empty "
        f"folder with {key}=. Nothing was written"
    )


def check_output_file(file: Path, key: str, is_own: Callable[[Path], bool]) -> None:
    """Refuse to replace a file that the command did not write.

    Args:
        file: The file; it need not exist. An empty file may be replaced.
        key: Key of the setting, for the message.
        is_own: Whether the command wrote an existing file.

    Raises:
        StoreError: The path is a folder, or a file of others.
    """
    try:
        if not file.exists():
            return
        own = file.is_file() and (not file.stat().st_size or is_own(file))
    except (OSError, UnicodeDecodeError):
        own = False
    if file.is_dir():
        raise StoreError(f"{key}={file}: is a folder; give the name of a file")
    if not own:
        raise StoreError(
            f"{key}={file}: exists and was not written by this command; choose another name with {key}=, or remove it. "
            "Nothing was written"
        )


def has_mark(file: Path) -> bool:
    """Whether the metadata of a figure, sheet or page says that f2vbench wrote it."""
    return _MARK in file.read_bytes()


def has_first_line(line: str) -> Callable[[Path], bool]:
    """A test whether a text file starts with this line, such as the headings of a table."""

    def starts_with_line(file: Path) -> bool:
        with file.open(encoding="utf-8") as text:
            return text.readline().rstrip("\r\n") == line

    return starts_with_line


def has_key(key: str) -> Callable[[Path], bool]:
    """A test whether a YAML file has a key at its top level."""

    def finds_key(file: Path) -> bool:
        return any(line.startswith(f"{key}:") for line in file.read_text(encoding="utf-8").splitlines())

    return finds_key
