"""One item after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from f2vbench.engine.context import Context
from f2vbench.engine.work import Extract, Item, Outcome, Worker


def run_serially(context: Context, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
    """Yield each item with its outcome as it ends."""
    worker = Worker(context)
    with threads_for(context, items):
        for item in items:
            yield item, worker.do(item)


def threads_for(context: Context, items: Sequence[Item]) -> AbstractContextManager[None]:
    """The thread limit of a run, without importing torch for items that do without it."""
    if not any(
        context.models[item.model].uses_torch if isinstance(item, Extract) else context.uses_torch(item.unit)
        for item in items
    ):
        return nullcontext()
    from f2vbench.engine.device import limited_threads

    return limited_threads(context.settings.threads)
