"""What a plan will cost: rates from earlier work, or from a short rehearsal of one unit of each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import entry_name
from f2vbench.encoders.feature_identity import declared_features, entry_size
from f2vbench.runner.context import Context
from f2vbench.runner.executor import threads_for
from f2vbench.runner.plan import Plan
from f2vbench.runner.work_items import images_to_encode, workers
from f2vbench.runner.worker import Extract, Item, Outcome, Solve, Worker
from f2vbench.store.features import FeatureSet
from f2vbench.store.timings import Rates, kind_of_work, remember_rates, remembered_rates
from f2vbench.utils.system import machine

_REHEARSED_STEPS = 8


@dataclass
class ModelCost:
    """What the missing units of one model will take of one worker.

    Attributes:
        images, stored: how many images have to be encoded in all, and how many are in the feature store already.
        source: ``earlier work`` or ``rehearsal``.
    """

    seconds: float = 0.0
    disk_bytes: float = 0.0
    images: int = 0
    stored: int = 0
    source: str = "earlier work"


@dataclass
class Estimate:
    """Cost of a plan's missing units."""

    models: dict[str, ModelCost] = field(default_factory=dict)
    workers: int = 1

    @property
    def seconds(self) -> float:
        """Of the whole run, with its workers."""
        return sum(cost.seconds for cost in self.models.values()) / self.workers

    @property
    def disk_bytes(self) -> float:
        """That features and score maps will take."""
        return sum(cost.disk_bytes for cost in self.models.values())


def estimate(plan: Plan, context: Context, tell: Callable[[str], None], rehearse: bool = True) -> Estimate | None:
    """Cost of the missing units.

    Kinds of work that were never done on this machine are rehearsed: two photographs are encoded (and kept),
    and a unit of eight optimiser steps and one or two test images is timed.

    Args:
        tell: is told what is being rehearsed.
        rehearse: if False, None is returned where a rehearsal would be needed.
    """
    known = remembered_rates()
    found = Estimate(workers=workers(plan.settings))
    worker = Worker(context)
    items: list[Item] = [Solve((unit,)) for unit in plan.missing]
    with threads_for(context, items):
        encoding = images_to_encode(plan.missing, context)
        for unit in plan.missing:
            cost = found.models.setdefault(unit.encoder, ModelCost())
            key = kind_of_work(unit_work(unit, plan.settings))
            if key not in known and not rehearse:
                return None
            if key not in known:
                tell(f"timing {unit.encoder} on {unit.task}, {unit.protocol}")
                known |= _rehearse(worker, unit, plan.settings, context)
                cost.source = "rehearsal"
            episode = context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
            steps = _steps(unit, context, episode)
            rates = known[key]
            cost.seconds += rates["prepare"] + rates["fit_step"] * steps + rates["test_image"] * len(episode.test)
            cost.disk_bytes += rates["map_bytes"] * len(episode.test)
        for (model, task_name, what), images in encoding.items():
            cost = found.models.setdefault(model, ModelCost())  # a part of a fusion has no units of its own
            rates = known.get(kind_of_work(extraction_work(context, model, what)), {"image": 0.0, "image_bytes": 0.0})
            stored = _stored(context, model, task_name, what, images)
            cost.images, cost.stored = cost.images + len(images), cost.stored + stored
            cost.seconds += rates["image"] * (len(images) - stored)
            cost.disk_bytes += rates["image_bytes"] * (len(images) - stored)
    return found


def learn_rates(context: Context, item: Item, outcome: Outcome) -> None:
    """Remember how long an item took, for the next plan."""
    timing = outcome.timing
    if isinstance(item, Extract) and timing.get("extracted"):
        count = timing["extracted"]
        rates = {"image": timing["extract_seconds"] / count, "image_bytes": timing["bytes"] / count}
        remember_rates(extraction_work(context, item.model, item.what), rates)
    elif isinstance(item, Solve) and timing.get("scored"):
        remember_rates(unit_work(item.unit, context.settings), _unit_rates(timing))


def unit_work(unit: Unit, settings: RunSettings) -> dict[str, Any]:
    """The kind of work of a unit: units of one kind differ in length by steps and test images alone."""
    held = unit.identity
    return {"unit": [held["model"], held["settings"], unit.task, unit.protocol == "zero-shot"], **_where(settings)}


def extraction_work(context: Context, model: str, what: str) -> dict[str, Any]:
    """The kind of work of encoding one image."""
    declared = declared_features(context.models[model], what, context.settings)
    return {"extract": declared, **_where(context.settings)}


def _where(settings: RunSettings) -> dict[str, Any]:
    return {"device": settings.device, "threads": settings.threads, "processor": machine()["processor"]}


def _unit_rates(timing: Rates) -> Rates:
    per_image = (timing["score_seconds"] + timing["measure_seconds"]) / timing["scored"]
    per_step = timing["fit_seconds"] / timing["fit_steps"] if timing["fit_steps"] else 0.0
    return {
        "prepare": timing["prepare_seconds"],
        "fit_step": per_step,
        "test_image": per_image,
        "map_bytes": timing["map_bytes"] / timing["scored"],
    }


def _rehearse(worker: Worker, unit: Unit, settings: RunSettings, context: Context) -> dict[str, Rates]:
    """Rates of a unit's kind and of its encoding, measured now and remembered."""
    what = context.feature(unit)
    if what is not None:
        names = context.adapter(unit.task).input_images(context.tasks[unit.task].index).image.astype(str)
        for model in context.models[unit.encoder].part_names:
            item = Extract(model, unit.task, what, (names.iloc[0], names.iloc[-1]))
            learn_rates(context, item, worker.do(item))
    worker.rehearse(unit, steps=1)  # the first step of a network also prepares its kernels
    remember_rates(unit_work(unit, settings), _unit_rates(worker.rehearse(unit, steps=_REHEARSED_STEPS)))
    return remembered_rates()


def _steps(unit: Unit, context: Context, episode: Episode) -> int:
    adapter = context.adapter(unit.task)
    return adapter.fit_steps(context.models[unit.encoder], unit.protocol, context.settings, episode)


def _stored(context: Context, model: str, task: str, what: str, images: tuple[str, ...]) -> int:
    """How many of the images have their features in the store."""
    features = FeatureSet.planned(declared_features(context.models[model], what, context.settings))
    if features is None:
        return 0
    index = context.tasks[task].index.set_index("image", drop=False)
    size = entry_size(what, context.settings)
    return sum(features.has(entry_name(index.loc[name], size)) for name in images)
