"""Interface of the engines that execute work items, and the limit of threads that their workers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from f2vbench.runner.context import Context
from f2vbench.runner.work_items import Item, Outcome

OnStep = Callable[[Item, float], None]
"""Receives an item in work and its completed fraction."""


class Engine(ABC):
    """Executes work items with workers that keep models and features between items."""

    @abstractmethod
    def execute(
        self, context: Context, items: Sequence[Item], on_step: OnStep | None = None
    ) -> Iterator[tuple[Item, Outcome]]:
        """Execute work items.

        Closing the iterator ends the workers; completed units are stored then.

        Args:
            context: Tasks, models and settings of the run.
            items: Work items.
            on_step: Receives an item in work and its completed fraction.

        Yields:
            Each item with its outcome, as it completes; with several workers in no fixed order.

        Raises:
            F2VBenchError: An item can't be completed, or workers die.
            RuntimeError: A defect; the message contains the traceback of the worker.
        """


def thread_limit(context: Context, uses_torch: bool) -> AbstractContextManager[None]:
    """Limit the threads of torch as the settings say; torch is not imported for work that does not use it."""
    if not uses_torch:
        return nullcontext()
    from f2vbench.utils.device import limited_threads

    return limited_threads(context.settings.threads)
