"""Files that are written atomically and verified when read, and facts about files that are cached between calls."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.errors import StoreError

if TYPE_CHECKING:
    from pandas import DataFrame

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
_STALE_SECONDS = 86_400


def cache_folder() -> Path:
    """Folder of features, file hashes and timings: ``F2VBENCH_CACHE``, or ``~/.cache/f2vbench``."""
    folder = os.environ.get("F2VBENCH_CACHE")
    return Path(folder).expanduser() if folder else Path.home() / ".cache" / "f2vbench"


def write_atomically(path: Path, content: bytes | Iterable[bytes | memoryview], *, durable: bool = False) -> None:
    """Write a file completely or not at all; missing folders are created.

    Args:
        path: The file.
        content: Its content, as a whole or piece by piece.
        durable: Wait until the content is on the disk.

    Raises:
        StoreError: The disk is full or the folder is not writable. An older file of this name is unchanged.
    """
    part = _part(path)
    try:
        _write_part(part, content, durable)
        part.replace(path)
    except OSError as error:
        _unlink([part])
        raise _not_writable(path, error) from error
    except BaseException:
        _unlink([part])
        raise


def write_together(files: Mapping[Path, bytes], *, removed: Iterable[Path] = ()) -> None:
    """Write files that are valid only together: nothing changes before all of them are on the disk.

    Args:
        files: Content by path. The files appear in this order; the last one is that by which the others are found.
        removed: Files of an earlier version, which are removed before the first one appears. A process that is killed
            meanwhile leaves no mixture of two versions.

    Raises:
        StoreError: The disk is full or a folder is not writable.
    """
    parts = {path: _part(path) for path in files}
    path = next(iter(files))
    try:
        for path, part in parts.items():
            _write_part(part, files[path], durable=False)
        for path in removed:
            path.unlink(missing_ok=True)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        _unlink(parts.values())
        raise _not_writable(path, error) from error


def _part(path: Path) -> Path:
    """A temporary name beside a file, which no other process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")


def _write_part(part: Path, content: bytes | Iterable[bytes | memoryview], durable: bool) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.writelines([content] if isinstance(content, bytes) else content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _unlink(parts: Iterable[Path]) -> None:
    for part in parts:
        with contextlib.suppress(OSError):
            part.unlink()


def _not_writable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: can't be written: {write_problem(error)}")


def write_problem(error: OSError) -> str:
    """Why a file can't be written, and what to do, as a clause."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in _FULL:
        return f"the disk or the quota is full ({reason}); free some space, then run the same command again"
    if error.errno == errno.EFBIG:
        return f"the file would be larger than the system allows ({reason}); write to another file system"
    if error.errno in _DENIED:
        return f"no permission, or a read-only file system ({reason}); choose another folder, or make this one writable"
    if error.errno in _NO_FOLDER:
        return f"a file and a folder have the same name ({reason}); choose another name"
    if error.errno == errno.ENAMETOOLONG:
        return f"the name is too long ({reason}); choose a shorter one"
    return f"{reason}; choose another folder, or run the same command again"


def write_csv(table: DataFrame, path: Path) -> Path:
    """Write a table as CSV with full precision; equal tables give equal bytes.

    Args:
        table: The table; its index is not written.
        path: The file.

    Returns:
        The path.

    Raises:
        StoreError: The file is not writable.
    """
    write_atomically(path, table.to_csv(index=False, lineterminator="\n").encode())
    return path


def remove_stale_parts(folder: Path) -> None:
    """Remove the partial files that processes left behind when they were killed more than a day ago."""
    with contextlib.suppress(OSError):
        for part in folder.glob(".*.part"):
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                part.unlink()


def canonical_json(value: Any) -> bytes:
    """JSON that is the same for equal values: sorted keys, no spaces, exact floats, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sealed(payload: Any) -> bytes:
    """JSON of a payload with the checksum that `unseal` verifies."""
    text = json.dumps(payload, indent=1, ensure_ascii=False, allow_nan=False)
    return f'{{"sha256": "{sha256(canonical_json(payload))}",\n"payload": {text}}}\n'.encode()


def unseal(content: bytes) -> Any:
    """Verify the checksum of a sealed file, and return its payload.

    Raises:
        ValueError: The file is truncated, damaged, or not sealed.
    """
    try:
        document = json.loads(content)
        payload, expected = document["payload"], document["sha256"]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("it is truncated or not a sealed file") from error
    if sha256(canonical_json(payload)) != expected:
        raise ValueError("its checksum does not match its content")
    return payload


class Memo:
    """Facts about files, cached between calls by path, size and modification time.

    The cache is a file of JSON lines. Damaged lines are ignored. If the cache is not writable, facts are computed again
    in each call.

    Args:
        name: Name of the cache file.
    """

    def __init__(self, name: str):
        self._path = cache_folder() / name
        self._facts: dict[str, Any] | None = None

    def get(self, file: Path) -> Any | None:
        """The cached fact about a file, or None if there is none or the file has changed."""
        return self._load().get(_stamp(file))

    def put(self, file: Path, fact: Any) -> None:
        """Cache a fact about a file in its present state.

        Args:
            file: The file.
            fact: The fact; JSON-serialisable.
        """
        stamp = _stamp(file)
        self._load()[stamp] = fact
        line = canonical_json({"file": stamp, "fact": fact}) + b"\n"
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as lines:
                lines.write(line)

    def _load(self) -> dict[str, Any]:
        if self._facts is None:
            self._facts = {}
            with contextlib.suppress(OSError):
                for line in self._path.read_bytes().splitlines():
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        entry = json.loads(line)
                        self._facts[entry["file"]] = entry["fact"]
        return self._facts


def _stamp(file: Path) -> str:
    status = file.stat()
    return f"{file.absolute()}|{status.st_size}|{status.st_mtime_ns}"
