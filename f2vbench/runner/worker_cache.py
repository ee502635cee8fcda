"""What a worker keeps between items: the last encoder, the last photographs, and the feature sets in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from f2vbench.data.photographs import Photograph, open_photograph
from f2vbench.encoders.feature_identity import declared_features, entry_size
from f2vbench.encoders.loading import build
from f2vbench.errors import StoreError
from f2vbench.runner.context import Context
from f2vbench.store.features import FeatureSet

_KEPT_BYTES = 1 << 29


class Resources:
    """Models, photographs and features of a run, each loaded when it is first needed.

    Attributes:
        weights: model → SHA-256 of its tensors, of the encoders that were loaded.
    """

    def __init__(self, context: Context):
        self.context = context
        self.settings = context.settings
        self.weights: dict[str, str] = {}
        self._photographs: dict[tuple[str, str], Photograph] = {}
        self._model: tuple[str, Any] | None = None
        self._features: dict[tuple[str, str], FeatureSet] = {}

    def encoder(self, model: str) -> Any:
        """The model, ready; only the last one is kept, and units come sorted by model.

        Raises:
            StoreError: the run folder holds units of this model made with other weights (those on a Hub may change).
        """
        if self._model is None or self._model[0] != model:
            self._model = None
            built = build(self.context.models[model])
            if self.context.models[model].kind == "features":
                built = built.to(self.device).eval().requires_grad_(False)
                self.weights[model] = built.state_sha256()
                if self.context.weights.get(model, self.weights[model]) != self.weights[model]:
                    raise StoreError(
                        f"out={self.context.folder}: the weights of {model} are not those of its earlier units there "
                        f"({self.weights[model]:.8} now, {self.context.weights[model]:.8} then); use another out="
                    )
            self._model = (model, built)
        return self._model[1]

    def photograph(self, task: str, name: str) -> Photograph:
        """A photograph, the last ones kept in memory up to half a GiB."""
        if (task, name) not in self._photographs:
            while sum(kept.rgb.nbytes for kept in self._photographs.values()) > _KEPT_BYTES:
                self._photographs.pop(next(iter(self._photographs)))
            index = self.context.tasks[task].index
            self._photographs[task, name] = open_photograph(index[index.image == name].iloc[0])
        return self._photographs[task, name]

    def feature_set(self, model: str, what: str) -> FeatureSet:
        """The store of one kind of features of a model; an encoder is loaded, so that its tensors name the set."""
        if (model, what) not in self._features:
            spec = self.context.models[model]
            loaded = {}
            if spec.is_network:
                self.encoder(model)
                loaded = {"weights_sha256": self.weights[model], "arithmetic": self.precision}
            self._features[model, what] = FeatureSet(declared_features(spec, what, self.settings), loaded)
        return self._features[model, what]

    def feature_sets(self) -> list[FeatureSet]:
        """Those that were used."""
        return list(self._features.values())

    def maps(self, model: str, what: str) -> Callable[[Photograph], list[np.ndarray]]:
        """A photograph's features from the store, made now where they are absent or damaged."""
        features = self.feature_set(model, what)
        if not self.context.models[model].is_network:
            return lambda photograph: [self._of_baseline(model, what, features, photograph)]
        from f2vbench.runner.extraction import stored_maps

        size = entry_size(what, self.settings)
        return stored_maps(features, self.encoder(model), size, self.device, self.precision)

    def _of_baseline(self, model: str, what: str, features: FeatureSet, photograph: Photograph) -> np.ndarray:
        """What a baseline gives, computed once and kept exactly."""
        entry = photograph.entry(entry_size(what, self.settings))
        found = features.get(entry)
        if found is None:
            found = self.by_baseline(model, what, photograph)
            features.put(entry, found)
        return found[what]

    def by_baseline(self, model: str, what: str, photograph: Photograph) -> dict[str, np.ndarray]:
        """What a baseline gives for a photograph, computed now."""
        baseline = self.encoder(model)
        if what == "score":
            return {what: baseline.score(photograph.rgb, photograph.fov)}
        return {what: baseline.embed([photograph.square(0)])[0]}

    @property
    def device(self) -> Any:
        from f2vbench.utils.device import torch_device

        return torch_device(self.settings.device)

    @property
    def precision(self) -> str:
        from f2vbench.utils.device import arithmetic

        return arithmetic(self.settings.precision, self.device)
