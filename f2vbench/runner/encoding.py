"""Encodes a group of photographs into the feature store, and logs the work beside the features."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from f2vbench.data.photographs import Photograph
from f2vbench.encoders.feature_identity import score_reading
from f2vbench.runner.worker_cache import Resources
from f2vbench.store.extraction_log import EncodedCounts, append_work, read_network_size, write_network_size
from f2vbench.store.record_schema import MeasuredOn
from f2vbench.utils.system import machine, peak_memory

if TYPE_CHECKING:
    import torch


def encode_group(
    resources: Resources, model: str, kind: str, openers: Sequence[Callable[[], Photograph]]
) -> dict[str, float]:
    """Store the features that photographs lack.

    The multiply-adds of a network are counted once per set of features, on the first photograph. This also prepares
    its kernels before anything is timed.

    Args:
        resources: Models and feature sets of the worker.
        model: Name of the model.
        kind: Kind of features.
        openers: One function per photograph, which reads it.

    Returns:
        ``extract_seconds``, ``extracted`` (number of photographs) and ``bytes`` of their features.
    """
    if not openers:
        return {"extract_seconds": 0.0, "extracted": 0, "bytes": 0}
    features, size = resources.feature_set(model, kind), resources.entry_size(model, kind)
    device = None
    if resources.context.models[model].is_network:
        from f2vbench.runner.extraction import extract, input_square, measure_network_size

        encoder, device, precision = resources.encoder(model), resources.device, resources.precision
        if read_network_size(features.folder) is None:
            square = input_square(openers[0](), kind, size)
            score = score_reading(features.identity)
            network_size = measure_network_size(encoder, kind, square, device, precision, score)
            write_network_size(features.folder, network_size)
    started, processor = time.perf_counter(), time.process_time()
    with peak_memory(device) as peak, features.writing():
        if device is None:
            done = _encode_with_baseline(resources, model, kind, openers)
        else:
            done = extract(encoder, kind, features, openers, size, device, precision)
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    if done.images:
        append_work(
            features.folder,
            {
                "images": done.images,
                "bytes": done.bytes,
                "encode_seconds": done.seconds,
                "seconds": seconds,
                "processor_seconds": processor,
                **peak,
                **hardware(device, resources.settings.threads),
            },
        )
    return {"extract_seconds": seconds, "extracted": done.images, "bytes": done.bytes}


def hardware(device: torch.device | None, threads: int) -> MeasuredOn:
    """Hardware on which speed and memory depend.

    Args:
        device: Device of the encoder, or None for work without torch.
        threads: Number of threads.
    """
    name = "cpu"
    if device is not None and device.type == "cuda":
        import torch

        name = torch.cuda.get_device_name(device)
    return {"device": name, "processor": machine()["processor"], "threads": threads}


def _encode_with_baseline(
    resources: Resources, model: str, kind: str, openers: Sequence[Callable[[], Photograph]]
) -> EncodedCounts:
    features, size = resources.feature_set(model, kind), resources.entry_size(model, kind)
    done = EncodedCounts()
    for opener in openers:
        photograph = opener()
        entry = photograph.entry(size)
        if not features.has(entry):
            started = time.perf_counter()
            arrays = resources.compute_baseline(model, kind, photograph)
            done.seconds += time.perf_counter() - started
            done.images += 1
            done.bytes += features.put(entry, arrays)
    return done
