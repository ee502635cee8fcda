"""A group of photographs into the feature store, and what that took into the record beside the features."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from f2vbench.data.photographs import Photograph
from f2vbench.encoders.feature_identity import entry_size
from f2vbench.runner.worker_cache import Resources
from f2vbench.store.extraction_log import Encoded, add_work, keep_operations, operations_of
from f2vbench.utils.system import machine, peak_memory


def encode_group(
    resources: Resources, model: str, what: str, openers: Sequence[Callable[[], Photograph]]
) -> dict[str, float]:
    """Store what photographs lack of a model's features; returns the timing of it.

    Of a network's set of features that nobody has counted yet, multiply-adds are counted at the first photograph,
    which also prepares its kernels before anything is timed.
    """
    features, size = resources.feature_set(model, what), entry_size(what, resources.settings)
    device = None
    if resources.context.models[model].is_network:
        from f2vbench.runner.extraction import extract, shown
        from f2vbench.runner.model_size import operations

        encoder, device, precision = resources.encoder(model), resources.device, resources.precision
        if operations_of(features.folder) is None:
            square = shown(openers[0](), what, size)
            keep_operations(features.folder, operations(encoder, what, square, device, precision))
    started, processor = time.perf_counter(), time.process_time()
    with peak_memory(device) as peak:
        if device is None:
            done = _by_baseline(resources, model, what, openers)
        else:
            done = extract(encoder, what, features, openers, size, device, precision)
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    if done.images:
        took = {"images": done.images, "bytes": done.bytes, "encode_seconds": done.seconds, "seconds": seconds}
        add_work(features.folder, {**took, "processor_seconds": processor, **peak, **place_of_work(resources, device)})
    return {"extract_seconds": seconds, "extracted": done.images, "bytes": done.bytes}


def place_of_work(resources: Resources, device: Any) -> dict[str, Any]:
    """What speed and memory depend on, beside the features.

    Args:
        device: a ``torch.device``, or None for what works without torch.
    """
    name = "cpu"
    if device is not None and device.type == "cuda":
        import torch

        name = torch.cuda.get_device_name(device)
    return {"device": name, "processor": machine()["processor"], "threads": resources.settings.threads}


def _by_baseline(resources: Resources, model: str, what: str, openers: Sequence[Callable[[], Photograph]]) -> Encoded:
    features, size, done = resources.feature_set(model, what), entry_size(what, resources.settings), Encoded()
    for opener in openers:
        photograph = opener()
        entry = photograph.entry(size)
        if not features.has(entry):
            started = time.perf_counter()
            made = resources.by_baseline(model, what, photograph)
            done.seconds += time.perf_counter() - started
            done.images += 1
            done.bytes += features.put(entry, made)
    return done
