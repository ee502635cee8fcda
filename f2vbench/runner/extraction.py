"""Encodes photographs with a network into the feature store, and reads the features back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from f2vbench.data.photographs import Photograph
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.feature_identity import score_reading
from f2vbench.encoders.vessel_scores import ScoreReading
from f2vbench.store.extraction_log import EncodedCounts, NetworkSize
from f2vbench.store.features import FeatureSet, halved

# On a CPU one photograph per forward pass is as fast as a batch. The features of a photograph then can't depend, not
# even in the last bit, on the other photographs of a batch.
_BATCH = {"cpu": 1, "cuda": 8}

_Prepared = list[tuple[str, NDArray[np.uint8] | None, bool]]
"""Entry name and square of photographs, and whether they have a round field; no square where features are stored."""


def encode_squares(
    encoder: Encoder,
    kind: str,
    squares: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    device: torch.device,
    precision: str,
    score: ScoreReading | None = None,
    crops: Sequence[bool] | None = None,
) -> list[dict[str, NDArray[np.float32]]]:
    """Encode squares of photographs.

    Args:
        encoder: The encoder, on the device.
        kind: ``embedding``, one vector for a square of any size; or ``pyramid``, ``video``, ``vessel_score`` or
            ``truth`` for squares of one size.
        squares: n squares, (side, side, 3) uint8.
        device: Device to compute on.
        precision: ``float32`` or ``bf16``.
        score: How a ``vessel_score`` or ``truth`` is computed.
        crops: For ``embedding``, whether the encoder may crop each square to the field of view; None for all.

    Returns:
        For each square its float32 arrays by name: ``embedding``, ``level0``, ``level1``, …, ``frames0`` or ``score``.
    """
    if kind == "embedding":
        # Encoders of plug-ins may have no argument for squares without a round field.
        uncropped = {} if crops is None or all(crops) else {"crops": crops}
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return [{kind: vector} for vector in encoder.embed(list(squares), **uncropped)]
    stacked = np.stack(list(squares))
    images = torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))).to(device).float() / 255
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        if kind == "pyramid":
            maps = {f"level{depth}": level for depth, level in enumerate(encoder.pyramid(images))}
        elif score is not None:
            maps = {"score": encoder.vessel_score(images, score.reading, score.views)}
        else:
            maps = {"frames0": encoder.generate(images)}
    arrays = {name: each.float().cpu().numpy() for name, each in maps.items()}
    return [{name: array[i] for name, array in arrays.items()} for i in range(len(stacked))]


def extract(
    encoder: Encoder,
    kind: str,
    features: FeatureSet,
    photographs: Iterable[Callable[[], Photograph]],
    size: int,
    device: torch.device,
    precision: str,
) -> EncodedCounts:
    """Store the features that photographs lack.

    Only a few photographs are in memory at a time: while the encoder works, the next photograph is read and the last
    features are written.

    Args:
        encoder: The encoder, on the device.
        kind: Kind of features.
        features: Feature set to write to.
        photographs: One function per photograph, which reads it.
        size: Side of the squares in pixels; 0 for the resolution of the photograph.
        device: Device to compute on.
        precision: ``float32`` or ``bf16``.

    Returns:
        Counts of the photographs that were encoded.
    """
    counts = EncodedCounts()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        writes: list[Future[int]] = []
        for batch in _prepare_ahead(reader, photographs, kind, features, size, _BATCH[device.type]):
            missing = [(entry, square, crop) for entry, square, crop in batch if square is not None]
            if missing:
                started = time.perf_counter()
                squares, crops = [square for _, square, _ in missing], [crop for *_, crop in missing]
                score = score_reading(features.identity)
                encoded = encode_squares(encoder, kind, squares, device, precision, score, crops)
                counts.seconds += time.perf_counter() - started
                counts.images += len(missing)
                for (entry, *_), arrays in zip(missing, encoded, strict=True):
                    writes.append(writer.submit(_store, features, entry, arrays))
            while len(writes) > 2 * _BATCH[device.type]:
                counts.bytes += writes.pop(0).result()
        counts.bytes += sum(write.result() for write in writes)
    return counts


def feature_reader(
    features: FeatureSet, encoder: Encoder, size: int, device: torch.device, precision: str
) -> Callable[[Photograph], list[NDArray[np.float32]]]:
    """Return a function that reads the features of a photograph, or computes them where absent or damaged.

    Args:
        features: The feature set.
        encoder: The encoder, on the device.
        size: Side of the squares in pixels; 0 for the resolution of the photograph.
        device: Device to compute on.
        precision: ``float32`` or ``bf16``.
    """
    kind, score = features.identity["what"], score_reading(features.identity)

    def read(photograph: Photograph) -> list[NDArray[np.float32]]:
        entry = photograph.entry(size)
        arrays = features.get(entry)
        if arrays is None:
            square = input_square(photograph, kind, size)
            crops = [photograph.has_round_field]
            _store(features, entry, encode_squares(encoder, kind, square[None], device, precision, score, crops)[0])
            arrays = features.get(entry)
        if arrays is None:
            raise RuntimeError(f"features of {photograph.name} could not be read back from {features.folder}")
        return [arrays[name] for name in sorted(arrays, key=lambda name: (len(name), name))]

    return read


def measure_network_size(
    encoder: Encoder,
    kind: str,
    square: NDArray[np.uint8],
    device: torch.device,
    precision: str,
    score: ScoreReading | None = None,
) -> NetworkSize:
    """Count the parameters, and the multiply-adds of encoding one photograph.

    ``parameters`` includes the decoder where frames are generated. ``macs`` counts the products of convolutions, linear
    layers and attention, half of what PyTorch's counter of floating-point operations gives; element-wise operations,
    norms and resizing are not counted.

    Args:
        encoder: The encoder, on the device.
        kind: Kind of features.
        square: Square of the photograph, (side, side, 3) uint8.
        device: Device to compute on.
        precision: ``float32`` or ``bf16``.
        score: How a ``vessel_score`` is computed.
    """
    sizes = {id(parameter): parameter.numel() for parameter in encoder.parameters()}

    def add_parameters(module: nn.Module, _: Any, __: Any) -> None:
        sizes.update({id(parameter): parameter.numel() for parameter in module.parameters(recurse=False)})

    hook = register_module_forward_hook(add_parameters)
    try:
        # The counter does not know fused attention kernels on every device; it knows the plain form.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            encode_squares(encoder, kind, [square], device, precision, score)
    finally:
        hook.remove()
    return {"parameters": sum(sizes.values()), "macs": counter.get_total_flops() // 2}


def input_square(photograph: Photograph, kind: str, size: int) -> NDArray[np.uint8]:
    """Square of a photograph that the encoder receives, (size, size, 3) uint8.

    For ``video`` it is black outside the field of view, as in the training of generators.
    """
    return photograph.square_of_field(size) if kind == "video" else photograph.square(size)


def _prepare_ahead(
    reader: ThreadPoolExecutor,
    photographs: Iterable[Callable[[], Photograph]],
    kind: str,
    features: FeatureSet,
    size: int,
    batch: int,
) -> Iterator[_Prepared]:
    """Batches of entry names and squares, read one batch ahead."""

    def prepare(openers: list[Callable[[], Photograph]]) -> _Prepared:
        prepared: _Prepared = []
        for opener in openers:
            photograph = opener()
            entry = photograph.entry(size)
            square = None if features.has(entry) else input_square(photograph, kind, size)
            prepared.append((entry, square, photograph.has_round_field))
        return prepared

    source = iter(photographs)
    current: Future[_Prepared] | None = None
    while True:
        group = list(islice(source, batch))
        following = reader.submit(prepare, group) if group else None
        if current is not None:
            yield current.result()
        if following is None:
            return
        current = following


def _store(features: FeatureSet, entry: str, arrays: dict[str, NDArray[np.float32]]) -> int:
    """Store maps in half precision, and vectors, which are small, in single precision."""
    return features.put(entry, {name: halved(array) if array.ndim > 1 else array for name, array in arrays.items()})
