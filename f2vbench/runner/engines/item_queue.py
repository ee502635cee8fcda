"""Queue of work items whose workers may die: items are requeued, and given up after several deaths."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence

from f2vbench.errors import F2VBenchError
from f2vbench.runner.work_items import Item
from f2vbench.utils.text import plural, shortened

MAX_DEATHS = 3
"""Number of workers that may die with one item before the run gives up on it."""
_RELEASE_SECONDS = 60.0
_RETRY_SECONDS = 1.0


class ItemQueue:
    """Numbers of the work items that wait for a worker, in the order of the run.

    Args:
        items: Work items of the run.
    """

    def __init__(self, items: Sequence[Item]):
        self._items = items
        self._waiting = deque(range(len(items)))
        self._later: list[tuple[float, int]] = []
        self._open = len(items)
        self._deaths: Counter[int] = Counter()
        self._last_death: dict[int, float] = {}
        self._given_up: list[str] = []

    def __bool__(self) -> bool:
        """Whether items are waiting or in work."""
        return self._open > 0

    def take(self) -> int | None:
        """Number of the next item; None while none is waiting."""
        now = time.monotonic()
        for due in [entry for entry in self._later if entry[0] <= now]:
            self._later.remove(due)
            self._waiting.appendleft(due[1])
        return self._waiting.popleft() if self._waiting else None

    def complete(self, number: int) -> None:
        """Count an item as completed."""
        self._open -= 1

    def requeue(self, number: int, cause: str, log: str) -> str:
        """Requeue the item of a worker that died, or give up on it.

        Args:
            number: Number of the item.
            cause: Why the worker died.
            log: Where its output is.

        Returns:
            A message for the user.
        """
        self._deaths[number] += 1
        self._last_death[number] = time.monotonic()
        name = shortened(self._items[number].labels)
        if self._deaths[number] < MAX_DEATHS:
            self._waiting.appendleft(number)
            return f"a worker died ({cause}); its item runs again: {name}"
        self._open -= 1
        problem = f"{name}: {plural(MAX_DEATHS, 'worker')} died with this item (the last: {cause}; its output: {log})"
        self._given_up.append(problem)
        return f"{problem}; the run goes on without it"

    def wait_for_claims(self, number: int) -> bool:
        """Whether an item runs again because a dead worker may not have released its units yet.

        Args:
            number: Number of an item with units that another process has claimed.
        """
        if time.monotonic() - self._last_death.get(number, -_RELEASE_SECONDS) >= _RELEASE_SECONDS:
            return False
        self._later.append((time.monotonic() + _RETRY_SECONDS, number))
        return True

    def raise_given_up(self) -> None:
        """Raise an error about the items that were given up.

        Raises:
            F2VBenchError: There are such items.
        """
        if self._given_up:
            problems = [
                f"{problem}. Memory may have run out: run the command again with fewer workers on a node (ray.cpus=, "
                "ray.workers=); all other items are completed and stored"
                for problem in self._given_up
            ]
            raise F2VBenchError(problems)
