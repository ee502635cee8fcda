"""Progress of long work on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from tqdm import tqdm

from f2vbench.utils.text import duration

_SECONDS_BETWEEN_LINES = 15.0


class Progress(Protocol):
    """What a run tells while it works."""

    def begin(self, title: str, total: int) -> None: ...

    def advance(self, label: str) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


class Silent:
    """Says nothing."""

    def begin(self, title: str, total: int) -> None: ...

    def advance(self, label: str) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


class Bar:
    """A bar with rate and time left."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def begin(self, title: str, total: int) -> None:
        self.end()
        self._bar = tqdm(total=total, desc=title, file=sys.stderr, dynamic_ncols=True, smoothing=0.1)

    def advance(self, label: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(label, refresh=False)
            self._bar.update()

    def note(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Lines:
    """A line now and then, for log files."""

    def __init__(self) -> None:
        self._title, self._total, self._count = "", 0, 0
        self._started = self._said = time.monotonic()

    def begin(self, title: str, total: int) -> None:
        self._title, self._total, self._count = title, total, 0
        self._started = self._said = time.monotonic()
        self._print(f"{title}: 0 of {total}")

    def advance(self, label: str) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES and self._count < self._total:
            return
        self._said = now
        rate = self._count / max(now - self._started, 1e-9)
        pace = f", {60 * rate:.1f} a minute" if now - self._started > 1 else ""  # less than a second tells no rate
        left = f", {duration((self._total - self._count) / rate)} left" if self._count < self._total else ""
        self._print(f"{self._title}: {self._count} of {self._total}{pace}{left} ({label})")

    def note(self, text: str) -> None:
        self._print(text)

    def end(self) -> None: ...

    @staticmethod
    def _print(text: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def for_this_terminal() -> Progress:
    """A bar where somebody watches, lines where not."""
    return Bar() if sys.stderr.isatty() else Lines()
