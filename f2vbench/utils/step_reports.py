"""Steps within one long piece of work: loops report them, and whoever runs the work shows them.

Training loops call `report_step` whether or not anybody listens, so that they need no argument for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_SECONDS_BETWEEN_REPORTS = 0.5


@dataclass
class _Listener:
    """Receives the completed fraction of the work, at most twice a second."""

    receive: Callable[[float], None]
    start: float = 0.0
    end: float = 1.0
    last: float = field(default_factory=time.monotonic)


_LISTENER: ContextVar[_Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(receive: Callable[[float], None]) -> Iterator[None]:
    """While the block runs, `report_step` calls ``receive`` with the completed fraction of the work, from 0 to 1."""
    token = _LISTENER.set(_Listener(receive))
    try:
        yield
    finally:
        _LISTENER.reset(token)


def set_part(number: int, count: int) -> None:
    """Say that the following steps belong to one of several parts of equal length.

    Args:
        number: Number of the part, from 0.
        count: Number of parts.
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener.start, listener.end = number / count, (number + 1) / count


def report_step(done: int, total: int) -> None:
    """Report a completed step.

    Args:
        done: Number of completed steps.
        total: Number of all steps.
    """
    listener = _LISTENER.get()
    now = time.monotonic()
    if listener is not None and total and now - listener.last >= _SECONDS_BETWEEN_REPORTS:
        listener.last = now
        listener.receive(listener.start + (listener.end - listener.start) * min(done / total, 1.0))
