"""Which features a run needs, said without loading an encoder."""

from __future__ import annotations

from typing import Any

from f2vbench.encoders.registry import ModelSpec
from f2vbench.settings import RunSettings


def what_is_stored(spec: ModelSpec, protocol: str, settings: RunSettings) -> str | None:
    """What a unit reads from the feature store, or None.

    ``score``: a floor's map; ``frames``: a generated angiogram; ``pyramid``: a frozen encoder's maps.
    """
    if spec.kind == "score":
        return "score"
    if spec.kind == "scratch":
        return None
    if protocol == "zero-shot":
        return "frames"
    return "pyramid" if settings.finetune == "frozen" else None


def declared_features(spec: ModelSpec, what: str, settings: RunSettings) -> dict[str, Any]:
    """What is known of a set of features without loading the encoder: model, layer, size, arithmetic asked for."""
    declared: dict[str, Any] = {"model": spec.identity(), "what": what}
    if what != "score":
        declared |= {
            "image_size": settings.image_size,
            "precision": settings.precision,
            "device": settings.device,
            "stored": "float16",
        }
    return declared
