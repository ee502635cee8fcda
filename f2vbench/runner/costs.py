"""Cost of encoding with each model of a run, stored in the run folder per model and kind of features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from f2vbench.encoders.feature_identity import declared_features
from f2vbench.encoders.spec import ModelSpec
from f2vbench.runner.context import Context
from f2vbench.runner.plan import Plan
from f2vbench.store.extraction_log import EncodingWork, read_network_size, read_work
from f2vbench.store.features import FeatureSet
from f2vbench.store.record_schema import CostRecord, MeasuredOn
from f2vbench.utils.system import machine

SUMMED = ("parameters", "macs", "seconds_per_image", "processor_seconds_per_image", "bytes_per_image")
"""Costs that a fusion adds up over its parts."""
PEAKS = ("process_bytes", "device_bytes")
"""Costs of which a fusion has the maximum over its parts, because they encode one after another."""
_NO_NETWORK = "no network"
_NOT_MEASURED = "not measured on this machine: the features were already stored"
_NO_FEATURES = {
    "scratch": "trains its own network in each unit",
    "constant": "looks at no image",
    "video": "its frames are not computed by a network here",
}
_FINE_TUNED = "stores no features: the encoder is trained with the head"


@dataclass(frozen=True)
class _Cost:
    """Costs by name, explanations for those that are None, and the hardware of the measurement."""

    numbers: dict[str, float | None]
    reasons: dict[str, str]
    measured_on: MeasuredOn | None


def record_costs(plan: Plan, context: Context, report: Callable[[str], None]) -> None:
    """Write the costs that are known; a cost that is unknown now keeps its value of an earlier call.

    Args:
        plan: The plan.
        context: Tasks, models and settings of the run.
        report: Receives the messages of the feature sets about damaged features.
    """
    readers: dict[tuple[str, str | None], set[tuple[str, str]]] = {}
    for unit in plan.units:
        readers.setdefault((unit.encoder, context.feature(unit)), set()).add((unit.task, unit.protocol))
    for (model, feature), task_protocols in readers.items():
        name = f"{model}.{feature or 'nothing'}"
        earlier: Mapping[str, Any] = plan.folder.read_cost(name) or {}
        cost = _cost(context, context.models[model], feature, report)
        numbers = {key: earlier.get(key) if value is None else value for key, value in cost.numbers.items()}
        task_protocols |= {(task, protocol) for task, protocol in earlier.get("places", [])}
        record: CostRecord = {
            "encoder": model,
            "features": feature,
            "places": [list(pair) for pair in sorted(task_protocols)],
            "parameters": numbers["parameters"],
            "macs": numbers["macs"],
            "seconds_per_image": numbers["seconds_per_image"],
            "processor_seconds_per_image": numbers["processor_seconds_per_image"],
            "bytes_per_image": numbers["bytes_per_image"],
            "process_bytes": numbers["process_bytes"],
            "device_bytes": numbers["device_bytes"],
            "reasons": {key: reason for key, reason in cost.reasons.items() if numbers.get(key) is None},
            "measured_on": cost.measured_on or earlier.get("measured_on"),
        }
        plan.folder.write_cost(name, record)


def _cost(context: Context, spec: ModelSpec, feature: str | None, report: Callable[[str], None]) -> _Cost:
    """Cost of a model, or of the parts of a fusion together."""
    parts = [_cost_of_part(context, context.models[name], feature, report) for name in spec.part_names]
    numbers: dict[str, float | None] = {}
    for key in (*SUMMED, *PEAKS):
        values = [value for part in parts if (value := part.numbers[key]) is not None]
        if len(values) < len(parts):
            numbers[key] = None
        else:
            numbers[key] = sum(values) if key in SUMMED else max(values)
    reasons = {key: reason for part in parts for key, reason in part.reasons.items()}
    return _Cost(numbers, reasons, parts[0].measured_on)


def _cost_of_part(context: Context, spec: ModelSpec, feature: str | None, report: Callable[[str], None]) -> _Cost:
    features = None if feature is None else FeatureSet.planned(declared_features(spec, feature, context.settings))
    if features is None:
        reason = _NO_FEATURES.get(spec.kind, _FINE_TUNED) if feature is None else _NOT_MEASURED
        reasons = dict.fromkeys((*SUMMED, *PEAKS), reason)
        return _Cost(dict.fromkeys(reasons), reasons, None)
    size = read_network_size(features.folder) if spec.is_network else None
    work = _on_this_machine(read_work(features.folder), context.settings.threads)
    numbers: dict[str, float | None] = {
        "parameters": size and size.get("parameters"),
        "macs": size and size.get("macs"),
        "seconds_per_image": _median(group["encode_seconds"] / group["images"] for group in work),
        "processor_seconds_per_image": _median(group["processor_seconds"] / group["images"] for group in work),
        "bytes_per_image": features.bytes_per_entry(),
        "process_bytes": max((group["process_bytes"] for group in work if "process_bytes" in group), default=None),
        "device_bytes": max((group["device_bytes"] for group in work if "device_bytes" in group), default=None),
    }
    features.report_set_aside(report)  # damaged shards are found when their sizes are read
    reasons = {key: _NOT_MEASURED for key, value in numbers.items() if value is None}
    if not spec.is_network:
        reasons |= dict.fromkeys(("parameters", "macs"), _NO_NETWORK)
    if work and work[-1]["device"] == "cpu":
        reasons.pop("device_bytes", None)  # a CPU has no memory of its own
    if work and numbers["process_bytes"] is None:
        reasons["process_bytes"] = "the operating system does not report peak memory"
    return _Cost(numbers, reasons, _hardware(work[-1]) if work else None)


def _on_this_machine(work: Sequence[EncodingWork], threads: int) -> list[EncodingWork]:
    """Work on this processor with this number of threads, on the device of the most recent group."""
    processor = machine()["processor"]
    here = [group for group in work if (group["processor"], group["threads"]) == (processor, threads)]
    return [group for group in here if group["device"] == here[-1]["device"]]


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return median(known) if known else None


def _hardware(work: EncodingWork) -> MeasuredOn:
    return {"device": work["device"], "processor": work["processor"], "threads": work["threads"]}
