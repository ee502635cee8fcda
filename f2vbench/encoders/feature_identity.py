"""Identity of stored features: what is known about a feature set before its encoder is loaded."""

from __future__ import annotations

from typing import Any

from f2vbench.config.run import RunSettings
from f2vbench.data.field_of_view import FIELD_OF_VIEW_VERSION
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.vessel_scores import ScoreReading, vessel_score_of


def declared_features(spec: ModelSpec, what: str, settings: RunSettings) -> dict[str, Any]:
    """Identity of a feature set of a model: model, kind of features, image size and requested precision.

    Args:
        spec: The model.
        what: Kind of features: `embedding`, `pyramid`, `video`, `vessel_score`, `truth` or `score`.
        settings: Settings of the run.

    Returns:
        JSON-compatible values, hashed into the key of the feature set.
    """
    return declared(spec.identity(), spec.is_network, what, settings)


def declared(identity: dict[str, Any], is_network: bool, what: str, settings: RunSettings) -> dict[str, Any]:
    """`declared_features` from a stored `ModelSpec.identity`, such as that of a unit's record.

    Args:
        identity: The identity of the model.
        is_network: Whether the model is an encoder with weights.
        what: Kind of features, as for `declared_features`.
        settings: Settings of the run.
    """
    ignored = {"decoder"} if what == "embedding" else {"decoder", "pooling"}
    model = {key: value for key, value in identity.items() if key not in ignored}
    features: dict[str, Any] = {"model": model, "what": what}
    if not is_network:
        return features
    if what == "vessel_score":
        has_truth_layer = identity.get("has_truth_layer", False)
        features["reading"] = vessel_score_of(identity["family"], has_truth_layer, settings.vessel_score).reading
        features["views"] = settings.score_views
    elif what == "truth":
        features |= {"reading": "truth", "views": settings.score_views}
    features |= {"precision": settings.precision, "device": settings.device}
    if what == "embedding":
        return features | {"stored": "float32", "field_of_view": FIELD_OF_VIEW_VERSION}
    return features | {"image_size": identity.get("side", settings.image_size), "stored": "float16"}


def score_reading(identity: dict[str, Any]) -> ScoreReading | None:
    """How vessel scores are computed, from the identity of their feature set; None for other features."""
    return ScoreReading(identity["reading"], identity["views"]) if "reading" in identity else None


def entry_size(what: str, settings: RunSettings, side: int | None = None) -> int:
    """Side in pixels of the square that features are computed from; 0 for the photograph's own resolution.

    Args:
        what: Kind of features, as for `declared_features`.
        settings: Settings of the run.
        side: `ModelSpec.side` of the model.
    """
    return 0 if what in ("score", "embedding") else side or settings.image_size
