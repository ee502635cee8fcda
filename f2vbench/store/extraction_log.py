"""Size and speed of an encoder, stored beside its features, so that later runs can report them as well.

operations.json   parameters and multiply-adds of encoding one photograph
work.jsonl        one line per group of photographs: count, seconds, memory, hardware
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from f2vbench.utils.files import canonical_json, write_atomically

if TYPE_CHECKING:
    from typing_extensions import NotRequired

_OPERATIONS, _WORK = "operations.json", "work.jsonl"


class NetworkSize(TypedDict):
    """Number of parameters, and of multiply-adds for one photograph."""

    parameters: int
    macs: int


class EncodingWork(TypedDict):
    """Work of encoding one group of photographs.

    ``encode_seconds`` is the time in the encoder, ``seconds`` the time with reading and writing, ``bytes`` the size of
    the features. Peaks of memory are absent where the system does not report them.
    """

    images: int
    bytes: int
    encode_seconds: float
    seconds: float
    processor_seconds: float
    process_bytes: NotRequired[int]
    device_bytes: NotRequired[int]
    device: str
    processor: str
    threads: int


@dataclass
class EncodedCounts:
    """Counts of a group of photographs.

    Attributes:
        images: Number of photographs that were encoded; those with stored features are not counted.
        bytes: Size of the new features in the store.
        seconds: Time in the encoder, including its preprocessing.
    """

    images: int = 0
    bytes: int = 0
    seconds: float = 0.0


def write_network_size(folder: Path, size: NetworkSize) -> None:
    """Store the size of the network that computes a set of features."""
    write_atomically(folder / _OPERATIONS, canonical_json(dict(size)))


def read_network_size(folder: Path) -> NetworkSize | None:
    """Size of the network of a set of features, or None if it is not stored or the file is damaged."""
    try:
        size = json.loads((folder / _OPERATIONS).read_bytes())
    except (OSError, ValueError):
        return None
    return cast(NetworkSize, size) if isinstance(size, dict) else None


def append_work(folder: Path, work: EncodingWork) -> None:
    """Append the work of one group of photographs; a folder that is not writable is ignored."""
    with contextlib.suppress(OSError), (folder / _WORK).open("ab") as lines:
        lines.write(canonical_json(dict(work)) + b"\n")


def read_work(folder: Path) -> list[EncodingWork]:
    """All readable lines, in the order in which they were written."""
    work: list[EncodingWork] = []
    with contextlib.suppress(OSError):
        for line in (folder / _WORK).read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    work.append(cast(EncodingWork, entry))
    return work
