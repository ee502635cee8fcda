"""What a set of features took to make, kept beside it, so that runs that find the features can tell it too.

operations.json   parameters and multiply-adds of encoding one photograph
work.jsonl        a line a group of photographs: how many, seconds, memory, and on what
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.utils.files import canonical_json, write_atomically

Work = dict[str, Any]
_OPERATIONS, _WORK = "operations.json", "work.jsonl"


def keep_operations(folder: Path, counted: Mapping[str, int]) -> None:
    """Keep the counts of a set of features, which are the same wherever it is made."""
    write_atomically(folder / _OPERATIONS, canonical_json(dict(counted)))


def operations_of(folder: Path) -> dict[str, int] | None:
    """Counts of a set of features, or None where nobody has counted, or the file is damaged."""
    try:
        held = json.loads((folder / _OPERATIONS).read_bytes())
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) else None


def add_work(folder: Path, work: Mapping[str, Any]) -> None:
    """Append a line; that it can't be written is no error, only a speed that nobody knows."""
    with contextlib.suppress(OSError), (folder / _WORK).open("ab") as lines:
        lines.write(canonical_json(dict(work)) + b"\n")


def work_of(folder: Path) -> list[Work]:
    """All lines that can be read, in the order they were written."""
    found = []
    with contextlib.suppress(OSError):
        for line in (folder / _WORK).read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                held = json.loads(line)
                if isinstance(held, dict):
                    found.append(held)
    return found


@dataclass
class Encoded:
    """What was done for some photographs.

    Attributes:
        images: how many were encoded; the features of the others were there.
        bytes: that the new features take in the store.
        seconds: spent in the encoder, its preprocessing included.
    """

    images: int = 0
    bytes: int = 0
    seconds: float = 0.0
