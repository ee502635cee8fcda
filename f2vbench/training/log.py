"""The training log: a line of JSON for each batch and epoch, and TensorBoard events where TensorBoard is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.config.base import flatten
from f2vbench.errors import StoreError
from f2vbench.utils.files import canonical_json, write_atomically, write_problem

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
EVENTS = "tensorboard"


class TrainingLog:
    """Writes ``log.jsonl`` in a run folder; each line has the number of training ``videos`` at its time.

    Args:
        folder: The run folder.
        videos: Where the training resumes. Later lines, written before an interruption, are removed.

    Raises:
        StoreError: The log can't be written.
    """

    def __init__(self, folder: Path, videos: int):
        self._path = folder / LOG
        lines = self._path.read_bytes().splitlines() if self._path.is_file() else []
        kept = [line for line in map(_parse, lines) if line is not None and line["videos"] <= videos]
        write_atomically(self._path, b"".join(canonical_json(line) + b"\n" for line in kept))
        self._events = _event_writer(folder / EVENTS, videos)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Args:
            line: ``videos`` and finite numbers, which may be nested one level deep.

        Raises:
            StoreError: The log can't be written.
        """
        try:
            with self._path.open("ab") as log:
                log.write(canonical_json(line) + b"\n")
        except OSError as error:
            raise StoreError(f"{self._path}: can't be written: {write_problem(error)}") from error
        if self._events is not None:
            for name, value in flatten(line).items():
                self._events.add_scalar(name.replace(".", "/"), value, line["videos"])

    def close(self) -> None:
        """Close the TensorBoard events."""
        if self._events is not None:
            self._events.close()


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line of the log, or None for one that is incomplete because the training was killed."""
    try:
        parsed: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return parsed


def _event_writer(folder: Path, videos: int) -> SummaryWriter | None:
    """A TensorBoard writer, or None without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=videos + 1)
