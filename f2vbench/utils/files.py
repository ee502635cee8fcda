"""The few disk primitives that the stores, the data layer and the reports share."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.errors import StoreError

if TYPE_CHECKING:
    from pandas import DataFrame


def cache_folder() -> Path:
    """Where features, file hashes and timings are kept: ``F2VBENCH_CACHE``, or ``~/.cache/f2vbench``."""
    given = os.environ.get("F2VBENCH_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "f2vbench"


def write_atomically(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file so that it is there whole or not at all, whatever happens meanwhile.

    Args:
        durable: also wait until the disk has it (for the records of finished work).

    Raises:
        StoreError: the disk is full or the folder can't be written; an older file of that name is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        reason = error.strerror or str(error)
        raise StoreError(
            f"{path}: can't be written ({reason}); free some space or choose another folder, then run again – "
            "what was finished is kept"
        ) from error


def write_csv(table: DataFrame, path: Path) -> Path:
    """Write a table in one step, numbers in full; equal tables give equal bytes. Returns the path."""
    write_atomically(path, table.to_csv(index=False, lineterminator="\n").encode())
    return path


def sweep(folder: Path) -> None:
    """Remove what writers that were killed more than a day ago left half-written in a folder."""
    with contextlib.suppress(OSError):
        for rest in folder.glob(".*.part"):
            if time.time() - rest.stat().st_mtime > 86_400:
                rest.unlink()


def canonical_json(value: Any) -> bytes:
    """One byte string for equal values: sorted keys, no spaces, exact floats, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sealed(payload: Any) -> bytes:
    """JSON of ``payload`` with the checksum that `unseal` verifies."""
    text = json.dumps(payload, indent=1, ensure_ascii=False, allow_nan=False)
    return f'{{"sha256": "{sha256(canonical_json(payload))}",\n"payload": {text}}}\n'.encode()


def unseal(content: bytes) -> Any:
    """The payload of a sealed file.

    Raises:
        ValueError: truncated, damaged, or not sealed at all.
    """
    try:
        held = json.loads(content)
        payload, expected = held["payload"], held["sha256"]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("truncated or not a sealed file") from error
    if sha256(canonical_json(payload)) != expected:
        raise ValueError("its checksum does not fit its content")
    return payload


class Memo:
    """Facts about files, remembered between calls by path, size and time of change.

    A file of JSON lines in the cache folder, appended to; damaged lines are ignored, and where the cache
    can't be written the facts are computed again each time.
    """

    def __init__(self, name: str):
        self._path = cache_folder() / name
        self._known: dict[str, Any] | None = None

    def get(self, file: Path) -> Any | None:
        """The remembered fact, or None when there is none or the file has changed."""
        return self._load().get(_stamp(file))

    def put(self, file: Path, fact: Any) -> None:
        """Remember a JSON-able fact about the file as it is now."""
        stamp = _stamp(file)
        self._load()[stamp] = fact
        line = canonical_json({"file": stamp, "fact": fact}) + b"\n"
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as lines:
                lines.write(line)

    def _load(self) -> dict[str, Any]:
        if self._known is None:
            self._known = {}
            with contextlib.suppress(OSError):
                for line in self._path.read_bytes().splitlines():
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        held = json.loads(line)
                        self._known[held["file"]] = held["fact"]
        return self._known


def _stamp(file: Path) -> str:
    status = file.stat()
    return f"{file.absolute()}|{status.st_size}|{status.st_mtime_ns}"
