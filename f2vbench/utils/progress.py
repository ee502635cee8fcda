"""Progress of long work on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from tqdm import tqdm

from f2vbench.utils.text import duration

_SECONDS_BETWEEN_LINES = 15.0


class Progress(Protocol):
    """Receives the progress of work that has one or more phases."""

    def begin(self, title: str, total: int) -> None:
        """Begin a phase.

        Args:
            title: Title of the phase.
            total: Number of steps.
        """

    def advance(self, label: str) -> None:
        """Report one completed step.

        Args:
            label: Name of the step.
        """

    def show_part(self, label: str, steps: float) -> None:
        """Show how far the steps in work are.

        Args:
            label: Name of a step in work, and how far it is.
            steps: Sum of the completed fractions of all steps in work.
        """

    def note(self, text: str) -> None:
        """Show a message."""

    def end(self) -> None:
        """End the last phase."""


class Silent:
    """Progress that shows nothing."""

    def begin(self, title: str, total: int) -> None:
        """Ignore the phase."""

    def advance(self, label: str) -> None:
        """Ignore the step."""

    def show_part(self, label: str, steps: float) -> None:
        """Ignore the steps in work."""

    def note(self, text: str) -> None:
        """Ignore the message."""

    def end(self) -> None:
        """Do nothing."""


class Bar:
    """Progress as a bar with rate and remaining time."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._count = 0

    def begin(self, title: str, total: int) -> None:
        """Show a new bar."""
        self.end()
        self._count = 0
        self._bar = tqdm(total=total, desc=title, file=sys.stderr, dynamic_ncols=True, smoothing=0.1)

    def advance(self, label: str) -> None:
        """Advance the bar by one step."""
        self._count += 1
        self._show(label, self._count)

    def show_part(self, label: str, steps: float) -> None:
        """Move the bar by parts of steps."""
        self._show(label, round(self._count + steps, 2))

    def _show(self, label: str, position: float) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(label, refresh=False)
            self._bar.update(max(0, position - self._bar.n))

    def note(self, text: str) -> None:
        """Print a message above the bar."""
        tqdm.write(text, file=sys.stderr)

    def end(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Lines:
    """Progress as a line every 15 seconds, for log files."""

    def __init__(self) -> None:
        self._title, self._total, self._count = "", 0, 0
        self._started = self._printed = time.monotonic()

    def begin(self, title: str, total: int) -> None:
        """Print the title."""
        self._title, self._total, self._count = title, total, 0
        self._started = self._printed = time.monotonic()
        self._print(f"{title}: 0 of {total}")

    def advance(self, label: str) -> None:
        """Count a step, and print a line if the last is old or the phase is complete."""
        self._count += 1
        now = time.monotonic()
        if now - self._printed < _SECONDS_BETWEEN_LINES and self._count < self._total:
            return
        self._printed = now
        rate = self._count / max(now - self._started, 1e-9)
        pace = f", {60 * rate:.1f} per minute" if now - self._started > 1 else ""  # too short to know the rate
        left = f", {duration((self._total - self._count) / rate)} left" if self._count < self._total else ""
        self._print(f"{self._title}: {self._count} of {self._total}{pace}{left} ({label})")

    def show_part(self, label: str, steps: float) -> None:
        """Print a line if the last is old."""
        now = time.monotonic()
        if now - self._printed >= _SECONDS_BETWEEN_LINES:
            self._printed = now
            self._print(f"{self._title}: {self._count} of {self._total} ({label})")

    def note(self, text: str) -> None:
        """Print a message."""
        self._print(text)

    def end(self) -> None:
        """Do nothing."""

    @staticmethod
    def _print(text: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def for_this_terminal() -> Progress:
    """A bar if standard error is a terminal, otherwise lines."""
    return Bar() if sys.stderr.isatty() else Lines()
