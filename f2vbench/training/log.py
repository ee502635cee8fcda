"""The log of a training: a line of JSON for each batch and epoch, and TensorBoard's events where it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from f2vbench.config.base import flatten
from f2vbench.errors import StoreError
from f2vbench.utils.files import canonical_json, write_atomically

LOG = "log.jsonl"
EVENTS = "tensorboard"


class TrainingLog:
    """Lines of ``log.jsonl`` in a run folder; each says after how many ``videos`` it was written.

    Args:
        videos: where the training goes on; later lines, from before it was stopped, are taken out.

    Raises:
        StoreError: the log can't be written.
    """

    def __init__(self, folder: Path, videos: int):
        self._path = folder / LOG
        lines = self._path.read_bytes().splitlines() if self._path.is_file() else []
        kept = [line for line in map(_complete, lines) if line is not None and line["videos"] <= videos]
        write_atomically(self._path, b"".join(canonical_json(line) + b"\n" for line in kept))
        self._events = _events(folder / EVENTS, videos)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line; holds ``videos``, and finite numbers, also below one more key."""
        try:
            with self._path.open("ab") as log:
                log.write(canonical_json(line) + b"\n")
        except OSError as error:
            raise StoreError(
                f"{self._path}: can't be written ({error.strerror or error}); free some space and run again, training "
                "goes on from the last checkpoint"
            ) from error
        if self._events is not None:
            for name, value in flatten(line).items():
                self._events.add_scalar(name.replace(".", "/"), value, line["videos"])

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def _complete(line: bytes) -> dict[str, Any] | None:
    """A line, or None for one that was cut short when the training was killed."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _events(folder: Path, videos: int) -> Any:
    """TensorBoard's writer, or None without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=videos + 1)  # type: ignore[no-untyped-call]
