"""The index of a folder: its images' embeddings, and the key of the encoder that made them.

Kept in the cache: index.json, sealed, and the vectors beside it. A new image is added on the next search, and an
interrupted building goes on, because embeddings come from the feature store.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from f2vbench.errors import StoreError
from f2vbench.metrics.exact_neighbours import normalise
from f2vbench.runner.context import Context
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.runner.executor import execute
from f2vbench.runner.scheduling import worker_count
from f2vbench.runner.work_items import Extract, Item
from f2vbench.runner.worker_cache import Resources
from f2vbench.search.sources import NAME, Source
from f2vbench.utils.files import cache_folder, sealed, sha256, unseal, write_atomically
from f2vbench.utils.progress import Progress

_CHUNK = 8


@dataclass(frozen=True)
class StoredIndex:
    """What is kept of an index.

    Attributes:
        model: the word for its encoder.
        weights, cut: what belongs to the word.
        key: SHA-256 of weights, architecture, preprocessing, arithmetic and feature code.
        content: SHA-256 of the images that it holds, in their order.
        vectors: SHA-256 of the vectors.
    """

    model: str
    weights: str | None
    cut: int
    key: str
    content: str
    vectors: str

    @classmethod
    def of(cls, folder: Path) -> StoredIndex | None:
        """The index of a folder, or None where there is none (or it is damaged and has to be built again)."""
        try:
            return cls(**unseal((place(folder) / "index.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def load(self, folder: Path) -> np.ndarray | None:
        """(n, width) normalised vectors, memory-mapped, or None where they are gone or damaged."""
        try:
            vectors = np.load(place(folder) / "vectors.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return vectors if _digest(vectors) == self.vectors else None


def place(folder: Path) -> Path:
    """Where the index of a folder is kept."""
    return cache_folder() / "search" / sha256(str(folder).encode())[:32]


def _digest(vectors: np.ndarray) -> str:
    digest = hashlib.sha256(f"{vectors.dtype.str} {vectors.shape}".encode())
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()


def vectors_of(
    source: Source, model: str, context: Context, resources: Resources, rebuild: bool, progress: Progress
) -> np.ndarray:
    """(n, width) normalised embeddings of a source's images: from its index, which is built or renewed where needed.

    Args:
        model: the word for the encoder, the only one of the context.

    Raises:
        StoreError: another encoder built the index.
        DataError: an image can't be read any more.
    """
    (name,) = context.models
    key = resources.feature_set(name, "embedding").key
    held = StoredIndex.of(source.folder)
    if held is not None and held.key != key and not rebuild:
        same = " (its weights, preprocessing or arithmetic have changed)" if held.model == model else ""
        raise StoreError(
            f"index={source.folder}: its index was built by {held.model} (key {held.key[:8]}), not by {name} (key "
            f"{key[:8]}){same}, and embeddings of two encoders can't be compared: leave model= out to search with "
            f"{held.model}, or say rebuild=true to build it anew"
        )
    images = source.images
    content = sha256("\n".join(images.sha256 + " " + images.image).encode())
    if held is not None and held.key == key and held.content == content:
        vectors = held.load(source.folder)
        if vectors is not None:
            return vectors
    vectors = _built(source, name, context, resources, progress)
    block = io.BytesIO()
    np.save(block, vectors)
    write_atomically(place(source.folder) / "vectors.npy", block.getvalue())
    del block
    spec = context.models[name]
    weights = None if spec.weights_file is None else str(spec.weights_file)
    kept = StoredIndex(model, weights, spec.cut or source.cut, key, content, _digest(vectors))
    write_atomically(place(source.folder) / "index.json", sealed(vars(kept)))
    return vectors


def _built(source: Source, name: str, context: Context, resources: Resources, progress: Progress) -> np.ndarray:
    names = list(source.images.image)
    items: list[Item] = [
        Extract(name, NAME, "embedding", tuple(names[start : start + _CHUNK])) for start in range(0, len(names), _CHUNK)
    ]
    progress.begin(f"encoding {source.folder.name} with {name}, groups of up to {_CHUNK}", len(items))
    try:
        for item, outcome in execute(context, items, worker_count(context.settings)):
            for note in outcome.notes:
                progress.note(note)
            progress.advance(item.labels[0])
    finally:
        progress.end()
    vectors = StoredEmbeddings(context, name, NAME, resources)(names)
    try:
        return normalise(vectors)
    except ValueError:
        bad = [image for image, row in zip(names, vectors, strict=True) if not np.isfinite(row).all()]
        raise StoreError(f"{name}: embeddings that are not finite, of {', '.join(bad)}: use another encoder") from None
