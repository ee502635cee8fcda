"""Engine ``ray``: executes work items with actors of a Ray cluster."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from f2vbench.config.run import RunSettings
from f2vbench.errors import F2VBenchError
from f2vbench.runner.context import Context
from f2vbench.runner.engines.base import Engine, OnStep
from f2vbench.runner.engines.item_queue import ItemQueue
from f2vbench.runner.engines.ray_cluster import (
    Workers,
    check_nodes,
    connection,
    has_room,
    list_nodes,
    plan_workers,
    worker_environment,
)
from f2vbench.runner.engines.ray_worker import RayWorker, Reply, WorkerPlace
from f2vbench.runner.resume import is_complete
from f2vbench.runner.work_items import Item, Outcome, RunUnits
from f2vbench.store.runs import RunFolder
from f2vbench.utils.files import write_atomically
from f2vbench.utils.system import machine
from f2vbench.utils.text import plural, shortened

_STEP_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_FAILED_STARTS = 3


class RayEngine(Engine):
    """Executes work items with the actors of a Ray cluster, each a worker that keeps its models.

    An item of an actor that dies runs again on another one. Nodes that see the run folder write into it; files of other
    nodes come back through Ray, and this process writes them.

    Args:
        settings: Settings of the run.
        note: Receives messages for the user.
    """

    def __init__(self, settings: RunSettings, note: Callable[[str], None]):
        self._settings = settings
        self._note = note

    def execute(
        self, context: Context, items: Sequence[Item], on_step: OnStep | None = None
    ) -> Iterator[tuple[Item, Outcome]]:
        """Execute work items; see `Engine.execute`."""
        token = uuid.uuid4().hex
        probe = (context.folder / "claims" / f"ray-{token}.probe").absolute()
        with connection(self._settings.ray.address) as cluster:
            nodes = list_nodes()
            workers = plan_workers(self._settings, nodes)
            workers = replace(workers, count=min(workers.count, len(items)))
            write_atomically(probe, token.encode())
            try:
                unseen = check_nodes(context, nodes, workers, str(probe), token)
                self._note(_summary(cluster, workers, len(nodes), unseen))
                if not workers.gpus:
                    context = replace(context, settings=context.settings.model_copy(update={"device": "cpu"}))
                start = (ray.put(context), str(probe), token)
                dispatch = _Dispatch(items, context, workers, start, on_step, self._note)
                yield from dispatch.run()
            finally:
                probe.unlink(missing_ok=True)


@dataclass
class _Slot:
    """A worker, and the item that it has in work.

    Attributes:
        actor: Handle of the actor.
        place: Where it runs; None until it has started.
        item: Number of the item in work.
        claims: Locks that this process holds for the units of the item.
        ignored: Number of the item's units that another process has claimed.
    """

    actor: Any
    place: WorkerPlace | None = None
    item: int | None = None
    claims: ExitStack = field(default_factory=ExitStack)
    ignored: int = 0


class _Dispatch:
    """Gives items to the workers of a cluster, one at a time, and collects outcomes.

    Args:
        items: Work items.
        context: Tasks, models and settings of the run.
        workers: Number and size of the workers.
        start: Arguments of `RayWorker.start`.
        on_step: Receives an item in work and its completed fraction.
        note: Receives messages for the user.
    """

    def __init__(
        self,
        items: Sequence[Item],
        context: Context,
        workers: Workers,
        start: tuple[Any, str, str],
        on_step: OnStep | None,
        note: Callable[[str], None],
    ):
        self._items, self._context, self._workers, self._start = items, context, workers, start
        self._folder = RunFolder(context.folder)
        self._on_step, self._note = on_step, note
        self._queue = ItemQueue(items)
        self._actor_arguments = (worker_environment(context.settings.threads), str(Path.cwd()))
        self._slots: list[_Slot] = []
        self._calls: dict[Any, tuple[_Slot, Callable[[_Slot, Any], Outcome | None]]] = {}
        self._failed_starts = 0
        self._processors = {machine()["processor"]}
        self._asked_for_steps = self._last_worker = time.monotonic()

    def run(self) -> Iterator[tuple[Item, Outcome]]:
        """Execute all items; yields each with its outcome."""
        try:
            for _ in range(self._workers.count):
                self._start_worker()
            while self._queue:
                self._assign()
                completed, _ = ray.wait(list(self._calls), num_returns=1, timeout=_STEP_SECONDS)
                for call in completed:
                    slot, receive = self._calls.pop(call)
                    number = slot.item
                    try:
                        outcome = receive(slot, ray.get(call))
                    except RayTaskError as error:
                        if isinstance(error.cause, F2VBenchError):
                            raise error.cause from None
                        raise RuntimeError(f"A worker process failed:\n{error}") from error
                    except RayError as error:
                        self._replace(slot, _cause(error))
                        continue
                    if outcome is not None and number is not None:
                        yield self._items[number], outcome
                self._ask_for_steps()
                self._check_that_workers_live()
        finally:
            self._end_workers()
        self._queue.raise_given_up()

    def _start_worker(self) -> None:
        remote: Any = ray.remote  # its annotations lack concurrency groups
        actor = remote(concurrency_groups={"steps": 1})(RayWorker).options(
            num_cpus=self._workers.cpus, num_gpus=self._workers.gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        slot = _Slot(actor.remote(*self._actor_arguments))
        self._slots.append(slot)
        self._calls[slot.actor.start.remote(*self._start)] = (slot, self._receive_start)

    def _receive_start(self, slot: _Slot, place: WorkerPlace) -> None:
        slot.place, self._failed_starts, self._last_worker = place, 0, time.monotonic()
        if place.warning:
            self._note(place.warning)
        if place.processor not in self._processors:
            self._processors.add(place.processor)
            self._note(
                f"{place.node} has another processor ({place.processor}): the last digits of results may differ from "
                "those of one machine, and precision=auto may choose another arithmetic there; precision=float32 is "
                "the same everywhere"
            )

    def _assign(self) -> None:
        """Give the next items to workers without one."""
        for slot in self._slots:
            while slot.place is not None and slot.item is None and (number := self._queue.take()) is not None:
                item = self._items[number] if slot.place.sees_folder else self._claim(slot, self._items[number])
                slot.item = number
                self._calls[slot.actor.do.remote(item)] = (slot, self._receive_reply)

    def _claim(self, slot: _Slot, item: Item) -> Item:
        """Lock the missing units of an item for a worker that does not see the locks; returns what it has to do."""
        slot.ignored = 0
        if not isinstance(item, RunUnits):
            return item
        claimed = [unit for unit in item.units if slot.claims.enter_context(self._folder.claim(unit.name))]
        slot.ignored = len(item.units) - len(claimed)
        return RunUnits(tuple(unit for unit in claimed if not is_complete(self._folder, unit, self._context)))

    def _receive_reply(self, slot: _Slot, reply: Reply) -> Outcome | None:
        number, place = slot.item, slot.place
        assert number is not None
        assert place is not None
        if reply.outcome is None:
            self._note(f"error on node {place.node}; the output of its worker: {place.log}")
            raise reply.error or RuntimeError(f"A worker process failed:\n{reply.traceback}")
        for files in reply.units:
            self._folder.put_unit(files)
        slot.claims.close()
        slot.item = None
        outcome = replace(reply.outcome, claimed_elsewhere=reply.outcome.claimed_elsewhere + slot.ignored)
        slot.ignored = 0
        if outcome.claimed_elsewhere and self._queue.wait_for_claims(number):
            return None
        self._queue.complete(number)
        if place.processor != machine()["processor"]:
            outcome = replace(outcome, timing={})  # the estimates of this machine are not those of that one
        return outcome

    def _receive_fraction(self, slot: _Slot, fraction: float) -> None:
        if slot.item is not None and fraction and self._on_step is not None:
            self._on_step(self._items[slot.item], fraction)

    def _ask_for_steps(self) -> None:
        """Ask the workers for their progress, once a second; a worker that has not replied is not asked again."""
        now = time.monotonic()
        if self._on_step is None or now - self._asked_for_steps < _STEP_SECONDS:
            return
        self._asked_for_steps = now
        asked = {id(slot) for slot, receive in self._calls.values() if receive == self._receive_fraction}
        for slot in self._slots:
            if slot.item is not None and id(slot) not in asked:
                self._calls[slot.actor.fraction.remote()] = (slot, self._receive_fraction)

    def _replace(self, slot: _Slot, cause: str) -> None:
        """Requeue the item of a worker that died, and start another worker; calls to the dead one are forgotten."""
        if slot not in self._slots:
            return  # a second call to it failed
        self._slots.remove(slot)
        self._calls = {call: entry for call, entry in self._calls.items() if entry[0] is not slot}
        slot.claims.close()
        with contextlib.suppress(RayError):
            ray.kill(slot.actor)
        if slot.place is None:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise F2VBenchError(
                    f"engine=ray: {_FAILED_STARTS} workers in a row could not start ({cause}); see Ray's logs "
                    "(/tmp/ray/session_latest/logs) on the nodes. Completed work is stored"
                )
        elif slot.item is not None:
            self._note(self._queue.requeue(slot.item, f"{slot.place.node}: {cause}", slot.place.log))
        self._start_worker()

    def _check_that_workers_live(self) -> None:
        """Say that all workers are waiting for resources, and end the run if no node is left for them."""
        now = time.monotonic()
        if any(slot.place is not None for slot in self._slots):
            self._last_worker = now
        elif now - self._last_worker > _PATIENCE_SECONDS:
            self._last_worker = now
            if not has_room(list_nodes(), self._workers):
                raise F2VBenchError(
                    "engine=ray: no node of the cluster is left that could hold a worker. Completed work is stored; "
                    "start nodes with `ray start`, and run the command again"
                )
            self._note(
                f"waiting for the cluster to start a worker ({self._workers.cpus} cores, {self._workers.gpus:g} GPUs); "
                "`ray status` shows what uses its resources"
            )

    def _end_workers(self) -> None:
        """Let workers remove their temporary files, end them, and release the units that they had in work."""
        with contextlib.suppress(RayError):
            closing = [
                slot.actor.close.remote()
                for slot in self._slots
                if slot.place is not None
                and slot.item is None
                and not (slot.place.sees_folder and not slot.place.warning)
            ]
            if closing:
                ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_SECONDS)
        for slot in self._slots:
            with contextlib.suppress(RayError):
                ray.kill(slot.actor)
            slot.claims.close()


def _summary(cluster: str, workers: Workers, nodes: int, unseen: Sequence[str]) -> str:
    size = plural(workers.cpus, "core") + (f" and {workers.gpus:g} GPUs" if workers.gpus else "")
    files = "all nodes see the run folder, and workers write into it"
    if unseen:
        files = f"{shortened(unseen)} does not see the run folder: its records and predictions come back through Ray"
    return f"Ray: {plural(workers.count, 'worker')} of {size} on {cluster} with {plural(nodes, 'node')}; {files}"


def _cause(error: RayError) -> str:
    """Short reason of a worker's death."""
    text = " ".join(str(error).split())
    for phrase in ("Worker exit detail: ", "The actor is dead because "):
        if phrase in text:
            text = text.partition(phrase)[2]
            break
    return text[:200].partition(". Some common")[0].rstrip(". ")
