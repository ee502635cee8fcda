"""Division of a run into work items, their order, and the number of workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from f2vbench.adapters.unit import Unit
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.runner.context import Context
from f2vbench.runner.work_items import Extract, Item, RunUnits
from f2vbench.utils.system import cores, has_gpu, memory_bytes

_IMAGES_PER_ITEM, _MOST_IMAGES_PER_ITEM, _ITEMS = 8, 512, 1000
_UNITS_PER_STACK, _IMAGES_PER_STACK = 20, 20_000
_BYTES_PER_WORKER = 3 << 30
_KINDS = ("features", "generator", "fusion", "scratch", "score", "vector", "video", "constant")
_ORDER_OF_KINDS = {kind: position for position, kind in enumerate(_KINDS)}


@dataclass(frozen=True)
class _StackKey:
    """Properties that units have in common if their heads may train in one stack."""

    family: str
    protocol: Protocol
    shots: int | None
    support: int


@dataclass
class _Stack:
    """Units that train in one stack, and the number of images that they read."""

    units: list[Unit] = field(default_factory=list)
    images: int = 0

    def has_room(self, units: int, images: int) -> bool:
        return len(self.units) + units <= _UNITS_PER_STACK and self.images + images <= _IMAGES_PER_STACK

    def add(self, units: Sequence[Unit], images: int) -> None:
        self.units.extend(units)
        self.images += images


def make_work_items(units: Iterable[Unit], context: Context) -> list[Item]:
    """Work items of units: first all encoding, then the units, long ones first and those of one model together."""
    names = list(context.models)
    ordered = sorted(units, key=lambda u: (_ORDER_OF_KINDS[context.models[u.encoder].kind], names.index(u.encoder)))
    encoding: list[Item] = []
    for work in encoding_work(ordered, context):
        # An angiogram takes as long as a dozen photographs.
        encoding += work.split(1 if work.feature in ("vessel_score", "truth", "video") else item_size(len(work.images)))
    return encoding + [RunUnits(group) for group in _group_units(ordered, context)]


def item_size(images: int) -> int:
    """Number of images of a work item: 8, or as many as make a thousand items, at most 512.

    A killed process loses one item; each item costs a few milliseconds and a file in the feature store.
    """
    return min(max(_IMAGES_PER_ITEM, images // _ITEMS), _MOST_IMAGES_PER_ITEM)


def encoding_work(units: Iterable[Unit], context: Context) -> list[Extract]:
    """All images whose features the units read, one work item per model, task and kind of features."""
    images: dict[tuple[str, str, str], set[str]] = {}
    for unit in units:
        feature = context.feature(unit)
        if feature is not None:
            episode = context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
            read = context.adapter(unit.task).required_images(episode, unit.protocol, context.settings)
            for model in context.models[unit.encoder].part_names:
                images.setdefault((model, unit.task, feature), set()).update(read)
    return [Extract(model, task, feature, tuple(sorted(ids))) for (model, task, feature), ids in images.items()]


def worker_count(settings: RunSettings) -> int:
    """Number of worker processes: ``jobs``, or by default `cores / threads`, at most one per 3 GiB; one with a GPU."""
    if settings.jobs != "auto":
        return settings.jobs
    if settings.device.startswith("cuda") or (settings.device == "auto" and has_gpu()):
        return 1
    memory = memory_bytes()
    limit = max(1, memory // _BYTES_PER_WORKER) if memory else cores()
    return max(1, min(cores() // settings.threads, limit))


def _group_units(units: Sequence[Unit], context: Context) -> list[tuple[Unit, ...]]:
    """Groups of units that run in one work item.

    A group always has all seeds of one encoder and condition. It has several encoders and tasks if these have the same
    number of support images and the group stays small enough for memory and time.
    """
    alone: list[tuple[Unit, ...]] = []
    by_seed: dict[tuple[str, str, Protocol, int | None], list[Unit]] = {}
    for unit in units:
        if context.adapter(unit.task).runs_jointly(context.models[unit.encoder], unit.protocol, context.settings):
            by_seed.setdefault((unit.encoder, unit.task, unit.protocol, unit.shots), []).append(unit)
        else:
            alone.append((unit,))
    stacks: dict[_StackKey, list[_Stack]] = {}
    for seeds in by_seed.values():
        first, adapter = seeds[0], context.adapter(seeds[0].task)
        episodes = [context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed) for unit in seeds]
        images = sum(len(adapter.required_images(episode, first.protocol, context.settings)) for episode in episodes)
        key = _StackKey(adapter.name, first.protocol, first.shots, len(episodes[0].support))
        of_key = stacks.setdefault(key, [])
        if not of_key or not of_key[-1].has_room(len(seeds), images):
            of_key.append(_Stack())
        of_key[-1].add(seeds, images)
    return alone + [tuple(stack.units) for of_key in stacks.values() for stack in of_key]
