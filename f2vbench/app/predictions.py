"""Predictions of stored heads for a photograph; nothing of the photograph is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from f2vbench.adapters.base import check_finite
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.imported_embeddings import FAMILY as IMPORTED
from f2vbench.errors import SettingsError
from f2vbench.predict.encoder import find_encoder, open_encoder
from f2vbench.predict.head_ensemble import HeadEnsemble, Predictions, load_head
from f2vbench.runner.worker_cache import Resources


@dataclass(frozen=True)
class ShownPrediction:
    """The prediction of the heads of one condition.

    Attributes:
        title: Task, encoder, condition and number of heads.
        output_text: What the outputs are.
        prediction: Outputs and spread, with one row.
    """

    title: str
    output_text: str
    prediction: Predictions


class StoredPredictions:
    """The heads of one condition, and their encoder.

    Args:
        path: Folder of the heads, or one of them.
        device: Device to compute on.

    Raises:
        StoreError: The heads or their encoder are missing or differ.
        SettingsError: The heads are not for colour photographs, or read imported embeddings.
        WeightsError: The weights of the encoder are damaged.
    """

    def __init__(self, path: Path, device: str):
        self._heads: HeadEnsemble = load_head(path)
        facts = self._heads.facts
        if facts.modality != "colour":
            raise SettingsError(
                f"heads={path}: trained on images of the modality {facts.modality}, and the page shows colour fundus "
                "photographs; use f2vbench predict"
            )
        spec = find_encoder(facts)
        if spec.family == IMPORTED:
            raise SettingsError(
                f"heads={path}: trained on imported embeddings ({spec.name}), which no other photograph has; use "
                "f2vbench.load_head and predict_embeddings"
            )
        self._encoder = spec.name
        self._resources = open_encoder(facts, spec, None, device, 1)

    def of(self, photograph: Photograph) -> ShownPrediction:
        """Predict a photograph.

        Args:
            photograph: The photograph.
        """
        embedding = embed(self._resources, self._encoder, photograph)[None]
        check_finite(self._encoder, [photograph.name], embedding)
        return ShownPrediction(self._heads.title, self._heads.output_text, self._heads.predict_embeddings(embedding))


def embed(resources: Resources, model: str, photograph: Photograph) -> np.ndarray:
    """Embedding of a photograph, past the feature store, (width,).

    Args:
        resources: Loads the model.
        model: Name of the model.
        photograph: The photograph.
    """
    if not resources.context.models[model].is_network:
        return resources.compute_baseline(model, "embedding", photograph)["embedding"]
    from f2vbench.runner.extraction import encode_squares, input_square

    square = input_square(photograph, "embedding", resources.entry_size(model, "embedding"))
    encoder, device = resources.encoder(model), resources.device
    return encode_squares(encoder, "embedding", [square], device, resources.precision)[0]["embedding"]
