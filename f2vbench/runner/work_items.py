"""The items of a run, in the order they are best done, and how many workers they deserve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.runner.context import Context
from f2vbench.runner.worker import Extract, Item, Solve
from f2vbench.utils.system import cores, has_gpu, memory_bytes

_CHUNK = 8
_UNITS_TOGETHER, _IMAGES_TOGETHER = 20, 20_000
_BYTES_A_WORKER = 3 << 30
_ORDER_OF_KINDS = {"features": 0, "fusion": 1, "scratch": 2, "score": 3, "vector": 4, "video": 5}


def items_of(units: Iterable[Unit], context: Context) -> list[Item]:
    """What there is to do: first all encoding, then the units, long ones first and those of one model together."""
    names = list(context.models)
    ordered = sorted(units, key=lambda u: (_ORDER_OF_KINDS[context.models[u.encoder].kind], names.index(u.encoder)))
    encoding: list[Item] = []
    for (model, task, what), images in images_to_encode(ordered, context).items():
        size = 1 if what in ("frames", "video") else _CHUNK  # an angiogram takes as long as a dozen photographs
        encoding += [Extract(model, task, what, images[i : i + size]) for i in range(0, len(images), size)]
    return encoding + [Solve(group) for group in _groups(ordered, context)]


def _groups(units: Sequence[Unit], context: Context) -> list[tuple[Unit, ...]]:
    """Units that their family solves together, as one; the others alone.

    The seeds of one encoder and task always; encoders and tasks with as many support images as long as the group
    stays small, so that it does not fill the memory and is not long in work.
    """
    alone: list[tuple[Unit, ...]] = []
    by_seeds: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        model = context.models[unit.encoder]
        if context.adapter(unit.task).runs_jointly(model, unit.protocol, context.settings):
            by_seeds.setdefault((unit.encoder, unit.task, unit.protocol, unit.shots), []).append(unit)
        else:
            alone.append((unit,))
    groups: dict[tuple[object, ...], list[tuple[list[Unit], int]]] = {}
    for same in by_seeds.values():
        adapter, first = context.adapter(same[0].task), same[0]
        episodes = [context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed) for unit in same]
        images = sum(len(adapter.required_images(episode, first.protocol, context.settings)) for episode in episodes)
        alike = groups.setdefault((adapter.name, first.protocol, first.shots, len(episodes[0].support)), [])
        held, read = alike.pop() if alike else ([], 0)
        if held and (len(held) + len(same) > _UNITS_TOGETHER or read + images > _IMAGES_TOGETHER):
            alike.append((held, read))
            held, read = [], 0
        alike.append((held + same, read + images))
    return alone + [tuple(held) for alike in groups.values() for held, _ in alike]


def images_to_encode(units: Iterable[Unit], context: Context) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """(model, task, what) → the images whose features the units read."""
    wanted: dict[tuple[str, str, str], dict[str, None]] = {}
    for unit in units:
        what = context.feature(unit)
        if what is not None:
            episode = context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
            read = context.adapter(unit.task).required_images(episode, unit.protocol, context.settings)
            for model in context.models[unit.encoder].part_names:
                wanted.setdefault((model, unit.task, what), {}).update(dict.fromkeys(read))
    return {key: tuple(sorted(images)) for key, images in wanted.items()}


def workers(settings: RunSettings) -> int:
    """Worker processes: as asked, or one a core (and 3 GiB of memory), or one where a GPU does the work."""
    if settings.jobs != "auto":
        return settings.jobs
    if settings.device.startswith("cuda") or (settings.device == "auto" and has_gpu()):
        return 1
    memory = memory_bytes()
    fitting = max(1, memory // _BYTES_A_WORKER) if memory else cores()
    return max(1, min(cores() // settings.threads, fitting))
