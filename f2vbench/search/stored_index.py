"""Index of a folder: the embeddings of its images, and the key of the encoder that computed them.

The cache folder has ``index.json``, with a checksum, and ``vectors.npy``. The next search adds new images. An
interrupted build continues where it stopped, because embeddings come from the feature store.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from f2vbench.config.run import Pooling
from f2vbench.errors import StoreError
from f2vbench.metrics.exact_neighbours import normalise
from f2vbench.runner.context import Context
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.runner.engines.local import LocalEngine
from f2vbench.runner.scheduling import item_size, worker_count
from f2vbench.runner.work_items import Extract, Item
from f2vbench.runner.worker_cache import Resources
from f2vbench.search.image_set import TASK, ImageSet
from f2vbench.utils.files import cache_folder, sealed, sha256, unseal, write_atomically
from f2vbench.utils.progress import Progress


@dataclass(frozen=True)
class StoredIndex:
    """Content of ``index.json``.

    Attributes:
        model: Model argument of the encoder.
        weights: Weights file of the encoder, if it has one.
        cut: Layer at which a pix2pixHD generator's encoder ends; None for other models.
        pooling: Pooling of a pix2pixHD generator's maps; None for other models.
        key: SHA-256 of weights, architecture, preprocessing, arithmetic and version of the feature code.
        content: SHA-256 of the images, in their order.
        vectors: SHA-256 of the vectors.
    """

    model: str
    weights: str | None
    cut: int | None
    pooling: Pooling | None
    key: str
    content: str
    vectors: str

    @classmethod
    def of_folder(cls, folder: Path) -> StoredIndex | None:
        """Read the index of a folder of images; None if it is missing or damaged."""
        try:
            return cls(**unseal((index_folder(folder) / "index.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def load_vectors(self, folder: Path) -> np.ndarray | None:
        """Load the (n, width) normalised vectors, memory-mapped; None if they are missing or damaged."""
        try:
            vectors: np.ndarray = np.load(index_folder(folder) / "vectors.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return vectors if _digest(vectors) == self.vectors else None


def index_folder(folder: Path) -> Path:
    """Return the cache folder of the index of a folder of images."""
    return cache_folder() / "search" / sha256(str(folder).encode())[:32]


def load_or_build_vectors(
    image_set: ImageSet, model: str, context: Context, resources: Resources, rebuild: bool, progress: Progress
) -> np.ndarray:
    """Return the embeddings of an image set from its index; build or update the index first if needed.

    Args:
        image_set: The images.
        model: Model argument of the encoder.
        context: Context with this encoder as its only model.
        resources: Loads the encoder and the features.
        rebuild: Whether to replace an index of another encoder.
        progress: Receives the progress of the build.

    Returns:
        (n, width) normalised vectors.

    Raises:
        StoreError: Another encoder built the index, or an embedding contains a value that is not finite.
        DataError: An image is no longer readable.
    """
    (name,) = context.models
    folder = image_set.folder
    key = resources.feature_set(name, "embedding").key
    stored = StoredIndex.of_folder(folder)
    if stored is not None and stored.key != key and not rebuild:
        cause = " (its weights, preprocessing or arithmetic have changed)" if stored.model == model else ""
        raise StoreError(
            f"index={folder}: its index was built by {stored.model} (key {stored.key[:8]}), not by {name} (key "
            f"{key[:8]}){cause}, and embeddings of two encoders are not comparable: omit model= to search with "
            f"{stored.model}, or set rebuild=true to replace the index"
        )
    content = sha256("\n".join(image_set.images.sha256 + " " + image_set.images.image).encode())
    if stored is not None and stored.key == key and stored.content == content:
        vectors = stored.load_vectors(folder)
        if vectors is not None:
            return vectors
    vectors = _encode(image_set, name, context, resources, progress)
    _write(vectors, folder)
    spec = context.models[name]
    weights = None if spec.weights_file is None else str(spec.weights_file)
    pooling = None if spec.cut is None else cast(Pooling, spec.pooling)
    index = StoredIndex(model, weights, spec.cut, pooling, key, content, _digest(vectors))
    write_atomically(index_folder(folder) / "index.json", sealed(vars(index)))
    return vectors


def encode_images(image_set: ImageSet, name: str, context: Context, progress: Progress) -> None:
    """Compute the embeddings of all images that are not in the feature store.

    Args:
        image_set: The images.
        name: Name of the model.
        context: Context with the images as the task `TASK`.
        progress: Receives the progress.
    """
    images = list(image_set.images.image)
    size = item_size(len(images))
    items: list[Item] = list(Extract(name, TASK, "embedding", tuple(images)).split(size))
    progress.begin(f"encoding {image_set.folder.name} with {name}, groups of up to {size}", len(items))
    try:
        for item, outcome in LocalEngine(worker_count(context.settings)).execute(context, items):
            for note in outcome.notes:
                progress.note(note)
            progress.advance(item.labels[0])
    finally:
        progress.end()


def _encode(image_set: ImageSet, name: str, context: Context, resources: Resources, progress: Progress) -> np.ndarray:
    """Compute the normalised embeddings of all images that are not in the feature store, and read them all."""
    encode_images(image_set, name, context, progress)
    images = list(image_set.images.image)
    vectors = StoredEmbeddings(context, name, TASK, resources)(images)
    try:
        return normalise(vectors)
    except ValueError:
        bad = [image for image, vector in zip(images, vectors, strict=True) if not np.isfinite(vector).all()]
        raise StoreError(
            f"{name}: the embedding of {', '.join(bad)} contains values that are not finite; use another encoder"
        ) from None


def _write(vectors: np.ndarray, folder: Path) -> None:
    header = io.BytesIO()  # as `np.save` writes it, without a copy of the vectors
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(vectors))
    content = np.ascontiguousarray(vectors).reshape(-1).view(np.uint8).data
    write_atomically(index_folder(folder) / "vectors.npy", [header.getvalue(), content])


def _digest(vectors: np.ndarray) -> str:
    digest = hashlib.sha256(f"{vectors.dtype.str} {vectors.shape}".encode())
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()
