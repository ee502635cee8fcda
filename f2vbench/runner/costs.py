"""What encoding with each model of a run costs, into the run folder: once a model and kind of features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from f2vbench.encoders.feature_identity import declared_features
from f2vbench.encoders.spec import ModelSpec
from f2vbench.runner.context import Context
from f2vbench.runner.plan import Plan
from f2vbench.store.extraction_log import Work, operations_of, work_of
from f2vbench.store.features import FeatureSet
from f2vbench.store.runs import Record
from f2vbench.utils.system import machine

ADDED = ("parameters", "macs", "seconds_per_image", "processor_seconds_per_image", "bytes_per_image")
"""Numbers of which a fusion has the sum of its parts'."""
LARGEST = ("process_bytes", "device_bytes")
"""Numbers of which a fusion has the largest, for its parts are encoded one after another."""
_NO_NETWORK = "no network"
_NOT_HERE = "not measured here: the features were in the store before"
_NO_FEATURES = {
    "scratch": "it trains a network of its own in each unit",
    "video": "its frames are not encoded by a network here",
}


def record_costs(plan: Plan, context: Context) -> None:
    """Write what is known by now; numbers of an earlier call stay where this one has none."""
    places: dict[tuple[str, str | None], dict[tuple[str, str], None]] = {}
    for unit in plan.units:
        places.setdefault((unit.encoder, context.feature(unit)), {})[unit.task, unit.protocol] = None
    for (model, what), found in places.items():
        name = f"{model}.{what or 'nothing'}"
        known = plan.folder.read_cost(name) or {}
        cost = _cost(context, context.models[model], what)
        numbers = {key: known.get(key) if value is None else value for key, value in cost["numbers"].items()}
        kept = {
            "encoder": model,
            "features": what,
            "places": [list(place) for place in sorted({*map(tuple, known.get("places", [])), *found})],
            **numbers,
            "reasons": {key: why for key, why in cost["reasons"].items() if numbers.get(key) is None},
            "measured_on": cost["measured_on"] or known.get("measured_on"),
        }
        plan.folder.write_cost(name, kept)


def _cost(context: Context, spec: ModelSpec, what: str | None) -> dict[str, Any]:
    """Of a model, or of a fusion's parts together."""
    parts = [_cost_of_one(context, context.models[name], what) for name in spec.part_names]
    numbers: dict[str, float | None] = {}
    for key in (*ADDED, *LARGEST):
        values = [part["numbers"][key] for part in parts]
        if all(value is not None for value in values):
            numbers[key] = sum(values) if key in ADDED else max(values)
        else:
            numbers[key] = None
    reasons = {key: why for part in parts for key, why in part["reasons"].items()}
    return {"numbers": numbers, "reasons": reasons, "measured_on": parts[0]["measured_on"]}


def _cost_of_one(context: Context, spec: ModelSpec, what: str | None) -> dict[str, Any]:
    features = None if what is None else FeatureSet.planned(declared_features(spec, what, context.settings))
    if features is None:
        why = _NO_FEATURES.get(spec.kind, "its features are not stored: it is trained with the head")
        reasons = dict.fromkeys((*ADDED, *LARGEST), why if what is None else _NOT_HERE)
        return {"numbers": dict.fromkeys(reasons), "reasons": reasons, "measured_on": None}
    counted = (operations_of(features.folder) if spec.is_network else None) or {}
    lines = _of_this_machine(work_of(features.folder), context.settings.threads)
    numbers: dict[str, float | None] = {
        "parameters": counted.get("parameters"),
        "macs": counted.get("macs"),
        "seconds_per_image": _middle(line["encode_seconds"] / line["images"] for line in lines),
        "processor_seconds_per_image": _middle(line["processor_seconds"] / line["images"] for line in lines),
        "bytes_per_image": features.bytes_per_entry(),
        "process_bytes": max((line["process_bytes"] for line in lines if "process_bytes" in line), default=None),
        "device_bytes": max((line["device_bytes"] for line in lines if "device_bytes" in line), default=None),
    }
    reasons = {key: _NOT_HERE for key, value in numbers.items() if value is None}
    if not spec.is_network:
        reasons |= dict.fromkeys(("parameters", "macs"), _NO_NETWORK)
    if lines and lines[-1]["device"] == "cpu":
        reasons.pop("device_bytes", None)  # there is nothing to tell
    if lines and numbers["process_bytes"] is None:
        reasons["process_bytes"] = "the system does not tell a process its peak"
    return {"numbers": numbers, "reasons": reasons, "measured_on": _place(lines[-1]) if lines else None}


def _of_this_machine(lines: Sequence[Work], threads: int) -> list[Work]:
    """Lines of this processor and number of threads, on the device of the last of them."""
    here = [line for line in lines if (line["processor"], line["threads"]) == (machine()["processor"], threads)]
    return [line for line in here if line["device"] == here[-1]["device"]]


def _middle(values: Iterable[float]) -> float | None:
    held = list(values)
    return median(held) if held else None


def _place(line: Work) -> Record:
    return {key: line[key] for key in ("device", "processor", "threads")}
