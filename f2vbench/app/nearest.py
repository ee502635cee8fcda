"""Nearest images of a photograph in an index of `f2vbench search`; nothing of the photograph is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from f2vbench.app.predictions import embed
from f2vbench.data.photographs import Photograph, open_photograph
from f2vbench.errors import SettingsError
from f2vbench.metrics.exact_neighbours import find_nearest, normalise
from f2vbench.runner.worker_cache import Resources
from f2vbench.search.image_set import ImageSet, open_image_set
from f2vbench.search.search import choose_model, encoding_context
from f2vbench.search.settings import SearchSettings
from f2vbench.search.stored_index import StoredIndex, load_or_build_vectors
from f2vbench.utils.progress import Progress

_THUMBNAIL = 240  # px


@dataclass(frozen=True)
class NearImage:
    """An image of the index.

    Attributes:
        name: Its file name.
        distance: Cosine distance of the embeddings, 0 to 2.
        picture: uint8 (h, w, 3).
    """

    name: str
    distance: float
    picture: np.ndarray


class NearestImages:
    """The images of an index, and the encoder that built it.

    Args:
        folder: Folder of images, or run.
        k: Number of images.
        device: Device to compute on.
        progress: Receives the progress of reading the index; images added since are encoded.

    Raises:
        SettingsError: The folder has no index.
        DataError: The folder does not exist, or has no readable image.
        StoreError: The encoder has changed since the index was built.
    """

    def __init__(self, folder: Path, k: int, device: str, progress: Progress):
        self._images: ImageSet = open_image_set(folder, progress)
        if StoredIndex.of_folder(self._images.folder) is None and not self._images.models:
            raise SettingsError(
                f"index={folder}: there is no index yet; build it: "
                f"f2vbench search <image> index={folder} model=<encoder>"
            )
        settings = SearchSettings(image=folder, index=folder, k=k, device=device)
        argument, spec = choose_model(settings, self._images)
        context = encoding_context(settings, self._images, spec, argument)
        self._resources = Resources(context)
        self._vectors = load_or_build_vectors(self._images, argument, context, self._resources, False, progress)
        self._k = k
        self.encoder = spec.name
        """Name of the encoder."""
        self.folder = self._images.folder.name
        """Name of the folder."""

    def of(self, photograph: Photograph) -> list[NearImage]:
        """The nearest images, nearest first; an image with the same pixels is left out."""
        is_query = (self._images.images.sha256 == photograph.content.split()[0]).to_numpy()
        k = min(self._k, int((~is_query).sum()))
        if not k:
            return []
        vector = normalise(embed(self._resources, self.encoder, photograph)[None])
        content = np.where(is_query, 0, 1 + np.arange(len(is_query)))  # images with the query's number are excluded
        found, similarity = find_nearest(vector, self._vectors, k, np.zeros(1, np.int64), content)
        return [
            NearImage(Path(row.path).name, 1 - float(value), open_photograph(row).square(_THUMBNAIL))
            for (_, row), value in zip(self._images.images.iloc[found[0]].iterrows(), similarity[0], strict=True)
        ]
