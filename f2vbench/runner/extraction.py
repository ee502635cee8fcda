"""Encoding photographs once: into the feature store, streaming, with reading and writing beside the encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch

from f2vbench.data.photographs import Photograph
from f2vbench.encoders.base import Encoder
from f2vbench.store.extraction_log import EncodedCounts
from f2vbench.store.features import FeatureSet, halved

# One photograph a forward pass on a CPU: it is as fast as a batch, and what a photograph gets can't depend, not
# even in the last bit, on the photographs beside it.
_BATCH = {"cpu": 1, "cuda": 8}


def encode(
    encoder: Encoder, what: str, squares: Sequence[np.ndarray] | np.ndarray, device: torch.device, precision: str
) -> list[dict[str, np.ndarray]]:
    """Features of uint8 squares (side, side, 3), one dict of float32 arrays each.

    Args:
        what: ``embedding``, one vector of a square of any size, or ``pyramid``, ``frames`` or ``video`` of squares of
            one size.
    """
    if what == "embedding":
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return [{what: vector} for vector in encoder.embed(list(squares))]
    squares = np.stack(list(squares))
    images = torch.from_numpy(np.ascontiguousarray(squares.transpose(0, 3, 1, 2))).to(device).float() / 255
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        maps = encoder.pyramid(images) if what == "pyramid" else [encoder.generate(images)]
    arrays = [each.float().cpu().numpy() for each in maps]
    name = "level" if what == "pyramid" else "frames"
    return [{f"{name}{depth}": array[i] for depth, array in enumerate(arrays)} for i in range(len(squares))]


def extract(
    encoder: Encoder,
    what: str,
    features: FeatureSet,
    photographs: Iterable[Callable[[], Photograph]],
    size: int,
    device: torch.device,
    precision: str,
) -> EncodedCounts:
    """Store the features of those photographs that lack them.

    Memory holds a few photographs at a time, however many there are: the next is read and the last is
    written while the encoder works.
    """
    done = EncodedCounts()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        waiting: list[Future[int]] = []
        for batch in _ahead(reader, photographs, what, features, size, _BATCH[device.type]):
            missing = [(entry, square) for entry, square in batch if square is not None]
            if missing:
                started = time.perf_counter()
                encoded = encode(encoder, what, [square for _, square in missing], device, precision)
                done.seconds += time.perf_counter() - started
                done.images += len(missing)
                for (entry, _), arrays in zip(missing, encoded, strict=True):
                    waiting.append(writer.submit(_store, features, entry, arrays))
            while len(waiting) > 2 * _BATCH[device.type]:
                done.bytes += waiting.pop(0).result()
        done.bytes += sum(future.result() for future in waiting)
    return done


def stored_maps(
    features: FeatureSet, encoder: Encoder, size: int, device: torch.device, precision: str
) -> Callable[[Photograph], list[np.ndarray]]:
    """A function that gives a photograph's maps from the store, making them where they are absent or damaged."""

    def maps(photograph: Photograph) -> list[np.ndarray]:
        entry = photograph.entry(size)
        found = features.get(entry)
        if found is None:
            made = encode(
                encoder,
                features.identity["what"],
                shown(photograph, features.identity["what"], size)[None],
                device,
                precision,
            )[0]
            _store(features, entry, made)
            found = features.get(entry)
        if found is None:
            raise RuntimeError(f"features of {photograph.name} could not be read back from {features.folder}")
        return [found[name] for name in sorted(found, key=lambda name: (len(name), name))]

    return maps


def _ahead(
    reader: ThreadPoolExecutor,
    photographs: Iterable[Callable[[], Photograph]],
    what: str,
    features: FeatureSet,
    size: int,
    batch: int,
) -> Iterator[list[tuple[str, np.ndarray | None]]]:
    """Batches of (entry, square), read one batch ahead; the square is None where the features are there."""

    def prepare(openers: list[Callable[[], Photograph]]) -> list[tuple[str, np.ndarray | None]]:
        prepared = []
        for opener in openers:
            photograph = opener()
            entry = photograph.entry(size)
            prepared.append((entry, None if features.has(entry) else shown(photograph, what, size)))
        return prepared

    source = iter(photographs)
    upcoming: Future[list[tuple[str, np.ndarray | None]]] | None = None
    while True:
        group = list(islice(source, batch))
        following = reader.submit(prepare, group) if group else None
        if upcoming is not None:
            yield upcoming.result()
        if following is None:
            return
        upcoming = following


def shown(photograph: Photograph, what: str, size: int) -> np.ndarray:
    """The square as the model sees it; for a video black outside the field of view, as generators are trained."""
    return photograph.square_of_field(size) if what == "video" else photograph.square(size)


def _store(features: FeatureSet, entry: str, arrays: dict[str, np.ndarray]) -> int:
    """Maps are kept in half precision, vectors, which are small, as they are."""
    return features.put(entry, {name: halved(array) if array.ndim > 1 else array for name, array in arrays.items()})
