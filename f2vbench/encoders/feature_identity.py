"""How stored features are named, said without loading an encoder."""

from __future__ import annotations

from typing import Any

from f2vbench.config.run import RunSettings
from f2vbench.encoders.spec import ModelSpec


def declared_features(spec: ModelSpec, what: str, settings: RunSettings) -> dict[str, Any]:
    """What is known of a set of features without loading the encoder: model, layer, size, arithmetic asked for."""
    return declared(spec.identity(), spec.is_network, what, settings)


def declared(identity: dict[str, Any], is_network: bool, what: str, settings: RunSettings) -> dict[str, Any]:
    """The same of a model whose `ModelSpec.identity` is known, such as from a unit's record."""
    said: dict[str, Any] = {"model": identity, "what": what}
    if not is_network:
        return said
    said |= {"precision": settings.precision, "device": settings.device}
    if what == "embedding":
        return said | {"stored": "float32"}
    return said | {"image_size": settings.image_size, "stored": "float16"}


def entry_size(what: str, settings: RunSettings) -> int:
    """Side of the square that these features are made of; 0 at the photograph's own resolution."""
    return 0 if what in ("score", "embedding") else settings.image_size
