"""Builds the model of a `ModelSpec` with the loader of its family. Imports torch only where that model does."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import ENTRY_POINT_GROUP, find_family
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError


def build(spec: ModelSpec) -> Any:
    """The model, in evaluation mode on the CPU.

    Returns:
        An `f2vbench.encoders.base.Encoder`; for `spec.kind` `score`, `vector` and `video` a baseline of
        `f2vbench.encoders.baselines`.

    Raises:
        SettingsError: the model exists only after a task has trained it (`scratch`), timm has no such model, or the
            loader of another package can't be imported or returns something else.
        WeightsError: the weights are missing, damaged, or made for another architecture.
    """
    family = find_family(spec.family)
    if family.loader is None:
        raise SettingsError(f"{spec.name} is trained on a task's support images: run it in a task, it can't be loaded")
    try:
        load = metadata.EntryPoint(family.name, family.loader, ENTRY_POINT_GROUP).load()
    except (ImportError, AttributeError) as error:
        if family.package is None:
            raise
        raise SettingsError(
            f"model={spec.name}: {family.loader} of the package {family.package} can't be imported ({error}); "
            "reinstall or repair that package"
        ) from error
    model = load(spec)
    if spec.kind != "features":
        return model
    from f2vbench.encoders.base import Encoder

    if not isinstance(model, Encoder):
        raise SettingsError(
            f"model={spec.name}: {family.loader} of the package {family.package} returned a {type(model).__name__}; "
            "it must return an f2vbench.encoders.base.Encoder"
        )
    return model.eval()


def load_encoder(model: str, weights: str | None = None, cut: int = 19) -> Any:
    """The encoder that a model argument means.

    Args:
        model: a model argument; see `f2vbench.encoders.model_argument.parse_model`.
        weights: a weights file, where the argument names none.
        cut: layer at which the encoder of a pix2pixHD generator ends.

    Returns:
        An `f2vbench.encoders.base.Encoder`, or for a baseline with embeddings a
        `f2vbench.encoders.baselines.image_vectors.VectorBaseline`, which has the same `embed`.

    Raises:
        SettingsError: the argument is not valid, or means a baseline without embeddings.
        WeightsError: the weights are missing, damaged, or made for another architecture.
    """
    spec = parse_model(model, weights, cut)
    if spec.kind not in ("features", "vector"):
        raise SettingsError(f"model={model}: a {spec.kind} model has no embeddings to load; run it in a task")
    return build(spec)
