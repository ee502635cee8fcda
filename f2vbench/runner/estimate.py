"""Estimate of time and disk for a plan, from earlier work or from a short rehearsal of each kind of unit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.photographs import entry_names
from f2vbench.encoders.feature_identity import declared_features, entry_size
from f2vbench.runner.context import Context
from f2vbench.runner.engines.base import thread_limit
from f2vbench.runner.plan import Plan
from f2vbench.runner.scheduling import encoding_work, make_work_items, worker_count
from f2vbench.runner.work_items import Extract, Item, Outcome
from f2vbench.runner.worker import Worker
from f2vbench.runner.worker_times import ItemTime, WorkParts
from f2vbench.store.extraction_log import read_work
from f2vbench.store.features import FeatureSet
from f2vbench.store.timings import Rates, kind_of_work, read_rates, store_rates
from f2vbench.utils.system import machine

_REHEARSED_STEPS = 8


@dataclass
class ModelCost:
    """Cost of the missing units of one model.

    Attributes:
        seconds: Time of one worker.
        disk_bytes: Size of new features and score maps.
        images: Number of images that the units read.
        stored: Number of these images whose features are stored.
        source: ``earlier work`` or ``rehearsal``.
    """

    seconds: float = 0.0
    disk_bytes: float = 0.0
    images: int = 0
    stored: int = 0
    source: str = "earlier work"


@dataclass
class Estimate:
    """Cost of the missing units of a plan.

    Attributes:
        models: Cost by model.
        workers: Number of workers.
        unknown: Number of missing units whose cost is not included, because the time for rehearsals was over.
        items: Expected time of each work item, in the order of the run.
        parts: Seconds of one worker in each part of the work.
    """

    models: dict[str, ModelCost] = field(default_factory=dict)
    workers: int = 1
    unknown: int = 0
    items: list[ItemTime] = field(default_factory=list)
    parts: WorkParts = field(default_factory=WorkParts)

    @property
    def seconds(self) -> float:
        """Time of the whole run with its workers."""
        return sum(cost.seconds for cost in self.models.values()) / self.workers

    @property
    def disk_bytes(self) -> float:
        """Size of new features and score maps."""
        return sum(cost.disk_bytes for cost in self.models.values())


def estimate_cost(
    plan: Plan, context: Context, report: Callable[[str], None], rehearsal_seconds: float = math.inf
) -> Estimate:
    """Estimate the cost of the missing units.

    Kinds of work without earlier measurements on this machine are rehearsed: two photographs are encoded (and their
    features stored), and a unit with eight optimiser steps and one or two test images is timed.

    Args:
        plan: The plan.
        context: Tasks, models and settings of the run.
        report: Receives a message before each rehearsal.
        rehearsal_seconds: No rehearsal starts after this time.
    """
    started = time.monotonic()
    rates = read_rates()
    estimate = Estimate(workers=_expected_workers(plan.settings))
    worker = Worker(context)
    unit_seconds: dict[str, float] = {}
    image_seconds: dict[tuple[str, str, str], float] = {}
    with thread_limit(context, any(context.uses_torch(unit) for unit in plan.missing)):
        encoding = encoding_work(plan.missing, context)
        for unit in plan.missing:
            cost = estimate.models.setdefault(unit.encoder, ModelCost())
            key = kind_of_work(unit_work(unit, plan.settings))
            if key not in rates and time.monotonic() - started >= rehearsal_seconds:
                estimate.unknown += 1
                continue
            if key not in rates:
                report(f"timing {unit.encoder} on {unit.task}, {unit.protocol}")
                rates |= _rehearse(worker, unit, plan.settings, context, report)
                cost.source = "rehearsal"
            episode = context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
            of_unit = rates[key]
            parts = WorkParts(
                reading=of_unit["prepare"],
                training=of_unit["fit_step"] * _steps(unit, context, episode),
                testing=of_unit["test_image"] * len(episode.test),
            )
            estimate.parts.add(parts)
            unit_seconds[unit.name] = parts.seconds
            cost.seconds += parts.seconds
            cost.disk_bytes += of_unit["map_bytes"] * len(episode.test)
        for work in encoding:
            cost = estimate.models.setdefault(work.model, ModelCost())  # a part of a fusion has no units of its own
            key = kind_of_work(extraction_work(context, work.model, work.feature))
            of_image = rates.get(key, {"image": 0.0, "image_bytes": 0.0})
            stored = _count_stored(context, work, report)
            cost.images, cost.stored = cost.images + len(work.images), cost.stored + stored
            seconds = of_image["image"] * (len(work.images) - stored)
            estimate.parts.add(_encoding_parts(context, work, seconds))
            image_seconds[work.model, work.task, work.feature] = seconds / len(work.images)
            cost.seconds += seconds
            cost.disk_bytes += of_image["image_bytes"] * (len(work.images) - stored)
    for item in make_work_items(plan.missing, context):
        if isinstance(item, Extract):
            seconds = image_seconds[item.model, item.task, item.feature] * len(item.images)
        else:
            seconds = sum(unit_seconds.get(unit.name, 0.0) for unit in item.units)
        estimate.items.append(ItemTime(item, seconds))
    return estimate


def store_item_rates(context: Context, item: Item, outcome: Outcome) -> None:
    """Store how long an item took, for the estimates of later plans."""
    timing = outcome.timing
    if isinstance(item, Extract):
        count = timing.get("extracted")
        if count:
            rates = {"image": timing["extract_seconds"] / count, "image_bytes": timing["bytes"] / count}
            store_rates(extraction_work(context, item.model, item.feature), rates)
    elif timing.get("scored"):
        store_rates(unit_work(item.units[0], context.settings), _unit_rates(timing))


def unit_work(unit: Unit, settings: RunSettings) -> dict[str, Any]:
    """Kind of work of a unit; units of one kind differ in time only by their numbers of steps and test images."""
    identity = unit.identity
    kind = [identity["model"], identity["settings"], unit.task, unit.protocol == "zero-shot"]
    return {"unit": kind, **_hardware(settings)}


def extraction_work(context: Context, model: str, feature: str) -> dict[str, Any]:
    """Kind of work of encoding one image."""
    declared = declared_features(context.models[model], feature, context.settings)
    return {"extract": declared, **_hardware(context.settings)}


def _expected_workers(settings: RunSettings) -> int:
    """Number of workers of the engine; for Ray without ``ray.workers`` that of this machine."""
    of_engine = {"ray": settings.ray.workers, "slurm": settings.slurm.tasks}.get(settings.engine)
    return of_engine or worker_count(settings)


def _hardware(settings: RunSettings) -> dict[str, Any]:
    return {"device": settings.device, "threads": settings.threads, "processor": machine()["processor"]}


def _unit_rates(timing: Mapping[str, float]) -> Rates:
    per_image = (timing["score_seconds"] + timing["measure_seconds"]) / timing["scored"]
    per_step = timing["fit_seconds"] / timing["fit_steps"] if timing["fit_steps"] else 0.0
    return {
        "prepare": timing["prepare_seconds"],
        "fit_step": per_step,
        "test_image": per_image,
        "map_bytes": timing["map_bytes"] / timing["scored"],
    }


def _rehearse(
    worker: Worker, unit: Unit, settings: RunSettings, context: Context, report: Callable[[str], None]
) -> dict[str, Rates]:
    """Measure and store the rates of a unit and of its encoding; returns all stored rates.

    Messages about damaged features, which are set aside when they are read, are reported.
    """
    feature = context.feature(unit)
    if feature is not None:
        names = context.adapter(unit.task).input_images(context.tasks[unit.task].index).image.astype(str)
        for model in context.models[unit.encoder].part_names:
            item = Extract(model, unit.task, feature, (names.iloc[0], names.iloc[-1]))
            outcome = worker.do(item)
            store_item_rates(context, item, outcome)
            for note in outcome.notes:
                report(note)
    worker.rehearse(unit, steps=1)  # the first step of a network also prepares its kernels
    store_rates(unit_work(unit, settings), _unit_rates(worker.rehearse(unit, steps=_REHEARSED_STEPS)))
    for note in worker.collect_notes():
        report(note)
    return read_rates()


def _encoding_parts(context: Context, work: Extract, seconds: float) -> WorkParts:
    """Divide the time of encoding as in earlier work: time in the encoder, and waiting for files and preparation."""
    features = FeatureSet.planned(declared_features(context.models[work.model], work.feature, context.settings))
    groups = [] if features is None else read_work(features.folder)
    total = sum(group["seconds"] for group in groups)
    share = min(1.0, sum(group["encode_seconds"] for group in groups) / total) if total else 1.0
    return WorkParts(encoding=share * seconds, reading=(1 - share) * seconds)


def _steps(unit: Unit, context: Context, episode: Episode) -> int:
    adapter = context.adapter(unit.task)
    return adapter.fit_steps(context.models[unit.encoder], unit.protocol, context.settings, episode)


def _count_stored(context: Context, work: Extract, report: Callable[[str], None]) -> int:
    """Number of images of a work item whose features are stored; messages of the feature set are reported."""
    model = context.models[work.model]
    features = FeatureSet.planned(declared_features(model, work.feature, context.settings))
    if features is None:
        return 0
    index = context.tasks[work.task].index
    size = entry_size(work.feature, context.settings, model.side)
    read = index[index["image"].isin(set(work.images))]
    stored = int(features.has_many(entry_names(read, size)).sum())
    features.report_set_aside(report)  # damaged shards are found when entries are looked up
    return stored
