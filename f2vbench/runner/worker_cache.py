"""`Resources`: the models, photographs and feature sets that a worker keeps between work items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from f2vbench.data.photographs import Photograph, entry_names, open_photograph
from f2vbench.encoders.feature_identity import declared_features, entry_size
from f2vbench.encoders.loading import build
from f2vbench.errors import StoreError
from f2vbench.runner.context import Context
from f2vbench.store.features import FeatureSet

if TYPE_CHECKING:
    import torch

_PHOTOGRAPH_BYTES = 1 << 29


class Resources:
    """Models, photographs and features of a run, each loaded at its first use.

    Args:
        context: Tasks, models and settings of the run.

    Attributes:
        weights: Model → SHA-256 of its tensors, for the encoders that were loaded.
    """

    def __init__(self, context: Context):
        self.context = context
        self.settings = context.settings
        self.weights: dict[str, str] = {}
        self._photographs: dict[tuple[str, str], Photograph] = {}
        self._photograph_bytes = 0
        self._row_numbers: dict[str, dict[str, int]] = {}
        self._loaded: tuple[str, Any] | None = None
        self._features: dict[tuple[str, str], FeatureSet] = {}

    def encoder(self, model: str) -> Any:
        """Load a model: an encoder on its device, frozen, or a baseline.

        Only the last model is kept; work items are sorted by model.

        Args:
            model: Name of the model.

        Raises:
            StoreError: The run folder has units of this model with other weights (weights on a Hub may change).
        """
        if self._loaded is None or self._loaded[0] != model:
            self._loaded = None
            encoder: Any = build(self.context.models[model])
            if self.context.models[model].is_network:
                encoder = encoder.to(self.device).eval().requires_grad_(False)
                self.weights[model] = encoder.state_sha256()
                if self.context.weights.get(model, self.weights[model]) != self.weights[model]:
                    raise StoreError(
                        f"out={self.context.folder}: the weights of {model} are not those of its earlier units in this "
                        f"folder (stored: {self.context.weights[model]:.8}, now: {self.weights[model]:.8}); choose "
                        "another folder with out="
                    )
            self._loaded = (model, encoder)
        return self._loaded[1]

    def photograph(self, task: str, image: str) -> Photograph:
        """Load a photograph; recent ones are kept in memory, up to half a GiB.

        Args:
            task: Name of the task.
            image: Id of the image.
        """
        if (task, image) not in self._photographs:
            while self._photograph_bytes > _PHOTOGRAPH_BYTES:
                self._photograph_bytes -= self._photographs.pop(next(iter(self._photographs))).rgb.nbytes
            (row,) = self.row_numbers(task, [image])
            photograph = open_photograph(self.context.tasks[task].index.iloc[row])
            self._photographs[task, image] = photograph
            self._photograph_bytes += photograph.rgb.nbytes
        return self._photographs[task, image]

    def row_numbers(self, task: str, images: Sequence[str]) -> NDArray[np.int64]:
        """Rows of images in the index of their task, (n,).

        Args:
            task: Name of the task.
            images: Ids of n images.

        Raises:
            KeyError: The task has no such image.
        """
        if task not in self._row_numbers:
            names = self.context.tasks[task].index["image"]
            self._row_numbers[task] = {str(name): number for number, name in enumerate(names)}
        numbers = self._row_numbers[task]
        return np.fromiter((numbers[image] for image in images), np.int64, len(images))

    def missing_images(self, model: str, task: str, kind: str, images: Sequence[str]) -> list[str]:
        """Images whose features are not stored.

        Args:
            model: Name of the model.
            task: Name of the task.
            kind: Kind of features.
            images: Ids of images.
        """
        index = self.context.tasks[task].index
        entries = entry_names(index.iloc[self.row_numbers(task, images)], self.entry_size(model, kind))
        stored = self.feature_set(model, kind).has_many(entries)
        return [image for image, is_stored in zip(images, stored, strict=True) if not is_stored]

    def feature_set(self, model: str, kind: str) -> FeatureSet:
        """Feature set of a model; a network is loaded first, because its tensors are part of the key.

        Args:
            model: Name of the model.
            kind: Kind of features.
        """
        if (model, kind) not in self._features:
            spec = self.context.models[model]
            loaded = {}
            if spec.is_network:
                self.encoder(model)
                loaded = {"weights_sha256": self.weights[model], "arithmetic": self.precision}
            self._features[model, kind] = FeatureSet(declared_features(spec, kind, self.settings), loaded)
        return self._features[model, kind]

    def feature_sets(self) -> list[FeatureSet]:
        """All feature sets in use."""
        return list(self._features.values())

    def feature_reader(self, model: str, kind: str) -> Callable[[Photograph], list[NDArray[np.float32]]]:
        """Return a function that reads stored features, or computes them where they are absent or damaged.

        Args:
            model: Name of the model.
            kind: Kind of features.
        """
        features = self.feature_set(model, kind)
        if not self.context.models[model].is_network:
            return lambda photograph: [self._baseline_feature(model, kind, features, photograph)]
        from f2vbench.runner.extraction import feature_reader

        size = self.entry_size(model, kind)
        return feature_reader(features, self.encoder(model), size, self.device, self.precision)

    def entry_size(self, model: str, kind: str) -> int:
        """Side in pixels of the square that features are computed from; 0 for the photograph's own resolution.

        Args:
            model: Name of the model.
            kind: Kind of features.
        """
        return entry_size(kind, self.settings, self.context.models[model].side)

    def compute_baseline(self, model: str, kind: str, photograph: Photograph) -> dict[str, NDArray[np.float32]]:
        """Compute the features of a baseline for a photograph.

        Args:
            model: Name of the baseline.
            kind: ``score`` or ``embedding``.
            photograph: The photograph.

        Returns:
            The array under the key ``kind``.
        """
        baseline = self.encoder(model)
        if kind == "score":
            return {kind: baseline.score(photograph.rgb, photograph.fov)}
        return {kind: baseline.embed([photograph.square(0)], [photograph.has_round_field])[0]}

    @property
    def device(self) -> torch.device:
        """Device to compute on; imports torch."""
        from f2vbench.utils.device import torch_device

        return torch_device(self.settings.device)

    @property
    def precision(self) -> str:
        """Arithmetic of encoders, ``float32`` or ``bf16``; imports torch."""
        from f2vbench.utils.device import arithmetic

        return arithmetic(self.settings.precision, self.device)

    def _baseline_feature(
        self, model: str, kind: str, features: FeatureSet, photograph: Photograph
    ) -> NDArray[np.float32]:
        """Feature of a baseline, computed once and stored without loss."""
        entry = photograph.entry(self.entry_size(model, kind))
        stored = features.get(entry)
        if stored is None:
            stored = self.compute_baseline(model, kind, photograph)
            features.put(entry, stored)
        return stored[kind]
